//! Predicate types and conditions over predicates, in the words of the policy language.

use pullgate_policy::limits::WHERE_TEXT_BYTES;
use pullgate_policy::policy::SIGNATURE_TYPE;
use pullgate_policy::text::{escape, is_unsafe};

use super::remark::RemarkCode;
use super::trusted::Unnamed;

/// A predicate type, byte for byte.
pub(super) fn exact(kind: &str) -> Result<String, Unnamed> {
    let shown = || escape(kind);
    if kind == SIGNATURE_TYPE {
        return Err((RemarkCode::PredicateType, "a statement of this type is a signature here".to_owned()));
    }
    if kind.is_empty() || kind.chars().any(is_unsafe) {
        return Err((RemarkCode::PredicateType, format!("\"{}\" is no predicate type", shown())));
    }
    Ok(kind.to_owned())
}

/// Words of the expression language that name no field.
const RESERVED: [&str; 20] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "false",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "namespace",
    "null",
    "package",
    "return",
    "true",
    "var",
    "while",
];

/// A name that an expression can ask for behind a dot.
pub(super) fn field(name: &str) -> Option<&str> {
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic());
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    (begins && plain && name != "void" && !RESERVED.contains(&name)).then_some(name)
}

/// A text in an expression; none that would have to be escaped in a way that two languages share.
pub(super) fn text(value: &str) -> Option<String> {
    let plain = value.len() < WHERE_TEXT_BYTES / 4 && !value.chars().any(|c| is_unsafe(c) || c == '\'');
    plain.then(|| format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")))
}
