//! The input of an expression, as its own values.

use std::collections::HashMap;
use std::sync::Arc;

use cel::Value as Cel;
use cel::objects::Key;
use serde_json::Value;

use super::parts::Named;
use super::{About, Image};
use crate::identity::{OLD_CLAIMS, Principal, SanKind};
use crate::limits;
use crate::provenance::Provenance;

/// The variables that are asked for. `provenance` is absent where the predicate is not provenance: an expression that
/// reads it fails.
pub(super) fn of(about: &About<'_>, named: &Named) -> Vec<(&'static str, Cel)> {
    let wanted = |name: &str| named.contains_key(name);
    let mut values = Vec::new();
    for (name, document) in [("predicate", about.predicate), ("statement", about.statement)] {
        if let Some(parts) = named.get(name) {
            values.push((name, parts.told(document)));
        }
    }
    if let (true, Some(found)) = (wanted("provenance"), about.provenance) {
        values.push(("provenance", provenance(found)));
    }
    if wanted("identity") {
        values.push(("identity", identity(about.principal)));
    }
    if wanted("image") {
        values.push(("image", image(about.image)));
    }
    values
}

fn map(fields: impl IntoIterator<Item = (&'static str, Option<Cel>)>) -> Cel {
    let present = fields.into_iter().filter_map(|(name, value)| Some((Key::from(name), value?)));
    Cel::from(present.collect::<HashMap<Key, Cel>>())
}

fn text(value: &str) -> Cel {
    Cel::String(Arc::new(value.to_owned()))
}

fn provenance(found: &Provenance) -> Cel {
    let some = |value: &Option<String>| value.as_deref().map(text);
    map([
        ("builder", some(&found.builder)),
        ("source", found.source.as_ref().map(|source| text(source.as_str()))),
        ("ref", some(&found.reference)),
        ("commit", some(&found.commit)),
        ("build_type", some(&found.build_type)),
        ("level", Some(Cel::Int(i64::from(found.level.number())))),
        ("dependencies", found.dependencies.as_ref().filter(|all| !are_too_large(&[*all], &AGAIN)).map(json)),
    ])
}

fn identity(principal: &Principal) -> Cel {
    match principal {
        Principal::Certificate(certified) => {
            map([("subject", Some(text(&certified.subject))), ("kind", Some(text("certificate")))])
        }
        // Signs nothing that an expression is asked about.
        Principal::Notation(signer) => {
            map([("subject", Some(text(&signer.shown))), ("kind", Some(text("certificate")))])
        }
        Principal::Key(id) => map([("key", Some(text(&id.to_string())))]),
        Principal::Identity(identity) => {
            let kind = match identity.kind {
                SanKind::Email => "email",
                SanKind::OtherName => "other",
                SanKind::Uri => "uri",
            };
            let old = OLD_CLAIMS.iter().filter_map(|(old, name)| Some((*old, identity.claims.get(*name)?)));
            let claims = identity.claims.iter().map(|(name, value)| (name.as_str(), value)).chain(old);
            let claims = claims.map(|(name, value)| (Key::from(name), text(value)));
            map([
                ("issuer", Some(text(&identity.issuer))),
                ("subject", Some(text(&identity.san))),
                ("kind", Some(text(kind))),
                ("claims", Some(Cel::from(claims.collect::<HashMap<Key, Cel>>()))),
            ])
        }
    }
}

fn image(image: &Image) -> Cel {
    map([
        ("registry", Some(text(&image.registry))),
        ("repository", Some(text(&image.repository))),
        ("digest", Some(text(&image.digest))),
        ("media_type", Some(text(&image.media_type))),
        ("artifact_type", Some(text(&image.artifact_type))),
    ])
}

/// Whole numbers become `int` where they fit: the language does not add `int` to `uint`.
pub(super) fn json(value: &Value) -> Cel {
    match value {
        Value::Null => Cel::Null,
        Value::Bool(bool) => Cel::Bool(*bool),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(int), _) => Cel::Int(int),
            (None, Some(uint)) => Cel::UInt(uint),
            (None, None) => Cel::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(string) => text(string),
        Value::Array(list) => Cel::List(Arc::new(list.iter().map(json).collect())),
        Value::Object(object) => {
            let fields = object.iter().map(|(key, value)| (Key::from(key.as_str()), json(value)));
            Cel::from(fields.collect::<HashMap<Key, Cel>>())
        }
    }
}

/// How much of a document an expression may read.
pub(super) struct Most {
    bytes: usize,
    items: usize,
}

/// Where it looks at it once.
pub(super) const ONCE: Most = Most { bytes: limits::WHERE_BYTES, items: limits::WHERE_ITEMS };
/// Where it looks at it for each entry of a list.
pub(super) const AGAIN: Most = Most { bytes: limits::WHERE_AGAIN_BYTES, items: limits::WHERE_AGAIN_ITEMS };

/// Whether the values are over `most`, in bytes or in the items of a list or object: an attacker's predicate decides
/// how long an expression runs (A255). Depth was bounded when it was read.
pub(super) fn are_too_large(values: &[&Value], most: &Most) -> bool {
    fn bytes(value: &Value, left: &mut usize, items: usize) -> bool {
        let own = match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => 8,
            Value::String(string) => string.len() + 2,
            Value::Array(list) => list.len(),
            Value::Object(object) => object.keys().map(|key| key.len() + 4).sum(),
        };
        let Some(rest) = left.checked_sub(own) else { return true };
        *left = rest;
        match value {
            Value::Array(list) => list.len() > items || list.iter().any(|one| bytes(one, left, items)),
            Value::Object(object) => {
                object.len() > items || object.values().any(|one| bytes(one, left, items))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
        }
    }
    let mut left = most.bytes;
    values.iter().any(|value| bytes(value, &mut left, most.items))
}
