//! The shape of an expression: names, functions, depth.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the tree is the library's, and a new kind of node has no fixed fields either"
)]

use std::collections::BTreeSet;

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue};
use cel::{ParseErrors, Program};

use super::{ConditionFault, FaultKind, Remark, RemarkKind, anchors};
use crate::identity::{CLAIMS, WholeRegex, claim};
use crate::limits;

/// What an expression may name.
const NAMES: [&str; 5] = ["identity", "image", "predicate", "provenance", "statement"];
/// The functions that it may call: the language's own, without any I/O.
const FUNCTIONS: [&str; 14] = [
    "contains",
    "double",
    "duration",
    "endsWith",
    "has",
    "int",
    "matches",
    "size",
    "startsWith",
    "string",
    "timestamp",
    "type",
    "uint",
    "bool",
];
/// What each of these has; the others are the signer's own documents.
const FIELDS: [(&str, &[&str]); 3] = [
    ("identity", &["claims", "issuer", "key", "kind", "subject"]),
    ("image", &["artifact_type", "digest", "media_type", "registry", "repository"]),
    ("provenance", &["build_type", "builder", "commit", "dependencies", "level", "ref", "source"]),
];

/// Looks at the text before the compiler, which goes as deep as the text says.
pub(super) fn of_text(text: &str) -> Result<(), ConditionFault> {
    if text.len() > limits::WHERE_TEXT_BYTES {
        return Err(cost(
            limits::WHERE_TEXT_BYTES,
            format!("longer than {} bytes", limits::WHERE_TEXT_BYTES),
        ));
    }
    let (mut depth, mut quote, mut escaped) = (0_usize, None, false);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => depth = depth.saturating_sub(1),
            (None, _) => {}
        }
        if depth > limits::WHERE_NESTING {
            return Err(cost(at, format!("more than {} brackets are open", limits::WHERE_NESTING)));
        }
    }
    // Signs in a row open no bracket and go as deep.
    let mut run = 0;
    for (at, c) in text.char_indices() {
        run = if matches!(c, '!' | '-') { run + 1 } else { 0 };
        if run > limits::WHERE_NESTING {
            return Err(cost(at, format!("more than {} signs in a row", limits::WHERE_NESTING)));
        }
    }
    Ok(())
}

/// The first fault of the compiler. The message quotes the author's own expression and no text from outside.
pub(super) fn syntax(text: &str, errors: &ParseErrors) -> ConditionFault {
    let (at, message) = errors.errors.first().map_or((0, String::new()), |error| {
        let (line, column) = error.pos;
        let before: usize = text
            .split_inclusive('\n')
            .take(usize::try_from(line - 1).unwrap_or_default())
            .map(str::len)
            .sum();
        (
            before + usize::try_from(column - 1).unwrap_or_default(),
            error.msg.lines().next().unwrap_or_default().to_owned(),
        )
    });
    fault(FaultKind::Syntax, at.min(text.len()), format!("no expression: {message}"), &[])
}

/// Walks what was compiled.
pub(super) fn of_program(text: &str, program: &Program) -> Result<Vec<Remark>, ConditionFault> {
    let (bound, within) = (BTreeSet::new(), Within::Nothing);
    let mut walk = Walk { program, text, bound, within, asks: Asks::Nothing, remarks: Vec::new() };
    walk.expression(program.expression(), 0)?;
    if walk.asks == Asks::Nothing {
        walk.remarks.push(Remark { kind: RemarkKind::Constant, at: 0 });
    }
    Ok(walk.remarks)
}

/// Whether an expression asks about anything.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asks {
    Nothing,
    Something,
}

/// Whether a comprehension is open: one inside another multiplies their lengths.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    Comprehension,
    Nothing,
}

struct Walk<'a> {
    program: &'a Program,
    text: &'a str,
    bound: BTreeSet<String>,
    within: Within,
    asks: Asks,
    remarks: Vec<Remark>,
}

impl Walk<'_> {
    fn at(&self, id: u64) -> usize {
        let chars = self.program.source_info().offset_for(id).map_or(0, |(start, _)| start);
        let chars = usize::try_from(chars).unwrap_or_default();
        self.text.char_indices().nth(chars).map_or(self.text.len(), |(at, _)| at)
    }

    fn expression(&mut self, ided: &IdedExpr, depth: usize) -> Result<(), ConditionFault> {
        let at = self.at(ided.id);
        if depth > limits::WHERE_NESTING {
            return Err(cost(at, format!("nested deeper than {}", limits::WHERE_NESTING)));
        }
        let depth = depth + 1;
        match &ided.expr {
            Expr::Unspecified | Expr::Literal(_) => Ok(()),
            Expr::Ident(name) => self.name(name, at),
            Expr::Select(select) => {
                self.field(&select.operand, &select.field, at)?;
                self.expression(&select.operand, depth)
            }
            Expr::Call(call) => self.call(call, at, depth),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension, at, depth),
            Expr::List(list) => list.elements.iter().try_for_each(|one| self.expression(one, depth)),
            Expr::Map(map) => map.entries.iter().try_for_each(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => {
                    self.expression(&entry.key, depth)?;
                    self.expression(&entry.value, depth)
                }
                EntryExpr::StructField(field) => self.expression(&field.value, depth),
            }),
            Expr::Struct(made) => {
                Err(fault(FaultKind::UnknownName, at, format!("there is no type `{}`", made.type_name), &[]))
            }
        }
    }

    fn name(&mut self, name: &str, at: usize) -> Result<(), ConditionFault> {
        if NAMES.contains(&name) && !self.bound.contains(name) {
            self.asks = Asks::Something;
        }
        // The compiler's own names for its macros begin with `@`, which no author can write.
        if name.starts_with('@') || NAMES.contains(&name) || self.bound.contains(name) {
            return Ok(());
        }
        Err(fault(FaultKind::UnknownName, at, format!("there is no `{name}`"), &NAMES))
    }

    /// A field of a variable with a fixed set of fields. `image.tag` is not one: a verdict is independent of the tag in
    /// the request (A551).
    fn field(&self, of: &IdedExpr, field: &str, at: usize) -> Result<(), ConditionFault> {
        let known: &[&str] = match &of.expr {
            Expr::Ident(name) if !self.bound.contains(name) => {
                match FIELDS.iter().find(|(owner, _)| owner == name) {
                    Some((_, fields)) => fields,
                    None => return Ok(()),
                }
            }
            _ if self.is_claims(of) && claim(field).is_some() => return Ok(()),
            _ if self.is_claims(of) => &CLAIMS,
            _ => return Ok(()),
        };
        if known.contains(&field) {
            return Ok(());
        }
        let at = if self.text.get(at..).is_some_and(|rest| rest.starts_with('.')) { at + 1 } else { at };
        let alike = |one: &&str| one.contains(field) || field.contains(*one);
        let near: Vec<_> = known.iter().copied().filter(alike).collect();
        let near = if near.is_empty() { known.to_vec() } else { near };
        let message = format!("there is no field `{field}` here");
        Err(ConditionFault { kind: FaultKind::UnknownName, at, message, near })
    }

    fn call(&mut self, call: &CallExpr, at: usize, depth: usize) -> Result<(), ConditionFault> {
        let name = call.func_name.as_str();
        // The compiler points at the bracket.
        let start = at.checked_sub(name.len()).filter(|start| self.text.get(*start..at) == Some(name));
        let at = start.unwrap_or(at);
        let operator = name.contains('_') && !name.contains(|c: char| c.is_ascii_alphanumeric())
            || name.starts_with('@');
        if !operator && !FUNCTIONS.contains(&name) {
            return Err(fault(
                FaultKind::UnknownFunction,
                at,
                format!("there is no function `{name}`"),
                &FUNCTIONS,
            ));
        }
        if name == "matches" {
            self.pattern(call, at)?;
        }
        if self.within == Within::Comprehension {
            self.search(call, at)?;
        }
        match (name, call.args.as_slice()) {
            // `image["tag"]` is `image.tag`.
            ("_[_]" | "_[?_]", [of, index]) if self.has_fixed_fields(of) => self.named(of, index, at)?,
            ("@in", [index, of]) if self.has_fixed_fields(of) => self.named(of, index, at)?,
            _ => {}
        }
        call.target.iter().map(Box::as_ref).chain(&call.args).try_for_each(|one| self.expression(one, depth))
    }

    /// Whether the fields of this expression are a fixed set.
    fn has_fixed_fields(&self, of: &IdedExpr) -> bool {
        let named = |name: &String| FIELDS.iter().any(|(owner, _)| owner == name);
        matches!(&of.expr, Expr::Ident(name) if named(name) && !self.bound.contains(name))
            || self.is_claims(of)
    }

    /// `identity.claims`, in either form.
    fn is_claims(&self, of: &IdedExpr) -> bool {
        let is_identity = |of: &IdedExpr| matches!(&of.expr, Expr::Ident(name) if name == "identity" && !self.bound.contains(name));
        match &of.expr {
            Expr::Select(select) => select.field == "claims" && is_identity(&select.operand),
            Expr::Call(call) => match (call.func_name.as_str(), call.args.as_slice()) {
                ("_[_]" | "_[?_]", [of, index]) => {
                    is_identity(of) && text_of(index).is_some_and(|field| field == "claims")
                }
                _ => false,
            },
            _ => false,
        }
    }

    fn named(&self, of: &IdedExpr, index: &IdedExpr, at: usize) -> Result<(), ConditionFault> {
        match text_of(index) {
            Some(field) => self.field(of, field, at),
            None => {
                let message = "a field of this is named, not computed".to_owned();
                Err(fault(FaultKind::UnknownName, at, message, &[]))
            }
        }
    }

    /// Inside a comprehension, what searches a list or text that is not of this round multiplies their lengths (A621).
    fn search(&self, call: &CallExpr, at: usize) -> Result<(), ConditionFault> {
        let name = call.func_name.as_str();
        let searched = match (name, &call.target, call.args.as_slice()) {
            ("@in", _, [_, list]) => (!is_written_out(list)).then_some("in"),
            ("contains" | "matches" | "size", Some(target), _) => self.is_foreign(target).then_some(name),
            ("contains" | "matches" | "size", None, [target, ..]) => self.is_foreign(target).then_some(name),
            _ => None,
        };
        match searched {
            Some(name) => Err(cost(at, format!("`{name}` searches anew in each round of a comprehension"))),
            None => Ok(()),
        }
    }

    /// Whether it is of a document that an attacker may have written, and not of the round.
    fn is_foreign(&self, of: &IdedExpr) -> bool {
        match &of.expr {
            Expr::Ident(name) => {
                matches!(name.as_str(), "predicate" | "provenance" | "statement")
                    && !self.bound.contains(name)
            }
            Expr::Select(select) => self.is_foreign(&select.operand),
            Expr::Call(call) => {
                call.target.iter().map(Box::as_ref).chain(&call.args).any(|one| self.is_foreign(one))
            }
            Expr::List(list) => list.elements.iter().any(|one| self.is_foreign(one)),
            _ => false,
        }
    }

    /// A pattern out of a predicate would be the attacker's own program.
    fn pattern(&mut self, call: &CallExpr, at: usize) -> Result<(), ConditionFault> {
        let target = call.target.as_deref().or_else(|| call.args.first().filter(|_| call.args.len() > 1));
        match call.args.last().map(|last| &last.expr) {
            Some(Expr::Literal(LiteralValue::String(pattern))) => match WholeRegex::new(pattern.inner()) {
                Ok(_) => {
                    if target.is_some_and(|target| self.is_of_identity(target))
                        && !anchors::is_whole(pattern.inner())
                    {
                        self.remarks.push(Remark { kind: RemarkKind::Unanchored, at });
                    }
                    Ok(())
                }
                Err(_) => {
                    Err(cost(at, "the pattern is no regular expression, or too large a one".to_owned()))
                }
            },
            _ => Err(cost(at, "`matches` takes a pattern that is written out".to_owned())),
        }
    }

    fn is_of_identity(&self, of: &IdedExpr) -> bool {
        match &of.expr {
            Expr::Ident(name) => name == "identity" && !self.bound.contains(name),
            Expr::Select(select) => self.is_of_identity(&select.operand),
            Expr::Call(call) => {
                call.target.iter().map(Box::as_ref).chain(&call.args).any(|one| self.is_of_identity(one))
            }
            _ => false,
        }
    }

    fn comprehension(
        &mut self,
        one: &ComprehensionExpr,
        at: usize,
        depth: usize,
    ) -> Result<(), ConditionFault> {
        if self.within == Within::Comprehension {
            return Err(cost(at, "a comprehension inside another".to_owned()));
        }
        self.expression(&one.iter_range, depth)?;
        self.within = Within::Comprehension;
        let names: Vec<String> = [Some(&one.iter_var), one.iter_var2.as_ref(), Some(&one.accu_var)]
            .into_iter()
            .flatten()
            .cloned()
            .collect();
        let new: Vec<String> = names.into_iter().filter(|name| self.bound.insert(name.clone())).collect();
        let inner = [&one.accu_init, &one.loop_cond, &one.loop_step, &one.result];
        let walked = inner.into_iter().try_for_each(|part| self.expression(part, depth));
        for name in new {
            self.bound.remove(&name);
        }
        self.within = Within::Nothing;
        walked
    }
}

pub(super) fn text_of(one: &IdedExpr) -> Option<&str> {
    match &one.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}

/// A list of literals, short enough to be looked through in each round.
fn is_written_out(list: &IdedExpr) -> bool {
    match &list.expr {
        Expr::List(list) => {
            list.elements.len() <= limits::WHERE_LIST
                && list.elements.iter().all(|one| matches!(one.expr, Expr::Literal(_)))
        }
        _ => false,
    }
}

fn cost(at: usize, message: String) -> ConditionFault {
    fault(FaultKind::Cost, at, message, &[])
}

fn fault(kind: FaultKind, at: usize, message: String, near: &[&'static str]) -> ConditionFault {
    ConditionFault { kind, at, message, near: near.to_vec() }
}
