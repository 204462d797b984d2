//! `[[policy.require]]`: what a policy asks for.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use pullgate_policy::identity::{Name, Uses};
use pullgate_policy::policy::{Asks, Requirement};

use super::{Authorities, keys_of};
use crate::code::Code;
use crate::reader::{At, Context, Table, similarity};

/// Names for predicate types that people write; anything else is the URI itself.
const PREDICATES: [(&str, &[&str]); 4] = [
    ("cyclonedx", &["https://cyclonedx.org/bom"]),
    ("slsa-provenance", &["https://slsa.dev/provenance/v0.2", "https://slsa.dev/provenance/v1"]),
    ("spdx", &["https://spdx.dev/Document"]),
    ("vuln", &["https://cosign.sigstore.dev/attestation/vuln/v1"]),
];

pub(super) fn read(context: &mut Context<'_>, mut table: Table, authorities: &Authorities) -> Option<Requirement> {
    let (location, head) = (context.location(&table), table.head());
    for key in ["where", "slsa"] {
        if let Some(value) = table.take(key) {
            context.not_in_force(&value.span, key);
        }
    }
    let written = table.string(context, "attestation");
    let asks = match written {
        Some(text) => asks(context, &text),
        None => Some(Asks::Signature),
    };
    let signed_by = table.table(context, "signed_by");
    if signed_by.is_none() {
        let message = "a requirement needs `signed_by`: what anybody may sign is no requirement";
        context.hinted(&head, Code::RequirementEmpty, message, "signed_by = { any_of = [\"release\"] }");
    }
    let signers = signed_by.and_then(|inner| signers(context, inner, authorities, asks.as_ref()));
    let annotations = annotations(context, &mut table);
    let max_age = table.duration(context, "max_age", None);
    table.finish(context);
    let (any_of, threshold) = signers?;
    Some(Requirement { location, asks: asks?, any_of, threshold, annotations, max_age })
}

fn asks(context: &mut Context<'_>, text: &At<String>) -> Option<Asks> {
    if let Some((_, types)) = PREDICATES.iter().find(|(name, _)| *name == text.value) {
        return Some(Asks::Attestation(types.iter().map(|uri| (*uri).to_owned()).collect()));
    }
    if text.value.contains("://") {
        return Some(Asks::Attestation(vec![text.value.clone()]));
    }
    let names: Vec<&str> = PREDICATES.iter().map(|(name, _)| *name).collect();
    let message = format!("`attestation` must be a predicate type URI or one of {}", names.join(", "));
    context.fault(&text.span, Code::ValueInvalid, message);
    None
}

fn signers(
    context: &mut Context<'_>,
    mut table: Table,
    authorities: &Authorities,
    asks: Option<&Asks>,
) -> Option<(Vec<Name>, usize)> {
    let head = table.head();
    let written = table.strings(context, "any_of");
    let threshold = table.integer(context, "threshold");
    table.finish(context);
    let written = written.unwrap_or_default();
    if written.is_empty() {
        context.fault(&head, Code::RequirementEmpty, "`any_of` must name at least one authority");
        return None;
    }
    let mut any_of: Vec<Name> = Vec::new();
    let mut known = true;
    for text in &written {
        let name = Name::new(&text.value);
        known &= defined(context, text, authorities);
        if any_of.contains(&name) {
            context.fault(&text.span, Code::DuplicateName, format!("\"{}\" is named twice", text.value));
        } else {
            any_of.push(name);
        }
    }
    let threshold = match threshold {
        None => 1,
        Some(number) => match usize::try_from(number.value) {
            Ok(count) if count > 0 => count,
            Ok(_) | Err(_) => {
                context.fault(&number.span, Code::ThresholdImpossible, "a threshold is at least 1");
                return None;
            }
        },
    };
    if !known {
        return None;
    }
    one_key_once(context, &head, &any_of, authorities);
    can_hold(context, &head, (&any_of, threshold), authorities, asks);
    Some((any_of, threshold))
}

fn defined(context: &mut Context<'_>, text: &At<String>, authorities: &Authorities) -> bool {
    let found = authorities.get(&Name::new(&text.value));
    if found.is_none() {
        let near = authorities
            .keys()
            .max_by(|a, b| similarity(a.as_str(), &text.value).total_cmp(&similarity(b.as_str(), &text.value)));
        let hint = near.map_or_else(|| "define [authority.…]".to_owned(), |near| format!("did you mean \"{near}\"?"));
        context.hinted(&text.span, Code::AuthorityUnknown, format!("no authority is called \"{}\"", text.value), hint);
    }
    // One that is defined and could not be read has had its fault.
    matches!(found, Some(Some(_)))
}

/// One key under two names would be one signer counted twice, or a threshold that cannot be met (A234).
fn one_key_once(context: &mut Context<'_>, head: &Range<usize>, any_of: &[Name], authorities: &Authorities) {
    let mut seen = BTreeSet::new();
    for authority in any_of.iter().filter_map(|name| authorities.get(name)?.as_ref()) {
        let own: BTreeSet<_> = keys_of(authority).iter().collect();
        if own.iter().any(|key| seen.contains(*key)) {
            let message = format!("\"{}\" has a key that another authority of this requirement has too", authority.name);
            context.fault(head, Code::AuthorityDuplicateKey, message);
        }
        seen.extend(own.into_iter().copied());
    }
}

fn can_hold(
    context: &mut Context<'_>,
    head: &Range<usize>,
    (any_of, threshold): (&[Name], usize),
    authorities: &Authorities,
    asks: Option<&Asks>,
) {
    let excluded = match asks {
        Some(Asks::Signature) => Uses::Attestations,
        Some(Asks::Attestation(_)) => Uses::Signatures,
        None => return,
    };
    let usable = any_of.iter().filter_map(|name| authorities.get(name)?.as_ref()).filter(|one| one.uses != excluded).count();
    if threshold > usable {
        let message = format!("{threshold} of {usable} authorities that may count here can never be");
        context.fault(head, Code::ThresholdImpossible, message);
    }
}

fn annotations(context: &mut Context<'_>, table: &mut Table) -> BTreeMap<String, String> {
    let Some(mut written) = table.table(context, "annotations") else { return BTreeMap::new() };
    let mut annotations = BTreeMap::new();
    for (name, (_, value)) in written.take_all() {
        if let Some(text) = context.string(&name, value) {
            annotations.insert(name, text.value);
        }
    }
    annotations
}
