//! `TrustRoot`: whose certificates, logs and timestamps count.

use base64::Engine as _;

use crate::import::reader::{Object, Reader};
use crate::import::remark::{Remark, RemarkCode};
use crate::import::text::{string, strings};
use crate::import::tree::{Node, Place};
use crate::import::trusted::Unnamed;

/// Whether a certificate must carry a signed certificate timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::import) enum Sct {
    Ignored,
    Required,
}

impl Sct {
    fn line(self) -> Option<String> {
        match self {
            Self::Ignored => Some("sct = \"none\"".to_owned()),
            Self::Required => None,
        }
    }
}

/// The trust table of a reference; without one that of the public good instance.
pub(in crate::import) fn trust_table(
    reader: &mut Reader<'_>,
    reference: Option<&str>,
    sct: Sct,
    place: &Place,
) -> Result<String, Unnamed> {
    let Some(name) = reference else { return Ok("sigstore".to_owned()) };
    if let Some(given) = reader.trusted_root(name) {
        let bytes = given?;
        return Ok(reader.trusted.trust((name, place), |name| {
            let file = format!("{name}.trusted_root.json");
            let lines = std::iter::once(format!("trusted_root = {}", string(&file))).chain(sct.line());
            (lines.collect(), vec![(file, bytes)])
        }));
    }
    match reader.object(Object::TrustRoot, name).cloned() {
        Some(root) => of_object(reader, name, &root, sct),
        None if name == "github" => {
            let text = "the trust root \"github\" is taken for GitHub's own, which is built in";
            reader.trusted.remarks.retain(|remark| remark.text != text);
            reader.trusted.remarks.push(Remark::new(RemarkCode::TrustAssumed, place, text));
            Ok("github".to_owned())
        }
        None => Err(missing(name)),
    }
}

fn missing(name: &str) -> Unnamed {
    let name = pullgate_policy::text::escape(name);
    let why =
        format!("the trust root \"{name}\" is in no file: add its TrustRoot, or --trusted-root {name}=FILE");
    (RemarkCode::TrustRoot, why)
}

fn of_object(reader: &mut Reader<'_>, name: &str, root: &Node, sct: Sct) -> Result<String, Unnamed> {
    if let Some(remote) = root.at(&["spec", "remote"]) {
        let (Some(url), Some(bytes)) =
            (remote.text_at(&["mirror"]), remote.text_at(&["root"]).and_then(decoded))
        else {
            return Err(missing(name));
        };
        let target = remote.text_at(&["trustedRootTarget"]).filter(|target| *target != "trusted_root.json");
        return Ok(reader.trusted.trust((name, &root.place), |name| {
            let file = format!("{name}.root.json");
            let target = target.map(|target| format!(", target = {}", string(target))).unwrap_or_default();
            let line = format!("tuf = {{ url = {}, root = {}{target} }}", string(url), string(&file));
            (std::iter::once(line).chain(sct.line()).collect(), vec![(file, bytes)])
        }));
    }
    let Some(keys) = root.at(&["spec", "sigstoreKeys"]) else { return Err(missing(name)) };
    let lists = [
        ("fulcio_ca", "certificateAuthorities", "certChain", "ca"),
        ("rekor_keys", "tLogs", "publicKey", "log"),
        ("ct_keys", "ctLogs", "publicKey", "ct-log"),
        ("tsa_chain", "timestampAuthorities", "certChain", "tsa"),
    ];
    let mut found = Vec::new();
    for (key, list, field, suffix) in lists {
        let items =
            keys.at(&[list]).map(Node::list).transpose().map_err(|_| missing(name))?.unwrap_or_default();
        let files: Option<Vec<_>> =
            items.iter().map(|item| item.text_at(&[field]).and_then(decoded)).collect();
        found.push((key, suffix, files.ok_or_else(|| missing(name))?));
    }
    Ok(reader.trusted.trust((name, &root.place), |name| {
        let (mut lines, mut files) = (Vec::new(), Vec::new());
        for (key, suffix, parts) in found.into_iter().filter(|(_, _, parts)| !parts.is_empty()) {
            let count = parts.len();
            let named = parts.into_iter().enumerate().map(|(at, bytes)| match (at, count) {
                (_, 1) => (format!("{name}-{suffix}.pem"), bytes),
                (at, _) => (format!("{name}-{suffix}-{}.pem", at + 1), bytes),
            });
            let named: Vec<_> = named.collect();
            lines.push(format!("{key} = {}", strings(named.iter().map(|(name, _)| name.as_str()))));
            files.extend(named);
        }
        lines.extend(sct.line());
        (lines, files)
    }))
}

/// Base64, as bytes stand in such objects.
fn decoded(text: &str) -> Option<Vec<u8>> {
    base64::engine::general_purpose::STANDARD.decode(text.split_whitespace().collect::<String>()).ok()
}
