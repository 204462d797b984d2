//! Authorities of the Notary Project's kind: whom a certificate must name, and on what terms it is believed.

use pullgate_policy::identity::{By, Name, RevocationAsked, Subject, Subjects, Terms, TimestampAsked};
use pullgate_verify::{Store, Stores};

use crate::code::Code;
use crate::context::{Context, quoted};
use crate::reader::{At, Node, Table};
use crate::suggest::nearest;
use crate::trust::Trust;

/// The keys by which such an authority is known.
pub(super) const KEYS: [&str; 2] = ["subjects", "any_subject"];

/// What such an authority is.
pub(super) struct Read {
    pub(super) trust: Name,
    pub(super) by: By,
    /// Whether no clock says when what it signs was signed.
    pub(super) is_undated: bool,
}

pub(super) fn read(context: &mut Context<'_, '_>, table: &mut Table, trust: &Trust) -> Option<Read> {
    let head = table.head.clone();
    excluded(context, table);
    let subjects = subjects(context, table);
    let name = named(context, table, trust);
    let stores = name.as_ref().and_then(|name| trust.set.stores(name));
    let terms = terms(context, table, stores);
    let (trust, stores) = (name?, stores?);
    if terms.timestamp != TimestampAsked::Never && stores.contents(Store::Tsa).next().is_none() {
        let message =
            format!("the trust table {} has no `tsa`: no timestamp can be asked for", quoted(trust.as_str()));
        context.advise(
            &head,
            Code::TimestampImpossible,
            message,
            "timestamp = \"none\", or `tsa` in the table",
        );
        return None;
    }
    let is_undated =
        terms.timestamp == TimestampAsked::Never && stores.contents(Store::SigningAuthority).next().is_none();
    Some(Read { trust, by: By::Subjects { subjects: subjects?, terms }, is_undated })
}

/// Keys of other kinds in an authority of this one.
fn excluded(context: &mut Context<'_, '_>, table: &mut Table) {
    let others = [
        "key",
        "ca",
        "issuer",
        "issuer_regex",
        "identity",
        "identity_regex",
        "claims",
        "subject",
        "email",
        "dns",
        "uri",
        "transparency",
    ];
    for key in others {
        if let Some(value) = table.take(key) {
            let message = format!("an authority is known in one way: `{key}` does not go with `subjects`");
            context.advise(&value.span, Code::AuthorityIncomplete, message, "make two authorities of it");
        }
    }
}

/// Keys of this kind in an authority of another.
pub(super) fn elsewhere(context: &mut Context<'_, '_>, table: &mut Table) {
    // Asked for, so that a misspelt one finds its name.
    for key in KEYS {
        table.take(key);
    }
    for key in ["timestamp", "revocation"] {
        if let Some(value) = table.take(key) {
            let message = format!("`{key}` is of an authority with `subjects`");
            context.advise(&value.span, Code::AuthorityIncomplete, message, "leave it out");
        }
    }
}

fn subjects(context: &mut Context<'_, '_>, table: &mut Table) -> Option<Subjects> {
    let any = table.take("any_subject");
    let listed = table.strings(context, "subjects");
    match (any, listed) {
        (Some(At { span, .. }), Some(_)) => {
            let message = "`subjects` or `any_subject`, not both";
            context.report(&span, Code::SubjectInvalid, message);
            None
        }
        (Some(At { value: Node::Boolean(true), span }), None) => {
            let message = "everybody whom the stores of the trust table vouch for is meant";
            let hint =
                "subjects = [\"C=…, ST=…, O=…\"], unless the table's authority issues to one team alone";
            context.advise(&span, Code::SubjectAny, message, hint);
            Some(Subjects::Any)
        }
        (Some(At { span, .. }), None) => {
            let message = "`any_subject` is true or it is not there";
            context.advise(&span, Code::SubjectInvalid, message, "subjects = [\"C=…, ST=…, O=…\"]");
            None
        }
        (None, Some(listed)) if listed.value.is_empty() => {
            let message = "`subjects` is empty: it names nobody";
            context.advise(
                &listed.span,
                Code::EmptyValue,
                message,
                "any_subject = true, if everybody is meant",
            );
            None
        }
        (None, Some(listed)) => {
            let read: Vec<_> = listed.value.iter().filter_map(|text| subject(context, text)).collect();
            let whole = read.len() == listed.value.len() && !overlaps(context, &listed.value, &read);
            whole.then_some(Subjects::AnyOf(read))
        }
        // It was there, and had its fault.
        (None, None) => None,
    }
}

fn subject(context: &mut Context<'_, '_>, text: &At<String>) -> Option<Subject> {
    match Subject::asked(&text.value) {
        Ok(subject) => Some(subject),
        Err(fault) => {
            let message = format!("{}: {fault}", quoted(&text.value));
            let hint =
                "\"C=DE, ST=Berlin, O=Corp, CN=release\"; a comma or a plus in a value behind a backslash";
            context.advise(&text.span, Code::SubjectInvalid, message, hint);
            None
        }
    }
}

/// Of two of which one is part of the other, one says nothing.
fn overlaps(context: &mut Context<'_, '_>, texts: &[At<String>], read: &[Subject]) -> bool {
    let mut found = false;
    for (at, (one, text)) in read.iter().zip(texts).enumerate() {
        let mut others = read.iter().enumerate().filter(|(other, _)| *other != at);
        // Of two equal ones the second is told.
        if others.any(|(other, subject)| subject.is_part_of(one) && (other < at || !one.is_part_of(subject)))
        {
            let message = format!("whoever is {} is another of the list already", quoted(&text.value));
            context.advise(&text.span, Code::SubjectInvalid, message, "leave one of them out");
            found = true;
        }
    }
    found
}

fn named(context: &mut Context<'_, '_>, table: &mut Table, trust: &Trust) -> Option<Name> {
    let head = table.head.clone();
    let Some(written) = table.string(context, "trust") else {
        let message = "an authority with `subjects` names the trust table whose stores vouch for it";
        let hint = "trust = \"corp\", with [trust.corp] x509 = { ca = [\"corp/root.pem\"] }";
        context.advise(&head, Code::TrustKind, message, hint);
        return None;
    };
    if trust.x509.contains(&written.value) {
        return Some(Name::new(&written.value));
    }
    if trust.names.contains(&written.value) {
        let message =
            format!("the trust table {} is of another kind: it has no `x509`", quoted(&written.value));
        let hint = "a table with x509 = { ca = […] }";
        context.advise(&written.span, Code::TrustKind, message, hint);
        return None;
    }
    let near = nearest(&written.value, trust.x509.iter().map(String::as_str));
    let hint = near.map_or_else(
        || format!("define [trust.{}]", pullgate_policy::text::escape(&written.value)),
        |near| format!("did you mean \"{near}\"?"),
    );
    let message = format!("no trust table is called {}", quoted(&written.value));
    context.advise(&written.span, Code::TrustUnknown, message, hint);
    None
}

fn terms(context: &mut Context<'_, '_>, table: &mut Table, stores: Option<&Stores>) -> Terms {
    let stamped = stores.is_some_and(|stores| stores.contents(Store::Tsa).next().is_some());
    let timestamps = [
        ("always", TimestampAsked::Always),
        ("after-expiry", TimestampAsked::AfterExpiry),
        ("none", TimestampAsked::Never),
    ];
    let usual = if stamped { TimestampAsked::Always } else { TimestampAsked::Never };
    let revocations = [("required", RevocationAsked::Yes), ("none", RevocationAsked::No)];
    Terms {
        timestamp: table.word(context, "timestamp", &timestamps, usual),
        revocation: table.word(context, "revocation", &revocations, RevocationAsked::Yes),
    }
}
