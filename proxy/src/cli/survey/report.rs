//! What a survey says of an image. Its JSON form is documented in `proxy/README.md` and stable.

use std::collections::BTreeMap;

use jiff::Timestamp;
use pullgate_policy::oci::Digest;
use serde::Serialize;

use super::everybody::Keys;
use crate::cli::verify::report::{self as judged, Rejected};
use crate::signers::{Names, Who};

/// The version of the JSON shape.
pub(super) const VERSION: u32 = 1;

/// All images, and the lines that admit them.
#[derive(Debug, Serialize)]
pub(super) struct Reports<'a> {
    pub(super) version: u32,
    pub(super) images: &'a [Report],
    /// The `[authority]` and `[[policy]]` lines.
    pub(super) lines: &'a str,
}

/// One image, or one child of an index.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) image: String,
    pub(super) digest: Option<Digest>,
    pub(super) media_type: Option<String>,
    /// Of a child.
    pub(super) platform: Option<String>,
    /// In one line, who signed it.
    pub(super) says: String,
    pub(super) evidence: Vec<Piece>,
    pub(super) rejected: Vec<Rejected>,
    /// Layouts that could not be asked, with the code.
    pub(super) unread: BTreeMap<&'static str, String>,
    /// Why it could not be looked at.
    pub(super) why_not: Option<String>,
    pub(super) children: Vec<Self>,
}

/// A signature or an attestation whose cryptography holds.
#[derive(Debug, Serialize)]
pub(super) struct Piece {
    /// The predicate type of an attestation; none for a signature.
    pub(super) predicate_type: Option<String>,
    pub(super) signed_by: Who,
    /// What the lines call the signer.
    pub(super) name: String,
    pub(super) logged: bool,
    pub(super) time: Option<Timestamp>,
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) found: judged::Found,
}

/// What there is to go by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// Somebody signed or attested it, or each child of it; or it is evidence itself.
    Admissible,
    /// Nobody did.
    Nobody,
    /// It could not be looked at, or not everywhere.
    NotLookedAt,
}

impl Report {
    /// What came of looking at an image, and at its children.
    pub(super) fn of(
        about: judged::Report,
        platform: Option<String>,
        children: Vec<Self>,
        (keys, names): (&Keys, &mut Names),
    ) -> Self {
        let unread = about.looked.iter().filter_map(|one| Some((one.layout.as_str(), one.unread.clone()?)));
        // A denial is the survey's own policy's, which nothing meets; what else is in the way is told.
        let why_not = (about.looked.is_empty() && about.ground != Some("evidence")).then(|| {
            let why = about.reasons.first();
            why.map_or_else(|| "not looked at".to_owned(), |why| format!("{}: {}", why.code, why.text))
        });
        let evidence_itself = about.ground == Some("evidence");
        let mut piece = |piece: judged::Piece| Piece {
            name: names.of(&piece.signed_by, keys),
            predicate_type: piece.predicate_type,
            signed_by: piece.signed_by,
            logged: piece.logged,
            time: piece.time,
            annotations: piece.annotations,
            found: piece.found,
        };
        let mut report = Self {
            image: about.image,
            digest: about.digest,
            media_type: about.media_type,
            platform,
            says: String::new(),
            unread: unread.collect(),
            evidence: about.evidence.into_iter().map(&mut piece).collect(),
            rejected: about.rejected,
            why_not,
            children,
        };
        report.says = match evidence_itself {
            true => "is evidence itself, about something else".to_owned(),
            false => report.said(),
        };
        report
    }

    /// Who signed it, each once; signatures, or attestations.
    pub(super) fn signers(&self, kind: Kind) -> Vec<&Piece> {
        let mut signers: Vec<&Piece> = Vec::new();
        for piece in self.evidence.iter().filter(|piece| piece.kind() == kind) {
            if !signers.iter().any(|other| other.signed_by == piece.signed_by) {
                signers.push(piece);
            }
        }
        signers
    }

    /// Whether it is an index that nobody signed or attested, and each of its children somebody signed.
    pub(super) fn stands_by_its_children(&self) -> bool {
        let signed = |child: &Self| !child.signers(Kind::Signature).is_empty();
        self.evidence.is_empty() && !self.children.is_empty() && self.children.iter().all(signed)
    }

    /// What there is to go by.
    pub(super) fn found(&self) -> Found {
        if self.why_not.is_some() {
            return Found::NotLookedAt;
        }
        let by_somebody = !self.evidence.is_empty() || self.stands_by_its_children();
        if by_somebody || self.is_evidence() {
            return Found::Admissible;
        }
        match self.unread.is_empty() {
            true => Found::Nobody,
            false => Found::NotLookedAt,
        }
    }

    fn is_evidence(&self) -> bool {
        self.says.starts_with("is evidence itself")
    }

    fn said(&self) -> String {
        if let Some(why) = &self.why_not {
            return format!("not looked at: {why}");
        }
        let what = if self.children.is_empty() { "image" } else { "index" };
        let (signed, attested) = (self.by(Kind::Signature), self.by(Kind::Attestation));
        let own = match (signed.is_empty(), attested.is_empty()) {
            (true, true) => format!("{what} unsigned"),
            (false, true) => format!("{what} signed by {signed}"),
            (true, false) => format!("{what} attested by {attested}"),
            (false, false) => format!("{what} signed by {signed}, attested by {attested}"),
        };
        if self.children.is_empty() {
            return own;
        }
        let signed = self.children.iter().filter(|child| !child.signers(Kind::Signature).is_empty()).count();
        let mut by: Vec<&str> = Vec::new();
        for signer in self.children.iter().flat_map(|child| child.signers(Kind::Signature)) {
            if !by.contains(&signer.name.as_str()) {
                by.push(&signer.name);
            }
        }
        let by = if by.is_empty() { String::new() } else { format!(" by {}", by.join(", ")) };
        format!("{own}; {signed} of {} children signed{by}", self.children.len())
    }

    fn by(&self, kind: Kind) -> String {
        self.signers(kind).iter().map(|piece| piece.name.as_str()).collect::<Vec<_>>().join(", ")
    }
}

/// Of two kinds of evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Attestation,
    Signature,
}

impl Piece {
    /// What it is.
    pub(super) fn kind(&self) -> Kind {
        match self.predicate_type {
            Some(_) => Kind::Attestation,
            None => Kind::Signature,
        }
    }
}
