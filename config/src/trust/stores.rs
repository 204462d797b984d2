//! A trust table of X.509 stores: `x509 = { ca = […], signing_authority = […], tsa = […], crls = […] }`. Signatures of the
//! Notary Project's are verified by it, and nothing else.

use std::ops::Range;

use jiff::Timestamp;
use pullgate_policy::identity::Name;
use pullgate_policy::limits::REVOCATION_LIST_BYTES;
use pullgate_verify::{Store, StoreFault, Stores};

use crate::code::Code;
use crate::context::{Context, quoted};
use crate::limits;
use crate::reader::{At, Table};

/// Reads a table that has `x509`; none where any of it cannot be used, since it would hold less than is written.
pub(super) fn read(
    context: &mut Context<'_, '_>,
    name: &str,
    mut table: Table,
    now: Timestamp,
) -> Option<Stores> {
    let head = table.head.clone();
    let written = table.table(context, "x509");
    // Asked for, so that a misspelt one finds its name.
    let others = ["trusted_root", "tuf", "sct", "max_age", "fulcio_ca", "rekor_keys", "ct_keys", "tsa_chain"];
    let mut whole = true;
    for key in others {
        if let Some(value) = table.take(key) {
            let message = format!("`{key}` is of a table of Sigstore's, and does not go with `x509`");
            context.advise(&value.span, Code::TrustKind, message, "make two tables of it");
            whole = false;
        }
    }
    table.finish(context);
    let mut written = written?;
    let mut stores = Stores::new(Name::new(name));
    for store in [Store::Ca, Store::SigningAuthority, Store::Tsa] {
        for file in files(context, &mut written, store.as_str(), &mut whole) {
            whole &= added(context, &file, limits::CONFIG_FILE_BYTES, |bytes| stores.add(store, bytes));
        }
    }
    for file in files(context, &mut written, "crls", &mut whole) {
        whole &= added(context, &file, REVOCATION_LIST_BYTES, |bytes| stores.add_list(bytes));
    }
    written.finish(context);
    let empty = |store| stores.contents(store).next().is_none();
    if whole && empty(Store::Ca) && empty(Store::SigningAuthority) {
        let message = format!("`trust.{name}` vouches for nobody: neither `ca` nor `signing_authority`");
        context.advise(&head, Code::TrustKind, message, "x509 = { ca = [\"corp/root.pem\"] }");
        return None;
    }
    whole.then(|| {
        told(context, &head, &stores, now);
        stores
    })
}

/// The files of a key; none where it is not there.
fn files(
    context: &mut Context<'_, '_>,
    table: &mut Table,
    key: &'static str,
    whole: &mut bool,
) -> Vec<At<String>> {
    if !table.has(key) {
        table.take(key);
        return Vec::new();
    }
    let Some(written) = table.strings(context, key) else {
        *whole = false;
        return Vec::new();
    };
    if written.value.is_empty() {
        context.report(&written.span, Code::EmptyValue, format!("`{key}` is empty"));
        *whole = false;
    }
    written.value
}

fn added(
    context: &mut Context<'_, '_>,
    file: &At<String>,
    most: u64,
    add: impl FnOnce(&[u8]) -> Result<(), StoreFault>,
) -> bool {
    let Some(content) = context.readable(file, most) else { return false };
    match add(&content.bytes) {
        Ok(()) => true,
        Err(fault) => {
            let hint = match fault {
                StoreFault::PrivateKey => "keep it away from this machine",
                StoreFault::Twice(_) => {
                    "one of the two: whoever is in both could be the clock of its own signatures"
                }
                StoreFault::NoAnchor(_) => "the root of whoever issued the signers' certificates",
                StoreFault::NoRoot(_) => "the root of the timestamp authority",
                StoreFault::List(_) => "a CRL in PEM or DER: openssl crl -in FILE -noout -text",
                StoreFault::Empty | StoreFault::Garbage | StoreFault::TooMany | StoreFault::Unusable(_) => {
                    "`-----BEGIN CERTIFICATE-----`, or the same in DER"
                }
            };
            let message = format!("{}: {fault}", quoted(&file.value));
            context.advise(&file.span, Code::StoreInvalid, message, hint);
            false
        }
    }
}

/// What has run out: it counts for nothing, or soon will not.
fn told(context: &mut Context<'_, '_>, head: &Range<usize>, stores: &Stores, now: Timestamp) {
    for (issuer, until) in
        stores.revocation_lists().filter(|(_, until)| until.is_none_or(|until| until <= now))
    {
        let when = until.map_or("says no time of its next one".to_owned(), |until| {
            format!("was to be followed by another at {until}")
        });
        let message = format!("the list of revocations of {} {when}: it tells nothing", quoted(issuer));
        context.advise(head, Code::CrlStale, message, "a current one from its issuer");
    }
    for store in [Store::Ca, Store::SigningAuthority, Store::Tsa] {
        for (subject, until) in stores.contents(store).filter(|(_, until)| *until < now) {
            let message =
                format!("`{}`: the certificate {} ran out at {until}", store.as_str(), quoted(&subject));
            let hint =
                "what it vouched for counts by an earlier proven time alone; a current one from its owner";
            context.advise(head, Code::TrustPartUnusable, message, hint);
        }
    }
}
