//! `[authority.…]`: whom the policy trusts.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use pullgate_policy::identity::{Authority, By, KeyId, Name, Transparency, Uses};
use pullgate_policy::limits;
use pullgate_verify::{KeyFault, KeyRing, PublicKey, Sct, TrustSummary, TrustTable};

use super::{ByName, holder, identity, notation};
use crate::code::Code;
use crate::context::{Context, quoted};
use crate::reader::{At, Table};
use crate::source::Content;
use crate::suggest::nearest;
use crate::trust::{Github, Trust};

/// All authorities of a policy, with their keys.
#[derive(Default)]
pub(super) struct Authorities {
    pub(super) by_name: ByName<Authority>,
    pub(super) keys: KeyRing,
    /// In the order of the authorities' names: part of the policy's revision.
    pub(super) key_files: Vec<Arc<Content>>,
    /// Where the keys of each were read.
    pub(super) paths: BTreeMap<Name, PathBuf>,
    owners: BTreeMap<KeyId, Name>,
    /// Those that no clock dates.
    pub(super) undated: BTreeSet<Name>,
    /// Whose subjects stand for whom, in which trust table.
    holders: BTreeMap<(Name, String), Name>,
    /// Trust tables whose unusable parts are reported already.
    told: BTreeSet<Name>,
}

/// How an authority's signer is recognised, before the details are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// By the policy's own certificate authorities.
    Certified,
    Keyed,
    Keyless,
}

pub(super) fn read_all(context: &mut Context<'_, '_>, file: &mut Table, trust: &Trust) -> Authorities {
    let written = file.table(context, "authority").map(|mut table| table.take_all()).unwrap_or_default();
    let mut authorities = Authorities::default();
    for (name, (span, value)) in written {
        let fit = context.is_name("an authority", &name, &span);
        let table = context.table(&format!("authority.{name}"), value);
        let read = table.and_then(|table| one(context, Name::new(&name), table, trust, &mut authorities));
        authorities.by_name.insert(Name::new(&name), read.filter(|_| fit));
    }
    authorities
}

fn one(
    context: &mut Context<'_, '_>,
    name: Name,
    mut table: Table,
    trust: &Trust,
    authorities: &mut Authorities,
) -> Option<Authority> {
    if notation::KEYS.iter().any(|key| table.has(key)) {
        return of_notation(context, name, table, trust, authorities);
    }
    notation::elsewhere(context, &mut table);
    let kind = match (table.has("key"), table.has("ca")) {
        (true, _) => Kind::Keyed,
        (false, true) => Kind::Certified,
        (false, false) => Kind::Keyless,
    };
    let head = table.head.clone();
    let uses = uses(context, &mut table);
    let (table_name, transparency) = believed(context, &mut table, kind, trust, &mut authorities.told);
    let by = match kind {
        Kind::Certified => {
            identity::excluded(context, &mut table, "ca");
            table.take("key");
            let Authorities { keys: ring, key_files: files, .. } = authorities;
            holder::read(context, &mut table, &head, holder::Kept { ring, files, now: trust.now })
        }
        Kind::Keyed => {
            identity::excluded(context, &mut table, "key");
            holder::excluded(context, &mut table, "key");
            if let Some(value) = table.take("ca") {
                let message = "an authority has a key or a certificate: `ca` does not go with `key`";
                context.advise(&value.span, Code::AuthorityIncomplete, message, "make two authorities of it");
            }
            key(context, &mut table, &name, authorities).map(By::Keys)
        }
        Kind::Keyless => {
            // Asked for, so that a misspelt one finds its name.
            table.take("key");
            table.take("ca");
            holder::excluded(context, &mut table, "identity");
            identity::read(context, &mut table, &head)
        }
    };
    table.finish(context);
    Some(Authority { name, uses, transparency, trust: table_name?, by: by? })
}

/// An authority of the Notary Project's kind, which signs and attests to nothing.
fn of_notation(
    context: &mut Context<'_, '_>,
    name: Name,
    mut table: Table,
    trust: &Trust,
    authorities: &mut Authorities,
) -> Option<Authority> {
    let (head, place) = (table.head.clone(), table.place_of("use"));
    if let Some(place) = place
        && uses(context, &mut table) == Uses::Attestations
    {
        let message = "an authority with `subjects` signs images and attests to nothing";
        context.report(&place, Code::AuthorityUnusable, message);
    }
    let read = notation::read(context, &mut table, trust);
    table.finish(context);
    let notation::Read { trust, by, is_undated } = read?;
    // The same people under two names would be one signer who counts twice (A234).
    if let By::Subjects { subjects, .. } = &by {
        let key = (trust.clone(), format!("{subjects:?}"));
        if let Some(other) = authorities.holders.insert(key, name.clone()) {
            let message = format!("the same subjects are \"{other}\" already");
            let hint = "name the one authority wherever it counts";
            context.advise(&head, Code::AuthorityDuplicateKey, message, hint);
        }
    }
    if is_undated {
        authorities.undated.insert(name.clone());
    }
    Some(Authority { name, uses: Uses::Signatures, transparency: Transparency::None, trust, by })
}

fn uses(context: &mut Context<'_, '_>, table: &mut Table) -> Uses {
    let Some(written) = table.strings(context, "use") else { return Uses::Both };
    if written.value.is_empty() {
        context.report(
            &written.span,
            Code::EmptyValue,
            "`use` is empty: the authority would count for nothing",
        );
    }
    let words = [("signature", Uses::Signatures), ("attestation", Uses::Attestations)];
    let read: Vec<Uses> = written.value.iter().filter_map(|text| context.word("use", text, &words)).collect();
    match (read.contains(&Uses::Signatures), read.contains(&Uses::Attestations)) {
        (true, false) => Uses::Signatures,
        (false, true) => Uses::Attestations,
        (true, true) | (false, false) => Uses::Both,
    }
}

/// `trust` and `transparency`, and whether the one has what the other demands.
fn believed(
    context: &mut Context<'_, '_>,
    table: &mut Table,
    kind: Kind,
    trust: &Trust,
    told: &mut BTreeSet<Name>,
) -> (Option<Name>, Transparency) {
    let head = table.head.clone();
    let written = table.string(context, "trust");
    let (name, place) = written.map_or(("sigstore".to_owned(), head), |text| (text.value, text.span));
    let absent = match (kind, name.as_str(), trust.github) {
        (Kind::Keyless, "github", Github::BuiltIn) => Transparency::None,
        (Kind::Certified | Kind::Keyed | Kind::Keyless, _, Github::BuiltIn | Github::Redefined) => {
            Transparency::Required
        }
    };
    let transparency = match kind {
        // A keyed signature without a log entry still has its key; "none" would mean the same as "optional".
        Kind::Keyed => {
            let words = [("required", Transparency::Required), ("optional", Transparency::Optional)];
            table.word(context, "transparency", &words, absent)
        }
        // A certificate has an end: without a trusted time it says nothing, so a log is looked for or it is not.
        Kind::Certified | Kind::Keyless => {
            let words = [("required", Transparency::Required), ("none", Transparency::None)];
            table.word(context, "transparency", &words, absent)
        }
    };
    if !trust.names.contains(&name) {
        let message = format!("no trust table is called {}", quoted(&name));
        let near = nearest(&name, trust.names.iter().map(String::as_str));
        let hint = near.map_or_else(
            || format!("define [trust.{name}]; \"sigstore\" and \"github\" are built in"),
            |near| format!("did you mean \"{near}\"?"),
        );
        context.advise(&place, Code::TrustUnknown, message, hint);
        return (None, transparency);
    }
    if trust.x509.contains(&name) {
        let message =
            format!("the trust table {} vouches for authorities with `subjects` alone", quoted(&name));
        context.advise(&place, Code::TrustKind, message, "another trust table, or `subjects`");
        return (None, transparency);
    }
    let name = Name::new(&name);
    if let Some(table) = trust.set.get(&name) {
        suffices(context, &place, kind, transparency, (&table.describe(), table.sct()));
        // Once, where it is named first.
        if told.insert(name.clone()) {
            spoilt(context, &place, table, trust.now);
        }
    }
    (Some(name), transparency)
}

/// What of a table cannot be used, or not any more.
fn spoilt(context: &mut Context<'_, '_>, place: &Range<usize>, table: &TrustTable, now: Timestamp) {
    for part in table.unusable(now) {
        let what = format!("{} {}: {}", part.kind, quoted(&part.name), part.why);
        let table = quoted(table.name().as_str());
        let message = format!("the trust table {table} has a part that counts for nothing: {what}");
        let hint = "a current trusted_root.json from its owner; `pullgate trust` shows what it holds";
        context.advise(place, Code::TrustPartUnusable, message, hint);
    }
}

/// Checks that the table has what the authority demands: else no signature could ever meet it.
fn suffices(
    context: &mut Context<'_, '_>,
    place: &Range<usize>,
    kind: Kind,
    transparency: Transparency,
    (holds, sct): (&TrustSummary, Sct),
) {
    let (keyless, certified) = (kind == Kind::Keyless, kind != Kind::Keyed);
    let lacks = if keyless && holds.authorities == 0 {
        ("has no certificate authority", "a key needs none: authority by `key`")
    } else if keyless && sct == Sct::Required && holds.certificate_logs == 0 {
        (
            "has no certificate log, and `sct` is \"required\"",
            "sct = \"none\" in the trust table, if that is meant",
        )
    } else if transparency == Transparency::Required && holds.logs == 0 {
        let other = if certified { "none" } else { "optional" };
        let hint = if other == "none" { "transparency = \"none\"" } else { "transparency = \"optional\"" };
        ("has no transparency log, and `transparency` is \"required\"", hint)
    } else if certified && transparency == Transparency::None && holds.timestamp_authorities == 0 {
        (
            "has neither log nor timestamp authority: no time can be proven",
            "transparency = \"required\", or another table",
        )
    } else {
        return;
    };
    let (what, hint) = lacks;
    context.advise(place, Code::TrustInsufficient, format!("the trust table {what}"), hint);
}

fn key(
    context: &mut Context<'_, '_>,
    table: &mut Table,
    name: &Name,
    authorities: &mut Authorities,
) -> Option<Vec<KeyId>> {
    let file = table.required(context, "key")?;
    let content = match context.named_file(&file, limits::KEY_FILE_BYTES) {
        Ok(content) => content,
        Err(why) => {
            context.unreadable(&file, Code::KeyUnreadable, &why);
            return None;
        }
    };
    let keys = match PublicKey::from_file(&content.bytes) {
        Ok(keys) => keys,
        Err(fault) => {
            no_key(context, &file, &fault);
            return None;
        }
    };
    authorities.key_files.push(content);
    authorities.paths.insert(name.clone(), context.text.beside(&file.value));
    if keys.len() > 1 {
        let message = format!("{} holds {} keys", quoted(&file.value), keys.len());
        context.advise(&file.span, Code::KeySeveral, message, "one authority each, joined by `any_of`");
    }
    let ids: Vec<KeyId> = keys.into_iter().map(|key| authorities.keys.insert(key)).collect();
    for id in &ids {
        // One key under two names would be one signer who counts twice (A234).
        if let Some(other) = authorities.owners.insert(*id, name.clone()).filter(|other| other != name) {
            let message = format!("{} is the key of \"{other}\" already", quoted(&file.value));
            context.advise(
                &file.span,
                Code::AuthorityDuplicateKey,
                message,
                "name the one authority wherever it counts",
            );
        }
    }
    Some(ids)
}

fn no_key(context: &mut Context<'_, '_>, file: &At<String>, fault: &KeyFault) {
    let (code, hint) = match fault {
        KeyFault::Certificate => (Code::KeyCertificate, "openssl x509 -pubkey -noout -in CERTIFICATE"),
        KeyFault::Empty => (Code::KeyEmpty, "no key is not any key: put the public key there"),
        KeyFault::Garbage => (Code::KeyInvalid, "`-----BEGIN PUBLIC KEY-----`, or the same in DER"),
        KeyFault::PrivateKey => {
            (Code::KeyPrivate, "keep it away from this machine; `cosign public-key` gives the public one")
        }
        KeyFault::TooLarge | KeyFault::Unsupported(_) => {
            (Code::KeyUnsupported, "ECDSA P-256, P-384, P-521, Ed25519, or RSA of 2048 to 4096 bits")
        }
    };
    context.advise(&file.span, code, format!("{}: {fault}", quoted(&file.value)), hint);
}
