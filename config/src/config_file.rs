//! The configuration file.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::{Component, Path, PathBuf};

use crate::limits;
use ipnet::IpNet;
use jiff::Timestamp;
use pullgate_policy::oci::Registry;

use crate::code::Code;
use crate::config::{Admin, Audit, AuditLog, Cache, Config, DeniedHeadStatus, Listen, OnFailure, Shadow};
use crate::context::Context;
use crate::files::Files;
use crate::policy_file::Surroundings;
use crate::reader::{At, Table};
use crate::value::Zero;
use crate::{defaults, policy_file};

mod clients;
mod credentials;
mod issuers;
mod reserved;
mod tls;
mod upstream;

/// Reads the file, and the policy that it names, whatever else is wrong: all faults of both are wanted at once. `None`
/// when too much is missing to build a configuration.
pub(crate) fn read(files: &mut Files<'_>, path: &Path, now: Timestamp) -> Option<Config> {
    let (text, unreadable) = files.text(path, limits::CONFIG_FILE_BYTES);
    let mut context = Context::new(files, text);
    if let Some(why) = unreadable {
        let message = format!("the configuration cannot be read: {why}");
        context.report(&(0..0), Code::FileUnreadable, message);
        return None;
    }
    let mut file = context.parse();
    let policy = file.required(&mut context, "policy");
    let (state, seal_key_file) = state(&mut context, &mut file);
    let (listen, default_registry) = listen(&mut context, &mut file);
    let admin = admin(&mut context, &mut file, listen.address);
    let cache = cache(&mut context, &mut file);
    let (audit, shadow) = audit(&mut context, &mut file, state.as_deref());
    let clients = clients::read(&mut context, &mut file, &listen);
    let upstreams = upstream::read_all(&mut context, &mut file);
    if let Some(name) = default_registry {
        is_known(&mut context, "default_registry", &name, &upstreams.names);
    }
    file.finish(&mut context);
    let around = Surroundings { upstreams: Some(&upstreams), permit_ttl: cache.permit_ttl, now };
    let policy = policy_file::read(&mut context, &policy?, around)?;
    let shadow = shadow.map(|name| self::shadow(&mut context, &name, around));
    let (fingerprint, watched) = (files.fingerprint(), files.watched());
    let upstreams = upstreams.tables;
    Some(Config {
        listen,
        clients,
        admin,
        state: state?,
        seal_key_file,
        cache,
        audit,
        upstreams,
        policy,
        shadow,
        fingerprint,
        watched,
    })
}

/// Where everything is remembered, and the key under which it counts.
fn state(context: &mut Context<'_, '_>, file: &mut Table) -> (Option<PathBuf>, Option<PathBuf>) {
    let (state, key) = (file.required(context, "state"), file.string(context, "seal_key_file"));
    let place = state.as_ref().and_then(|text| reserved::state(context, text));
    let paths = (place, key.as_ref().map(|text| context.text.beside(&text.value)));
    let inside = match &paths {
        (Some(state), Some(key)) => straight(key).starts_with(straight(state)),
        (Some(_), None) => true,
        (None, _) => false,
    };
    if let Some(place) = key.or(state).filter(|_| inside) {
        let message =
            "the seal key lies in `state`: whoever writes there can replace it together with what it seals";
        let hint = "set `seal_key_file` to a path outside `state` that only the gate can read";
        context.advise(&place.span, Code::SealKeyInState, message, hint);
    }
    paths
}

/// A path without its `..`, as it is written: no file system is asked.
fn straight(path: &Path) -> PathBuf {
    let mut straight = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir if straight.file_name().is_some() => drop(straight.pop()),
            Component::CurDir => {}
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) | Component::ParentDir => {
                straight.push(part);
            }
        }
    }
    straight
}

fn is_known(context: &mut Context<'_, '_>, key: &str, name: &At<Registry>, known: &BTreeSet<Registry>) {
    if known.contains(&name.value) {
        return;
    }
    let message = format!("`{key}` names {}, and there is no such upstream", name.value);
    let hint = format!("add [upstream.\"{}\"]", name.value);
    context.advise(&name.span, Code::UnknownUpstream, message, hint);
}

fn listen(context: &mut Context<'_, '_>, file: &mut Table) -> (Listen, Option<At<Registry>>) {
    let mut listen = defaults::listen();
    let Some(mut table) = file.table(context, "listen") else { return (listen, None) };
    listen.address = address(context, &mut table, listen.address).0;
    let written = table.string(context, "default_registry");
    let registry = written.and_then(|text| upstream::registry(context, &text));
    listen.default_registry = registry.as_ref().map(|name| name.value.clone());
    if let Some(status) = table.integer(context, "denied_head_status") {
        match status.value {
            300 => listen.denied_head_status = DeniedHeadStatus::MultipleChoices,
            403 => listen.denied_head_status = DeniedHeadStatus::Forbidden,
            _ => context.report(&status.span, Code::ValueInvalid, "`denied_head_status` must be 403 or 300"),
        }
    }
    listen.tls = tls::read(context, &mut table);
    listen.trusted_proxies = networks(context, &mut table);
    table.finish(context);
    (listen, registry)
}

fn networks(context: &mut Context<'_, '_>, table: &mut Table) -> Vec<IpNet> {
    const KEY: &str = "trusted_proxies";
    let Some(written) = table.strings(context, KEY) else { return Vec::new() };
    let mut networks = Vec::new();
    for text in written.value {
        let one = text.value.parse::<IpNet>().or_else(|_| text.value.parse::<IpAddr>().map(IpNet::from));
        match one {
            Ok(network) => networks.push(network),
            Err(_) => {
                let message = format!("`{KEY}` has an entry that is neither an address nor a network");
                let hint = "for example \"10.0.0.7\" or \"10.0.0.0/8\"";
                context.advise(&text.span, Code::ValueInvalid, message, hint);
            }
        }
    }
    networks
}

fn address(
    context: &mut Context<'_, '_>,
    table: &mut Table,
    default: SocketAddr,
) -> (SocketAddr, std::ops::Range<usize>) {
    let Some(text) = table.string(context, "address") else { return (default, table.head.clone()) };
    let address = text.value.parse().unwrap_or_else(|_| {
        let message = "`address` must be an IP address and a port";
        context.advise(
            &text.span,
            Code::ValueInvalid,
            message,
            "for example \"0.0.0.0:5000\" or \"[::]:5000\"",
        );
        default
    });
    (address, text.span)
}

fn admin(context: &mut Context<'_, '_>, file: &mut Table, data: SocketAddr) -> Admin {
    let mut admin = Admin { address: defaults::ADMIN };
    let mut place = 0..0;
    if let Some(mut table) = file.table(context, "admin") {
        (admin.address, place) = address(context, &mut table, admin.address);
        reserved::htpasswd(context, &mut table, "admin.htpasswd");
        table.finish(context);
    }
    // Health and metrics never stand on the data port. Port 0 is another port for each.
    let either_is_every = admin.address.ip().is_unspecified() || data.ip().is_unspecified();
    let same_place = admin.address.ip() == data.ip() || either_is_every;
    if admin.address.port() == data.port() && data.port() != 0 && same_place {
        let message = format!("`admin.address` and `listen.address` meet on port {}", data.port());
        context.advise(&place, Code::AddressSame, message, "give [admin] a port of its own");
    }
    admin
}

fn cache(context: &mut Context<'_, '_>, file: &mut Table) -> Cache {
    let mut cache = defaults::cache();
    let Some(mut table) = file.table(context, "cache") else { return cache };
    if let Some(size) = table.size(context, "blobs_max") {
        cache.blobs_max = size;
    }
    for (key, value, zero, most) in [
        ("tag_ttl", &mut cache.tag_ttl, Zero::Allowed, limits::TAG_TTL_MAX),
        // A permit that ends at once would take its grants with it, and no layer could be pulled.
        ("permit_ttl", &mut cache.permit_ttl, Zero::Refused, limits::PERMIT_TTL_MAX),
        ("deny_ttl", &mut cache.deny_ttl, Zero::Allowed, limits::DENY_TTL_MAX),
    ] {
        if let Some(read) = table.duration(context, key, zero, Some(most)) {
            *value = read;
        }
    }
    table.finish(context);
    cache
}

fn retain_max(context: &mut Context<'_, '_>, table: &mut Table) -> Option<u64> {
    let place = table.place_of("retain_max").unwrap_or_else(|| table.head.clone());
    let size = table.size(context, "retain_max")?;
    if size < limits::AUDIT_RETAIN_MAX_LEAST {
        let message = "`retain_max` must be at least \"16MiB\", or no record could stay";
        context.report(&place, Code::SizeInvalid, message);
        return None;
    }
    Some(size)
}

/// The policy of `audit.shadow`. Its faults are reported apart from the configuration's: a gate must not fail because
/// of a policy that it only tries.
fn shadow(context: &mut Context<'_, '_>, name: &At<String>, around: Surroundings<'_>) -> Shadow {
    let path = context.text.beside(&name.value);
    let mut files = context.files.apart();
    let read = policy_file::alone(&mut files, &path, around.now);
    let found = files.take_diagnostics();
    context.files.take_in(files);
    match read {
        Some(mut policies) if !found.has_faults() => {
            policies.set.permit_ttl = around.permit_ttl;
            Shadow::Policies(Box::new(policies))
        }
        Some(_) | None => {
            let why = found.summary();
            let message = format!("no pull is judged by the policy of `shadow`: {why}");
            let hint = "the gate goes on without it; mend the file, or take the key away";
            context.advise(&name.span, Code::ShadowUnusable, message, hint);
            Shadow::Broken(why)
        }
    }
}

fn audit(
    context: &mut Context<'_, '_>,
    file: &mut Table,
    state: Option<&Path>,
) -> (Audit, Option<At<String>>) {
    let mut audit = defaults::audit();
    let Some(mut table) = file.table(context, "audit") else { return (audit, None) };
    let (head, key) = (table.head.clone(), table.place_of("key_file"));
    if let Some(log) = table.filled(context, "log")
        && log.value != "stdout"
    {
        audit.log = AuditLog::File(context.text.beside(&log.value));
    }
    if let Some(retain) = table.duration(context, "retain", Zero::Refused, None) {
        audit.retain = retain;
    }
    audit.retain_max = retain_max(context, &mut table);
    let words = [("count", OnFailure::Count), ("refuse", OnFailure::Refuse)];
    audit.on_failure = table.word(context, "on_failure", &words, audit.on_failure);
    audit.gate = table.filled(context, "gate").map(|gate| gate.value);
    audit.key_file = table.filled(context, "key_file").map(|key| context.text.beside(&key.value));
    let lies_in =
        |state: &Path| audit.key_file.as_ref().is_none_or(|key| straight(key).starts_with(straight(state)));
    if state.is_some_and(lies_in) {
        let message =
            "the key of the pull log lies in `state`: whoever writes there can sign another log with it";
        let hint = "set `key_file` to a path outside `state` that only the gate can read";
        context.advise(&key.unwrap_or(head), Code::LogKeyInState, message, hint);
    }
    let shadow = table.filled(context, "shadow");
    table.finish(context);
    (audit, shadow)
}
