//! What a reader of originals has at hand: what was asked for, and who has been named so far.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use pullgate_policy::limits::KEY_FILE_BYTES;
use pullgate_policy::text::escape;

use super::fault::{Fault, Unread};
use super::remark::RemarkCode;
use super::tree::{Node, Place};
use super::trusted::{Trusted, Unnamed};
use super::{Accept, Import, yaml};
use crate::limits;

pub(super) struct Reader<'a> {
    asked: &'a Import<'a>,
    pub(super) trusted: Trusted,
    /// Secrets and ConfigMaps, by kind and name, with or without their namespace.
    objects: BTreeMap<(Object, String), Node>,
}

/// A kind of object that policies refer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Object {
    ConfigMap,
    Secret,
    TrustRoot,
}

impl<'a> Reader<'a> {
    pub(super) fn new(asked: &'a Import<'a>) -> Self {
        Self { asked, trusted: Trusted::default(), objects: BTreeMap::new() }
    }

    pub(super) fn accepts(&self, accept: Accept) -> bool {
        self.asked.accept.contains(&accept)
    }

    /// Keeps an object for those that refer to it.
    pub(super) fn keep(&mut self, kind: Object, node: &Node) {
        let Some(name) = node.text_at(&["metadata", "name"]) else { return };
        if let Some(namespace) = node.text_at(&["metadata", "namespace"]) {
            self.objects.insert((kind, format!("{namespace}/{name}")), node.clone());
        }
        self.objects.insert((kind, name.to_owned()), node.clone());
    }

    pub(super) fn object(&self, kind: Object, name: &str) -> Option<&Node> {
        self.objects.get(&(kind, name.to_owned()))
    }

    /// A file that a policy names by its path: given by `--key`, or on this machine.
    pub(super) fn file(&self, path: &str) -> Result<Vec<u8>, Unnamed> {
        let given = self.asked.keys.get(path);
        let here = std::path::Path::new(path);
        let found = match given {
            Some(file) => file.as_path(),
            None if here.is_absolute() => here,
            None => return Err(by_reference(path)),
        };
        let read = self.asked.source.read(found, KEY_FILE_BYTES);
        read.map(|content| content.bytes.clone()).map_err(|why| match given {
            Some(_) => (RemarkCode::KeyByReference, format!("{}: {why}", escape(path))),
            None => by_reference(path),
        })
    }

    /// A key that a policy refers to: given by `--key`, or in a Secret among the files.
    pub(super) fn referred(&self, reference: &str, secret: Option<&str>) -> Result<Vec<u8>, Unnamed> {
        if self.asked.keys.contains_key(reference) {
            return self.file(reference);
        }
        let object = secret.and_then(|name| self.object(Object::Secret, name));
        let data = object.and_then(|object| {
            let encoded = object.text_at(&["data", "cosign.pub"]);
            let decoded =
                encoded.and_then(|text| base64::engine::general_purpose::STANDARD.decode(text).ok());
            decoded.or_else(|| Some(object.text_at(&["stringData", "cosign.pub"])?.as_bytes().to_vec()))
        });
        data.ok_or_else(|| by_reference(reference))
    }

    /// The bytes of a `trusted_root.json` that was given under this name.
    pub(super) fn trusted_root(&self, name: &str) -> Option<Result<Vec<u8>, Unnamed>> {
        let file = self.asked.trusted_roots.get(name)?;
        let read = self.asked.source.read(file, pullgate_policy::limits::TRUSTED_ROOT_BYTES);
        Some(
            read.map(|content| content.bytes.clone())
                .map_err(|why| (RemarkCode::TrustRoot, format!("{}: {why}", escape(name)))),
        )
    }

    /// The documents of `--registries-d`, where it was given.
    pub(super) fn registries_d(&self) -> Result<Option<Vec<Node>>, Fault> {
        let Some(files) = &self.asked.registries_d else { return Ok(None) };
        let mut read = Vec::new();
        for path in files {
            let (name, text) = text_of(self.asked, path)?;
            read.extend(yaml::documents(&name, &text)?);
        }
        Ok(Some(read))
    }
}

fn by_reference(reference: &str) -> Unnamed {
    let reference = escape(reference);
    (RemarkCode::KeyByReference, format!("{reference} is not here: --key \"{reference}=FILE\""))
}

/// The name and the text of a file.
pub(super) fn text_of(asked: &Import<'_>, path: &std::path::Path) -> Result<(Arc<str>, String), Fault> {
    let name: Arc<str> = Arc::from(escape(&path.display().to_string()));
    let unreadable = |why: String| Fault::Unreadable {
        place: Place { file: name.clone(), line: 1 },
        why: Unread::File(why),
    };
    let content =
        asked.source.read(path, limits::IMPORT_FILE_BYTES).map_err(|why| unreadable(why.to_string()))?;
    let text =
        std::str::from_utf8(&content.bytes).map_err(|_| unreadable("it is not UTF-8 text".to_owned()))?;
    Ok((name.clone(), text.trim_start_matches('\u{feff}').to_owned()))
}
