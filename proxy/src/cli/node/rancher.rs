//! K3s and RKE2: two files of theirs, from which they write containerd's configuration when they start.
//!
//! Of their YAML only the plainest form is taken: whatever else names one of these keys may switch it off.

use std::path::{Path, PathBuf};

use super::files::{Found, Node};
use super::gate::{Gate, is_gate};
use super::{BEFORE, Way, certs, containerd};

const NO_OTHER: &str = "disable-default-registry-endpoint";
const EMBEDDED: &str = "embedded-registry";

pub(super) fn read(node: &Node, found: &mut Found, gates: &[Gate], name: &str) {
    let folder = node.join("etc/rancher").join(name);
    let mut files = node.entries(&folder.join("config.yaml.d"), found);
    files.retain(|path| !path.ends_with(BEFORE));
    files.push(folder.join("config.yaml"));
    let mut is_said = false;
    for path in files {
        let text = node.text(&path, found).unwrap_or_default();
        // An escape could spell the key.
        let hidden = text.contains('\\');
        let lines = text.lines().filter(|line| !line.trim_start().starts_with('#')).map(str::trim_end);
        for line in lines {
            let (way, plain) = if line.contains(EMBEDDED) {
                (Way::EmbeddedRegistry, line == "embedded-registry: false")
            } else if line.contains(NO_OTHER) || hidden {
                (Way::EndpointAppended, line == "disable-default-registry-endpoint: true")
            } else {
                continue;
            };
            is_said |= plain && way == Way::EndpointAppended;
            if !plain {
                found.add(way, &path, "may let nodes ask somebody else");
            }
        }
    }
    if !is_said {
        let says = format!("no {NO_OTHER}: true in any file: the registry itself is asked in the end");
        found.add(Way::EndpointAppended, &folder.join("config.yaml.d/pullgate.yaml"), says);
    }
    registries(node, found, gates, &folder.join("registries.yaml"));
    for path in node.entries(&made_in(node, name), found) {
        if path.extension().is_some_and(|ending| ending == "tmpl") {
            found.add(Way::Template, &path, "a template of yours for containerd's configuration");
        }
    }
}

fn made_in(node: &Node, name: &str) -> PathBuf {
    node.join("var/lib/rancher").join(name).join("agent/etc/containerd")
}

/// What they made of it when they started last: a change of the files is in force after the next start.
pub(super) fn made(node: &Node, found: &mut Found, gates: &[Gate], name: &str) {
    let folder = made_in(node, name);
    let (config, hosts) = (folder.join("config.toml"), folder.join("certs.d"));
    if node.exists(&config) {
        containerd::read(node, found, gates, &config);
    } else if node.exists(&hosts) {
        certs::read(node, found, gates, &[hosts]);
    }
}

fn registries(node: &Node, found: &mut Found, gates: &[Gate], path: &Path) {
    let Some(text) = node.text(path, found) else {
        if !node.exists(path) {
            found.add(Way::NoMirror, path, "is not there: each registry is asked itself");
        }
        return;
    };
    let Some(mirrors) = mirrors(&text) else {
        found.add(Way::ConfigUnread, path, "mirrors is not written in the plain form of deploy/k3s");
        return;
    };
    if !mirrors.iter().any(|(registry, endpoints)| registry == "*" && !endpoints.is_empty()) {
        found.add(
            Way::NoMirror,
            path,
            "has no mirror \"*\" with an endpoint: what it does not list is asked itself",
        );
    }
    for (registry, endpoints) in &mirrors {
        if endpoints.is_empty() {
            found.add(Way::NoMirror, path, format!("{registry:?} has no endpoint"));
        }
        for endpoint in endpoints.iter().filter(|endpoint| !is_gate(gates, endpoint)) {
            let says = format!("{registry:?} is looked for at {endpoint:?}, which is not the gate");
            found.add(Way::HostElsewhere, path, says);
        }
    }
}

/// The registries that `registries.yaml` has mirrors for.
pub(super) fn named(node: &Node, found: &mut Found, name: &str) -> Vec<String> {
    let path = node.join("etc/rancher").join(name).join("registries.yaml");
    let text = node.text(&path, found).unwrap_or_default();
    mirrors(&text).unwrap_or_default().into_iter().map(|(registry, _)| registry).collect()
}

/// `mirrors` in its plainest form: names, below each `endpoint` and a list. None where it has another.
fn mirrors(text: &str) -> Option<Vec<(String, Vec<String>)>> {
    let mut mirrors: Vec<(String, Vec<String>)> = Vec::new();
    let mut inside = false;
    for line in text.lines().map(str::trim_end) {
        let bare = line.trim_start();
        if bare.is_empty() || bare.starts_with('#') {
            continue;
        }
        if bare.len() == line.len() {
            if line.contains("mirrors") && line != "mirrors:" || line.starts_with(['{', '?', '&', '%']) {
                return None;
            }
            inside = line == "mirrors:";
        } else if inside {
            match bare.strip_prefix("- ") {
                Some(endpoint) => mirrors.last_mut()?.1.push(plain(endpoint)?.to_owned()),
                None if bare == "endpoint:" => {
                    mirrors.last()?;
                }
                None => mirrors.push((plain(bare.strip_suffix(':')?)?.to_owned(), Vec::new())),
            }
        }
    }
    Some(mirrors)
}

/// A scalar in quotes without escapes, or of the letters that need none.
fn plain(text: &str) -> Option<&str> {
    let quoted = ['"', '\''].iter().find_map(|quote| text.strip_prefix(*quote)?.strip_suffix(*quote));
    let text = quoted.unwrap_or(text);
    let bare = |c: char| c.is_ascii_alphanumeric() || ".:/-_".contains(c);
    let fits = if quoted.is_some() { text == "*" || text.chars().all(bare) } else { text.chars().all(bare) };
    (fits && !text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_are_read_in_their_plainest_form_and_in_no_other() {
        let shipped = include_str!("../../../../deploy/k3s/registries.yaml");
        let gate = "http://127.0.0.1:5000".to_owned();
        assert_eq!(mirrors(shipped), Some(vec![("*".to_owned(), vec![gate.clone()])]));
        let more = "configs:\n  x:\n    auth: {}\nmirrors:\n  docker.io:\n    endpoint:\n    - http://127.0.0.1:5000\n";
        assert_eq!(mirrors(more), Some(vec![("docker.io".to_owned(), vec![gate])]));
        for odd in [
            "mirrors: {\"*\": {endpoint: [x]}}\n",
            "{mirrors: {}}\n",
            "mirrors:\n  \"*\":\n    endpoint: [\"http://127.0.0.1:5000\"]\n",
            "mirrors:\n  \"\\x2a\":\n    endpoint:\n      - x\n",
            "mirrors:\n  *a:\n",
            "mirrors:\n  - x\n",
            "mirrors:\n  x:\n    <<: y\n",
        ] {
            assert_eq!(mirrors(odd), None, "{odd}");
        }
    }
}
