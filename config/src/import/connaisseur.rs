//! Connaisseur: of the rules whose patterns match the most specific counts; a `*` is put before and behind every pattern.

use std::collections::BTreeMap;

use super::Accept;
use super::area::Area;
use super::expression;
use super::fault::Fault;
use super::model::{Alternative, Asks, Joined, Lost, Mode, Need, Originals, Part, Unmatched};
use super::reader::Reader;
use super::remark::{Remark, RemarkCode};
use super::tree::Node;
use super::trusted::{By, Pattern, Transparency, Unnamed, Who};

/// Fields of a rule's `with` that have an effect; others have none there.
const KNOWN: [&str; 9] = [
    "trustRoot",
    "threshold",
    "required",
    "verifyInTransparencyLog",
    "verifySCT",
    "mode",
    "automaticChildApproval",
    "automaticUnchangedApproval",
    "validationMode",
];

/// Reads the values of its chart, or its configuration.
pub(super) fn read(reader: &mut Reader<'_>, node: &Node) -> Result<Originals, Fault> {
    let application = node.at(&["application"]).unwrap_or(node);
    let list = |key: &str| application.at(&[key]).map(Node::list).transpose();
    let (validators, rules) = (list("validators")?.unwrap_or_default(), list("policy")?.unwrap_or_default());
    let mut remarks = Vec::new();
    let features = application.at(&["features"]);
    let detects =
        features.and_then(|features| features.at(&["detectionMode"])).map(Node::truth).transpose()?;
    let mode = if detects == Some(true) { Mode::Warn } else { Mode::Enforce };
    if let Some(namespaces) = features.and_then(|features| features.at(&["namespacedValidation"])) {
        let text = "`namespacedValidation`: every pull is governed";
        remarks.push(Remark::new(RemarkCode::EveryObject, &namespaces.place, text));
    }
    let (mut parts, mut tagged) = (Vec::new(), Vec::new());
    for rule in rules {
        let pattern = rule.text_at(&["pattern"]).ok_or_else(|| rule.unexpected("a `pattern`"))?;
        let mut part = Part::new(pattern, &rule.place, mode);
        part.asks = asked(reader, validators, rule, &mut part)?;
        match scopes(pattern) {
            Some((areas, Tag::Any)) => {
                part.areas = areas;
                // Of rules with one pattern the later counts.
                parts.retain(|other: &Part| other.areas != part.areas);
                parts.push(part);
            }
            Some((areas, Tag::Some)) => {
                part.areas = areas;
                tagged.push(part);
            }
            None => {
                part.remark(
                    RemarkCode::Pattern,
                    &rule.place,
                    "no registry, or a wildcard inside: name the registry",
                );
                let place = rule.place.clone();
                part.lost.push(Lost { place, pattern: pattern.to_owned(), glob: format!("*{pattern}*") });
                parts.push(part);
            }
        }
    }
    with_tags(reader, &mut parts, tagged);
    anywhere(&parts)?;
    Ok(Originals { parts, joined: Joined::MostSpecific, unmatched: Unmatched::Deny, remarks })
}

/// Whether a pattern is about every tag and digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tag {
    Any,
    Some,
}

/// The scopes of a pattern that begins with a registry.
fn scopes(pattern: &str) -> Option<(Vec<Area>, Tag)> {
    if matches!(pattern, "*" | "*:*" | "**") {
        return Some((vec![Area::everything()], Tag::Any));
    }
    let pattern = pattern
        .strip_prefix("index.docker.io/")
        .map_or(pattern.to_owned(), |rest| format!("docker.io/{rest}"));
    let (registry, rest) = pattern.split_once('/')?;
    let named = registry.contains(['.', ':']) || registry == "localhost";
    if !named || registry.contains('*') || registry.chars().any(|c| c.is_ascii_uppercase()) {
        return None;
    }
    let begins = rest.rfind('/').map_or(0, |at| at + 1);
    let end = rest.get(begins..)?.find([':', '@']).map(|at| begins + at);
    let path = rest.get(..end.unwrap_or(rest.len()))?;
    let texts = match (path.strip_suffix('*'), end) {
        // All below a namespace, whatever tag: `path/*:*`.
        (Some(body), _) if (body.is_empty() || body.ends_with('/')) && !body.contains('*') => {
            let all = end.is_none() || rest.ends_with(":*");
            let tag = if all { Tag::Any } else { return None };
            return Some((vec![Area::parse(&format!("{registry}/{body}**"))?], tag));
        }
        (Some(_), Some(_)) => return None,
        (None, Some(_)) if !path.contains('*') => {
            return Some((vec![Area::parse(&format!("{registry}/{path}"))?], Tag::Some));
        }
        (Some(body), None) if !body.contains('*') => {
            [format!("{registry}/{body}*"), format!("{registry}/{body}*/**")]
        }
        (None, None) if !path.contains('*') => {
            [format!("{registry}/{path}*"), format!("{registry}/{path}*/**")]
        }
        (_, _) => return None,
    };
    // On Docker Hub a name of one component would be read as one of the library.
    if registry == "docker.io" && !path.contains('/') {
        return None;
    }
    let areas: Option<Vec<Area>> = texts.iter().map(|text| Area::parse(text)).collect();
    Some((areas?, Tag::Any))
}

/// A pattern of tags leaves other tags and digests to the next rule: both are asked for.
fn with_tags(reader: &Reader<'_>, parts: &mut Vec<Part>, tagged: Vec<Part>) {
    let mut named: BTreeMap<Vec<Area>, Part> = BTreeMap::new();
    for mut part in tagged {
        let accepted = reader.accepts(Accept::Tags);
        let over =
            |other: &&Part| other.areas.iter().any(|area| part.areas.iter().all(|one| area.covers(one)));
        let next = parts.iter().filter(over).max_by_key(|other| other.name.len());
        let others = match (next, accepted) {
            (_, true) => Asks::Nothing,
            (Some(next), false) => next.asks.clone(),
            (None, false) => Asks::Denial("other tags and digests match no rule there".to_owned()),
        };
        let place = part.place.clone();
        if accepted {
            part.remark(RemarkCode::Accepted, &place, "the pattern of tags stands for the whole repository");
        } else {
            part.remark(
                RemarkCode::Tags,
                &place,
                "other tags and digests are the next rule's: both are asked for",
            );
        }
        part.asks = both(part.asks.clone(), others);
        match named.get_mut(&part.areas) {
            Some(other) => {
                other.asks = both(other.asks.clone(), part.asks.clone());
                other.remarks.append(&mut part.remarks);
            }
            None => {
                named.insert(part.areas.clone(), part);
            }
        }
    }
    parts.extend(named.into_values());
}

fn both(one: Asks, other: Asks) -> Asks {
    match (one, other) {
        (Asks::Denial(why), _) | (_, Asks::Denial(why)) => Asks::Denial(why),
        (Asks::Nothing, asks) | (asks, Asks::Nothing) => asks,
        (Asks::Each(mut needs), Asks::Each(more)) => {
            for need in more {
                if !needs.contains(&need) {
                    needs.push(need);
                }
            }
            Asks::Each(needs)
        }
    }
}

/// A pattern matches in the middle of a name too, below any registry: what governs everything else must not serve more.
fn anywhere(parts: &[Part]) -> Result<(), Fault> {
    let everything = Area::everything();
    let Some(all) = parts.iter().find(|part| part.areas.contains(&everything)) else { return Ok(()) };
    if matches!(all.asks, Asks::Denial(_)) || all.mode == Mode::Warn {
        return Ok(());
    }
    match parts.iter().find(|part| part.asks != Asks::Nothing && part.asks != all.asks) {
        None => Ok(()),
        Some(part) => Err(Fault::Unscoped {
            place: part.place.clone(),
            why: format!(
                "\"{}\" matches in the middle of names there",
                pullgate_policy::text::escape(&part.name)
            ),
            under: format!("\"{}\"", pullgate_policy::text::escape(&all.name)),
        }),
    }
}

fn asked(reader: &mut Reader<'_>, validators: &[Node], rule: &Node, part: &mut Part) -> Result<Asks, Fault> {
    let name = rule.text_at(&["validator"]).unwrap_or("default");
    let Some(validator) = validators.iter().find(|one| one.text_at(&["name"]) == Some(name)) else {
        return Err(Fault::Invalid {
            place: rule.place.clone(),
            why: "its validator is not there".to_owned(),
        });
    };
    let refused = match validator.text_at(&["type"]) {
        Some("static") => {
            return Ok(match validator.at(&["approve"]).map(Node::truth).transpose()? {
                Some(true) => Asks::Nothing,
                Some(false) | None => Asks::Denial("denied by the policy that was imported".to_owned()),
            });
        }
        Some("cosign") => match cosign(reader, validator, rule, part)? {
            Ok(needs) => return Ok(Asks::Each(needs)),
            Err(why) => why,
        },
        Some("notaryv1") => (RemarkCode::ContentTrust, "a validator of Docker Content Trust".to_owned()),
        Some("notation") => (RemarkCode::Notation, "a validator of Notation".to_owned()),
        Some(_) | None => (RemarkCode::Code, "a validator of no known type".to_owned()),
    };
    part.remark(refused.0, &rule.place, refused.1.as_str());
    Ok(Asks::Denial(refused.1))
}

fn cosign(
    reader: &mut Reader<'_>,
    validator: &Node,
    rule: &Node,
    part: &mut Part,
) -> Result<Result<Vec<Need>, Unnamed>, Fault> {
    let mut fields = validator.fields()?;
    fields.pass_over(&["name", "type", "host", "auth"]);
    let roots = fields.list("trustRoots")?;
    if let Some((key, _)) = fields.first_left() {
        return Ok(Err((
            RemarkCode::TrustRoot,
            format!("`{}` of a validator", pullgate_policy::text::escape(key)),
        )));
    }
    let with = |key: &str| rule.at(&["with", key]);
    if let Some(Node { value: super::tree::Value::Map(entries), .. }) = rule.at(&["with"]) {
        for (key, node) in entries.iter().filter(|(key, _)| !KNOWN.contains(&key.as_str())) {
            part.remark(RemarkCode::NoEffect, &node.place, format!("`with.{key}`"));
        }
    }
    let logged = with("verifyInTransparencyLog").map(Node::truth).transpose()? != Some(false);
    if with("verifySCT").map(Node::truth).transpose()? == Some(false) {
        part.remark(RemarkCode::SctRequired, &rule.place, "`verifySCT`: it stays required");
    }
    let wanted = with("trustRoot").map(Node::text).transpose()?.unwrap_or("default");
    let threshold = with("threshold").map(Node::count).transpose()?;
    let required = with("required").map(Node::list).transpose()?.unwrap_or_default();
    let mut named: Vec<(&str, Who)> = Vec::new();
    for root in roots {
        let name = root.text_at(&["name"]).unwrap_or_default();
        if wanted == "*" || wanted == name {
            match trust_root(reader, root, name, logged)? {
                Ok(who) => named.push((name, who)),
                Err(why) => return Ok(Err(why)),
            }
        }
    }
    if named.is_empty() {
        return Ok(Err((RemarkCode::IdentityOpen, "no such trust root: never met there".to_owned())));
    }
    let signature = |who: Vec<Who>, threshold: usize| {
        Need(vec![Alternative { threshold, ..Alternative::signature(who) }])
    };
    let mut needs = Vec::new();
    for name in required {
        let name = name.text()?;
        match named.iter().find(|(other, _)| *other == name) {
            Some((_, who)) => needs.push(signature(vec![*who], 1)),
            None => {
                return Ok(Err((RemarkCode::IdentityOpen, "a required trust root is not there".to_owned())));
            }
        }
    }
    let all: Vec<Who> = named.iter().map(|(_, who)| *who).collect();
    match threshold.filter(|threshold| *threshold > 0) {
        Some(threshold) => {
            part.remark(
                RemarkCode::ThresholdSigners,
                &rule.place,
                "`threshold`: that many different signers here",
            );
            needs.push(signature(all, threshold));
        }
        // Without less being said, all of them.
        None if required.is_empty() => needs.extend(all.into_iter().map(|who| signature(vec![who], 1))),
        None => {}
    }
    Ok(Ok(needs))
}

fn trust_root(
    reader: &mut Reader<'_>,
    root: &Node,
    name: &str,
    logged: bool,
) -> Result<Result<Who, Unnamed>, Fault> {
    let mut fields = root.fields()?;
    fields.pass_over(&["name"]);
    let (key, keyless) = (fields.text("key")?, fields.take("keyless"));
    if let Some((key, _)) = fields.first_left() {
        return Ok(Err((
            RemarkCode::TrustRoot,
            format!("`{}` of a trust root", pullgate_policy::text::escape(key)),
        )));
    }
    match (key, keyless) {
        (Some(key), None) => {
            let bytes = match key.contains("-----BEGIN") {
                true => Ok(key.as_bytes().to_vec()),
                false => reader.referred(key.trim(), key.strip_prefix("k8s://")),
            };
            let transparency = if logged { Transparency::Required } else { Transparency::Optional };
            Ok(bytes.and_then(|bytes| {
                reader.trusted.key((name, &root.place), &bytes, (transparency, "sigstore"))
            }))
        }
        (None, Some(keyless)) => {
            let mut fields = keyless.fields()?;
            let issuer = pattern(fields.text("issuer")?, fields.text("issuerRegex")?);
            let identity = pattern(fields.text("subject")?, fields.text("subjectRegex")?);
            if fields.first_left().is_some() {
                return Ok(Err((RemarkCode::UnknownField, "a field of a keyless trust root".to_owned())));
            }
            let transparency = if logged { Transparency::Required } else { Transparency::None };
            Ok(issuer.and_then(|issuer| {
                let by = By::Identity { issuer, identity: identity?, claims: BTreeMap::new() };
                reader.trusted.identity((name, &root.place), by, (transparency, "sigstore"))
            }))
        }
        (_, _) => Ok(Err((RemarkCode::IdentityOpen, "a trust root is a key or an identity".to_owned()))),
    }
}

/// A pattern beside a text wins.
fn pattern(text: Option<&str>, regex: Option<&str>) -> Result<Pattern, Unnamed> {
    match (regex.filter(|text| !text.is_empty()), text.filter(|text| !text.is_empty())) {
        (Some(regex), _) => {
            expression::searched(regex).ok_or_else(|| (RemarkCode::Authority, "no pattern here".to_owned()))
        }
        (None, Some(text)) => Ok(Pattern::Exact(text.to_owned())),
        (None, None) => Err((RemarkCode::IdentityOpen, "nobody is named".to_owned())),
    }
}
