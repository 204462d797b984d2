//! `ClusterPolicy` and `Policy` of Kyverno with `verifyImages`: every rule whose patterns match must pass, and of each every
//! set of attestors. What no pattern matches is admitted there.

use self::pattern::{Matched, Skipped};
use super::fault::Fault;
use super::model::{Asks, Mode, Need, Part};
use super::reader::Reader;
use super::remark::RemarkCode;
use super::tree::{Fields, Node, Place};

mod attestation;
mod attestor;
mod pattern;
pub(super) mod validating;

/// Fields of an entry that say nothing about what an image must have.
const NOTHING: [&str; 6] =
    ["mutateDigest", "verifyDigest", "required", "useCache", "imageRegistryCredentials", "cosignOCI11"];

/// Reads one policy: each entry of each rule is a part.
pub(super) fn read(reader: &mut Reader<'_>, node: &Node) -> Result<Vec<Part>, Fault> {
    let policy = node.text_at(&["metadata", "name"]).unwrap_or("ClusterPolicy");
    let spec = node.at(&["spec"]);
    let mut parts = Vec::new();
    let rules = spec.and_then(|spec| spec.at(&["rules"])).map(Node::list).transpose()?.unwrap_or_default();
    for rule in rules {
        let entries = rule.at(&["verifyImages"]).map(Node::list).transpose()?.unwrap_or_default();
        for (at, entry) in entries.iter().enumerate() {
            let rule_name = rule.text_at(&["name"]).unwrap_or("rule");
            let name = match (policy == rule_name, entries.len()) {
                (true, 1) => policy.to_owned(),
                (false, 1) => format!("{policy}/{rule_name}"),
                (_, _) => format!("{policy}/{rule_name}/{at}"),
            };
            parts.extend(one(reader, name, spec, rule, entry)?);
        }
    }
    Ok(parts)
}

fn one(
    reader: &mut Reader<'_>,
    name: String,
    spec: Option<&Node>,
    rule: &Node,
    entry: &Node,
) -> Result<Vec<Part>, Fault> {
    let mut fields = entry.fields()?;
    let mode = mode(fields.text("failureAction")?, spec)?;
    let mut part = Part::new(name, &entry.place, mode);
    let skipped = references(&mut fields, &mut part)?;
    objects(rule, &mut part);
    let kind = fields.text("type")?.unwrap_or("Cosign");
    if let Some(repository) = fields.text("repository")? {
        let text = format!("signatures lie in {repository}: `evidence` of the upstream");
        part.remark(RemarkCode::EvidenceElsewhere, &entry.place, text);
    }
    let asked = match kind {
        "Notary" => Err((RemarkCode::Notation, "type Notary".to_owned())),
        _ => asked(reader, &mut fields, entry, &mut part)?,
    };
    if kind == "SigstoreBundle" && matches!(asked, Ok(Some(_))) {
        part.remark(
            RemarkCode::SignatureOnly,
            &entry.place,
            "type SigstoreBundle: any bundle counts as a signature",
        );
    }
    fields.pass_over(&NOTHING);
    if kind == "Notary" {
        fields.pass_over(&["attestors", "attestations", "validate"]);
    }
    match (asked, fields.first_left()) {
        // Neither attestors nor attestations: nothing is verified there.
        (Ok(None), _) => {
            part.areas.clear();
            part.lost.clear();
            part.remark(RemarkCode::NoEffect, &entry.place, "it asks for no signature, and is not imported");
        }
        (_, Some((key, place))) => {
            let why = format!("`{}` is not known here", pullgate_policy::text::escape(key));
            refuse(&mut part, RemarkCode::UnknownField, &place.clone(), why);
        }
        (Ok(Some(needs)), None) => part.asks = Asks::Each(needs),
        (Err((code, why)), None) => refuse(&mut part, code, &entry.place, why),
    }
    let open = opened(&part, skipped);
    part.except = open.iter().flat_map(|one| one.areas.clone()).collect();
    Ok(open.into_iter().chain([part]).collect())
}

fn refuse(part: &mut Part, code: RemarkCode, place: &Place, why: String) {
    part.remark(code, place, why.as_str());
    part.asks = Asks::Denial(why);
}

/// `Audit` unless something says `Enforce`; of what is said by namespace the strictest.
fn mode(of_entry: Option<&str>, spec: Option<&Node>) -> Result<Mode, Fault> {
    let enforces = |text: &str| text.eq_ignore_ascii_case("enforce");
    if let Some(said) = of_entry {
        return Ok(if enforces(said) { Mode::Enforce } else { Mode::Warn });
    }
    let Some(spec) = spec else { return Ok(Mode::Warn) };
    let overrides =
        spec.at(&["validationFailureActionOverrides"]).map(Node::list).transpose()?.unwrap_or_default();
    let said = overrides.iter().filter_map(|one| one.text_at(&["action"]));
    let enforced = said.chain(spec.text_at(&["validationFailureAction"])).any(enforces);
    Ok(if enforced { Mode::Enforce } else { Mode::Warn })
}

/// What of a cluster the rule is about: a pull does not say for which object it is.
fn objects(rule: &Node, part: &mut Part) {
    let place = rule.place.clone();
    for key in ["exclude", "preconditions", "celPreconditions"] {
        if rule.at(&[key]).is_some() {
            let text = format!("`{key}`: every pull of these images is governed");
            part.remark(RemarkCode::EveryObject, &place, text);
        }
    }
    if rule.at(&["imageExtractors"]).is_some() {
        let text = "`imageExtractors`: every pull of these images is governed";
        part.remark(RemarkCode::EveryObject, &place, text);
    }
}

/// The scopes of its patterns; what it skips.
fn references(fields: &mut Fields<'_>, part: &mut Part) -> Result<Vec<(Place, Skipped)>, Fault> {
    let image = fields.take("image");
    for node in fields.list("imageReferences")?.iter().chain(image) {
        let text = node.text()?;
        match pattern::read(text) {
            Matched::Areas { areas, remarks } => {
                part.areas.extend(areas);
                for (code, why) in remarks {
                    part.remark(code, &node.place, format!("{text}: {why}"));
                }
            }
            Matched::Unsaid { code, why, glob } => {
                part.remark(code, &node.place, format!("{text}: {why}"));
                let (place, pattern) = (node.place.clone(), text.to_owned());
                part.lost.push(super::model::Lost { place, pattern, glob });
            }
        }
    }
    let mut skipped = Vec::new();
    for node in fields.list("skipImageReferences")? {
        skipped.push((node.place.clone(), pattern::skipped(node.text()?)));
    }
    Ok(skipped)
}

/// What is skipped is not asked for here; a scope of its own says so, where all of it is skipped.
fn opened(part: &Part, skipped: Vec<(Place, Skipped)>) -> Vec<Part> {
    let mut open = Vec::new();
    for (place, skipped) in skipped {
        let mut one = Part::new(format!("{} skips", part.name), &place, part.mode);
        match skipped {
            Skipped::Areas(areas) => {
                // Only what it governs can be skipped by it.
                let governed =
                    areas.into_iter().filter(|area| part.areas.iter().any(|other| other.covers(area)));
                one.areas = governed.collect();
            }
            Skipped::Partly(why) => one.remark(RemarkCode::Tags, &place, why),
        }
        open.push(one);
    }
    open
}

/// All that it asks for; none where that is nothing.
type Asked = Result<Option<Vec<Need>>, super::trusted::Unnamed>;

fn asked(
    reader: &mut Reader<'_>,
    fields: &mut Fields<'_>,
    entry: &Node,
    part: &mut Part,
) -> Result<Asked, Fault> {
    let (attestors, attestations) = (fields.list("attestors")?, fields.list("attestations")?);
    // The form of a time before there were attestors.
    let old = attestor::old(fields)?;
    if fields.take("validate").is_some() {
        return Ok(Err((RemarkCode::Code, "`validate` is a condition over several attestations".to_owned())));
    }
    if attestors.is_empty() && attestations.is_empty() && old.is_none() {
        return Ok(Ok(None));
    }
    let mut needs = Vec::new();
    match old {
        None => {}
        Some(old) => match attestor::of_old(reader, &old, entry, part) {
            Ok(need) => needs.push(need),
            Err(why) => return Ok(Err(why)),
        },
    }
    for set in attestors {
        match attestor::set(reader, set, attestor::Keys::Each, part)? {
            Ok(more) => needs.extend(more),
            Err(why) => return Ok(Err(why)),
        }
    }
    for node in attestations {
        match attestation::read(reader, node, part)? {
            Ok(more) => needs.extend(more),
            Err(why) => return Ok(Err(why)),
        }
    }
    Ok(Ok(Some(needs)))
}
