//! `registries.conf`, its drop-ins and `policy.json`, as podman, buildah, skopeo and CRI-O read them.
//!
//! A table that is read later replaces one of the same prefix; of those that match a reference the longest prefix counts.
//! What no table names is asked itself, unless `policy.json` rejects it: both together are closed, and neither alone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Way;
use super::files::{Found, Node};
use super::gate::{Gate, is_gate};
use super::table::{each, says, word};

const CONF: [&str; 2] = ["usr/share/containers/registries.conf", "etc/containers/registries.conf"];
const DROP_INS: [&str; 2] = ["usr/share/containers/registries.conf.d", "etc/containers/registries.conf.d"];
const POLICY: &str = "etc/containers/policy.json";

pub(super) fn read(node: &Node, found: &mut Found, gates: &[Gate]) {
    let tables = tables(node, found);
    let Some(policy) = policy(node, found) else { return };
    transports(node, found, &policy);
    for (prefix, (path, table)) in &tables {
        if let Some((way, why)) = leads(table, gates)
            && policy.accepts_within(prefix)
        {
            found.add(way, path, format!("[[registry]] {prefix:?}: {why}"));
        }
    }
    for scope in policy.accepted() {
        if scope.is_empty() || scope.starts_with("*.") {
            let says = "accepts registries that no [[registry]] sends through the gate";
            found.add(Way::Unlisted, &node.join(POLICY), says);
        } else if !tables.keys().any(|prefix| governs(prefix, scope)) {
            let says = format!("accepts {scope:?}, which no [[registry]] sends through the gate");
            found.add(Way::Unlisted, &node.join(POLICY), says);
        }
    }
}

/// The tables in force, by prefix, each with its file.
pub(super) fn tables(node: &Node, found: &mut Found) -> BTreeMap<String, (PathBuf, Value)> {
    let mut files: Vec<_> = CONF.map(|path| node.join(path)).into();
    for folder in DROP_INS {
        files.extend(node.entries(&node.join(folder), found));
    }
    files.retain(|path| path.extension().is_some_and(|ending| ending == "conf"));
    let mut tables = BTreeMap::new();
    for path in files {
        let Some(config) = node.toml(&path, found) else { continue };
        if config.get("registries").is_some() {
            found.add(
                Way::ConfigUnread,
                &path,
                "is of the first format of registries.conf, with [registries.…]",
            );
        }
        for registry in each(&config, "registry") {
            match prefix(registry) {
                Some(prefix) => {
                    tables.insert(prefix.to_owned(), (path.clone(), registry.clone()));
                }
                None => found.add(Way::ConfigUnread, &path, "a [[registry]] without prefix and location"),
            }
        }
    }
    tables
}

/// What a `[[registry]]` table is about: its prefix, else its location.
fn prefix(registry: &Value) -> Option<&str> {
    word(registry, "prefix").or_else(|| word(registry, "location"))
}

/// Where a table leads, if elsewhere than to the gate or to a refusal.
fn leads(registry: &Value, gates: &[Gate]) -> Option<(Way, String)> {
    let elsewhere = each(registry, "mirror")
        .map(|mirror| word(mirror, "location").unwrap_or_default())
        .find(|location| !is_gate(gates, location));
    if let Some(location) = elsewhere {
        return Some((Way::MirrorElsewhere, format!("its mirror {location:?} is not the gate")));
    }
    let remapped = word(registry, "location").is_some_and(|location| is_gate(gates, location));
    let closed = says(registry, "blocked") || remapped;
    (!closed).then(|| (Way::NotBlocked, "is not blocked: the registry itself is asked in the end".to_owned()))
}

/// Whether a prefix of a table is that of a name, or above it.
fn governs(prefix: &str, name: &str) -> bool {
    match prefix.strip_prefix('*') {
        Some(domain) => {
            name.split('/').next().unwrap_or_default().split(':').next().unwrap_or_default().ends_with(domain)
        }
        None => name == prefix || below(name, prefix),
    }
}

/// Whether a name is a part of another, and not all of it.
fn below(name: &str, other: &str) -> bool {
    name.strip_prefix(other).is_some_and(|rest| rest.starts_with(['/', ':', '@']))
}

/// `policy.json`.
struct Policy(Value);

/// None where it cannot be judged, which is told.
fn policy(node: &Node, found: &mut Found) -> Option<Policy> {
    let path = node.join(POLICY);
    if !node.exists(&path) {
        // A release may bring one of its own that accepts everything.
        found.add(
            Way::Unlisted,
            &path,
            "is not there: what no [[registry]] names is not shown to be rejected",
        );
        return None;
    }
    let text = node.text(&path, found)?;
    match serde_json::from_str::<Value>(&text) {
        Ok(policy) if policy.is_object() => Some(Policy(policy)),
        Ok(_) | Err(_) => {
            found.add(Way::ConfigUnread, &path, "is no JSON that can be read");
            None
        }
    }
}

/// Whether a list of requirements lets anything through: one `reject` lets nothing.
fn lets_through(requirements: Option<&Value>) -> bool {
    let requirements = requirements.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    !requirements.is_empty() && !requirements.iter().any(|one| word(one, "type") == Some("reject"))
}

impl Policy {
    fn scopes(&self) -> impl Iterator<Item = (&str, &Value)> {
        let scopes = self.0.pointer("/transports/docker").and_then(Value::as_object);
        scopes.into_iter().flatten().map(|(scope, requirements)| (scope.as_str(), requirements))
    }

    /// Whether what no scope names is let through.
    fn accepts_others(&self) -> bool {
        let every = self.scopes().find(|(scope, _)| scope.is_empty());
        lets_through(every.map(|(_, requirements)| requirements).or_else(|| self.0.get("default")))
    }

    /// The scopes that let something through; empty stands for all that have none.
    fn accepted(&self) -> Vec<&str> {
        let scopes = self
            .scopes()
            .filter(|(scope, requirements)| !scope.is_empty() && lets_through(Some(requirements)));
        let others = self.accepts_others().then_some("");
        scopes.map(|(scope, _)| scope).chain(others).collect()
    }

    /// Whether anything that a table is about could be let through.
    fn accepts_within(&self, prefix: &str) -> bool {
        let bare = prefix.trim_start_matches("*.");
        self.accepted().into_iter().any(|scope| {
            let scope = scope.trim_start_matches("*.");
            scope.is_empty()
                || scope == bare
                || below(scope, bare)
                || below(bare, scope)
                || scope.ends_with(&format!(".{bare}"))
        })
    }
}

/// Images that come by another way than from a registry.
fn transports(node: &Node, found: &mut Found, policy: &Policy) {
    let named = policy.0.get("transports").and_then(Value::as_object);
    for (transport, scopes) in named.into_iter().flatten() {
        let open = scopes
            .as_object()
            .into_iter()
            .flatten()
            .any(|(_, requirements)| lets_through(Some(requirements)));
        if open && !matches!(transport.as_str(), "docker" | "containers-storage") {
            let says = format!("accepts {transport}: images that did not come through the gate");
            found.add(Way::OtherTransport, &node.join(POLICY), says);
        }
    }
}

/// A user's own files are read in place of the machine's. CRI-O reads none of them.
pub(super) fn of_users(node: &Node, found: &mut Found) {
    let mut homes = node.entries(&node.join("home"), found);
    homes.push(node.join("root"));
    for home in homes {
        for name in ["registries.conf", "registries.conf.d", "policy.json"] {
            let path = home.join(".config/containers").join(name);
            if node.exists(&path) {
                found.add(Way::UserConfig, &path, "is read by this user in place of the machine's");
            }
        }
    }
    let path = node.join("etc/environment");
    if node.text(&path, found).is_some_and(|text| text.contains("CONTAINERS_REGISTRIES_CONF")) {
        found.add(Way::UserConfig, &path, "CONTAINERS_REGISTRIES_CONF names another registries.conf");
    }
}

/// Whether podman would find its files here.
pub(super) fn has_files(node: &Node) -> bool {
    CONF.iter().chain(&DROP_INS).chain([&POLICY]).any(|path| node.join(path).exists())
}

/// The file that nothing may accept more than.
pub(super) fn policy_path() -> &'static Path {
    Path::new("/etc/containers/policy.json")
}
