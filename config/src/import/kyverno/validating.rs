//! `ImageValidatingPolicy`: attestors have names, and expressions say how they count; a few forms of these are known.

use std::collections::BTreeMap;

use super::pattern::{self, Matched};
use crate::import::expression;
use crate::import::fault::Fault;
use crate::import::model::{Alternative, Asks, Lost, Mode, Need, Part};
use crate::import::predicate;
use crate::import::reader::Reader;
use crate::import::remark::RemarkCode;
use crate::import::tree::Node;
use crate::import::trusted::{By, Pattern, Transparency, Unnamed, Who};

/// Fields that say nothing about what an image must have.
const NOTHING: [&str; 8] = [
    "matchConstraints",
    "failurePolicy",
    "evaluation",
    "webhookConfiguration",
    "validationConfigurations",
    "credentials",
    "autogen",
    "auditAnnotations",
];

pub(in crate::import) fn read(reader: &mut Reader<'_>, node: &Node) -> Result<Part, Fault> {
    let mut part = Part::new(
        node.text_at(&["metadata", "name"]).unwrap_or("ImageValidatingPolicy"),
        &node.place,
        Mode::Warn,
    );
    let Some(spec) = node.at(&["spec"]) else { return Ok(part) };
    let mut fields = spec.fields()?;
    let actions = fields.take("validationActions");
    for action in actions.map(Node::list).transpose()?.unwrap_or_default() {
        if action.text()?.eq_ignore_ascii_case("deny") {
            part.mode = Mode::Enforce;
        }
    }
    // Without any it denies.
    if actions.is_none() {
        part.mode = Mode::Enforce;
    }
    for image in fields.list("matchImageReferences")? {
        matched(image, &mut part)?;
    }
    if let Some(objects) = fields.take("matchConditions") {
        part.remark(RemarkCode::EveryObject, &objects.place, "`matchConditions`: every pull is governed");
    }
    let (attestors, attestations) = (fields.list("attestors")?, fields.list("attestations")?);
    let validations = fields.list("validations")?;
    fields.pass_over(&NOTHING);
    let asked = match fields.first_left() {
        Some((key, _)) => {
            let why = format!("`{}` is not known here", pullgate_policy::text::escape(key));
            Err((RemarkCode::UnknownField, why))
        }
        None => needs(reader, (attestors, attestations), validations, &mut part)?,
    };
    match asked {
        Ok(needs) => {
            part.remark(RemarkCode::SignatureOnly, &node.place, "any bundle counts as a signature there");
            part.asks = Asks::Each(needs);
        }
        Err((code, why)) => {
            part.remark(code, &node.place, why.as_str());
            part.asks = Asks::Denial(why);
        }
    }
    Ok(part)
}

fn matched(image: &Node, part: &mut Part) -> Result<(), Fault> {
    let mut fields = image.fields()?;
    let lost = |glob: &str, text: &str| Lost {
        place: image.place.clone(),
        pattern: text.to_owned(),
        glob: glob.to_owned(),
    };
    let Some(glob) = fields.text("glob")? else {
        part.remark(RemarkCode::Pattern, &image.place, "images by an expression");
        part.lost.push(lost("*", "an expression"));
        return Ok(());
    };
    match pattern::read(glob) {
        Matched::Areas { areas, remarks } => {
            part.areas.extend(areas);
            for (code, why) in remarks {
                part.remark(code, &image.place, format!("{glob}: {why}"));
            }
        }
        Matched::Unsaid { code, why, glob: wide } => {
            part.remark(code, &image.place, format!("{glob}: {why}"));
            // The text in a pod may leave the registry out.
            let wide = if glob.contains('/') { wide } else { "*".to_owned() };
            part.lost.push(lost(&wide, glob));
        }
    }
    Ok(())
}

/// What the validations ask for, each of them.
fn needs(
    reader: &mut Reader<'_>,
    (attestors, attestations): (&[Node], &[Node]),
    validations: &[Node],
    part: &mut Part,
) -> Result<Result<Vec<Need>, Unnamed>, Fault> {
    let mut types: BTreeMap<&str, &str> = BTreeMap::new();
    for node in attestations {
        if let (Some(name), Some(kind)) = (node.text_at(&["name"]), node.text_at(&["intoto", "type"])) {
            types.insert(name, kind);
        }
    }
    if validations.is_empty() {
        return Ok(Err((
            RemarkCode::Code,
            "it verifies nothing, and requires what it matches to be verified".to_owned(),
        )));
    }
    let mut needs = Vec::new();
    for node in validations {
        let expression: String =
            node.text_at(&["expression"]).unwrap_or_default().split_whitespace().collect();
        let Some(counted) = counted(&expression) else {
            return Ok(Err((RemarkCode::Code, "an expression that is none of the known forms".to_owned())));
        };
        let kind = match counted.attestation.map(|name| types.get(name).copied()) {
            None => None,
            Some(Some(kind)) => match predicate::exact(kind) {
                Ok(kind) => Some(kind),
                Err(why) => return Ok(Err(why)),
            },
            Some(None) => {
                return Ok(Err((RemarkCode::Notation, "an attestation that is none of in-toto".to_owned())));
            }
        };
        let mut any_of: Vec<Who> = Vec::new();
        for name in &counted.attestors {
            let Some(attestor) = attestors.iter().find(|one| one.text_at(&["name"]) == Some(*name)) else {
                return Ok(Err((RemarkCode::IdentityOpen, "an attestor that is not there".to_owned())));
            };
            match self::attestor(reader, attestor, part)? {
                // Several identities of one attestor are one signer: a number of them could be one attestor.
                Ok(who) if counted.least > 1 && who.len() > 1 => {
                    return Ok(Err((
                        RemarkCode::AttestorsNested,
                        "a number of attestors of several identities".to_owned(),
                    )));
                }
                Ok(who) => any_of.extend(who),
                Err(why) => return Ok(Err(why)),
            }
        }
        let threshold = counted.least;
        needs.push(Need(vec![Alternative {
            threshold,
            attestation: kind,
            ..Alternative::signature(any_of)
        }]));
    }
    Ok(Ok(needs))
}

/// How many of whom an expression counts.
struct Counted<'e> {
    attestation: Option<&'e str>,
    attestors: Vec<&'e str>,
    least: usize,
}

/// `images.X.map(image,verify…(image,[…])).all(e,e>0)`, without blanks.
fn counted(expression: &str) -> Option<Counted<'_>> {
    let (images, rest) = expression.strip_prefix("images.")?.split_once(".map(image,")?;
    images.chars().all(|c| c.is_ascii_alphanumeric()).then_some(())?;
    let (attestation, rest) = match rest.strip_prefix("verifyImageSignatures(image,[") {
        Some(rest) => (None, rest),
        None => {
            let rest = rest.strip_prefix("verifyAttestationSignatures(image,attestations.")?;
            let (name, rest) = rest.split_once(",[")?;
            (Some(name), rest)
        }
    };
    let (names, rest) = rest.split_once("])).all(e,e")?;
    let attestors: Option<Vec<&str>> = names.split(',').map(|name| name.strip_prefix("attestors.")).collect();
    let attestors = attestors?;
    let named = |name: &&str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    attestors.iter().chain(&attestation).all(named).then_some(())?;
    let least = match rest.strip_suffix(')')? {
        ">0" => 1,
        rest => {
            rest.strip_prefix(">=").or_else(|| rest.strip_prefix("=="))?.parse().ok().filter(|n| *n > 0)?
        }
    };
    Some(Counted { attestation, attestors, least })
}

fn attestor(
    reader: &mut Reader<'_>,
    node: &Node,
    part: &mut Part,
) -> Result<Result<Vec<Who>, Unnamed>, Fault> {
    let mut fields = node.fields()?;
    fields.pass_over(&["name"]);
    let (cosign, notary) = (fields.take("cosign"), fields.take("notary"));
    let (Some(cosign), None, None) = (cosign, notary, fields.first_left()) else {
        return Ok(Err((RemarkCode::Notation, "an attestor of Notation's".to_owned())));
    };
    let mut fields = cosign.fields()?;
    let (key, keyless, log) = (fields.take("key"), fields.take("keyless"), fields.take("ctlog"));
    if let Some((key, _)) = fields.first_left() {
        return Ok(Err((RemarkCode::TrustRoot, format!("`cosign.{}`", pullgate_policy::text::escape(key)))));
    }
    let transparency = match log.map(transparency).transpose()? {
        None => Transparency::Required,
        Some(Ok(transparency)) => transparency,
        Some(Err(why)) => return Ok(Err(why)),
    };
    match (key, keyless) {
        (Some(key), None) => keyed(reader, key, transparency),
        (None, Some(keyless)) if transparency == Transparency::Required => identities(reader, keyless, part),
        (_, _) => Ok(Err((RemarkCode::TrustRoot, "neither a key nor a logged identity".to_owned()))),
    }
}

fn transparency(node: &Node) -> Result<Result<Transparency, Unnamed>, Fault> {
    let mut fields = node.fields()?;
    let (url, ignored) = (fields.text("url")?, fields.truth("insecureIgnoreTlog")?);
    fields.pass_over(&["insecureIgnoreSCT"]);
    Ok(match (fields.first_left(), ignored, url) {
        (Some((key, _)), _, _) => {
            Err((RemarkCode::TrustRoot, format!("`ctlog.{}`", pullgate_policy::text::escape(key))))
        }
        (None, Some(true), _) => Ok(Transparency::Optional),
        (None, _, Some(_)) => Ok(Transparency::Required),
        (None, _, None) => {
            Err((RemarkCode::TrustRoot, "`ctlog` without `url` is never met there".to_owned()))
        }
    })
}

fn keyed(
    reader: &mut Reader<'_>,
    node: &Node,
    transparency: Transparency,
) -> Result<Result<Vec<Who>, Unnamed>, Fault> {
    let mut fields = node.fields()?;
    let (data, kms) = (fields.text("data")?, fields.text("kms")?);
    let hash = fields.text("hashAlgorithm")?.unwrap_or("sha256");
    if !hash.eq_ignore_ascii_case("sha256") {
        return Ok(Err((RemarkCode::HashAlgorithm, "signatures by another hash".to_owned())));
    }
    let bytes = match (data, kms, fields.first_left()) {
        (Some(data), None, None) => Ok(data.as_bytes().to_vec()),
        (None, Some(kms), None) => reader.referred(kms, None),
        (_, _, _) => Err((RemarkCode::KeyByReference, "a key that is neither `data` nor `kms`".to_owned())),
    };
    Ok(bytes.and_then(|bytes| {
        reader.trusted.key(("key", &node.place), &bytes, (transparency, "sigstore")).map(|who| vec![who])
    }))
}

fn identities(
    reader: &mut Reader<'_>,
    node: &Node,
    part: &mut Part,
) -> Result<Result<Vec<Who>, Unnamed>, Fault> {
    let mut fields = node.fields()?;
    let listed = fields.list("identities")?;
    if fields.first_left().is_some() || listed.is_empty() {
        return Ok(Err((RemarkCode::TrustRoot, "roots of its own, or no identities".to_owned())));
    }
    let mut who = Vec::new();
    for one in listed {
        let mut fields = one.fields()?;
        let issuer = pattern(fields.text("issuer")?, fields.text("issuerRegExp")?);
        let identity = pattern(fields.text("subject")?, fields.text("subjectRegExp")?);
        if let Some((key, _)) = fields.first_left() {
            let why = format!("`{}` of an identity", pullgate_policy::text::escape(key));
            return Ok(Err((RemarkCode::UnknownField, why)));
        }
        let named = issuer.and_then(|issuer| {
            let by = By::Identity { issuer, identity: identity?, claims: BTreeMap::new() };
            reader.trusted.identity((&part.name, &one.place), by, (Transparency::Required, "sigstore"))
        });
        match named {
            Ok(one) => who.push(one),
            Err(why) => return Ok(Err(why)),
        }
    }
    Ok(Ok(who))
}

/// A text is exact here: a `*` in it is a `*`.
fn pattern(text: Option<&str>, regex: Option<&str>) -> Result<Pattern, Unnamed> {
    match (text.filter(|text| !text.is_empty()), regex.filter(|text| !text.is_empty())) {
        (Some(text), None) => Ok(Pattern::Exact(text.to_owned())),
        (None, Some(regex)) => {
            expression::searched(regex).ok_or_else(|| (RemarkCode::Authority, "no pattern here".to_owned()))
        }
        (_, _) => Err((RemarkCode::IdentityOpen, "nobody is named".to_owned())),
    }
}
