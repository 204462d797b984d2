//! Predicate types that a requirement asks for: short names, URIs, and texts that are neither.

use pullgate_policy::policy::{Asks, PredicateType, SIGNATURE_TYPE};
use pullgate_policy::provenance::{SLSA_V1, SLSA_V02};

use crate::code::Code;
use crate::context::{Context, quoted};
use crate::reader::{At, Node, Table};
use crate::suggest::nearest;

/// Names for predicate types that people write; anything else is the URI itself.
const PREDICATES: [(&str, &[Written]); 7] = [
    // cosign and the specification, and cosign 1.
    (
        "cyclonedx",
        &[Written::Versioned("https://cyclonedx.org/bom"), Written::Exact("https://cyclonedx.org/schema")],
    ),
    // The specification's address, and with the version that its tools write behind it.
    ("openvex", &[Written::Versioned("https://openvex.dev/ns")]),
    ("slsa-provenance", &PROVENANCE),
    // GitHub's actions write the version behind it.
    ("spdx", &[Written::Versioned("https://spdx.dev/Document")]),
    ("test-result", &[Written::Versioned("https://in-toto.io/attestation/test-result")]),
    // SLSA's verification summary.
    ("vsa", &[Written::Versioned("https://slsa.dev/verification_summary")]),
    // cosign's own, and in-toto's.
    (
        "vuln",
        &[
            Written::Exact("https://cosign.sigstore.dev/attestation/vuln/v1"),
            Written::Versioned("https://in-toto.io/attestation/vulns"),
        ],
    ),
];

const PROVENANCE: [Written; 2] = [Written::Exact(SLSA_V02), Written::Exact(SLSA_V1)];

/// The types that a short name means, as tools write them.
#[derive(Clone, Copy)]
enum Written {
    Exact(&'static str),
    Versioned(&'static str),
}

impl From<Written> for PredicateType {
    fn from(written: Written) -> Self {
        match written {
            Written::Exact(uri) => Self::Exact(uri.to_owned()),
            Written::Versioned(uri) => Self::Versioned(uri.to_owned()),
        }
    }
}

pub(super) fn provenance_types() -> Vec<PredicateType> {
    PROVENANCE.map(PredicateType::from).to_vec()
}

/// A type as it is written.
pub(super) enum Type {
    /// A short name, or a URI.
    Named(At<String>),
    /// `{ type = "…" }`: any text, byte for byte. It has a form of its own, since a misspelt short name would be such a
    /// text.
    Exact(At<String>),
}

/// One type, or a list of which any will do.
pub(super) fn attestation(context: &mut Context<'_, '_>, table: &mut Table) -> Option<Vec<Type>> {
    let value = table.take("attestation")?;
    let span = value.span.clone();
    let Node::Array(values) = value.value else {
        return written(context, value).map(|one| vec![one]);
    };
    if values.is_empty() {
        context.report(&span, Code::EmptyValue, "`attestation` is empty: no type is asked for");
    }
    let count = values.len();
    let read: Vec<_> = values.into_iter().filter_map(|value| written(context, value)).collect();
    // With one type dropped, the requirement would differ from the file.
    (read.len() == count).then_some(read)
}

fn written(context: &mut Context<'_, '_>, value: At<Node>) -> Option<Type> {
    if !matches!(value.value, Node::Table(_)) {
        return context.string("attestation", value).map(Type::Named);
    }
    let mut inner = context.table("attestation", value)?;
    let text = inner.required(context, "type");
    inner.finish(context);
    let text = text?;
    if text.value.chars().any(pullgate_policy::text::is_unsafe) {
        let message = format!("{} has characters that cannot be shown safely", quoted(&text.value));
        context.report(&text.span, Code::ValueInvalid, message);
        return None;
    }
    Some(Type::Exact(text))
}

/// `None` where any of them is no type: the rest alone would be another requirement.
pub(super) fn asks(context: &mut Context<'_, '_>, written: &[Type]) -> Option<Asks> {
    let mut asked: Vec<PredicateType> = Vec::new();
    let mut complete = !written.is_empty();
    for one in written {
        let types = match one {
            Type::Named(text) => types(context, text),
            Type::Exact(text) => {
                (!is_signature(context, text)).then(|| vec![PredicateType::Exact(text.value.clone())])
            }
        };
        complete &= types.is_some();
        for one in types.into_iter().flatten() {
            if !asked.contains(&one) {
                asked.push(one);
            }
        }
    }
    complete.then_some(Asks::Attestation(asked))
}

/// Whether the type is that of signatures, which is a fault.
fn is_signature(context: &mut Context<'_, '_>, text: &At<String>) -> bool {
    if text.value != SIGNATURE_TYPE {
        return false;
    }
    let message = "a statement of this type is a signature and never counts as an attestation";
    let hint = "leave `attestation` out to ask for a signature";
    context.advise(&text.span, Code::ValueInvalid, message, hint);
    true
}

fn types(context: &mut Context<'_, '_>, text: &At<String>) -> Option<Vec<PredicateType>> {
    if let Some((_, types)) = PREDICATES.iter().find(|(name, _)| *name == text.value) {
        return Some(types.iter().copied().map(PredicateType::from).collect());
    }
    if is_signature(context, text) {
        return None;
    }
    if is_uri(&text.value) {
        return Some(vec![PredicateType::Exact(text.value.clone())]);
    }
    let names = PREDICATES.map(|(name, _)| name);
    let message =
        format!("{} is neither a predicate type URI nor one of {}", quoted(&text.value), names.join(", "));
    match nearest(&text.value, names) {
        Some(near) => {
            context.advise(&text.span, Code::ValueInvalid, message, format!("did you mean \"{near}\"?"))
        }
        None => {
            let hint = "of a type that is no URI: attestation = { type = \"…\" }";
            context.advise(&text.span, Code::ValueInvalid, message, hint);
        }
    }
    None
}

/// RFC 3986 §3: a scheme, a colon, something; here without spaces and controls. It is compared byte for byte.
fn is_uri(text: &str) -> bool {
    let scheme = |scheme: &str| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
    };
    let split = text.split_once(':');
    split.is_some_and(|(before, rest)| {
        scheme(before) && !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_graphic())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_predicate_type_is_a_uri_and_no_word() {
        for (text, expected) in [
            ("https://slsa.dev/provenance/v1", true),
            ("urn:example:x", true),
            ("slsa", false),
            ("https:", false),
            ("1https://x", false),
            ("https://x y", false),
            ("", false),
        ] {
            assert_eq!(is_uri(text), expected, "{text}");
        }
    }

    #[test]
    fn each_name_stands_for_predicate_types_of_its_own() {
        let types = PREDICATES.iter().flat_map(|(_, types)| types.iter().copied());
        let types: Vec<PredicateType> = types.map(PredicateType::from).collect();
        for (at, one) in types.iter().enumerate() {
            assert!(is_uri(one.uri()) && !one.is(SIGNATURE_TYPE));
            assert!(types.iter().skip(at + 1).all(|other| !other.is(one.uri()) && !one.is(other.uri())));
        }
    }
}
