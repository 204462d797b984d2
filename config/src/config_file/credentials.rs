//! `credentials` of an upstream: from files, never inline (A415).

use std::collections::BTreeMap;
use std::ops::Range;

use crate::limits;
use pullgate_policy::oci::Registry;

use crate::code::Code;
use crate::config::{Credentials, Upstream};
use crate::context::{Context, quoted};
use crate::reader::{At, Table};
use crate::secret::Secret;
use crate::source::{Readers, Unreadable};

pub(super) fn read(context: &mut Context<'_, '_>, upstream: &mut Table) -> Credentials {
    match upstream.table(context, "credentials") {
        Some(table) => one(context, table),
        None => Credentials::Anonymous,
    }
}

/// `logins`: other credentials for some repositories, by the beginning of their path.
pub(super) fn by_prefix(
    context: &mut Context<'_, '_>,
    upstream: &mut Table,
) -> BTreeMap<String, Credentials> {
    let mut read = BTreeMap::new();
    for mut table in upstream.tables(context, "logins").unwrap_or_default() {
        let prefix = table.required(context, "prefix");
        let credentials = one(context, table);
        let Some(prefix) = prefix else { continue };
        if !is_prefix(&prefix.value) {
            let message = format!("{} is not how the path of a repository begins", quoted(&prefix.value));
            let hint = "whole parts of it, without the registry: \"team-a\", \"team-a/app\"";
            context.advise(&prefix.span, Code::ValueInvalid, message, hint);
        } else if read.insert(prefix.value.clone(), credentials).is_some() {
            let message = format!("{} has a login already", quoted(&prefix.value));
            context.report(&prefix.span, Code::DuplicateName, message);
        }
    }
    read
}

fn is_prefix(text: &str) -> bool {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
    text.split('/').all(|part| !part.is_empty() && part.bytes().all(allowed))
}

fn one(context: &mut Context<'_, '_>, mut table: Table) -> Credentials {
    let mut inline = false;
    for key in ["auth", "password", "token"] {
        if let Some(At { span, .. }) = table.seize(key) {
            inline = true;
            let message = format!("`{key}` is a secret, which no configuration file holds");
            context.advise(
                &span,
                Code::SecretInline,
                message,
                "put it into a file of mode 0600 and name that: password_file",
            );
        }
    }
    let head = table.head.clone();
    let config = table.string(context, "docker_config");
    let username = table.string(context, "username");
    let file = table.string(context, "password_file");
    table.finish(context);
    match (config, username, file) {
        (Some(config), None, None) => docker_config(context, &config),
        (None, Some(username), Some(file)) => basic(context, username, &file),
        (_, _, _) if inline => Credentials::Anonymous,
        (_, _, _) => {
            let message = "a login needs `docker_config`, or `username` with `password_file`";
            context.report(&head, Code::CredentialsIncomplete, message);
            Credentials::Anonymous
        }
    }
}

fn docker_config(context: &mut Context<'_, '_>, file: &At<String>) -> Credentials {
    let Some(text) = secret(context, file) else { return Credentials::Anonymous };
    // The parser's message may repeat the text, so it is not asked for.
    match serde_json::from_str::<serde_json::Value>(text.reveal()) {
        Ok(value) if value.is_object() => helpers(context, file, &value),
        Ok(_) | Err(_) => {
            let message = format!("{} is no docker config: it must be a JSON object", quoted(&file.value));
            context.report(&file.span, Code::FileUnreadable, message);
        }
    }
    Credentials::DockerConfig { text }
}

/// Warns of a docker config in which nothing names the registry, as `docker login` of another one leaves it.
pub(super) fn has_login(
    context: &mut Context<'_, '_>,
    place: &Range<usize>,
    (registry, upstream): (&Registry, &Upstream),
) {
    let Credentials::DockerConfig { text } = &upstream.credentials else { return };
    let Ok(config) = serde_json::from_str::<serde_json::Value>(text.reveal()) else { return };
    let listed = |key: &str| config.get(key).and_then(serde_json::Value::as_object);
    let names: Vec<&String> =
        ["auths", "credHelpers"].into_iter().filter_map(listed).flat_map(|listed| listed.keys()).collect();
    let by_store = config.get("credsStore").is_some_and(|store| store != "");
    let is_named = |host: &str| names.iter().any(|name| name.contains(host));
    let hosts = upstream.urls.iter().filter_map(|url| url.split_once("://")?.1.split('/').next());
    if by_store || is_named(registry.as_str()) || hosts.into_iter().any(is_named) {
        return;
    }
    let message = format!("the docker config has no login for {registry}: it is asked without one");
    let hint = format!("docker login {registry}, with this file as ~/.docker/config.json");
    context.advise(place, Code::CredentialsAbsent, message, hint);
}

/// A helper's name becomes that of a program: one that is a path, or more than a word, would be another program (A415).
fn helpers(context: &mut Context<'_, '_>, file: &At<String>, config: &serde_json::Value) {
    let store = config.get("credsStore").filter(|name| *name != "");
    let listed = config.get("credHelpers").and_then(serde_json::Value::as_object);
    let mut names = store.into_iter().chain(listed.into_iter().flat_map(|listed| listed.values()));
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    let plain = |name: &str| !name.is_empty() && name.bytes().all(allowed);
    if !names.all(|name| name.as_str().is_some_and(plain)) {
        let message = format!("{} names a credential helper that is no plain name", quoted(&file.value));
        let hint = "\"ecr-login\" for docker-credential-ecr-login: lower-case letters, digits and `-`";
        context.advise(&file.span, Code::ValueInvalid, message, hint);
    }
}

fn basic(context: &mut Context<'_, '_>, username: At<String>, file: &At<String>) -> Credentials {
    // RFC 7617 §2: the first colon ends the user name.
    if username.value.is_empty()
        || username.value.contains(':')
        || username.value.chars().any(char::is_control)
    {
        context.report(
            &username.span,
            Code::ValueInvalid,
            "`username` is empty, or has a colon or control character",
        );
    }
    let Some(text) = secret(context, file) else { return Credentials::Anonymous };
    let password = text.reveal().trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        context.report(&file.span, Code::EmptyValue, format!("{} is empty", quoted(&file.value)));
    }
    Credentials::Basic { username: username.value, password: Secret::new(password.to_owned()) }
}

/// The text of a file that few may read.
pub(super) fn secret(context: &mut Context<'_, '_>, file: &At<String>) -> Option<Secret> {
    let content = context.readable(file, limits::CREDENTIAL_BYTES)?;
    match content.readers {
        Readers::Everybody => {
            let message = format!("everybody on this machine may read {}", quoted(&file.value));
            context.advise(&file.span, Code::SecretPermissions, message, "chmod 600");
        }
        Readers::Few => {}
    }
    let text = std::str::from_utf8(&content.bytes).ok().map(|text| Secret::new(text.to_owned()));
    if text.is_none() {
        context.unreadable(file, Code::FileUnreadable, &Unreadable::NotText);
    }
    text
}
