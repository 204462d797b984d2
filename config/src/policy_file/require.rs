//! `[[policy.require]]`: what a policy asks for.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use pullgate_policy::identity::{Authority, By, IdentityPattern, Name, Uses};
use pullgate_policy::policy::{Asks, ClaimedReference, PredicateType, Requirement, SIGNATURE_TYPE};
use pullgate_policy::provenance::{SLSA_V1, SLSA_V02};

use super::authority::Authorities;
use super::expression;
use crate::code::Code;
use crate::context::{Context, quoted};
use crate::reader::{At, Node, Table};
use crate::suggest::nearest;
use crate::value::Zero;

/// Names for predicate types that people write; anything else is the URI itself.
const PREDICATES: [(&str, &[Written]); 4] = [
    // cosign and the specification, and cosign 1.
    (
        "cyclonedx",
        &[Written::Versioned("https://cyclonedx.org/bom"), Written::Exact("https://cyclonedx.org/schema")],
    ),
    ("slsa-provenance", &PROVENANCE),
    // GitHub's actions write the version behind it.
    ("spdx", &[Written::Versioned("https://spdx.dev/Document")]),
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

/// What a name stands for: each as tools write it.
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

pub(super) fn read(
    context: &mut Context<'_, '_>,
    mut table: Table,
    known: &Authorities,
) -> Option<Requirement> {
    let location = context.location(&table);
    let slsa = expression::slsa(context, &mut table);
    let attestation = attestation(context, &mut table);
    let asks = match (&attestation, &slsa) {
        (Some(texts), _) => asks(context, texts),
        (None, Some(_)) => Some(Asks::Attestation(provenance_types())),
        (None, None) => Some(Asks::Signature),
    };
    if let (Some(slsa), Some(Asks::Attestation(types))) = (&slsa, &asks)
        && let Some(other) = types.iter().find(|one| !provenance_types().contains(one))
    {
        let message = format!("`slsa` asks for provenance, and {} is not provenance", quoted(other.uri()));
        context.advise(
            &slsa.span,
            Code::ValueInvalid,
            message,
            "leave `attestation` out, or write \"slsa-provenance\"",
        );
    }
    let condition = expression::condition(context, &mut table, asks.as_ref());
    if !table.has("signed_by") {
        let message = "a requirement without `signed_by`: any stranger could meet it";
        let hint = "signed_by = { any_of = [\"…\"] }";
        context.advise(&table.head.clone(), Code::RequirementEmpty, message, hint);
    }
    let signers =
        table.table(context, "signed_by").and_then(|inner| signers(context, inner, known, asks.as_ref()));
    let annotations = annotations(context, &mut table);
    let claimed_reference = claimed_reference(context, &mut table, asks.as_ref());
    let max_age = table.duration(context, "max_age", Zero::Refused, None);
    table.finish(context);
    let (any_of, threshold) = signers?;
    let slsa = slsa.map(|slsa| slsa.value);
    Some(Requirement {
        location,
        asks: asks?,
        any_of,
        threshold,
        annotations,
        claimed_reference,
        max_age,
        condition,
        slsa,
    })
}

fn provenance_types() -> Vec<PredicateType> {
    PROVENANCE.map(PredicateType::from).to_vec()
}

/// One type, or a list of which any will do.
fn attestation(context: &mut Context<'_, '_>, table: &mut Table) -> Option<Vec<At<String>>> {
    let value = table.take("attestation")?;
    let span = value.span.clone();
    let Node::Array(values) = value.value else {
        return context.string("attestation", value).map(|text| vec![text]);
    };
    if values.is_empty() {
        context.report(&span, Code::EmptyValue, "`attestation` is empty: no type is asked for");
    }
    Some(values.into_iter().filter_map(|value| context.string("attestation", value)).collect())
}

/// None where any of them is no type: what is asked for in its place would be less.
fn asks(context: &mut Context<'_, '_>, texts: &[At<String>]) -> Option<Asks> {
    let mut asked: Vec<PredicateType> = Vec::new();
    let mut complete = !texts.is_empty();
    for text in texts {
        let types = types(context, text);
        complete &= types.is_some();
        for one in types.into_iter().flatten() {
            if !asked.contains(&one) {
                asked.push(one);
            }
        }
    }
    complete.then_some(Asks::Attestation(asked))
}

fn types(context: &mut Context<'_, '_>, text: &At<String>) -> Option<Vec<PredicateType>> {
    if let Some((_, types)) = PREDICATES.iter().find(|(name, _)| *name == text.value) {
        return Some(types.iter().copied().map(PredicateType::from).collect());
    }
    if text.value == SIGNATURE_TYPE {
        let message = "a statement of this type is a signature and never counts as an attestation";
        context.advise(
            &text.span,
            Code::ValueInvalid,
            message,
            "leave `attestation` out to ask for a signature",
        );
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
        None => context.report(&text.span, Code::ValueInvalid, message),
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

fn signers(
    context: &mut Context<'_, '_>,
    mut table: Table,
    known: &Authorities,
    asks: Option<&Asks>,
) -> Option<(Vec<Name>, usize)> {
    let head = table.head.clone();
    if !table.has("any_of") {
        context.report(&head, Code::RequirementEmpty, "`signed_by` without `any_of`: it names no authority");
    }
    let written = table.strings(context, "any_of");
    let threshold = table.integer(context, "threshold");
    table.finish(context);
    let written = written?;
    if written.value.is_empty() {
        context.report(&written.span, Code::RequirementEmpty, "`any_of` is empty: it names no authority");
        return None;
    }
    let mut any_of: Vec<Name> = Vec::new();
    let mut complete = true;
    for text in &written.value {
        let name = Name::new(&text.value);
        match defined(context, text, known) {
            Some(authority) => complete &= counts(context, text, authority, asks),
            None => complete = false,
        }
        if any_of.contains(&name) {
            context.report(
                &text.span,
                Code::DuplicateName,
                format!("{} is named twice", quoted(&text.value)),
            );
        } else {
            any_of.push(name);
        }
    }
    let threshold = count(context, threshold, signers_at_most(&any_of, known))?;
    complete.then_some((any_of, threshold))
}

/// How many different signers the authorities can ever be: one identity under two names signs as one (A233, A234).
fn signers_at_most(any_of: &[Name], known: &Authorities) -> usize {
    let signer = |name: &Name| match known.by_name.get(name).and_then(Option::as_ref).map(|one| &one.by) {
        Some(By::Identity { issuer, pattern: IdentityPattern::Exact(identity), .. }) => {
            (issuer.clone(), identity.clone())
        }
        Some(By::Certificate { holder, .. }) => (String::new(), format!("{holder:?}")),
        Some(By::Identity { pattern: IdentityPattern::Regex(_), .. } | By::Keys(_)) | None => {
            (String::new(), name.to_string())
        }
    };
    any_of.iter().map(signer).collect::<BTreeSet<_>>().len()
}

fn count(context: &mut Context<'_, '_>, threshold: Option<At<i64>>, most: usize) -> Option<usize> {
    let Some(written) = threshold else { return Some(1) };
    let Some(count) = usize::try_from(written.value).ok().filter(|count| *count > 0) else {
        context.report(&written.span, Code::ThresholdImpossible, "a threshold is at least 1");
        return None;
    };
    if count > most {
        let message = format!("{count} of {most} can never be: a threshold counts different authorities");
        context.report(&written.span, Code::ThresholdImpossible, message);
        return None;
    }
    Some(count)
}

/// The authority of this name. One that is defined and could not be read has had its fault.
fn defined<'a>(
    context: &mut Context<'_, '_>,
    text: &At<String>,
    known: &'a Authorities,
) -> Option<&'a Authority> {
    let found = known.by_name.get(&Name::new(&text.value));
    if found.is_none() {
        let near = nearest(&text.value, known.by_name.keys().map(Name::as_str));
        let hint = near.map_or_else(
            || format!("define [authority.{}]", pullgate_policy::text::escape(&text.value)),
            |near| format!("did you mean \"{near}\"?"),
        );
        let message = format!("no authority is called {}", quoted(&text.value));
        context.advise(&text.span, Code::AuthorityUnknown, message, hint);
    }
    found?.as_ref()
}

/// Whether the authority can count here at all.
fn counts(
    context: &mut Context<'_, '_>,
    text: &At<String>,
    authority: &Authority,
    asks: Option<&Asks>,
) -> bool {
    let (wanted, excluded) = match asks {
        Some(Asks::Signature) => ("signatures", authority.uses == Uses::Attestations),
        Some(Asks::Attestation(_)) => ("attestations", authority.uses == Uses::Signatures),
        None => return true,
    };
    if excluded {
        let message = format!("{} does not count for {wanted}: its `use` says so", quoted(&text.value));
        context.report(&text.span, Code::AuthorityUnusable, message);
    }
    !excluded
}

/// Statements name no repository, so of an attestation it is not asked.
fn claimed_reference(
    context: &mut Context<'_, '_>,
    table: &mut Table,
    asks: Option<&Asks>,
) -> ClaimedReference {
    match (table.boolean(context, "claimed_reference"), asks) {
        (Some(At { value: true, span }), Some(Asks::Attestation(_))) => {
            let message =
                "`claimed_reference` asks what a signature's payload names, and this asks for an attestation";
            context.report(&span, Code::ValueInvalid, message);
            ClaimedReference::Reported
        }
        (Some(At { value: true, .. }), _) => ClaimedReference::Required,
        (Some(At { value: false, .. }) | None, _) => ClaimedReference::Reported,
    }
}

fn annotations(context: &mut Context<'_, '_>, table: &mut Table) -> BTreeMap<String, String> {
    let Some(mut written) = table.table(context, "annotations") else { return BTreeMap::new() };
    let head: Range<usize> = written.head.clone();
    let entries = written.take_all();
    if entries.is_empty() {
        context.report(&head, Code::EmptyValue, "`annotations` is empty");
    }
    let mut annotations = BTreeMap::new();
    for (name, (_, value)) in entries {
        if let Some(text) = context.string(&name, value) {
            annotations.insert(name, text.value);
        }
    }
    annotations
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
