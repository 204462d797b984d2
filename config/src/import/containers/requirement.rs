//! One list of requirements.

use base64::Engine as _;

use super::identity::{Identified, identity};
use super::{invalid, unknown};
use crate::import::Accept;
use crate::import::fault::Fault;
use crate::import::model::{Alternative, Claimed, Need};
use crate::import::reader::Reader;
use crate::import::remark::{Remark, RemarkCode};
use crate::import::text::string;
use crate::import::tree::{Fields, Node, Place};
use crate::import::trusted::{By, Pattern, Transparency, Unnamed, Who};

/// What a list asks for, piece by piece.
#[derive(Default)]
pub(super) struct Asked {
    pub(super) pieces: Vec<Piece>,
    pub(super) remarks: Vec<Remark>,
    /// Something must name the scope's own repository, so that nothing below it is ever accepted.
    pub(super) own_name_only: bool,
}

/// What one requirement comes to.
pub(super) enum Piece {
    Denial(String),
    Need(Need),
    Nothing,
}

impl Asked {
    pub(super) fn add(&mut self, other: Self) {
        self.pieces.extend(other.pieces);
        self.remarks.extend(other.remarks);
        self.own_name_only |= other.own_name_only;
    }

    fn refuse(&mut self, place: &Place, (code, why): Unnamed) {
        self.pieces.push(Piece::Denial(why.clone()));
        self.remarks.push(Remark::new(code, place, why));
    }
}

/// Reads the list of a scope; none is the list of no repository in particular.
pub(super) fn read(reader: &mut Reader<'_>, list: &Node, scope: Option<&str>) -> Result<Asked, Fault> {
    let requirements = list.list()?;
    if requirements.is_empty() {
        return Err(invalid(&list.place, "the list of requirements is empty"));
    }
    let mut asked = Asked::default();
    for requirement in requirements {
        one(reader, requirement, scope, &mut asked)?;
    }
    Ok(asked)
}

fn one(reader: &mut Reader<'_>, node: &Node, scope: Option<&str>, asked: &mut Asked) -> Result<(), Fault> {
    let mut fields = node.fields()?;
    let kind = fields.text("type")?.ok_or_else(|| invalid(&node.place, "a requirement has no `type`"))?;
    match kind {
        "insecureAcceptAnything" => asked.pieces.push(Piece::Nothing),
        "reject" => asked.pieces.push(Piece::Denial("rejected by the policy that was imported".to_owned())),
        "signedBy" => {
            fields.pass_over(&["keyType", "keyPath", "keyPaths", "keyData"]);
            if let Some(said) = fields.take("signedIdentity") {
                identity(said, scope)?;
            }
            asked.refuse(&node.place, (RemarkCode::Gpg, "signed by a GPG key".to_owned()));
        }
        "signedBaseLayer" => {
            fields.pass_over(&["baseLayerIdentity"]);
            asked.refuse(&node.place, (RemarkCode::Gpg, "a signed base layer".to_owned()));
        }
        "sigstoreSigned" => sigstore(reader, (node, &mut fields), scope, asked)?,
        _ => return Err(invalid(&node.place, "the type of a requirement is unknown")),
    }
    match fields.first_left() {
        Some((name, place)) => Err(unknown(name, place)),
        None => Ok(()),
    }
}

fn sigstore(
    reader: &mut Reader<'_>,
    (node, fields): (&Node, &mut Fields<'_>),
    scope: Option<&str>,
    asked: &mut Asked,
) -> Result<(), Fault> {
    let keys = Held::take(fields, ["keyPath", "keyPaths", "keyData", "keyDatas"])?;
    let log = Held::take(
        fields,
        ["rekorPublicKeyPath", "rekorPublicKeyPaths", "rekorPublicKeyData", "rekorPublicKeyDatas"],
    )?;
    let (fulcio, pki) = (fields.take("fulcio"), fields.take("pki"));
    let identified = match fields.take("signedIdentity") {
        Some(said) => identity(said, scope)?,
        None => Identified::WithTag,
    };
    let kinds = usize::from(!keys.is_empty()) + usize::from(fulcio.is_some()) + usize::from(pki.is_some());
    if kinds != 1 || (fulcio.is_some() && log.is_empty()) {
        return Err(invalid(&node.place, "one of key, `fulcio` (with a Rekor key) and `pki` is needed"));
    }
    let fulcio = fulcio.map(Fulcio::of).transpose()?;
    if let Some(pki) = pki {
        known_keys(pki, &PKI_KEYS)?;
    }
    let log = match log.read(reader) {
        Ok(log) => log,
        Err(why) => {
            asked.refuse(&node.place, why);
            return Ok(());
        }
    };
    let signers = match (fulcio, pki) {
        (Some(fulcio), _) => fulcio.certified(reader, &log),
        (None, Some(_)) => {
            let why = "certificates of an authority of its own, for a host or an address";
            Err((RemarkCode::Pki, why.to_owned()))
        }
        (None, None) => keyed(reader, &node.place, &keys, &log, asked),
    };
    match signers {
        Ok(any_of) => named(reader, node, any_of, identified, asked),
        Err(why) => asked.refuse(&node.place, why),
    }
    Ok(())
}

const PKI_KEYS: [&str; 6] = [
    "caRootsPath",
    "caRootsData",
    "caIntermediatesPath",
    "caIntermediatesData",
    "subjectEmail",
    "subjectHostname",
];

fn known_keys(node: &Node, known: &[&str]) -> Result<(), Fault> {
    let mut fields = node.fields()?;
    fields.pass_over(known);
    match fields.first_left() {
        Some((name, place)) => Err(unknown(name, place)),
        None => Ok(()),
    }
}

/// The requirement, if what the payload must name can be said.
fn named(reader: &Reader<'_>, node: &Node, any_of: Vec<Who>, identified: Identified, asked: &mut Asked) {
    let need = || {
        let alternative = Alternative { claimed: Claimed::Repository, ..Alternative::signature(any_of) };
        Piece::Need(Need(vec![alternative]))
    };
    match identified {
        Identified::Repository => asked.pieces.push(need()),
        Identified::OwnRepository => {
            asked.own_name_only = true;
            asked.pieces.push(need());
        }
        Identified::WithTag if reader.accepts(Accept::TagIdentity) => {
            let text = "the payload must name the repository, and may name any tag: accepted";
            asked.remarks.push(Remark::new(RemarkCode::Accepted, &node.place, text));
            asked.pieces.push(need());
        }
        Identified::WithTag => {
            let why = "the payload must name repository and tag, as cosign's own never do (`--accept tag-identity`)";
            asked.refuse(&node.place, (RemarkCode::SignedIdentity, why.to_owned()));
        }
        Identified::Otherwise(why) => asked.refuse(&node.place, (RemarkCode::SignedIdentity, why.to_owned())),
    }
}

fn keyed(
    reader: &mut Reader<'_>,
    place: &Place,
    keys: &Held<'_>,
    log: &[Vec<u8>],
    asked: &mut Asked,
) -> Result<Vec<Who>, Unnamed> {
    let (trust, transparency) = match log {
        [] => ("sigstore".to_owned(), Transparency::Optional),
        log => (logs(reader, place, log), Transparency::Required),
    };
    let mut who = Vec::new();
    let mut gone = Vec::new();
    for one in &keys.0 {
        let read = one
            .read(reader)
            .and_then(|bytes| reader.trusted.key((&one.name(), one.place()), &bytes, (transparency, &trust)));
        match read {
            Ok(key) => who.push(key),
            Err(why) => gone.push(why),
        }
    }
    if who.is_empty() {
        let why = gone.into_iter().next();
        return Err(why.unwrap_or((RemarkCode::Authority, "no key".to_owned())));
    }
    for (_, why) in gone {
        asked.remarks.push(Remark::new(RemarkCode::AlternativeDropped, place, why));
    }
    Ok(who)
}

/// A certificate of Fulcio's kind by an authority of its own, logged.
struct Fulcio<'n> {
    place: &'n Place,
    ca: One<'n>,
    issuer: &'n str,
    email: &'n str,
}

impl<'n> Fulcio<'n> {
    fn of(node: &'n Node) -> Result<Self, Fault> {
        let mut fields = node.fields()?;
        let ca = Held::take(&mut fields, ["caPath", "", "caData", ""])?;
        let (issuer, email) = (fields.text("oidcIssuer")?, fields.text("subjectEmail")?);
        if let Some((name, place)) = fields.first_left() {
            return Err(unknown(name, place));
        }
        let (Some(issuer), Some(email), Some(ca)) = (issuer, email, ca.0.into_iter().next()) else {
            return Err(invalid(&node.place, "`fulcio` needs a CA, `oidcIssuer` and `subjectEmail`"));
        };
        Ok(Self { place: &node.place, ca, issuer, email })
    }

    fn certified(&self, reader: &mut Reader<'_>, log: &[Vec<u8>]) -> Result<Vec<Who>, Unnamed> {
        let chain = self.ca.read(reader)?;
        let trust = reader.trusted.trust(("fulcio", self.place), |name| {
            let file = format!("{name}-ca.pem");
            let (line, mut files) = log_files(name, log);
            files.push((file.clone(), chain));
            (vec![format!("fulcio_ca = {}", string(&file)), line, "sct = \"none\"".to_owned()], files)
        });
        let by = By::Identity {
            issuer: Pattern::Exact(self.issuer.to_owned()),
            identity: Pattern::Exact(self.email.to_owned()),
            claims: std::collections::BTreeMap::new(),
        };
        let how = (Transparency::Required, trust.as_str());
        reader.trusted.identity((self.email, self.place), by, how).map(|who| vec![who])
    }
}

/// A trust table of logs alone.
fn logs(reader: &mut Reader<'_>, place: &Place, log: &[Vec<u8>]) -> String {
    reader.trusted.trust(("rekor", place), |name| {
        let (line, files) = log_files(name, log);
        (vec![line], files)
    })
}

fn log_files(name: &str, log: &[Vec<u8>]) -> (String, Vec<(String, Vec<u8>)>) {
    let file = |at: usize| match at {
        0 => format!("{name}-log.pub"),
        at => format!("{name}-log-{}.pub", at + 1),
    };
    let files: Vec<_> = log.iter().enumerate().map(|(at, key)| (file(at), key.clone())).collect();
    let line = match files.as_slice() {
        [(one, _)] => format!("rekor_keys = {}", string(one)),
        several => {
            let names = several.iter().map(|(name, _)| name.as_str());
            format!("rekor_keys = {}", crate::import::text::strings(names))
        }
    };
    (line, files)
}

/// Keys or certificates: in files of the machine, or in the policy.
struct Held<'n>(Vec<One<'n>>);

enum One<'n> {
    Data(&'n Node),
    Path(&'n Node),
}

impl<'n> Held<'n> {
    /// By the keys of one path, several, one text, several texts; one of them at most.
    fn take(fields: &mut Fields<'n>, [path, paths, data, datas]: [&str; 4]) -> Result<Self, Fault> {
        let place = fields.place.clone();
        let mut kinds = Vec::new();
        kinds.extend(fields.take(path).map(|node| vec![One::Path(node)]));
        kinds.extend(fields.take(data).map(|node| vec![One::Data(node)]));
        if let Some(list) = fields.take(paths) {
            kinds.push(list.list()?.iter().map(One::Path).collect());
        }
        if let Some(list) = fields.take(datas) {
            kinds.push(list.list()?.iter().map(One::Data).collect());
        }
        let mut kinds = kinds.into_iter();
        match (kinds.next(), kinds.next()) {
            (None, _) => Ok(Self(Vec::new())),
            (Some(held), None) if !held.is_empty() => Ok(Self(held)),
            (Some(_), _) => Err(invalid(&place, "one of the ways to give a key, and one key at least")),
        }
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them.
    fn read(&self, reader: &Reader<'_>) -> Result<Vec<Vec<u8>>, Unnamed> {
        self.0.iter().map(|one| one.read(reader)).collect()
    }
}

impl One<'_> {
    fn place(&self) -> &Place {
        match self {
            Self::Data(node) | Self::Path(node) => &node.place,
        }
    }

    /// By which its authority is called.
    fn name(&self) -> String {
        match self {
            Self::Data(_) => "key".to_owned(),
            Self::Path(node) => {
                let file = node.text().unwrap_or_default().rsplit('/').next().unwrap_or_default();
                file.trim_end_matches(".pub").trim_end_matches(".pem").to_owned()
            }
        }
    }

    fn read(&self, reader: &Reader<'_>) -> Result<Vec<u8>, Unnamed> {
        let text = |node: &Node| {
            node.text().map(str::to_owned).map_err(|fault| (RemarkCode::Authority, fault.to_string()))
        };
        match self {
            Self::Data(node) => {
                let unreadable = |_| (RemarkCode::Authority, "not Base64".to_owned());
                base64::engine::general_purpose::STANDARD.decode(text(node)?).map_err(unreadable)
            }
            Self::Path(node) => reader.file(&text(node)?),
        }
    }
}
