//! `[upstream."…"]`: the registries that may be asked, and how.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::ops::Range;

use crate::limits;
use pullgate_policy::oci::{Registry, Repository};

use super::{credentials, is_known, tls};
use crate::code::Code;
use crate::config::{Credentials, Upstream};
use crate::context::{Context, quoted};
use crate::defaults;
use crate::reader::{At, Table};
use crate::upstreams::Upstreams;
use crate::value::Zero;

pub(super) fn read_all(context: &mut Context<'_, '_>, file: &mut Table) -> Upstreams {
    let written = file.table(context, "upstream").map(|mut table| table.take_all()).unwrap_or_default();
    if written.is_empty() {
        let hint = "for example [upstream.\"docker.io\"], which needs nothing in it";
        context.advise(&(0..0), Code::MissingKey, "no upstream: there is no registry to pull from", hint);
    }
    let mut read = Upstreams::default();
    let mut aliases = Vec::new();
    let mut evidence = Vec::new();
    for (name, (span, value)) in written {
        let named = registry(context, &At { value: name.clone(), span });
        let Some(table) = context.table(&format!("upstream.{}", quoted(&name)), value) else { continue };
        let upstream = one(context, table, named.as_ref(), &mut aliases, &mut evidence);
        if let Some(named) = named {
            read.names.insert(named.value.clone());
            read.tables.insert(named.value, upstream);
        }
    }
    for repository in evidence {
        let registry = At { value: Repository::registry(&repository.value).clone(), span: repository.span };
        is_known(context, "evidence", &registry, &read.names);
    }
    aliases_are_distinct(context, &aliases, &read.names);
    read
}

/// One name for two registries would leave open which one is asked.
fn aliases_are_distinct(context: &mut Context<'_, '_>, aliases: &[At<String>], names: &BTreeSet<Registry>) {
    let mut seen: BTreeSet<&str> = names.iter().map(Registry::as_str).collect();
    for alias in aliases {
        if !seen.insert(&alias.value) {
            let message = format!("{} is the name of an upstream already", quoted(&alias.value));
            context.report(&alias.span, Code::DuplicateName, message);
        }
    }
}

fn one(
    context: &mut Context<'_, '_>,
    mut table: Table,
    name: Option<&At<Registry>>,
    aliases: &mut Vec<At<String>>,
    evidence: &mut Vec<At<Repository>>,
) -> Upstream {
    let fallback = Registry::docker_hub();
    let mut read = defaults::upstream(name.map_or(&fallback, |name| &name.value));
    let urls = urls(context, &mut table);
    if !urls.is_empty() {
        read.urls = urls.iter().map(|url| url.value.clone()).collect();
    }
    read.prefix = table.string(context, "prefix").and_then(|text| prefix(context, &text));
    let own: Vec<At<String>> = hosts(context, &mut table, "aliases", InClear::Refused);
    read.aliases = own.iter().map(|alias| alias.value.clone()).collect();
    aliases.extend(own);
    for (key, in_clear, list) in [
        ("redirect_hosts", InClear::Allowed, &mut read.redirect_hosts),
        ("token_hosts", InClear::Refused, &mut read.token_hosts),
    ] {
        *list = hosts(context, &mut table, key, in_clear).into_iter().map(|host| host.value).collect();
    }
    if let Some(file) = table.string(context, "ca") {
        read.ca_pem = tls::certificates(context, &file);
    }
    if let Some(file) = table.string(context, "client_cert") {
        read.client_cert_pem = tls::identity(context, &file);
    }
    let place = table.place_of("credentials");
    read.credentials = credentials::read(context, &mut table);
    if let (Some(name), Some(place)) = (name, place) {
        credentials::has_login(context, &place, (&name.value, &read));
    }
    read.logins = credentials::by_prefix(context, &mut table);
    if let Some(text) = table.string(context, "evidence") {
        read.evidence = repository(context, &text);
        evidence.extend(read.evidence.clone().map(|value| At { value, span: text.span }));
    }
    let most = Some(limits::FIRST_BYTE_MAX);
    read.first_byte = table.duration(context, "first_byte", Zero::Refused, most);
    read.first_byte_blob = table.duration(context, "first_byte_blob", Zero::Refused, most);
    table.finish(context);
    plaintext(context, &urls, &read);
    read
}

/// The name of a registry, as references have it.
pub(super) fn registry(context: &mut Context<'_, '_>, text: &At<String>) -> Option<At<Registry>> {
    match text.value.parse::<Registry>() {
        Ok(name) if matches!(name.as_str(), "index.docker.io" | "registry-1.docker.io") => {
            let message = format!("{name} is Docker Hub, whose name in references is docker.io");
            context.advise(&text.span, Code::ValueInvalid, message, "write \"docker.io\"");
            None
        }
        Ok(name) => Some(At { value: name, span: text.span.clone() }),
        Err(why) => {
            let message = format!("{} is no name of a registry: {why}", quoted(&text.value));
            context.advise(&text.span, Code::ValueInvalid, message, "a host, perhaps a port: \"ghcr.io\"");
            None
        }
    }
}

fn repository(context: &mut Context<'_, '_>, text: &At<String>) -> Option<Repository> {
    let read = text.value.parse().ok();
    if read.is_none() {
        let message = "`evidence` must be a registry and a repository, without a tag";
        context.advise(
            &text.span,
            Code::ValueInvalid,
            message,
            "for example \"registry.corp.example/signatures\"",
        );
    }
    read
}

/// Whether a list of hosts may name one without TLS.
#[derive(Clone, Copy)]
enum InClear {
    Allowed,
    Refused,
}

fn hosts(
    context: &mut Context<'_, '_>,
    table: &mut Table,
    key: &'static str,
    in_clear: InClear,
) -> Vec<At<String>> {
    let Some(written) = table.strings(context, key) else { return Vec::new() };
    let mut hosts = Vec::new();
    for text in written.value {
        let (scheme, host) = match (in_clear, text.value.strip_prefix("http://")) {
            (InClear::Allowed, Some(host)) => ("http://", host),
            (InClear::Allowed | InClear::Refused, _) => ("", text.value.as_str()),
        };
        match host.parse::<Registry>() {
            Ok(name) => hosts.push(At { value: format!("{scheme}{name}"), span: text.span }),
            Err(_) => {
                let message = format!("{} in `{key}` is no host", quoted(&text.value));
                context.advise(
                    &text.span,
                    Code::ValueInvalid,
                    message,
                    "a host alone: no scheme, path or wildcard",
                );
            }
        }
    }
    hosts
}

/// The beginning of a repository's name: of the same grammar as the whole.
fn prefix(context: &mut Context<'_, '_>, text: &At<String>) -> Option<String> {
    let whole = format!("{}/{}", Registry::docker_hub(), text.value).parse::<Repository>();
    let is_one = !text.value.contains(':') && text.value == text.value.to_ascii_lowercase();
    if whole.is_ok() && is_one {
        return Some(text.value.clone());
    }
    let message = format!("{} in `prefix` is no path of a repository", quoted(&text.value));
    let hint = "without slashes around it, as in \"hub-proxy\" or \"virtual/docker\"";
    context.advise(&text.span, Code::ValueInvalid, message, hint);
    None
}

fn urls(context: &mut Context<'_, '_>, table: &mut Table) -> Vec<At<String>> {
    let mut written: Vec<At<String>> = table.string(context, "url").into_iter().collect();
    if let Some(more) = table.strings(context, "urls") {
        if !written.is_empty() {
            context.report(&more.span, Code::ValueInvalid, "`url` or `urls`, not both");
        } else if more.value.is_empty() {
            context.report(&more.span, Code::EmptyValue, "`urls` is empty");
        }
        written.extend(more.value);
    }
    written.iter().filter_map(|text| url(context, text)).collect()
}

/// `https://` or `http://`, a host, perhaps a port: nothing that could hold a secret or a path of its own.
fn url(context: &mut Context<'_, '_>, text: &At<String>) -> Option<At<String>> {
    let split = text.value.split_once("://").map(|(scheme, rest)| (scheme, rest.trim_end_matches('/')));
    match split {
        Some((scheme @ ("https" | "http"), host)) if host.parse::<Registry>().is_ok() => {
            let value = format!("{scheme}://{}", host.to_ascii_lowercase());
            Some(At { value, span: text.span.clone() })
        }
        Some((_, rest)) if rest.contains('@') => {
            let hint = "credentials = { username = \"…\", password_file = \"…\" }";
            context.advise(&text.span, Code::SecretInline, "an upstream's URL holds no credentials", hint);
            None
        }
        Some((_, rest)) if path_of(rest).is_some() => {
            let path = quoted(path_of(rest).unwrap_or_default());
            let hint = format!("prefix = {path} beside it puts that before every repository's name");
            context.advise(&text.span, Code::UrlInvalid, "an upstream's URL has no path", hint);
            None
        }
        Some(_) | None => {
            let message = "an upstream's URL is https:// or http://, a host, perhaps a port";
            context.advise(
                &text.span,
                Code::UrlInvalid,
                message,
                "without /v2: \"https://registry.corp.example:5000\"",
            );
            None
        }
    }
}

/// The path behind a host: the value that `prefix` would have.
fn path_of(rest: &str) -> Option<&str> {
    let (host, path) = rest.split_once('/')?;
    let path = path.strip_prefix("v2").map_or(path, |path| path.trim_start_matches('/'));
    (host.parse::<Registry>().is_ok() && !path.is_empty()).then_some(path)
}

/// Digests guard content on any wire; tags, evidence that is held back, and credentials they do not guard (A161).
fn plaintext(context: &mut Context<'_, '_>, urls: &[At<String>], upstream: &Upstream) {
    for url in urls {
        let Some(host) = url.value.strip_prefix("http://") else { continue };
        if is_loopback(host) {
            continue;
        }
        let more = match (&upstream.credentials, upstream.logins.is_empty()) {
            (Credentials::Anonymous, true) => "an attacker on the wire could move a tag",
            (Credentials::Anonymous | Credentials::Basic { .. } | Credentials::DockerConfig { .. }, _) => {
                "an attacker on the wire could read the credentials"
            }
        };
        let span: &Range<usize> = &url.span;
        context.advise(
            span,
            Code::UpstreamPlaintext,
            format!("no TLS: {more}"),
            "use https://, with `ca` if it is your own",
        );
    }
}

pub(super) fn is_loopback(host: &str) -> bool {
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    let name = name.map_or(host, |(name, _)| name).trim_matches(['[', ']']);
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_told_from_names_that_begin_like_it() {
        for (host, expected) in [
            ("127.0.0.1:5000", true),
            ("localhost", true),
            ("[::1]:5000", true),
            ("[::1]", true),
            ("localhost.example:80", false),
            ("10.0.0.1", false),
            ("127.0.0.1.example", false),
        ] {
            assert_eq!(is_loopback(host), expected, "{host}");
        }
    }
}
