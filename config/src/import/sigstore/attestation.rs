//! `attestations[]`: each must be met, by any statement of its type.

use super::{cue, invalid};
use crate::import::fault::Fault;
use crate::import::model::{Alternative, Condition, Part};
use crate::import::predicate;
use crate::import::remark::RemarkCode;
use crate::import::tree::Node;
use crate::import::trusted::{Unnamed, Who};

/// cosign's names for predicate types; anything else is the type itself.
const NAMES: [(&str, &str); 10] = [
    ("custom", "https://cosign.sigstore.dev/attestation/v1"),
    ("cyclonedx", "https://cyclonedx.org/bom"),
    ("link", "https://in-toto.io/Link/v1"),
    ("openvex", "https://openvex.dev/ns"),
    ("slsaprovenance", "https://slsa.dev/provenance/v0.2"),
    ("slsaprovenance02", "https://slsa.dev/provenance/v0.2"),
    ("slsaprovenance1", "https://slsa.dev/provenance/v1"),
    ("spdx", "https://spdx.dev/Document"),
    ("spdxjson", "https://spdx.dev/Document"),
    ("vuln", "https://cosign.sigstore.dev/attestation/vuln/v1"),
];

pub(super) fn read(
    node: &Node,
    any_of: &[Who],
    part: &mut Part,
) -> Result<Result<Alternative, Unnamed>, Fault> {
    let mut fields = node.fields()?;
    fields.pass_over(&["name"]);
    let written = fields.text("predicateType")?.ok_or_else(|| invalid(node, "it has no `predicateType`"))?;
    let known = NAMES.iter().find(|(name, _)| *name == written);
    let kind = match predicate::exact(known.map_or(written, |(_, uri)| uri)) {
        Ok(kind) => kind,
        Err(why) => return Ok(Err(why)),
    };
    let condition = match fields.take("policy") {
        None => None,
        Some(policy) => match condition(policy, &kind, part)? {
            Ok(condition) => condition,
            Err(why) => return Ok(Err(why)),
        },
    };
    if let Some((key, _)) = fields.first_left() {
        let why = format!("`{}` of an attestation is not known here", pullgate_policy::text::escape(key));
        return Ok(Err((RemarkCode::UnknownField, why)));
    }
    let signature = Alternative::signature(any_of.to_vec());
    Ok(Ok(Alternative { attestation: Some(kind), condition, ..signature }))
}

fn condition(
    policy: &Node,
    kind: &str,
    part: &mut Part,
) -> Result<Result<Option<Condition>, Unnamed>, Fault> {
    let mut fields = policy.fields()?;
    let (language, data) = (fields.text("type")?, fields.text("data")?);
    let code = |why: &str| Ok(Err((RemarkCode::Code, why.to_owned())));
    if let Some((key, _)) = fields.first_left() {
        return code(&format!("`{}` of a condition", pullgate_policy::text::escape(key)));
    }
    match (language, data) {
        (Some("cue"), Some(data)) => match cue::condition(data, kind) {
            Some(cue::Said::Nothing) => Ok(Ok(None)),
            Some(cue::Said::Condition(condition)) => {
                let text = "what CUE compares may be absent there, and must be there here";
                part.remark(RemarkCode::AbsentField, &policy.place, text);
                Ok(Ok(Some(Condition::OfOne(condition))))
            }
            None => code("CUE beyond fields that have values"),
        },
        (_, _) => code("a program over the statement"),
    }
}
