//! One authority: a key or identities, whom a signature or attestations must be by.

use std::collections::BTreeMap;

use super::trust::{Sct, trust_table};
use super::{attestation, invalid};
use crate::import::expression;
use crate::import::fault::Fault;
use crate::import::model::{Alternative, Need, Part};
use crate::import::reader::Reader;
use crate::import::remark::RemarkCode;
use crate::import::tree::{Fields, Node};
use crate::import::trusted::{By, Pattern, Transparency, Unnamed, Who};

/// When an authority passes an image.
pub(super) enum Passes {
    Always,
    Never,
    With(Vec<Need>),
    Unsaid(Unnamed),
}

/// Where its log and its timestamps come from.
struct Vouching<'n> {
    log: Option<Option<&'n str>>,
    timestamps: Option<Option<&'n str>>,
}

pub(super) fn read(
    reader: &mut Reader<'_>,
    node: &Node,
    at: usize,
    part: &mut Part,
) -> Result<Passes, Fault> {
    let mut fields = node.fields()?;
    let name = fields.text("name")?.map_or_else(|| format!("{}-{at}", part.name), str::to_owned);
    if let Some(fixed) = fields.take("static") {
        return match fixed.text_at(&["action"]) {
            Some("pass") => Ok(Passes::Always),
            Some("fail") => Ok(Passes::Never),
            Some(_) | None => Err(invalid(fixed, "`static` has an `action`, \"pass\" or \"fail\"")),
        };
    }
    let vouching = Vouching {
        log: trust_of(&mut fields, "ctlog")?,
        timestamps: trust_of(&mut fields, "rfc3161timestamp")?,
    };
    let bundles = match fields.text("signatureFormat")? {
        Some("bundle") => true,
        Some("legacy" | "") | None => false,
        Some(_) => return Err(invalid(node, "`signatureFormat` is unknown")),
    };
    if let Some(why) = sources(&mut fields, part)? {
        return Ok(Passes::Unsaid(why));
    }
    let attestations = fields.list("attestations")?;
    let (key, keyless) = (fields.take("key"), fields.take("keyless"));
    let signers = match (key, keyless) {
        (Some(_), None) if bundles => {
            Err((RemarkCode::Authority, "bundles are by identities only there".to_owned()))
        }
        (Some(key), None) => keyed(reader, (&name, key), &vouching)?,
        (None, Some(keyless)) => identities(reader, (&name, keyless), &vouching, part)?,
        (None, None) | (Some(_), Some(_)) => {
            return Err(invalid(node, "one of `key`, `keyless` and `static`"));
        }
    };
    let any_of = match signers {
        Ok(any_of) if bundles && any_of.len() > 1 => {
            return Ok(Passes::Unsaid((
                RemarkCode::Authority,
                "bundles are by one identity only there".to_owned(),
            )));
        }
        Ok(any_of) => any_of,
        Err(why) => return Ok(Passes::Unsaid(why)),
    };
    if let Some((key, _)) = fields.first_left() {
        let why = format!("`{}` is not known here", pullgate_policy::text::escape(key));
        return Ok(Passes::Unsaid((RemarkCode::UnknownField, why)));
    }
    if attestations.is_empty() {
        if bundles {
            part.remark(
                RemarkCode::SignatureOnly,
                &node.place,
                "any bundle by it counts as a signature there",
            );
        }
        return Ok(Passes::With(vec![Need(vec![Alternative::signature(any_of)])]));
    }
    let mut needs = Vec::new();
    for node in attestations {
        match attestation::read(node, &any_of, part)? {
            Ok(alternative) => needs.push(Need(vec![alternative])),
            Err(why) => return Ok(Passes::Unsaid(why)),
        }
    }
    Ok(Passes::With(needs))
}

/// Whether there is such a field, and the trust root that it names.
fn trust_of<'n>(fields: &mut Fields<'n>, key: &str) -> Result<Option<Option<&'n str>>, Fault> {
    let Some(node) = fields.take(key) else { return Ok(None) };
    Ok(Some(node.fields()?.text("trustRootRef")?))
}

fn sources(fields: &mut Fields<'_>, part: &mut Part) -> Result<Option<Unnamed>, Fault> {
    for source in fields.list("source")? {
        let mut fields = source.fields()?;
        fields.pass_over(&["signaturePullSecrets"]);
        if let Some(repository) = fields.text("oci")? {
            let text = format!("signatures lie in {repository}: `evidence` of the upstream");
            part.remark(RemarkCode::EvidenceElsewhere, &source.place, text);
        }
        if fields.text("tagPrefix")?.is_some_and(|prefix| !prefix.is_empty()) {
            return Ok(Some((RemarkCode::TagPrefix, "signatures lie under tags with a prefix".to_owned())));
        }
    }
    Ok(None)
}

fn keyed(
    reader: &mut Reader<'_>,
    (name, node): (&str, &Node),
    vouching: &Vouching<'_>,
) -> Result<Result<Vec<Who>, Unnamed>, Fault> {
    let mut fields = node.fields()?;
    let (data, secret, kms) = (fields.text("data")?, fields.take("secretRef"), fields.text("kms")?);
    let hash = fields.text("hashAlgorithm")?.unwrap_or("sha256");
    if let Some((key, _)) = fields.first_left() {
        let why = format!("`{}` of a key is not known here", pullgate_policy::text::escape(key));
        return Ok(Err((RemarkCode::UnknownField, why)));
    }
    if !hash.eq_ignore_ascii_case("sha256") {
        let why = format!("signatures by {}", pullgate_policy::text::escape(hash));
        return Ok(Err((RemarkCode::HashAlgorithm, why)));
    }
    let bytes = match (data, secret, kms) {
        (Some(data), None, None) => Ok(data.as_bytes().to_vec()),
        (None, Some(secret), None) => {
            let name = secret.text_at(&["name"]).unwrap_or_default();
            let name = match secret.text_at(&["namespace"]) {
                Some(namespace) => format!("{namespace}/{name}"),
                None => name.to_owned(),
            };
            reader.referred(&format!("secret:{name}"), Some(&name))
        }
        (None, None, Some(kms)) => reader.referred(kms, None),
        (_, _, _) => return Err(invalid(node, "one of `data`, `secretRef` and `kms`")),
    };
    let vouched = match (vouching.log, vouching.timestamps) {
        // A timestamp is looked for in place of a log, and need not be there.
        (_, Some(_)) | (None, None) => Ok((Transparency::Optional, "sigstore".to_owned())),
        (Some(root), None) => {
            trust_table(reader, root, Sct::Required, &node.place).map(|table| (Transparency::Required, table))
        }
    };
    Ok(bytes.and_then(|bytes| {
        let (transparency, table) = vouched?;
        reader.trusted.key((name, &node.place), &bytes, (transparency, &table)).map(|who| vec![who])
    }))
}

fn identities(
    reader: &mut Reader<'_>,
    (name, node): (&str, &Node),
    vouching: &Vouching<'_>,
    part: &mut Part,
) -> Result<Result<Vec<Who>, Unnamed>, Fault> {
    let mut fields = node.fields()?;
    let ca = fields.take("ca-cert");
    let root = fields.text("trustRootRef")?;
    let sct = if fields.truth("insecureIgnoreSCT")? == Some(true) { Sct::Ignored } else { Sct::Required };
    fields.pass_over(&["url"]);
    let listed = fields.list("identities")?;
    if let Some((key, _)) = fields.first_left() {
        let why =
            format!("`{}` of a keyless authority is not known here", pullgate_policy::text::escape(key));
        return Ok(Err((RemarkCode::UnknownField, why)));
    }
    if listed.is_empty() {
        return Err(invalid(node, "a keyless authority has no `identities`"));
    }
    let mut read = Vec::new();
    for one in listed {
        read.push(identity(one)?);
    }
    if ca.is_some() {
        let why = "`ca-cert` is never looked at there, so nobody meets it";
        return Ok(Err((RemarkCode::TrustRoot, why.to_owned())));
    }
    // One table has the authorities, logs and clocks.
    let other = |table: Option<Option<&str>>| table.is_some_and(|table| table != root);
    if other(vouching.log) || other(vouching.timestamps) {
        let why = "certificates, logs and timestamps under several trust roots";
        return Ok(Err((RemarkCode::TrustRoot, why.to_owned())));
    }
    let transparency = match (vouching.log, vouching.timestamps, root) {
        (Some(_), None, _) | (None, None, None) => Transparency::Required,
        (_, Some(_), _) | (None, None, Some(_)) => Transparency::None,
    };
    let table = match trust_table(reader, root, sct, &node.place) {
        Ok(table) => table,
        Err(why) => return Ok(Err(why)),
    };
    if sct == Sct::Ignored && table == "sigstore" {
        part.remark(RemarkCode::SctRequired, &node.place, "`insecureIgnoreSCT`: it stays required");
    }
    let mut who = Vec::new();
    let mut gone = None;
    for (one, by) in listed.iter().zip(read) {
        let named = by.and_then(|by| reader.trusted.identity((name, &one.place), by, (transparency, &table)));
        match named {
            Ok(one) => who.push(one),
            Err(why) => {
                let place = &one.place;
                part.remark(RemarkCode::AlternativeDropped, place, why.1.as_str());
                gone = gone.or(Some(why));
            }
        }
    }
    Ok(match gone {
        Some(why) if who.is_empty() => Err(why),
        Some(_) | None => Ok(who),
    })
}

/// An identity; an error of the outer kind is one that the original refuses.
fn identity(node: &Node) -> Result<Result<By, Unnamed>, Fault> {
    let mut fields = node.fields()?;
    let said = |text: Option<&'_ str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
    let (issuer, issuer_regex) = (said(fields.text("issuer")?), said(fields.text("issuerRegExp")?));
    let (subject, subject_regex) = (said(fields.text("subject")?), said(fields.text("subjectRegExp")?));
    if let Some((key, _)) = fields.first_left() {
        return Err(invalid(
            node,
            &format!("`{}` of an identity is unknown", pullgate_policy::text::escape(key)),
        ));
    }
    if (issuer.is_none() && issuer_regex.is_none()) || (subject.is_none() && subject_regex.is_none()) {
        return Err(invalid(node, "an identity without issuer or without subject"));
    }
    let pattern = |exact: Option<String>, regex: Option<String>| match (exact, regex) {
        (Some(exact), None) => Ok(Pattern::Exact(exact)),
        (None, Some(regex)) => expression::searched(&regex).ok_or_else(|| {
            (RemarkCode::Authority, format!("no pattern here: {}", pullgate_policy::text::escape(&regex)))
        }),
        (None, None) | (Some(_), Some(_)) => {
            Err((RemarkCode::Authority, "a text and a pattern for one thing".to_owned()))
        }
    };
    Ok(pattern(issuer, issuer_regex).and_then(|issuer| {
        let identity = pattern(subject, subject_regex)?;
        Ok(By::Identity { issuer, identity, claims: BTreeMap::new() })
    }))
}
