//! `[clients]`: who may pull, and what.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::limits;
use pullgate_policy::readers::{Allowance, Readers};

use super::{credentials, issuers};
use crate::code::Code;
use crate::config::{Clients, Listen};
use crate::context::{Context, quoted};
use crate::reader::{At, Table};
use crate::scope;
use crate::secret::Secret;

pub(super) fn read(context: &mut Context<'_, '_>, file: &mut Table, listen: &Listen) -> Option<Clients> {
    let mut table = file.table(context, "clients")?;
    let head = table.head.clone();
    let written = table.string(context, "htpasswd");
    let passwords = written.as_ref().map(|file| htpasswd(context, file)).unwrap_or_default();
    let tokens = table.place_of("oidc");
    let providers = table.tables(context, "oidc");
    if let (Some(span), Some([])) = (&tokens, providers.as_deref()) {
        context.report(span, Code::EmptyValue, "`oidc` is empty");
    }
    let providers = providers.unwrap_or_default();
    let tokens = tokens.filter(|_| !providers.is_empty());
    let issuers = issuers::read(context, providers);
    let rules =
        table.tables(context, "allow").map(|rules| rules.into_iter().map(|rule| allowance(context, rule)));
    let rules: Vec<_> = rules.map(Iterator::collect).unwrap_or_default();
    table.finish(context);
    let certificates = listen.tls.as_ref().is_some_and(|tls| tls.client_ca_pem.is_some());
    if written.is_none() && tokens.is_none() && !certificates {
        let hint = "htpasswd = \"…\" or oidc = [{ … }] here, or client_ca in listen.tls";
        context.advise(&head, Code::ClientsUnprovable, "no client could prove who it is", hint);
    }
    if listen.tls.is_none() && !is_loopback(listen.address) {
        let passwords = written.map(|file| ("passwords", file.span));
        for (what, span) in passwords.into_iter().chain(tokens.map(|span| ("tokens", span))) {
            let message = format!("{what} cross the network in clear: the data port speaks plain HTTP");
            let hint = "listen.tls, or an address of the loopback";
            context.advise(&span, Code::ClientsPlaintext, message, hint);
        }
    }
    let readers = Readers::new(rules);
    issuers::strangers(context, &issuers, &readers);
    let issuers = issuers.into_iter().map(|issuer| issuer.value).collect();
    Some(Clients { passwords, issuers, readers })
}

fn is_loopback(address: SocketAddr) -> bool {
    address.ip().is_loopback()
}

fn allowance(context: &mut Context<'_, '_>, mut rule: Table) -> Allowance {
    let mut list = |context: &mut Context<'_, '_>, key: &'static str| {
        if !rule.has(key) {
            let message = format!("a rule of `allow` needs `{key}`");
            context.report(&rule.head.clone(), Code::MissingKey, message);
        }
        let Some(list) = rule.strings(context, key) else { return Vec::new() };
        if list.value.is_empty() || list.value.iter().any(|text| text.value.trim().is_empty()) {
            context.report(&list.span, Code::EmptyValue, format!("`{key}` is empty, or has an empty entry"));
        }
        list.value
    };
    let who = list(context, "who").into_iter().map(|text| text.value).collect();
    let read = list(context, "read");
    rule.finish(context);
    let read = read.iter().filter_map(|text| scope::one(context, text)).map(|scope| scope.value).collect();
    Allowance { who, read }
}

/// Lines of `name:hash`, the hash by bcrypt. What stands in the file is never repeated.
fn htpasswd(context: &mut Context<'_, '_>, file: &At<String>) -> BTreeMap<String, Secret> {
    let mut found = BTreeMap::new();
    let Some(text) = credentials::secret(context, file) else { return found };
    for (number, line) in text.reveal().lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let fault = match line.split_once(':') {
            Some((name, _)) if name.is_empty() || name.chars().any(char::is_control) => {
                Some("no name that can be sent")
            }
            Some((_, hash)) if !is_bcrypt(hash) => Some("no bcrypt hash of an accepted cost"),
            Some((name, hash)) => found
                .insert(name.to_owned(), Secret::new(hash.to_owned()))
                .map(|_| "a name that stands there already"),
            None => Some("no `name:hash`"),
        };
        if let Some(fault) = fault {
            let message = format!("line {} of {} has {fault}", number + 1, quoted(&file.value));
            context.advise(&file.span, Code::HtpasswdInvalid, message, "htpasswd -B -C 10 writes such lines");
        }
    }
    if found.is_empty() && text.reveal().trim().is_empty() {
        context.report(&file.span, Code::EmptyValue, format!("{} is empty", quoted(&file.value)));
    }
    found
}

/// `$2b$`, two digits of cost, `$`, 53 characters; `2a` and `2y` are other names of the same.
fn is_bcrypt(hash: &str) -> bool {
    let parts: Vec<&str> = hash.split('$').collect();
    match parts.as_slice() {
        ["", "2a" | "2b" | "2y", cost, rest] => {
            let costs = 4..=limits::BCRYPT_COST_MAX;
            cost.len() == 2 && cost.parse().is_ok_and(|cost: u32| costs.contains(&cost)) && rest.len() == 53
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bcrypt_of_an_accepted_cost_is_taken() {
        let tail = "N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy";
        for (hash, taken) in [
            (format!("$2y$05${tail}"), true),
            (format!("$2a$10${tail}"), true),
            (format!("$2b$14${tail}"), true),
            (format!("$2b$15${tail}"), false),
            (format!("$2b$03${tail}"), false),
            (format!("$2x$10${tail}"), false),
            (format!("$2b$10${tail}x"), false),
            ("$apr1$x$y".to_owned(), false),
            ("{SHA}x".to_owned(), false),
            ("plain".to_owned(), false),
            (String::new(), false),
        ] {
            assert_eq!(is_bcrypt(&hash), taken, "{hash}");
        }
    }
}
