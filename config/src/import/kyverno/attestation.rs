//! `attestations[]`: each must be met; its conditions hold for every statement of the type.

use super::attestor::{self, Keys};
use crate::import::Accept;
use crate::import::fault::Fault;
use crate::import::model::{Alternative, Condition, Need, Part};
use crate::import::predicate;
use crate::import::reader::Reader;
use crate::import::remark::RemarkCode;
use crate::import::tree::{Node, Scalar, Value};
use crate::import::trusted::Unnamed;

pub(super) fn read(
    reader: &mut Reader<'_>,
    node: &Node,
    part: &mut Part,
) -> Result<Result<Vec<Need>, Unnamed>, Fault> {
    let mut fields = node.fields()?;
    fields.pass_over(&["name"]);
    let (old, kind) = (fields.text("predicateType")?, fields.text("type")?);
    let (attestors, conditions) = (fields.list("attestors")?, fields.list("conditions")?);
    if let Some((key, _)) = fields.first_left() {
        let why = format!("`{}` of an attestation is not known here", pullgate_policy::text::escape(key));
        return Ok(Err((RemarkCode::UnknownField, why)));
    }
    let Some(kind) = kind.or(old) else {
        return Ok(Err((RemarkCode::PredicateType, "an attestation of no type".to_owned())));
    };
    let kind = match predicate::exact(kind) {
        Ok(kind) => kind,
        Err(why) => return Ok(Err(why)),
    };
    if attestors.is_empty() {
        return Ok(Err((
            RemarkCode::UnsignedAttestation,
            "`attestors` is absent: signed by anybody".to_owned(),
        )));
    }
    let Some(condition) = all_of(conditions)? else {
        return Ok(Err((RemarkCode::Code, "conditions beyond fields that have values".to_owned())));
    };
    let condition = condition.map(|condition| match reader.accepts(Accept::OneStatement) {
        true => {
            part.remark(
                RemarkCode::Accepted,
                &node.place,
                "of several attestations one that meets the conditions",
            );
            Condition::OfOne(condition)
        }
        false => Condition::OfEach(condition),
    });
    let mut needs = Vec::new();
    for set in attestors {
        let more = match attestor::set(reader, set, Keys::First, part)? {
            Ok(more) => more,
            Err(why) => return Ok(Err(why)),
        };
        needs.extend(more.into_iter().map(|Need(any)| {
            let attesting = |one: Alternative| Alternative {
                attestation: Some(kind.clone()),
                condition: condition.clone(),
                ..one
            };
            Need(any.into_iter().map(attesting).collect())
        }));
    }
    Ok(Ok(needs))
}

/// All conditions as one; the inner none where there is none, the outer one where any is not said.
fn all_of(conditions: &[Node]) -> Result<Option<Option<String>>, Fault> {
    let mut asked = Vec::new();
    for node in conditions {
        let mut fields = node.fields()?;
        let (all, any) = (fields.list("all")?, fields.list("any")?);
        // Of several, one that is absent would end the whole there.
        if fields.first_left().is_some() || any.len() > 1 {
            return Ok(None);
        }
        for one in all.iter().chain(any) {
            match condition(one)? {
                Some(condition) => asked.push(condition),
                None => return Ok(None),
            }
        }
    }
    Ok(Some((!asked.is_empty()).then(|| asked.join(" && "))))
}

fn condition(node: &Node) -> Result<Option<String>, Fault> {
    let mut fields = node.fields()?;
    fields.pass_over(&["message"]);
    let (key, operator, value) = (fields.text("key")?, fields.text("operator")?, fields.take("value"));
    let (Some(key), Some(operator), Some(value), None) = (key, operator, value, fields.first_left()) else {
        return Ok(None);
    };
    let Some(path) = path(key) else { return Ok(None) };
    Ok(match (operator, &value.value) {
        ("Equals", Value::Scalar(value)) => literal(value).map(|value| format!("{path} == {value}")),
        ("AnyIn" | "In", Value::List(items)) if !items.is_empty() => {
            let each: Option<Vec<String>> = items
                .iter()
                .map(|item| match &item.value {
                    Value::Scalar(value) => literal(value),
                    Value::List(_) | Value::Map(_) | Value::Null => None,
                })
                .collect();
            each.map(|each| format!("{path} in [{}]", each.join(", ")))
        }
        (_, _) => None,
    })
}

/// `{{ a.b }}`, and nothing else in it.
fn path(key: &str) -> Option<String> {
    let inside = key.trim().strip_prefix("{{")?.strip_suffix("}}")?.trim();
    let fields: Option<Vec<&str>> = inside.split('.').map(predicate::field).collect();
    Some(format!("predicate.{}", fields?.join(".")))
}

/// A text that is compared as it is: neither with wildcards nor as a duration or quantity.
fn literal(value: &Scalar) -> Option<String> {
    match value {
        Scalar::Plain(word) if word == "true" || word == "false" => Some(word.clone()),
        Scalar::Plain(text) | Scalar::Quoted(text) => {
            let first = text.chars().next()?;
            let plain = first.is_ascii_alphabetic() && !text.contains(['*', '?']) && !text.contains("{{");
            plain.then(|| predicate::text(text)).flatten()
        }
    }
}
