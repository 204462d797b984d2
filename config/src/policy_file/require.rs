//! `[[policy.require]]`: what a policy asks for.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use pullgate_policy::identity::{Authority, By, IdentityPattern, Name, Subjects, Uses};
use pullgate_policy::policy::{Asks, ClaimedReference, Every, Requirement};

use super::authority::Authorities;
use super::expression;
use super::predicate::{asks, attestation, provenance_types};
use crate::code::Code;
use crate::context::{Context, quoted};
use crate::reader::{At, Table};
use crate::suggest::nearest;
use crate::value::Zero;

pub(super) fn read(
    context: &mut Context<'_, '_>,
    mut table: Table,
    known: &Authorities,
) -> Option<Requirement> {
    if !table.has("any") {
        return one(context, table, known);
    }
    // Each alternative is a requirement of its own; keys beside `any` would have no effect and are refused.
    let listed = table.tables(context, "any");
    let head = table.head.clone();
    table.finish(context);
    let listed = listed?;
    let count = listed.len();
    if count == 0 {
        context.report(&head, Code::RequirementEmpty, "`any` is empty: it could never hold");
    }
    let read: Vec<_> = listed.into_iter().filter_map(|table| one(context, table, known)).collect();
    let mut read = (read.len() == count).then_some(read)?.into_iter();
    let first = read.next()?;
    Some(Requirement { or: read.collect(), ..first })
}

fn one(context: &mut Context<'_, '_>, mut table: Table, known: &Authorities) -> Option<Requirement> {
    let location = context.location(&table);
    let head = table.head.clone();
    // Asked for, so that a misspelt one finds its name.
    if let Some(nested) = table.take("any") {
        context.report(&nested.span, Code::ValueInvalid, "a requirement in `any` has no `any` of its own");
    }
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
    let (min_age, max_age) = ages(context, &mut table);
    if let Some((any_of, _)) = &signers {
        let age = min_age.or(max_age).map_or(Age::Any, |_| Age::Asked);
        possible(context, &head, (any_of, known), (claimed_reference, age));
    }
    let asked = condition.is_some() || slsa.is_some();
    let every = every(context, &mut table, asked);
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
        min_age,
        condition,
        slsa,
        every,
        or: Vec::new(),
    })
}

/// Whether anything is asked of when it was signed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Age {
    Any,
    Asked,
}

/// What none of the authorities can ever bring.
fn possible(
    context: &mut Context<'_, '_>,
    head: &Range<usize>,
    (any_of, known): (&[Name], &Authorities),
    (claimed_reference, age): (ClaimedReference, Age),
) {
    let is_of_notation = |name: &Name| {
        let authority = known.by_name.get(name).and_then(Option::as_ref);
        authority.is_some_and(|authority| matches!(authority.by, By::Subjects { .. }))
    };
    if claimed_reference == ClaimedReference::Required && any_of.iter().all(is_of_notation) {
        let message = "no signature of Notation's names a repository: `claimed_reference` can never hold";
        context.advise(head, Code::ThresholdImpossible, message, "leave it out");
    }
    if age == Age::Asked && any_of.iter().all(|name| known.undated.contains(name)) {
        let message = "no clock says when these authorities signed: no age can ever be known";
        let hint = "`tsa` in the trust table, and timestamp = \"always\"";
        context.advise(head, Code::ThresholdImpossible, message, hint);
    }
}

/// The window in which it must have been signed.
fn ages(context: &mut Context<'_, '_>, table: &mut Table) -> (Option<Duration>, Option<Duration>) {
    let place = table.place_of("min_age");
    let min_age = table.duration(context, "min_age", Zero::Refused, None);
    let max_age = table.duration(context, "max_age", Zero::Refused, None);
    if let (Some(min), Some(max), Some(place)) = (min_age, max_age, place)
        && min >= max
    {
        let message = "`min_age` is not below `max_age`: nothing could ever be both";
        context.advise(&place, Code::DurationInvalid, message, "min_age = \"72h\", max_age = \"90d\"");
    }
    (min_age, max_age)
}

/// Without a condition there is nothing that could be true of each.
fn every(context: &mut Context<'_, '_>, table: &mut Table, asked: bool) -> Every {
    match table.boolean(context, "every") {
        Some(At { value: true, span }) if !asked => {
            let message =
                "`every` asks what `where` or `slsa` says of each attestation, and neither is there";
            context.advise(&span, Code::ValueInvalid, message, "where = '…'");
            Every::One
        }
        Some(At { value: true, .. }) => Every::Each,
        Some(At { value: false, .. }) | None => Every::One,
    }
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
        Some(By::Identity {
            issuer: IdentityPattern::Exact(issuer),
            pattern: IdentityPattern::Exact(identity),
            ..
        }) => (issuer.clone(), identity.clone()),
        Some(By::Certificate { holder, .. }) => (String::new(), format!("{holder:?}")),
        Some(By::Subjects { subjects: subjects @ Subjects::AnyOf(_), .. }) => {
            (String::new(), format!("{subjects:?}"))
        }
        Some(By::Identity { .. } | By::Keys(_) | By::Subjects { .. }) | None => {
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
        let why = match authority.by {
            By::Subjects { .. } => "a signature of Notation's attests to nothing",
            By::Certificate { .. } | By::Identity { .. } | By::Keys(_) => "its `use` says so",
        };
        let message = format!("{} does not count for {wanted}: {why}", quoted(&text.value));
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
