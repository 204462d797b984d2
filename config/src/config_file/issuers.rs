//! `clients.oidc`: the issuers whose tokens prove the name of a client.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::limits;
use pullgate_policy::oci::Registry;
use pullgate_policy::readers::Readers;
use pullgate_verify::JwkSet;

use super::tls;
use super::upstream::is_loopback;
use crate::code::Code;
use crate::config::{Issuer, IssuerKeys};
use crate::context::{Context, quoted};
use crate::reader::{At, Table};

/// The claim that names a client unless another is named.
const SUBJECT: &str = "sub";

/// Issuers that give tokens to everybody, and the claims of strangers there. The requester of a token chooses its
/// audience.
const PUBLIC: [(&str, &[&str]); 4] = [
    ("https://accounts.google.com", &["104729331", "zq7x@kd83m.example"]),
    ("https://gitlab.com", &["project_path:zq7x/kd83m:ref_type:branch:ref:jy2", "zq7x/kd83m"]),
    ("https://oauth2.sigstore.dev/auth", &["CgQ3MjkxEgY3Zg", "zq7x@kd83m.example"]),
    ("https://token.actions.githubusercontent.com", &["repo:zq7x/kd83m:ref:refs/heads/jy2", "zq7x/kd83m"]),
];

pub(super) fn read(context: &mut Context<'_, '_>, providers: Vec<Table>) -> Vec<At<Issuer>> {
    let mut names = BTreeSet::new();
    let mut read = Vec::new();
    for provider in providers {
        let Some(issuer) = one(context, provider) else { continue };
        if !names.insert(issuer.value.name.clone()) {
            let message = format!("two issuers are called {}", quoted(&issuer.value.name));
            let hint = "give one of them another `name`: it stands in the names of its clients";
            context.advise(&issuer.span, Code::DuplicateName, message, hint);
        }
        read.push(issuer);
    }
    read
}

/// Says where strangers read something, or everything.
pub(super) fn strangers(context: &mut Context<'_, '_>, issuers: &[At<Issuer>], readers: &Readers) {
    for At { value: issuer, span } in issuers {
        let public = PUBLIC.iter().find(|(address, _)| issuer.issuer.trim_end_matches('/') == *address);
        let claims = public.map(|(_, claims)| *claims).unwrap_or_default();
        let named = |claim: &str| readers.know(&[format!("oidc:{}:{claim}", issuer.name)]);
        if claims.iter().any(|claim| named(claim)) {
            let message =
                format!("any stranger can get a token of {} and read with it", quoted(&issuer.issuer));
            let hint = "allow = [{ who = [\"oidc:NAME:…\"], read = […] }], with whose tokens are meant";
            context.advise(span, Code::ClientsAnybody, message, hint);
        }
    }
}

fn one(context: &mut Context<'_, '_>, mut table: Table) -> Option<At<Issuer>> {
    let issuer = table.required(context, "issuer");
    let audience = table.required(context, "audience");
    let claim = table.filled(context, "claim").map_or_else(|| SUBJECT.to_owned(), |claim| claim.value);
    let name = table.filled(context, "name");
    let ca = table.string(context, "ca");
    let jwks = table.string(context, "jwks");
    let span = table.head.clone();
    table.finish(context);
    if let (Some(ca), Some(_)) = (&ca, &jwks) {
        let message = "`ca` or `jwks`, not both: with `jwks` the issuer is not asked for keys";
        context.report(&ca.span, Code::ValueInvalid, message);
    }
    let keys = match &jwks {
        Some(file) => pinned(context, file).map(IssuerKeys::Pinned),
        None => Some(IssuerKeys::Discovered {
            ca_pem: ca.as_ref().and_then(|file| tls::certificates(context, file)),
        }),
    };
    let issuer = issuer?;
    let host = host(context, &issuer, jwks.as_ref())?;
    let name = match name {
        Some(name) => label(context, &name)?,
        None => of_host(context, &issuer, &host)?,
    };
    let value = Issuer { name, issuer: issuer.value, audience: audience?.value, claim, keys: keys? };
    Some(At { value, span })
}

/// The keys in a file: at least one that can be used.
fn pinned(context: &mut Context<'_, '_>, file: &At<String>) -> Option<Arc<JwkSet>> {
    let content = context.readable(file, limits::ISSUER_BYTES)?;
    let why = match JwkSet::parse(&content.bytes) {
        Ok(keys) if !keys.is_empty() => return Some(Arc::new(keys)),
        Ok(_) => "it has no public key that signs tokens".to_owned(),
        Err(fault) => fault.to_string(),
    };
    let hint = "a JSON Web Key Set: what the `jwks_uri` of the issuer answers";
    context.advise(&file.span, Code::FileUnreadable, format!("{}: {why}", quoted(&file.value)), hint);
    None
}

/// The host, with its port, of an address that can be asked and printed anywhere.
fn host(context: &mut Context<'_, '_>, issuer: &At<String>, jwks: Option<&At<String>>) -> Option<String> {
    let split = issuer.value.split_once("://").filter(|(scheme, _)| matches!(*scheme, "https" | "http"));
    let found = split.and_then(|(scheme, rest)| {
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let path = path.strip_suffix('/').unwrap_or(path);
        let plain = host.parse::<Registry>().is_ok();
        (plain && (path.is_empty() || path.split('/').all(is_component))).then_some((scheme, host))
    });
    let Some((scheme, host)) = found else {
        let message = "`issuer` is https:// and a host, perhaps a port and a path, as `iss` of its tokens";
        let hint = "for example \"https://token.actions.githubusercontent.com\"";
        context.advise(&issuer.span, Code::UrlInvalid, message, hint);
        return None;
    };
    if scheme == "http" && jwks.is_none() && !is_loopback(host) {
        let message = "no TLS: an attacker on the wire could replace the keys of the issuer";
        let hint = "use https://, with `ca` if it is your own, or name its keys: `jwks`";
        context.advise(&issuer.span, Code::UrlInvalid, message, hint);
        return None;
    }
    Some(host.to_owned())
}

fn is_component(part: &str) -> bool {
    let harmless = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'~');
    !part.is_empty() && part.bytes().all(harmless) && !part.bytes().all(|byte| byte == b'.')
}

/// A colon would let one issuer's clients look like another's; a star is what rules are written with.
fn label(context: &mut Context<'_, '_>, name: &At<String>) -> Option<String> {
    if !context.is_name("an issuer", &name.value, &name.span) {
        return None;
    }
    if name.value.contains([':', '*']) {
        let message = "the name of an issuer has no `:` and no `*`";
        context.report(&name.span, Code::ValueInvalid, message);
        return None;
    }
    Some(name.value.clone())
}

fn of_host(context: &mut Context<'_, '_>, issuer: &At<String>, host: &str) -> Option<String> {
    if host.starts_with('[') {
        let message = "an issuer at an IPv6 address needs a `name`";
        context.advise(&issuer.span, Code::MissingKey, message, "name = \"…\", without `:` and `*`");
        return None;
    }
    let name = host.rsplit_once(':').map_or(host, |(name, _port)| name);
    Some(name.to_ascii_lowercase())
}
