//! `certs.d` and its `hosts.toml`, as containerd since 1.5 and Docker engine since 28 read them.
//!
//! Read as strictly as the oldest of them does: what one release throws away falls open there, with a line in its log alone.

use std::path::{Path, PathBuf};

use pullgate_config::foreign_toml;
use serde_json::Value;

use super::files::{Found, Node};
use super::gate::{Gate, is_gate};
use super::{BEFORE, Way};

/// The folder for every registry that has none of its own.
const DEFAULT: &str = "_default";

/// `roots` is searched in order, for a registry's own folder and then for `_default`, and the first that has one counts:
/// behind a root with `_default` no other is looked at.
pub(super) fn read(node: &Node, found: &mut Found, gates: &[Gate], roots: &[PathBuf]) {
    for root in roots {
        let mut every = None;
        for folder in node.entries(root, found) {
            if folder.ends_with(DEFAULT) {
                every = Some(folder);
            } else if !folder.ends_with(BEFORE) && !is_file(&folder) {
                of_one(node, found, gates, &folder);
            }
        }
        if let Some(folder) = every {
            of_every(node, found, gates, &folder);
            return;
        }
    }
    let root = roots.first().cloned().unwrap_or_default();
    found.add(
        Way::NoDefaultHosts,
        &root.join(DEFAULT).join("hosts.toml"),
        "is not there: each registry is asked itself",
    );
}

/// Certificates may lie beside the folders. A link may lead to a folder.
fn is_file(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|is| is.is_file())
}

fn of_every(node: &Node, found: &mut Found, gates: &[Gate], folder: &Path) {
    let path = folder.join("hosts.toml");
    if !node.exists(&path) {
        let says = "is not there: a folder without it, even with certificates, sends each registry's pulls to itself";
        found.add(Way::NoDefaultHosts, &path, says);
        return;
    }
    if let Some(text) = node.text(&path, found) {
        for (way, says) in hosts(&text, gates) {
            found.add(way, &path, says);
        }
    }
}

/// A folder for one registry wins over `_default`, an empty one too.
fn of_one(node: &Node, found: &mut Found, gates: &[Gate], folder: &Path) {
    let wins = |says: &str| format!("wins over {DEFAULT} for its registry: {says}");
    if !node.is_here() && !node.links(folder).is_empty() {
        found.add(Way::RegistryFolder, folder, wins("it is a link, and is not followed"));
        return;
    }
    let path = folder.join("hosts.toml");
    if !node.exists(&path) {
        found.add(Way::RegistryFolder, folder, wins("it has no hosts.toml"));
    } else if let Some(text) = node.text(&path, found) {
        for (_, says) in hosts(&text, gates) {
            found.add(Way::RegistryFolder, folder, wins(&says));
        }
    }
}

/// What of a `hosts.toml` leads elsewhere than to the gate.
fn hosts(text: &str, gates: &[Gate]) -> Vec<(Way, String)> {
    let thrown = |why: &str| (Way::HostsMalformed, format!("{why}: the file is thrown away"));
    let config = match foreign_toml(text) {
        None => return vec![thrown("is no TOML")],
        Some(Value::Object(table)) if table.is_empty() => return vec![thrown("is empty")],
        Some(config) => config,
    };
    let mut ways = Vec::new();
    ways.extend(malformed(&config).map(|why| thrown(&why)));
    match config.get("server") {
        None => {
            ways.push((Way::NoServer, "has no server: the registry itself is asked in the end".to_owned()))
        }
        Some(Value::String(server)) if is_gate(gates, server) => {}
        Some(Value::String(server)) => ways.push((
            Way::ServerElsewhere,
            format!("server is {server:?}: it is asked whenever the gate says no, or says nothing"),
        )),
        Some(_) => ways.push(thrown("server is no text")),
    }
    match config.get("host") {
        None => {
            let says = "has no [host]: containerd up to 1.7.31 throws the file away".to_owned();
            ways.push((Way::NoHostTable, says));
        }
        Some(Value::Object(hosts)) => {
            for (host, table) in hosts {
                ways.extend(malformed(table).map(|why| thrown(&format!("host {host:?}: {why}"))));
                if !is_gate(gates, host) {
                    let says = format!("host {host:?} is asked before the server, and is not the gate");
                    ways.push((Way::HostElsewhere, says));
                }
            }
        }
        Some(_) => ways.push(thrown("host is no table")),
    }
    ways
}

/// Words that every release with `hosts.toml` knows. `referrers` came with 2.2, and an older one throws the file away.
const CAPABILITIES: [&str; 3] = ["pull", "push", "resolve"];

/// Why a host's keys are not taken. Keys that are not known are passed over by all releases.
fn malformed(table: &Value) -> Option<String> {
    let Value::Object(keys) = table else { return Some("is no table".to_owned()) };
    let texts = |value: &Value| value.as_array().is_some_and(|list| list.iter().all(Value::is_string));
    let pairs = |value: &Value| {
        value.as_array().is_some_and(|list| list.iter().all(|one| one.is_string() || texts(one)))
    };
    keys.iter().find_map(|(key, value)| {
        let taken = match key.as_str() {
            "ca" => value.is_string() || texts(value),
            "capabilities" => {
                let word = |one: &Value| one.as_str().is_some_and(|one| CAPABILITIES.contains(&one));
                value.as_array().is_some_and(|list| list.iter().all(word))
            }
            "client" => value.is_string() || pairs(value),
            "dial_timeout" => value.as_str().is_some_and(is_duration),
            "header" => value
                .as_object()
                .is_some_and(|headers| headers.values().all(|value| value.is_string() || texts(value))),
            "override_path" | "skip_verify" => value.is_boolean(),
            _ => true,
        };
        (!taken).then(|| format!("{key} has a value that a release does not take"))
    })
}

/// As Go reads one: numbers, each with its unit. Longer units first.
fn is_duration(text: &str) -> bool {
    let mut rest = text.trim_start_matches(['+', '-']);
    let mut parts = 0;
    while !rest.is_empty() {
        let number = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        let after = ["ns", "us", "µs", "ms", "s", "m", "h"].iter().find_map(|unit| number.strip_prefix(unit));
        match after {
            Some(after) if number.len() < rest.len() => rest = after,
            Some(_) | None => return false,
        }
        parts += 1;
    }
    parts > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(text: &str) -> Vec<&'static str> {
        let gate = Gate::parse("http://127.0.0.1:5000").unwrap();
        hosts(text, &[gate]).iter().map(|(way, _)| way.as_str()).collect()
    }

    const SERVER: &str = "server = \"http://127.0.0.1:5000\"\n";

    #[test]
    fn the_gate_as_server_and_no_other_host_is_closed() {
        for text in [
            "[host]\n",
            "ca = \"/a.pem\"\nclient = [[\"/c\", \"/k\"]]\nskip_verify = false\ndial_timeout = \"1m30s\"\n[host]\n",
            "capabilities = [\"pull\", \"resolve\"]\n[host.\"http://127.0.0.1:5000\"]\ncapabilities = [\"pull\"]\n",
            "[host]\n[header]\nx = [\"1\", \"2\"]\n",
            "[unknown]\na = 1\n[host]\n",
        ] {
            assert_eq!(codes(&format!("{SERVER}{text}")), [""; 0], "{text}");
        }
    }

    #[test]
    fn a414_each_form_that_is_thrown_away_or_names_another_host_is_told() {
        let with = |text: &str| format!("{SERVER}{text}");
        for (text, expected) in [
            (String::new(), &["hosts-malformed"][..]),
            ("# nothing\n".to_owned(), &["hosts-malformed"]),
            ("server = \"x\n".to_owned(), &["hosts-malformed"]),
            (with(""), &["no-host-table"]),
            ("[host]\n".to_owned(), &["no-server"]),
            ("[host.\"http://127.0.0.1:5000\"]\n".to_owned(), &["no-server"]),
            (
                "server = \"https://docker.io\"\n[host.\"http://127.0.0.1:5000\"]\n".to_owned(),
                &["server-elsewhere"],
            ),
            ("server = 1\n[host]\n".to_owned(), &["hosts-malformed"]),
            (with("host = \"x\"\n"), &["hosts-malformed"]),
            (with("[host.\"http://127.0.0.1:30020\"]\n"), &["host-elsewhere"]),
            (with("capabilities = [\"pull\", \"referrers\"]\n[host]\n"), &["hosts-malformed"]),
            (with("capabilities = \"pull\"\n[host]\n"), &["hosts-malformed"]),
            (with("dial_timeout = \"soon\"\n[host]\n"), &["hosts-malformed"]),
            (with("dial_timeout = 3\n[host]\n"), &["hosts-malformed"]),
            (with("ca = 1\n[host]\n"), &["hosts-malformed"]),
            (with("client = [1]\n[host]\n"), &["hosts-malformed"]),
            (with("skip_verify = \"no\"\n[host]\n"), &["hosts-malformed"]),
            (with("[host.\"http://127.0.0.1:5000\"]\ncapabilities = [\"fetch\"]\n"), &["hosts-malformed"]),
        ] {
            assert_eq!(codes(&text), expected, "{text}");
        }
    }
}
