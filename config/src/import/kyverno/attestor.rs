//! Sets of attestors: how many of whom must have signed.

use std::collections::BTreeMap;

use crate::import::expression;
use crate::import::fault::Fault;
use crate::import::model::{Alternative, Need, Part};
use crate::import::reader::Reader;
use crate::import::remark::RemarkCode;
use crate::import::tree::{Fields, Node};
use crate::import::trusted::{By, Pattern, Transparency, Unnamed};

/// What several keys in one entry stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keys {
    /// An entry each.
    Each,
    /// The first is read, the others are not.
    First,
}

/// A set: all of its entries unless `count` says less.
pub(super) fn set(
    reader: &mut Reader<'_>,
    node: &Node,
    keys: Keys,
    part: &mut Part,
) -> Result<Result<Vec<Need>, Unnamed>, Fault> {
    let mut fields = node.fields()?;
    let count = fields.take("count").map(Node::count).transpose()?;
    let entries = fields.list("entries")?;
    if let Some((key, _)) = fields.first_left() {
        return Ok(Err(unknown(key)));
    }
    let mut read = Vec::new();
    let mut gone: Vec<Unnamed> = Vec::new();
    for entry in entries {
        match one(reader, entry, keys, part)? {
            Ok(alternatives) => read.extend(alternatives),
            Err(why) => {
                let code = if count == Some(1) { RemarkCode::AlternativeDropped } else { why.0 };
                part.remark(code, &entry.place, why.1.as_str());
                gone.push(why);
            }
        }
    }
    let total = read.len() + gone.len();
    let Some(first) = read.first().cloned() else {
        let nobody = (RemarkCode::IdentityOpen, "a set of attestors that names nobody".to_owned());
        return Ok(Err(gone.into_iter().next().unwrap_or(nobody)));
    };
    match count.filter(|count| *count > 0 && *count < total) {
        // All of them, each by itself.
        None => Ok(match gone.into_iter().next() {
            Some(why) => Err(why),
            None => Ok(read.into_iter().map(|one| Need(vec![one])).collect()),
        }),
        Some(1) => Ok(Ok(vec![Need::of(read)])),
        Some(count) => {
            if count > read.len() || !read.iter().all(|one| one.asks_as(&first)) {
                let why = "a number of entries that ask for different things, or cannot be named";
                return Ok(Err((RemarkCode::AttestorsNested, why.to_owned())));
            }
            part.remark(
                RemarkCode::ThresholdSigners,
                &node.place,
                "`count`: that many different signers here",
            );
            let mut who = Vec::new();
            for one in read.into_iter().flat_map(|one| one.any_of) {
                if !who.contains(&one) {
                    who.push(one);
                }
            }
            Ok(Ok(vec![Need(vec![Alternative { any_of: who, threshold: count, ..first }])]))
        }
    }
}

fn unknown(key: &str) -> Unnamed {
    (RemarkCode::UnknownField, format!("`{}` is not known here", pullgate_policy::text::escape(key)))
}

/// One entry: of several keys an alternative each.
fn one(
    reader: &mut Reader<'_>,
    node: &Node,
    keys: Keys,
    part: &mut Part,
) -> Result<Result<Vec<Alternative>, Unnamed>, Fault> {
    let mut fields = node.fields()?;
    let annotations = annotations(&mut fields)?;
    if let Some(repository) = fields.text("repository")? {
        let text = format!("signatures lie in {repository}: `evidence` of the upstream");
        part.remark(RemarkCode::EvidenceElsewhere, &node.place, text);
    }
    let signed = match (
        fields.take("keys"),
        fields.take("keyless"),
        fields.take("certificates"),
        fields.take("attestor"),
    ) {
        (Some(held), None, None, None) => keyed(reader, held, keys)?,
        (None, Some(keyless), None, None) => identified(reader, keyless, part)?.map(|one| vec![one]),
        (None, None, Some(certificates), None) => certified(certificates)?,
        (None, None, None, Some(_)) => {
            Err((RemarkCode::AttestorsNested, "a set of attestors in a set".to_owned()))
        }
        (_, _, _, _) => Err((RemarkCode::IdentityOpen, "an entry that names nobody".to_owned())),
    };
    if let Some((key, _)) = fields.first_left() {
        return Ok(Err(unknown(key)));
    }
    if !annotations.is_empty() {
        part.remark(
            RemarkCode::AnnotationsTogether,
            &node.place,
            "`annotations`: in the signer's own payload here",
        );
    }
    Ok(signed.map(|each| {
        each.into_iter().map(|one| Alternative { annotations: annotations.clone(), ..one }).collect()
    }))
}

fn annotations(fields: &mut Fields<'_>) -> Result<BTreeMap<String, String>, Fault> {
    let mut annotations = BTreeMap::new();
    if let Some(node) = fields.take("annotations") {
        let crate::import::tree::Value::Map(entries) = &node.value else {
            return Err(node.unexpected("texts"));
        };
        for (key, value) in entries {
            annotations.insert(key.clone(), value.text()?.to_owned());
        }
    }
    Ok(annotations)
}

/// The texts of all PEM blocks, one after another.
fn blocks(pem: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut rest = pem;
    while let Some((block, after)) = rest.split_once("-----END PUBLIC KEY-----") {
        blocks.push(format!("{}-----END PUBLIC KEY-----\n", block.trim_start()));
        rest = after;
    }
    // What is no block is no key either, and is told as such.
    if !rest.trim().is_empty() {
        blocks.push(rest.trim().to_owned());
    }
    blocks
}

fn keyed(
    reader: &mut Reader<'_>,
    node: &Node,
    keys: Keys,
) -> Result<Result<Vec<Alternative>, Unnamed>, Fault> {
    let mut fields = node.fields()?;
    let written = fields.text("publicKeys")?;
    let (secret, kms) = (fields.take("secret"), fields.text("kms")?);
    let algorithm = fields.text("signatureAlgorithm")?.unwrap_or("sha256");
    let transparency = match fields.take("rekor").map(log).transpose()? {
        None => Transparency::Required,
        Some(Ok(transparency)) => transparency,
        Some(Err(why)) => return Ok(Err(why)),
    };
    if let Some(ctlog) = fields.take("ctlog") {
        let mut fields = ctlog.fields()?;
        fields.pass_over(&["ignoreSCT", "url"]);
        if let Some((key, _)) = fields.first_left() {
            return Ok(Err((
                RemarkCode::TrustRoot,
                format!("`ctlog.{}`", pullgate_policy::text::escape(key)),
            )));
        }
    }
    if let Some((key, _)) = fields.first_left() {
        return Ok(Err(unknown(key)));
    }
    if algorithm != "sha256" {
        return Ok(Err((
            RemarkCode::HashAlgorithm,
            format!("signatures by {}", pullgate_policy::text::escape(algorithm)),
        )));
    }
    let held = match (written, secret, kms) {
        (Some(text), None, None) if text.contains("{{") => {
            Err((RemarkCode::Variable, "the key is a variable".to_owned()))
        }
        (Some(text), None, None) if text.contains("-----BEGIN") => Ok(blocks(text)),
        // A reference to a Secret, or to a service that holds the key.
        (Some(reference), None, None) | (None, None, Some(reference)) => {
            let secret = reference.strip_prefix("k8s://");
            reader.referred(reference, secret).map(|bytes| vec![String::from_utf8_lossy(&bytes).into_owned()])
        }
        (None, Some(secret), None) => {
            let name = secret.text_at(&["name"]).unwrap_or_default();
            let name = match secret.text_at(&["namespace"]) {
                Some(namespace) => format!("{namespace}/{name}"),
                None => name.to_owned(),
            };
            let held = reader.referred(&format!("secret:{name}"), Some(&name));
            held.map(|bytes| vec![String::from_utf8_lossy(&bytes).into_owned()])
        }
        (_, _, _) => Err((RemarkCode::IdentityOpen, "one of `publicKeys`, `secret` and `kms`".to_owned())),
    };
    let held = match held {
        Ok(held) => held,
        Err(why) => return Ok(Err(why)),
    };
    let read = if keys == Keys::First { 1 } else { held.len() };
    let each = held.iter().take(read).map(|pem| {
        let who = reader.trusted.key(("key", &node.place), pem.as_bytes(), (transparency, "sigstore"))?;
        Ok(Alternative::signature(vec![who]))
    });
    Ok(each.collect())
}

/// Whether a log's entry is asked for.
fn log(node: &Node) -> Result<Result<Transparency, Unnamed>, Fault> {
    let mut fields = node.fields()?;
    let ignored = fields.truth("ignoreTlog")?;
    let url = fields.text("url")?;
    if url.is_some_and(|url| url.contains("{{")) {
        return Ok(Err((RemarkCode::TrustRoot, "a log that a variable names".to_owned())));
    }
    if let Some((key, _)) = fields.first_left() {
        return Ok(Err((RemarkCode::TrustRoot, format!("`rekor.{}`", pullgate_policy::text::escape(key)))));
    }
    Ok(Ok(if ignored == Some(true) { Transparency::Optional } else { Transparency::Required }))
}

fn identified(
    reader: &mut Reader<'_>,
    node: &Node,
    part: &mut Part,
) -> Result<Result<Alternative, Unnamed>, Fault> {
    let mut fields = node.fields()?;
    let said = |text: Option<&'_ str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
    let (issuer, issuer_regex) = (said(fields.text("issuer")?), said(fields.text("issuerRegExp")?));
    let (subject, subject_regex) = (said(fields.text("subject")?), said(fields.text("subjectRegExp")?));
    match fields.take("rekor").map(log).transpose()? {
        None | Some(Ok(Transparency::Required)) => {}
        Some(Ok(Transparency::Optional | Transparency::None)) => {
            let why = "a certificate without a log's entry: nobody tells when it signed";
            return Ok(Err((RemarkCode::TrustRoot, why.to_owned())));
        }
        Some(Err(why)) => return Ok(Err(why)),
    }
    if let Some(ctlog) = fields.take("ctlog") {
        let mut fields = ctlog.fields()?;
        if fields.truth("ignoreSCT")? == Some(true) {
            part.remark(RemarkCode::SctRequired, &ctlog.place, "`ignoreSCT`: it stays required");
        }
        fields.pass_over(&["url"]);
        if let Some((key, _)) = fields.first_left() {
            return Ok(Err((
                RemarkCode::TrustRoot,
                format!("`ctlog.{}`", pullgate_policy::text::escape(key)),
            )));
        }
    }
    if fields.text("roots")?.is_some_and(|roots| !roots.is_empty()) {
        return Ok(Err((RemarkCode::TrustRoot, "certificate authorities of its own".to_owned())));
    }
    if let Some((key, _)) = fields.first_left() {
        return Ok(Err(unknown(key)));
    }
    let issuer = match pattern(issuer, issuer_regex, "issuer") {
        Ok(issuer) => issuer,
        Err(why) => return Ok(Err(why)),
    };
    let identity = match pattern(subject, subject_regex, "subject") {
        Ok(identity) => identity,
        Err(why) => return Ok(Err(why)),
    };
    let by = By::Identity { issuer, identity, claims: BTreeMap::new() };
    let who = reader.trusted.identity((&part.name, &node.place), by, (Transparency::Required, "sigstore"));
    Ok(who.map(|who| Alternative::signature(vec![who])))
}

/// A text with wildcards, or a pattern that is searched for.
fn pattern(text: Option<String>, regex: Option<String>, what: &str) -> Result<Pattern, Unnamed> {
    match (text, regex) {
        (Some(text), None) if text.contains("{{") => {
            Err((RemarkCode::Variable, format!("the {what} is a variable")))
        }
        (Some(text), None) => Ok(expression::wildcards(&text)),
        (None, Some(regex)) => expression::searched(&regex).ok_or_else(|| {
            (RemarkCode::Authority, format!("no pattern here: {}", pullgate_policy::text::escape(&regex)))
        }),
        (None, None) => Err((RemarkCode::IdentityOpen, format!("no {what} is named: anybody would do"))),
        (Some(_), Some(_)) => Err((RemarkCode::Authority, format!("a text and a pattern for the {what}"))),
    }
}

/// A certificate's key is not taken out of it here; a chain alone is whoever the authority certified.
fn certified(node: &Node) -> Result<Result<Vec<Alternative>, Unnamed>, Fault> {
    let mut fields = node.fields()?;
    Ok(Err(match fields.text("cert")? {
        Some(_) => {
            let why = "a certificate: give its key as `keys` (openssl x509 -pubkey -noout)";
            (RemarkCode::CertificateAuthority, why.to_owned())
        }
        None => (RemarkCode::CertificateAuthority, "whoever an authority of its own certified".to_owned()),
    }))
}

/// `key`, or `issuer` and `subject`, in the entry itself.
pub(super) struct Old<'n> {
    key: Option<&'n str>,
    issuer: Option<&'n str>,
    subject: Option<&'n str>,
    annotations: BTreeMap<String, String>,
    has_roots: bool,
}

pub(super) fn old<'n>(fields: &mut Fields<'n>) -> Result<Option<Old<'n>>, Fault> {
    let said = |text: Option<&'n str>| text.filter(|text| !text.is_empty());
    let (key, issuer) = (said(fields.text("key")?), said(fields.text("issuer")?));
    let subject = said(fields.text("subject")?);
    let has_roots = said(fields.text("roots")?).is_some();
    if key.is_none() && issuer.is_none() && subject.is_none() && !has_roots {
        return Ok(None);
    }
    Ok(Some(Old { key, issuer, subject, annotations: annotations(fields)?, has_roots }))
}

pub(super) fn of_old(
    reader: &mut Reader<'_>,
    old: &Old<'_>,
    entry: &Node,
    part: &mut Part,
) -> Result<Need, Unnamed> {
    let place = &entry.place;
    let who = match (old.key, old.issuer, old.subject, old.has_roots) {
        (Some(key), None, None, false) if key.contains("-----BEGIN") => {
            let how = (Transparency::Required, "sigstore");
            reader.trusted.key(("key", place), key.trim().as_bytes(), how)?
        }
        (Some(key), None, None, false) => {
            let bytes = reader.referred(key, key.strip_prefix("k8s://"))?;
            reader.trusted.key(("key", place), &bytes, (Transparency::Required, "sigstore"))?
        }
        (None, Some(issuer), Some(subject), false) => {
            let issuer = pattern(Some(issuer.to_owned()), None, "issuer")?;
            let identity = pattern(Some(subject.to_owned()), None, "subject")?;
            let by = By::Identity { issuer, identity, claims: BTreeMap::new() };
            reader.trusted.identity((&part.name, place), by, (Transparency::Required, "sigstore"))?
        }
        (_, _, _, _) => return Err((RemarkCode::IdentityOpen, "nobody is named, or too many".to_owned())),
    };
    let annotations = old.annotations.clone();
    Ok(Need(vec![Alternative { annotations, ..Alternative::signature(vec![who]) }]))
}
