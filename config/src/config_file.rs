//! The configuration file (design §5).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pullgate_policy::limits;
use pullgate_policy::oci::{Registry, Repository};
use pullgate_policy::policy::{PolicySet, Revision, Revisions, Unmatched};
use pullgate_verify::{KeyRing, TrustSet, TrustTable};

use crate::code::Code;
use crate::reader::{At, Context, Table};
use crate::source::{self, Sources};
use crate::{
    Admin, Audit, AuditLog, Cache, Config, Credentials, DeniedHeadStatus, Listen, OnFailure, Policies, Secret,
    Upstream, policy_file,
};

const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 5000);
const ADMIN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 5001);
const RETAIN: Duration = Duration::from_secs(90 * 86_400);

/// The registries that `serve` knows without a configuration.
const WELL_KNOWN: [(&str, &str); 8] = [
    ("docker.io", "https://registry-1.docker.io"),
    ("gcr.io", "https://gcr.io"),
    ("ghcr.io", "https://ghcr.io"),
    ("mcr.microsoft.com", "https://mcr.microsoft.com"),
    ("public.ecr.aws", "https://public.ecr.aws"),
    ("quay.io", "https://quay.io"),
    ("registry.gitlab.com", "https://registry.gitlab.com"),
    ("registry.k8s.io", "https://registry.k8s.io"),
];

/// What `serve` does with no configuration.
pub(crate) fn defaults(state: PathBuf) -> Config {
    let trust = TrustSet::new([TrustTable::sigstore(), TrustTable::github()].into_iter().flatten().collect());
    let upstreams = WELL_KNOWN.iter().filter_map(|(name, url)| Some((name.parse().ok()?, plain((*url).to_owned()))));
    let revision = Revision::of([]);
    Config {
        listen: Listen {
            address: LISTEN,
            default_registry: Some(Registry::docker_hub()),
            denied_head_status: DeniedHeadStatus::Forbidden,
        },
        admin: Admin { address: ADMIN },
        state,
        seal_key_file: None,
        cache: cache_defaults(),
        audit: Audit { log: AuditLog::Stdout, retain: RETAIN, on_failure: OnFailure::Count },
        upstreams: upstreams.collect(),
        policy: Policies {
            set: PolicySet {
                revisions: Revisions { policy: revision, trust: trust.revision() },
                unmatched: Unmatched::Warn,
                authorities: BTreeMap::new(),
                policies: Vec::new(),
                blocks: Vec::new(),
                exemptions: Vec::new(),
                permit_ttl: limits::PERMIT_TTL,
            },
            keys: Arc::new(KeyRing::default()),
            trust: Arc::new(trust),
        },
        fingerprint: revision,
        watched: Vec::new(),
    }
}

fn cache_defaults() -> Cache {
    Cache {
        blobs_max: limits::BLOBS_MAX,
        tag_ttl: limits::TAG_TTL,
        permit_ttl: limits::PERMIT_TTL,
        deny_ttl: limits::DENY_TTL,
    }
}

fn plain(url: String) -> Upstream {
    Upstream {
        urls: vec![url],
        aliases: Vec::new(),
        ca_pem: None,
        redirect_hosts: Vec::new(),
        token_hosts: Vec::new(),
        credentials: Credentials::Anonymous,
        evidence: None,
    }
}

/// Reads the file, and the policy that it names. None when too much is missing to build a configuration.
pub(crate) fn read(sources: &mut Sources, path: &Path) -> Option<Config> {
    let text = sources.text(path, limits::CONFIG_FILE_BYTES)?;
    let mut context = Context { sources, text };
    let mut file = context.parse();
    let policy = file.required(&mut context, "policy").map(|text| context.text.beside(&text.value));
    let state = file.required(&mut context, "state").map(|text| context.text.beside(&text.value));
    let seal_key_file = file.string(&mut context, "seal_key_file").map(|text| context.text.beside(&text.value));
    let listen = listen(&mut context, &mut file);
    let admin = admin(&mut context, &mut file, listen.address);
    let cache = cache(&mut context, &mut file);
    let audit = audit(&mut context, &mut file);
    if let Some(clients) = file.take("clients") {
        context.not_in_force(&clients.span, "clients");
    }
    let upstreams = upstreams(&mut context, &mut file);
    if let Some(registry) = listen.default_registry.as_ref().filter(|registry| !upstreams.contains_key(*registry)) {
        let message = format!("`listen.default_registry` is {registry}, which has no [upstream.\"{registry}\"]");
        context.fault(&(0..0), Code::UnknownUpstream, message);
    }
    file.finish(&mut context);
    let policy = policy_file::read(sources, &policy?, cache.permit_ttl)?;
    let (fingerprint, watched) = (sources.fingerprint(), sources.watched());
    Some(Config { listen, admin, state: state?, seal_key_file, cache, audit, upstreams, policy, fingerprint, watched })
}

fn address(context: &mut Context<'_>, table: &mut Table, default: SocketAddr) -> SocketAddr {
    let Some(text) = table.string(context, "address") else { return default };
    text.value.parse().unwrap_or_else(|_| {
        let message = "`address` must be an IP address and a port";
        context.hinted(&text.span, Code::ValueInvalid, message, "for example \"0.0.0.0:5000\" or \"[::]:5000\"");
        default
    })
}

fn listen(context: &mut Context<'_>, file: &mut Table) -> Listen {
    let mut listen =
        Listen { address: LISTEN, default_registry: None, denied_head_status: DeniedHeadStatus::Forbidden };
    let Some(mut table) = file.table(context, "listen") else { return listen };
    listen.address = address(context, &mut table, LISTEN);
    if let Some(text) = table.string(context, "default_registry") {
        listen.default_registry = registry(context, &text);
    }
    if let Some(status) = table.integer(context, "denied_head_status") {
        match status.value {
            300 => listen.denied_head_status = DeniedHeadStatus::MultipleChoices,
            403 => {}
            _ => context.fault(&status.span, Code::ValueInvalid, "`denied_head_status` must be 403 or 300"),
        }
    }
    if let Some(tls) = table.take("tls") {
        context.not_in_force(&tls.span, "listen.tls");
    }
    table.finish(context);
    listen
}

fn registry(context: &mut Context<'_>, text: &At<String>) -> Option<Registry> {
    let read = text.value.parse().ok();
    if read.is_none() {
        context.fault(&text.span, Code::ValueInvalid, "not the name of a registry");
    }
    read
}

fn admin(context: &mut Context<'_>, file: &mut Table, data: SocketAddr) -> Admin {
    let Some(mut table) = file.table(context, "admin") else { return Admin { address: ADMIN } };
    let head = table.head();
    let address = address(context, &mut table, ADMIN);
    // Port 0 is another port for each.
    if address == data && address.port() != 0 {
        context.fault(&head, Code::AddressSame, "health and metrics never stand on the data port");
    }
    if let Some(value) = table.take("htpasswd") {
        context.not_in_force(&value.span, "admin.htpasswd");
    }
    table.finish(context);
    Admin { address }
}

fn cache(context: &mut Context<'_>, file: &mut Table) -> Cache {
    let mut cache = cache_defaults();
    let Some(mut table) = file.table(context, "cache") else { return cache };
    cache.blobs_max = table.size(context, "blobs_max").unwrap_or(cache.blobs_max);
    cache.tag_ttl = table.duration(context, "tag_ttl", Some(limits::TAG_TTL_MAX)).unwrap_or(cache.tag_ttl);
    cache.permit_ttl = table.duration(context, "permit_ttl", Some(limits::PERMIT_TTL_MAX)).unwrap_or(cache.permit_ttl);
    cache.deny_ttl = table.duration(context, "deny_ttl", Some(limits::DENY_TTL_MAX)).unwrap_or(cache.deny_ttl);
    table.finish(context);
    cache
}

fn audit(context: &mut Context<'_>, file: &mut Table) -> Audit {
    let mut audit = Audit { log: AuditLog::Stdout, retain: RETAIN, on_failure: OnFailure::Count };
    let Some(mut table) = file.table(context, "audit") else { return audit };
    if let Some(log) = table.string(context, "log")
        && log.value != "stdout"
    {
        audit.log = AuditLog::File(context.text.beside(&log.value));
    }
    audit.retain = table.duration(context, "retain", None).unwrap_or(RETAIN);
    if let Some(text) = table.string(context, "on_failure") {
        let words = [("count", OnFailure::Count), ("refuse", OnFailure::Refuse)];
        audit.on_failure = context.word("on_failure", &text, &words).unwrap_or(OnFailure::Count);
    }
    table.finish(context);
    audit
}

fn upstreams(context: &mut Context<'_>, file: &mut Table) -> BTreeMap<Registry, Upstream> {
    let head = file.head();
    let written = file.table(context, "upstream").map(|mut table| table.take_all()).unwrap_or_default();
    if written.is_empty() {
        let message = "no [upstream.\"…\"]: there is no registry to pull from";
        context.fault(&(head.start..head.start), Code::MissingKey, message);
    }
    let mut upstreams = BTreeMap::new();
    let mut evidence = Vec::new();
    for (name, (span, value)) in written {
        let named = registry(context, &At { value: name.clone(), span });
        let Some(table) = context.table(&format!("upstream.{name}"), value) else { continue };
        let read = upstream(context, table, &mut evidence);
        if let (Some(named), Some(read)) = (named, read) {
            upstreams.insert(named, read);
        }
    }
    for repository in evidence {
        let At { value, span } = repository;
        if !upstreams.contains_key(Repository::registry(&value)) {
            let message = format!("`evidence` is in {}, which has no upstream table", value.registry());
            context.fault(&span, Code::UnknownUpstream, message);
        }
    }
    aliases_are_distinct(context, &upstreams);
    upstreams
}

fn aliases_are_distinct(context: &mut Context<'_>, upstreams: &BTreeMap<Registry, Upstream>) {
    let mut seen: Vec<&str> = upstreams.keys().map(Registry::as_str).collect();
    for alias in upstreams.values().flat_map(|upstream| &upstream.aliases) {
        if seen.contains(&alias.as_str()) {
            context.fault(&(0..0), Code::DuplicateName, format!("the alias \"{alias}\" names two registries"));
        }
        seen.push(alias);
    }
}

fn upstream(context: &mut Context<'_>, mut table: Table, evidence: &mut Vec<At<Repository>>) -> Option<Upstream> {
    let head = table.head();
    let mut urls: Vec<At<String>> = table.string(context, "url").into_iter().collect();
    urls.extend(table.strings(context, "urls").unwrap_or_default());
    if urls.is_empty() {
        context.fault(&head, Code::MissingKey, "an upstream needs `url`");
    }
    let checked: Vec<String> = urls.iter().filter_map(|text| url(context, text)).collect();
    let hosts = |context: &mut Context<'_>, table: &mut Table, key| {
        let listed = table.strings(context, key).unwrap_or_default();
        listed.into_iter().map(|text| text.value).collect::<Vec<_>>()
    };
    let mut read = plain(String::new());
    read.urls = checked;
    read.aliases = hosts(context, &mut table, "aliases").into_iter().map(|alias| alias.to_lowercase()).collect();
    read.redirect_hosts = hosts(context, &mut table, "redirect_hosts");
    read.token_hosts = hosts(context, &mut table, "token_hosts");
    if let Some(file) = table.string(context, "ca") {
        let path = context.text.beside(&file.value);
        match context.sources.bytes(&path, limits::CONFIG_FILE_BYTES) {
            Ok(bytes) => read.ca_pem = Some(bytes.as_ref().clone()),
            Err(why) => {
                let message = format!("`{}` cannot be read: {why}", file.value);
                context.fault(&file.span, Code::FileUnreadable, message);
            }
        }
    }
    if let Some(value) = table.take("client_cert") {
        context.not_in_force(&value.span, "client_cert");
    }
    read.credentials = credentials(context, &mut table);
    if let Some(text) = table.string(context, "evidence") {
        match text.value.parse::<Repository>() {
            Ok(repository) => {
                evidence.push(At { value: repository.clone(), span: text.span });
                read.evidence = Some(repository);
            }
            Err(_) => context.fault(&text.span, Code::ValueInvalid, "`evidence` must be registry/repository"),
        }
    }
    table.finish(context);
    (!read.urls.is_empty()).then_some(read)
}

/// `https://host[:port]`, or `http://` said on purpose; nothing that could hold a secret or a path of its own.
fn url(context: &mut Context<'_>, text: &At<String>) -> Option<String> {
    let rest = text.value.strip_prefix("https://").or_else(|| text.value.strip_prefix("http://"));
    let plain = rest.map(|rest| rest.trim_end_matches('/'));
    match plain.filter(|host| host.parse::<Registry>().is_ok()) {
        Some(_) => Some(text.value.trim_end_matches('/').to_owned()),
        None => {
            let code = if text.value.contains('@') { Code::SecretInline } else { Code::UrlInvalid };
            let message = "`url` must be https:// or http://, a host, and perhaps a port";
            context.hinted(&text.span, code, message, "credentials belong into `credentials`");
            None
        }
    }
}

fn credentials(context: &mut Context<'_>, table: &mut Table) -> Credentials {
    let Some(mut table) = table.table(context, "credentials") else { return Credentials::Anonymous };
    let head = table.head();
    for key in ["password", "token"] {
        if let Some(At { span, .. }) = table.take(key) {
            context.hinted(&span, Code::SecretInline, format!("`{key}` stands in the file"), "use `password_file`");
        }
    }
    let config = table.string(context, "docker_config");
    let username = table.string(context, "username");
    let file = table.string(context, "password_file");
    table.finish(context);
    match (config, username, file) {
        (Some(config), None, None) => secret(context, &config)
            .map_or(Credentials::Anonymous, |text| Credentials::DockerConfig { text: Secret::new(text) }),
        (None, Some(username), Some(file)) => match secret(context, &file) {
            Some(text) => {
                let password = Secret::new(text.trim_end_matches(['\r', '\n']).to_owned());
                Credentials::Basic { username: username.value, password }
            }
            None => Credentials::Anonymous,
        },
        (_, _, _) => {
            let message = "`credentials` needs `docker_config`, or `username` with `password_file`";
            context.fault(&head, Code::MissingKey, message);
            Credentials::Anonymous
        }
    }
}

fn secret(context: &mut Context<'_>, file: &At<String>) -> Option<String> {
    let path = context.text.beside(&file.value);
    let read = context.sources.bytes(&path, limits::CREDENTIAL_BYTES);
    let text = read.and_then(|bytes| String::from_utf8(bytes.as_ref().clone()).map_err(|_| "it is not UTF-8".to_owned()));
    match text {
        Ok(text) => {
            if source::is_open_to_all(&path) {
                let text = context.text.clone();
                let message = format!("everybody may read `{}`", file.value);
                context.sources.warn(&text, file.span.clone(), Code::SecretPermissions, message, Some("chmod 600".into()));
            }
            Some(text)
        }
        Err(why) => {
            let message = format!("`{}` cannot be read: {why}", file.value);
            context.fault(&file.span, Code::FileUnreadable, message);
            None
        }
    }
}

