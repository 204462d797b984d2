//! Authorities by a certificate of the policy's own certificate authorities: `ca`, and whom the certificate must name.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use jiff::Timestamp;
use pullgate_policy::identity::{AltName, By, Holder, RootsId};
use pullgate_verify::{KeyRing, Roots, RootsFault};

use super::identity::{is_empty, is_wildcard};
use crate::code::Code;
use crate::context::{Context, quoted};
use crate::limits;
use crate::reader::{At, Table};
use crate::source::Content;

/// Whom a certificate names: every key of this kind but `ca`.
const NAMES: [&str; 4] = ["dns", "email", "subject", "uri"];

/// What an authority of this kind leaves behind: its certificates, and the file that they stand in.
pub(super) struct Kept<'a> {
    pub(super) ring: &'a mut KeyRing,
    pub(super) files: &'a mut Vec<Arc<Content>>,
    pub(super) now: Timestamp,
}

pub(super) fn read(
    context: &mut Context<'_, '_>,
    table: &mut Table,
    head: &Range<usize>,
    mut kept: Kept<'_>,
) -> Option<By> {
    let roots = table.required(context, "ca").and_then(|file| roots(context, &file, &mut kept));
    let given = NAMES.iter().any(|name| table.has(name));
    if !given {
        let message = "a certificate authority alone is everybody to whom it ever gave a certificate";
        let hint = "`email`, `dns`, `uri` or `subject`; of several each must be in the certificate";
        context.advise(head, Code::AuthorityIncomplete, message, hint);
    }
    let subject = table.string(context, "subject").map(|text| subject(context, &text));
    let email = table.string(context, "email").map(|text| email(context, text));
    let dns = table.string(context, "dns").map(|text| dns(context, text));
    let uri = table.string(context, "uri").map(|text| uri(context, text));
    // A name that cannot be used has had its fault; without it the authority would ask for less.
    let names: Option<BTreeSet<AltName>> = [email, dns, uri].into_iter().flatten().collect();
    let subject = match subject {
        None => None,
        Some(None) => return None,
        Some(subject) => subject,
    };
    let holder = Holder { subject, names: names? };
    (given && (holder.subject.is_some() || !holder.names.is_empty()))
        .then_some(By::Certificate { roots: roots?, holder })
}

/// Keys of this kind in an authority of another.
pub(super) fn excluded(context: &mut Context<'_, '_>, table: &mut Table, kind: &str) {
    for key in NAMES {
        if let Some(value) = table.take(key) {
            let message = format!("`{key}` is asked of a certificate of `ca`, and does not go with `{kind}`");
            context.advise(&value.span, Code::AuthorityIncomplete, message, "make two authorities of it");
        }
    }
}

fn roots(context: &mut Context<'_, '_>, file: &At<String>, kept: &mut Kept<'_>) -> Option<RootsId> {
    let content = context.readable(file, limits::CONFIG_FILE_BYTES)?;
    match Roots::from_pem(&content.bytes) {
        Ok(roots) => {
            for (subject, end) in roots.spent(kept.now) {
                let message = format!(
                    "{}: the certificate {} ran out at {end}, and vouches for nothing that was signed later",
                    quoted(&file.value),
                    quoted(subject)
                );
                context.advise(&file.span, Code::TrustPartUnusable, message, "a current one from its owner");
            }
            kept.files.push(content);
            Some(kept.ring.insert_roots(roots))
        }
        Err(fault) => {
            let hint = match fault {
                RootsFault::PrivateKey => "keep it away from this machine",
                RootsFault::Rootless(_) => "put the root's certificate into the file too",
                RootsFault::NoAuthority(_) => "the root that issued the signers' certificates, in PEM",
                RootsFault::Empty | RootsFault::Garbage | RootsFault::TooMany => {
                    "`-----BEGIN CERTIFICATE-----`: the root, and the intermediates between it and the signers"
                }
            };
            context.advise(&file.span, Code::CaInvalid, format!("{}: {fault}", quoted(&file.value)), hint);
            None
        }
    }
}

fn subject(context: &mut Context<'_, '_>, text: &At<String>) -> Option<String> {
    if is_empty(context, text) {
        return None;
    }
    let read = pullgate_verify::subject(&text.value);
    if read.is_none() {
        let message = format!("{} is no subject of a certificate (RFC 4514)", quoted(&text.value));
        let hint = "\"CN=ci,O=Corp\": openssl x509 -noout -subject -nameopt RFC2253 -in CERTIFICATE";
        context.advise(&text.span, Code::ValueInvalid, message, hint);
    }
    read
}

/// A name that is compared byte for byte, if `fits` says that certificates can have it.
fn name(
    context: &mut Context<'_, '_>,
    text: At<String>,
    fits: impl Fn(&str) -> bool,
    hint: &str,
) -> Option<String> {
    if is_empty(context, &text) {
        return None;
    }
    if is_wildcard(&text.value) {
        let message = "everybody is meant, and a name is compared byte for byte";
        context.advise(&text.span, Code::IdentityMatchesAnything, message, hint);
        return None;
    }
    if !text.value.is_ascii() || !fits(&text.value) {
        let message = format!("no certificate can have {} as such a name", quoted(&text.value));
        context.advise(&text.span, Code::ValueInvalid, message, hint);
        return None;
    }
    if text.value.contains('*') {
        let message = "this is compared byte for byte, `*` too: it is no pattern";
        context.advise(&text.span, Code::IdentityWildcard, message, hint);
    }
    Some(text.value)
}

fn email(context: &mut Context<'_, '_>, text: At<String>) -> Option<AltName> {
    let fits = |name: &str| {
        name.split_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty())
    };
    name(context, text, fits, "email = \"ci@corp.example\"").map(AltName::Email)
}

fn dns(context: &mut Context<'_, '_>, text: At<String>) -> Option<AltName> {
    let fits = |name: &str| {
        name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'*'))
    };
    name(context, text, fits, "dns = \"signer.corp.example\"").map(AltName::Dns)
}

fn uri(context: &mut Context<'_, '_>, text: At<String>) -> Option<AltName> {
    let fits = |name: &str| name.split_once(':').is_some_and(|(scheme, _)| !scheme.is_empty());
    name(context, text, fits, "uri = \"spiffe://corp.example/ci\"").map(AltName::Uri)
}
