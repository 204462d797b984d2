//! How the policy is written: what comes from an original cannot end a comment, a string or a line.

use std::collections::BTreeMap;

use pullgate_policy::text::{escape, is_unsafe};

use super::trusted::{Authority, By, Pattern, Table, Transparency};

/// Columns of a comment.
const COLUMNS: usize = 100;
/// Characters of a name that is made of an original's.
const NAME: usize = 40;

/// A TOML string; one without escapes where that is easier to read.
pub(super) fn string(text: &str) -> String {
    let plain = |c: char| !is_unsafe(c) && c != '\'';
    if text.contains(['\\', '"']) && text.chars().all(plain) {
        return format!("'{text}'");
    }
    let mut written = String::from('"');
    for c in text.chars() {
        match c {
            '"' => written.push_str("\\\""),
            '\\' => written.push_str("\\\\"),
            '\n' => written.push_str("\\n"),
            '\t' => written.push_str("\\t"),
            _ if is_unsafe(c) && u32::from(c) > 0xffff => {
                written.push_str(&format!("\\U{:08x}", u32::from(c)))
            }
            _ if is_unsafe(c) => written.push_str(&format!("\\u{:04x}", u32::from(c))),
            _ => written.push(c),
        }
    }
    written.push('"');
    written
}

/// A list of strings, in one line where it fits.
pub(super) fn strings<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let texts: Vec<_> = texts.into_iter().map(string).collect();
    let line = format!("[{}]", texts.join(", "));
    if line.len() <= COLUMNS {
        return line;
    }
    format!("[\n{}]", texts.iter().map(|text| format!("    {text},\n")).collect::<String>())
}

/// A table of texts in one line.
pub(super) fn inline(entries: &BTreeMap<String, String>) -> String {
    let entries: Vec<_> =
        entries.iter().map(|(key, value)| format!("{} = {}", bare(key), string(value))).collect();
    format!("{{ {} }}", entries.join(", "))
}

fn bare(key: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !key.is_empty() && key.chars().all(plain) { key.to_owned() } else { quoted_key(key) }
}

/// A key between quotes has no other form.
fn quoted_key(key: &str) -> String {
    let written = string(key);
    written.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')).map_or(written.clone(), |inside| {
        format!("\"{}\"", inside.replace('\\', "\\\\").replace('"', "\\\""))
    })
}

/// A comment over as many lines as it needs, whatever is in it.
pub(super) fn comment(text: &str) -> String {
    let mut written = String::new();
    let mut line = String::from("#");
    for word in escape(text).split(' ') {
        if line.len() + word.len() >= COLUMNS && line != "#" {
            written.push_str(&line);
            written.push('\n');
            line = String::from("#  ");
        }
        line.push(' ');
        line.push_str(word);
    }
    written.push_str(&line);
    written.push('\n');
    written
}

/// A name of lower-case letters, digits and hyphens.
pub(super) fn slug(text: &str, otherwise: &str) -> String {
    let mut slug = String::new();
    for c in text.chars() {
        match c {
            'a'..='z' | '0'..='9' => slug.push(c),
            'A'..='Z' => slug.push(c.to_ascii_lowercase()),
            _ if slug.ends_with('-') || slug.is_empty() => {}
            _ => slug.push('-'),
        }
        if slug.len() >= NAME {
            break;
        }
    }
    let slug = slug.trim_matches('-');
    if slug.is_empty() { otherwise.to_owned() } else { slug.to_owned() }
}

/// One `[trust]`.
pub(super) fn table(table: &Table) -> String {
    format!("[trust.{}]\n{}\n\n", table.name, table.lines.join("\n"))
}

/// One `[authority]`.
pub(super) fn authority(authority: &Authority) -> String {
    let Authority { name, place: _, by, transparency, trust } = authority;
    let mut written = format!("[authority.{name}]\n");
    if trust != "sigstore" {
        written.push_str(&format!("trust = {}\n", string(trust)));
    }
    match by {
        By::Key { file, .. } => written.push_str(&format!("key = {}\n", string(file))),
        By::Identity { issuer, identity, claims } => {
            written.push_str(&pattern("issuer", issuer));
            written.push_str(&pattern("identity", identity));
            if !claims.is_empty() {
                written.push_str(&format!("claims = {}\n", inline(claims)));
            }
        }
    }
    match transparency {
        Transparency::None => written.push_str("transparency = \"none\"\n"),
        Transparency::Optional => written.push_str("transparency = \"optional\"\n"),
        // GitHub's own instance is the one that is not asked for an entry unless it is said.
        Transparency::Required if trust == "github" => written.push_str("transparency = \"required\"\n"),
        Transparency::Required => {}
    }
    written.push('\n');
    written
}

fn pattern(key: &str, pattern: &Pattern) -> String {
    match pattern {
        Pattern::Exact(text) => format!("{key} = {}\n", string(text)),
        Pattern::Regex(regex) => format!("{key}_regex = {}\n", string(regex)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::foreign_toml;

    const HOSTILE: [&str; 8] = [
        "plain",
        "\"\n[[policy]]\nname = \"x\"\ninsecure_permit_anything = true\n#",
        "'\n'",
        "\\\"",
        "a\\.b",
        "\u{202e}\u{7f}\u{0}\u{1b}[2J\r\n",
        "\u{2028}\u{e0001}é😀",
        "'''\"\"\"\\",
    ];

    #[test]
    fn whatever_a_string_holds_is_read_back_as_it_is() {
        for text in HOSTILE {
            let written = format!("a = {}\nb = {}\n", string(text), strings([text, "x"]));
            let read = foreign_toml(&written).unwrap();
            assert_eq!(read["a"], text, "{written}");
            assert_eq!(read["b"][0], text, "{written}");
            assert!(written.chars().all(|c| c == '\n' || !is_unsafe(c)), "{written:?}");
            let entries = BTreeMap::from([(text.to_owned(), text.to_owned())]);
            let read = foreign_toml(&format!("a = {}\n", inline(&entries))).unwrap();
            assert_eq!(read["a"][text], text);
        }
    }

    #[test]
    fn whatever_a_comment_holds_it_stays_a_comment() {
        for text in HOSTILE.map(|text| text.repeat(40)) {
            let written = comment(&text);
            assert!(written.lines().all(|line| line.starts_with('#')), "{written}");
            assert!(written.chars().all(|c| c == '\n' || !is_unsafe(c)), "{written:?}");
            assert_eq!(foreign_toml(&written), Some(serde_json::json!({})));
        }
        assert_eq!(comment(&"word ".repeat(40)).lines().count(), 3);
    }

    #[test]
    fn a_name_has_letters_digits_and_hyphens() {
        for (text, expected) in [
            ("Custom Key_1", "custom-key-1"),
            ("--", "key"),
            ("é", "key"),
            ("a.b]\n[policy", "a-b-policy"),
            (&"x".repeat(100), &"x".repeat(NAME)),
        ] {
            assert_eq!(slug(text, "key"), expected);
        }
    }
}
