//! `where`: an expression of the Common Expression Language over one attestation.
//!
//! Compiled once, at load, where unknown names and functions are faults at their column (A257, A551). The language has
//! no cost limit of its own: shape is bounded when it is compiled, size when it is evaluated (A255). Whatever is not
//! `true` is an unmet requirement (A256): `||` and `&&` absorb an error on one side, as the language says, and an error
//! of the whole expression counts as not `true`.

use std::fmt;
use std::sync::Arc;

use cel::{Context, Program, Value as Cel};
use serde_json::Value;

use crate::code::Code;
use crate::identity::Principal;
use crate::limits;
use crate::oci::Repository;
use crate::provenance::Provenance;

mod anchors;
mod parts;
mod shape;
mod values;

/// A compiled expression.
#[derive(Clone)]
pub struct Condition {
    text: String,
    program: Arc<Program>,
    named: Arc<parts::Named>,
    looks: parts::Looks,
    remarks: Vec<Remark>,
}

/// What an author may not have meant, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remark {
    /// What it is.
    pub kind: RemarkKind,
    /// The byte of the text at which it stands.
    pub at: usize,
}

/// What an author may not have meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemarkKind {
    /// It asks about nothing: its answer is always the same.
    Constant,
    /// A pattern without anchors, which matches anywhere in an identity.
    Unanchored,
}

/// What an expression may speak of.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// The whole statement.
    pub statement: &'a Value,
    /// The predicate of the statement.
    pub predicate: &'a Value,
    /// The predicate as provenance, if it is that.
    pub provenance: Option<&'a Provenance>,
    /// Who signed.
    pub principal: &'a Principal,
    /// What is judged.
    pub image: &'a Image,
}

/// The image that is judged, by the fields that a verdict is keyed by and no others (A551).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The registry.
    pub registry: String,
    /// The path of the repository.
    pub repository: String,
    /// The digest.
    pub digest: String,
    /// The media type of the manifest.
    pub media_type: String,
    /// The artifact type that the image specification derives.
    pub artifact_type: String,
}

impl Image {
    /// Whether a `docker-reference`, as payloads have it, is of this repository; a tag or digest behind it says nothing.
    #[must_use]
    pub fn is_named_by(&self, reference: &str) -> bool {
        let name = reference.split_once('@').map_or(reference, |(name, _)| name);
        let name = match name.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => name,
            Some(_) | None => name,
        };
        let named = Repository::of_short_name(name);
        named.is_ok_and(|named| named.registry().as_str() == self.registry && named.path() == self.repository)
    }
}

/// Why a text is no condition, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ConditionFault {
    /// What kind of fault.
    pub kind: FaultKind,
    /// The byte of the text at which it lies.
    pub at: usize,
    /// One line for people.
    pub message: String,
    /// Names that may have been meant.
    pub near: Vec<&'static str>,
}

/// What is wrong with an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// It could cost too much (A255).
    Cost,
    /// It is none.
    Syntax,
    /// It calls what does not exist (A257).
    UnknownFunction,
    /// It names what does not exist.
    UnknownName,
}

/// Stack for compiler and evaluation, which both go down the tree of the expression.
const STACK_BYTES: usize = 16 * 1024 * 1024;

impl Condition {
    /// Compiles an expression.
    ///
    /// # Errors
    /// [`ConditionFault`].
    pub fn compile(text: &str) -> Result<Self, ConditionFault> {
        shape::of_text(text)?;
        on_a_deep_stack(|| {
            let program = Program::compile(text).map_err(|errors| shape::syntax(text, &errors))?;
            let remarks = shape::of_program(text, &program)?;
            let (named, looks) = parts::of(program.expression());
            let (named, program) = (Arc::new(named), Arc::new(program));
            Ok(Self { text: text.to_owned(), program, named, looks, remarks })
        })
        .unwrap_or_else(|| {
            let message = "the expression cannot be read".to_owned();
            Err(ConditionFault { kind: FaultKind::Syntax, at: 0, message, near: Vec::new() })
        })
    }

    /// The expression as its author wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What its author may not have meant.
    #[must_use]
    pub fn remarks(&self) -> &[Remark] {
        &self.remarks
    }

    /// Asks it about one attestation.
    ///
    /// # Errors
    /// The [`Code`] that says why the answer is not `true`.
    pub fn holds(&self, about: &About<'_>) -> Result<(), Code> {
        if self.is_too_much(about) {
            return Err(Code::WhereTooLarge);
        }
        let evaluated = on_a_deep_stack(|| {
            let mut context = Context::default();
            for (name, value) in values::of(about, &self.named) {
                context.add_variable_from_value(name, value);
            }
            self.program.execute(&context).map_err(|_untrusted_text| Code::WhereError)
        });
        match evaluated {
            Some(Ok(Cel::Bool(true))) => Ok(()),
            Some(Ok(Cel::Bool(false))) => Err(Code::WhereFalse),
            Some(Ok(_)) => Err(Code::WhereNotBool),
            Some(Err(code)) => Err(code),
            // The library panicked: the condition does not hold.
            None => Err(Code::Internal),
        }
    }

    /// Whether the values that it reads, once or in a loop, are over the limits.
    fn is_too_much(&self, about: &About<'_>) -> bool {
        let documents = [("predicate", about.predicate), ("statement", about.statement)];
        let mut named =
            documents.into_iter().filter_map(|(name, value)| Some((self.named.get(name)?, value)));
        match self.looks {
            parts::Looks::Once => {
                named.any(|(parts, value)| values::are_too_large(&parts.in_value(value), &values::ONCE))
            }
            // What provenance is read of is part of the predicate.
            parts::Looks::Again => documents.iter().any(|(name, value)| {
                let provenance = *name == "predicate" && self.named.contains_key("provenance");
                let parts = self.named.get(*name).map(|parts| parts.in_value(value));
                let parts = if provenance { Some(vec![*value]) } else { parts };
                parts.is_some_and(|parts| values::are_too_large(&parts, &values::AGAIN))
            }),
        }
    }
}

/// Runs on a thread whose stack is deep enough for every expression within the limits; `None` when it panicked.
fn on_a_deep_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Option<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, work).ok()?;
        thread.join().ok()
    })
}

impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Condition").field(&self.text).finish()
    }
}

const _: () = assert!(limits::WHERE_NESTING < 96, "the compiler itself refuses deeper ones");

#[cfg(test)]
mod tests;
