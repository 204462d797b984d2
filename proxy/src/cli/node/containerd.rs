//! containerd's `config.toml`: which folders its CRI reads for hosts, and the old table that ends at the registry.

use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::files::{Found, Node};
use super::gate::Gate;
use super::table::{word, words};
use super::{Way, certs};
use crate::limits::NODE_IMPORTS;

pub(super) const CONFIG: &str = "etc/containerd/config.toml";

/// The CRI's table of registries: that of the file's own version counts, and no other may say something else.
const CRI: [(u64, &str); 3] = [
    (1, "/plugins/cri/registry"),
    (2, "/plugins/io.containerd.grpc.v1.cri/registry"),
    (3, "/plugins/io.containerd.cri.v1.images/registry"),
];

/// How a file that is imported counts beside what was read before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Merge {
    /// 1.x: the table of a plug-in is replaced whole.
    Replaces,
    /// 2.x: key by key.
    Joins,
}

/// Judged as either release would merge its imports: which one runs is not known from files.
pub(super) fn read(node: &Node, found: &mut Found, gates: &[Gate], path: &Path) {
    let Some(main) = node.toml(path, found) else { return };
    let Some(imported) = imports(node, found, path, &main) else { return };
    for merge in [Merge::Replaces, Merge::Joins] {
        let mut config = main.clone();
        for more in &imported {
            merge.add(&mut config, more);
        }
        cri(node, found, gates, (path, &config));
    }
}

fn version(config: &Value) -> u64 {
    config.get("version").and_then(Value::as_u64).unwrap_or(1)
}

/// Every file that is imported, in the order in which containerd reads them; none where one cannot be judged.
fn imports(node: &Node, found: &mut Found, path: &Path, main: &Value) -> Option<Vec<Value>> {
    let (mut read, mut seen) = (Vec::new(), BTreeSet::from([path.to_owned()]));
    let mut pending: VecDeque<PathBuf> = named(node, found, path, main)?.into();
    while let Some(next) = pending.pop_front() {
        if !seen.insert(next.clone()) {
            continue;
        }
        if seen.len() > NODE_IMPORTS + 1 {
            found.add(Way::ConfigUnread, path, format!("imports more than {NODE_IMPORTS} files"));
            return None;
        }
        if !node.exists(&next) {
            let says =
                format!("imports {}, which is not there: containerd does not start so", next.display());
            found.add(Way::ConfigUnread, path, says);
            return None;
        }
        let config = node.toml(&next, found)?;
        if version(&config) != version(main) {
            found.add(
                Way::ConfigUnread,
                &next,
                "is imported, and of another version than the file that does",
            );
            return None;
        }
        pending.extend(named(node, found, &next, &config)?);
        read.push(config);
    }
    Some(read)
}

/// The files that a file imports. A `*` is one of the file's name; other patterns are not understood here.
fn named(node: &Node, found: &mut Found, path: &Path, config: &Value) -> Option<Vec<PathBuf>> {
    let mut files = Vec::new();
    for import in words(config, "imports") {
        let at = if Path::new(import).is_absolute() {
            node.join(import)
        } else {
            path.with_file_name("").join(import)
        };
        let folder = at.parent().unwrap_or(&at).to_owned();
        let name = at.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if folder.to_string_lossy().contains(['*', '?', '[']) || name.contains(['?', '[']) {
            found.add(Way::ConfigUnread, path, format!("imports {import:?}, a pattern that is not followed"));
            return None;
        }
        match name.split_once('*') {
            None => files.push(at),
            Some((begins, ends)) if !ends.contains('*') => {
                let fits = |path: &PathBuf| {
                    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                    name.len() >= begins.len() + ends.len()
                        && name.starts_with(begins)
                        && name.ends_with(ends)
                };
                files.extend(node.entries(&folder, found).into_iter().filter(fits));
            }
            Some(_) => {
                let says = format!("imports {import:?}, a pattern that is not followed");
                found.add(Way::ConfigUnread, path, says);
                return None;
            }
        }
    }
    Some(files)
}

impl Merge {
    fn add(self, to: &mut Value, from: &Value) {
        let (Value::Object(to), Value::Object(from)) = (to, from) else { return };
        for (key, value) in from {
            match (to.get_mut(key), value) {
                (Some(Value::Array(to)), Value::Array(more)) => to.extend(more.iter().cloned()),
                (Some(Value::Object(plugins)), Value::Object(more)) if key == "plugins" => match self {
                    Self::Replaces => plugins.extend(more.clone()),
                    Self::Joins => join(plugins, more),
                },
                (Some(Value::Object(to)), Value::Object(more)) => join(to, more),
                (Some(_) | None, value) => {
                    to.insert(key.clone(), value.clone());
                }
            }
        }
    }
}

fn join(to: &mut Map<String, Value>, from: &Map<String, Value>) {
    for (key, value) in from {
        match (to.get_mut(key), value) {
            (Some(Value::Object(to)), Value::Object(from)) => join(to, from),
            (Some(_) | None, value) => {
                to.insert(key.clone(), value.clone());
            }
        }
    }
}

/// The names of the CRI in `disabled_plugins`: of 1.x, and the part of 2.x that pulls.
const OFF: [&str; 3] = ["cri", "io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images"];

fn cri(node: &Node, found: &mut Found, gates: &[Gate], (path, config): (&Path, &Value)) {
    if words(config, "disabled_plugins").any(|name| OFF.contains(&name)) {
        found.add(Way::CriOff, path, "the CRI is switched off");
        return;
    }
    let version = version(config);
    if !CRI.iter().any(|(of, _)| *of == version) {
        found.add(Way::ConfigUnread, path, "a version that is not known here");
    }
    for (of, table) in CRI {
        let registry = config.pointer(table).unwrap_or(&Value::Null);
        if registry.get("mirrors").is_some() {
            found.add(Way::OldMirrors, path, "a table registry.mirrors, which ends at the registry itself");
        }
        match word(registry, "config_path") {
            Some(paths) => {
                let roots: Vec<_> =
                    paths.split(':').filter(|root| !root.is_empty()).map(|root| node.join(root)).collect();
                certs::read(node, found, gates, &roots);
            }
            None if of == version => {
                let says = "no config_path in the CRI's table: each registry is asked itself";
                found.add(Way::NoConfigPath, path, says);
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_plugin_is_replaced_whole_by_1_x_and_joined_by_2_x() {
        let main = json!({"plugins": {"a": {"x": 1, "y": {"z": 1}}}, "disabled_plugins": ["b"]});
        let more = json!({"plugins": {"a": {"y": {"q": 2}}}, "disabled_plugins": ["c"]});
        let merged = |merge: Merge| {
            let mut config = main.clone();
            merge.add(&mut config, &more);
            config
        };
        let disabled = json!(["b", "c"]);
        assert_eq!(
            merged(Merge::Replaces),
            json!({"plugins": {"a": {"y": {"q": 2}}}, "disabled_plugins": disabled})
        );
        assert_eq!(
            merged(Merge::Joins),
            json!({"plugins": {"a": {"x": 1, "y": {"z": 1, "q": 2}}}, "disabled_plugins": disabled})
        );
    }
}
