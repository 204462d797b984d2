//! `registries.d`: for which namespaces signatures beside images are looked for at all.

use std::collections::BTreeMap;

use super::entries;
use crate::import::fault::Fault;
use crate::import::reader::Reader;

/// Whether they are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Are {
    Off,
    On,
}

/// What each namespace says of it; without `--registries-d` nobody knows.
pub(super) struct Attachments(Option<BTreeMap<String, Are>>);

impl Attachments {
    pub(super) fn read(reader: &Reader<'_>) -> Result<Self, Fault> {
        let Some(files) = reader.registries_d()? else { return Ok(Self(None)) };
        let mut said = BTreeMap::new();
        for file in &files {
            let mut fields = file.fields()?;
            let docker = fields.take("docker").map(entries).transpose()?.unwrap_or_default();
            let of_default = fields.take("default-docker");
            let all = docker.iter().map(|(name, node)| (name.as_str(), node));
            for (name, node) in all.chain(of_default.map(|node| ("", node))) {
                // Of one namespace a later file says nothing that an earlier one has said.
                let Some(on) = node.fields()?.truth("use-sigstore-attachments")? else { continue };
                match (without_tag(name), on) {
                    (None, on) => {
                        said.entry(name.to_owned()).or_insert(if on { Are::On } else { Are::Off });
                    }
                    // Of one tag it cannot be said: where it is off for one, it is for all.
                    (Some(repository), false) => {
                        said.insert(repository.to_owned(), Are::Off);
                    }
                    (Some(_), true) => {}
                }
            }
        }
        Ok(Self(Some(said)))
    }

    pub(super) fn is_assumed(&self) -> bool {
        self.0.is_none()
    }

    /// For a namespace: what it, or the next one above it, or the default says; else they are off.
    pub(super) fn on(&self, namespace: &str) -> Are {
        let Some(said) = &self.0 else { return Are::On };
        let mut name = namespace;
        loop {
            match (said.get(name), name.rsplit_once('/')) {
                (Some(are), _) => return *are,
                (None, Some((above, _))) => name = above,
                (None, None) => return said.get("").copied().unwrap_or(Are::Off),
            }
        }
    }

    /// All namespaces of which something is said.
    pub(super) fn namespaces(&self) -> Vec<String> {
        let said = self.0.iter().flatten();
        said.map(|(name, _)| name.clone()).filter(|name| !name.is_empty()).collect()
    }
}

/// The repository of a scope that is one tag or digest of it.
fn without_tag(scope: &str) -> Option<&str> {
    let (above, last) = scope.rsplit_once('/')?;
    let at = last.find(['@', ':'])?;
    scope.get(..above.len() + 1 + at)
}
