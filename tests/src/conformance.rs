//! The verifier as the Sigstore client conformance suite asks it (sigstore/sigstore-conformance, `docs/cli_protocol.md`):
//! what the command `sigstore-conformance` does. It is the gate's own verifier, asked about one bundle.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use jiff::Timestamp;
use pullgate_policy::code::Code;
use pullgate_policy::evidence::{Evidence, Layout, Logged, Source};
use pullgate_policy::identity::{Authority, By, IdentityPattern, Name, Principal, Transparency, Uses};
use pullgate_policy::oci::Digest;
use pullgate_policy::text;
use pullgate_verify::{
    Artifact, Found, Item, KeyRing, PublicKey, Request, Sct, TrustSet, TrustTable, verify_all,
};

use crate::borrowed;

/// One bundle, and who is to have signed what.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The bundle.
    pub bundle: PathBuf,
    /// Who signed.
    pub signer: Signer,
    /// Whose certificates, logs and timestamps count.
    pub trust: Trust,
    /// A file, or `sha256:` and 64 hexadecimal digits.
    pub artifact: String,
}

/// Who is to have signed.
#[derive(Debug, Clone)]
pub enum Signer {
    /// Whoever has a certificate for this identity by this issuer, exactly.
    Identity {
        /// The subject alternative name.
        identity: String,
        /// The OIDC issuer.
        issuer: String,
    },
    /// The holder of the key in this file.
    Key(PathBuf),
}

/// What is trusted.
#[derive(Debug, Clone)]
pub enum Trust {
    /// What is built in: the public-good instance, and GitHub's.
    BuiltIn,
    /// Sigstore's staging instance.
    Staging,
    /// A `trusted_root.json`.
    File(PathBuf),
}

/// Verifies one bundle; tells by whom it is.
///
/// # Errors
/// Why it does not verify, or cannot be looked at.
pub fn verify(asked: &Asked) -> Result<String, String> {
    let json = Bytes::from(read(&asked.bundle)?);
    let known = Known::read(&asked.artifact)?;
    let (mut keys, mut by) = (KeyRing::default(), None);
    if let Signer::Key(file) = &asked.signer {
        let read =
            PublicKey::from_file(&read(file)?).map_err(|fault| format!("{}: {fault}", file.display()))?;
        by = Some(By::Keys(read.into_iter().map(|key| keys.insert(key)).collect()));
    }
    let mut told = Vec::new();
    for (table, transparency) in tables(&asked.trust)? {
        // Whom a certificate names is compared below, and exactly.
        let any = By::Identity {
            issuer: IdentityPattern::Exact(String::new()),
            pattern: IdentityPattern::Exact(String::new()),
            claims: BTreeMap::new(),
        };
        let authority = Authority {
            name: Name::new("signer"),
            uses: Uses::Both,
            transparency,
            trust: table.name().clone(),
            by: by.clone().unwrap_or(any),
        };
        let source = Source { layout: Layout::Referrers, manifest: known.subject(), blob: known.subject() };
        let evidence = verify_all(&Request {
            subject: known.subject(),
            artifact: known.artifact(),
            found: &[Found { source, item: Item::Bundle { json: json.clone() } }],
            authorities: &[&authority],
            keys: &keys,
            trust: &TrustSet::new(vec![table]),
            now: Timestamp::now(),
            collected: Timestamp::now(),
        });
        match worth(&evidence, transparency).and_then(|principal| is_by(&principal, &asked.signer)) {
            Ok(by) => return Ok(by),
            Err(why) => told.push(why),
        }
    }
    Err(told.join("; "))
}

fn read(file: &PathBuf) -> Result<Vec<u8>, String> {
    fs::read(file).map_err(|error| format!("{}: {error}", file.display()))
}

/// What the bundle is to be about.
enum Known {
    Bytes(Vec<u8>),
    Digest([u8; 32]),
}

impl Known {
    fn read(text: &str) -> Result<Self, String> {
        let file = PathBuf::from(text);
        match (file.is_file(), text.parse::<Digest>()) {
            (false, Ok(Digest::Sha256(digest))) => Ok(Self::Digest(digest)),
            (false, Ok(Digest::Sha512(_))) => Err("a digest is one by SHA-256 here".to_owned()),
            (_, _) => read(&file).map(Self::Bytes),
        }
    }

    fn subject(&self) -> Digest {
        match self {
            Self::Bytes(bytes) => Digest::of(bytes),
            Self::Digest(digest) => Digest::Sha256(*digest),
        }
    }

    fn artifact(&self) -> Artifact<'_> {
        match self {
            Self::Bytes(bytes) => Artifact::Bytes(bytes),
            Self::Digest(digest) => Artifact::Sha256(*digest),
        }
    }
}

/// Trust tables, and whether they have a log that must have entered the signature.
fn tables(trust: &Trust) -> Result<Vec<(TrustTable, Transparency)>, String> {
    let of = |json: &[u8], sct| {
        TrustTable::from_json(Name::new("root"), json, sct)
            .map_err(|fault| format!("the trusted root: {fault}"))
    };
    let built_in = |table: Result<TrustTable, _>| table.map_err(|fault| format!("a built-in root: {fault}"));
    match trust {
        Trust::BuiltIn => Ok(vec![
            (built_in(TrustTable::sigstore())?, Transparency::Required),
            (built_in(TrustTable::github())?, Transparency::None),
        ]),
        Trust::Staging => {
            // Published by Sigstore, as the cases that need it are.
            let folder =
                borrowed::folder("staging").ok_or("the staging root is not here (PULLGATE_CORPUS)")?;
            let json = read(&folder.join("bundles/roots/staging.json"))?;
            Ok(vec![(of(&json, Sct::Required)?, Transparency::Required)])
        }
        Trust::File(file) => {
            let json = read(file)?;
            let holds = of(&json, Sct::Required)?.describe();
            // An instance without any log, as GitHub's is. The protocol has no word for it.
            match (holds.logs, holds.certificate_logs) {
                (0, 0) => Ok(vec![(of(&json, Sct::None)?, Transparency::None)]),
                (_, _) => Ok(vec![(of(&json, Sct::Required)?, Transparency::Required)]),
            }
        }
    }
}

/// Who made the one signature or attestation that the bundle is.
fn worth(evidence: &Evidence, transparency: Transparency) -> Result<Principal, String> {
    let signatures =
        evidence.signatures.iter().map(|one| (one.facts().principal.clone(), one.facts().logged));
    let attestations =
        evidence.attestations.iter().map(|one| (one.facts().principal.clone(), one.facts().logged));
    match (signatures.chain(attestations).next(), transparency) {
        (Some((principal, Logged::Yes)), _) | (Some((principal, Logged::No(_))), Transparency::None) => {
            Ok(principal)
        }
        (Some((_, Logged::No(code))), Transparency::Optional | Transparency::Required) => Err(told(code, "")),
        (None, _) => {
            let rejected = evidence.rejected.first();
            Err(rejected.map_or_else(|| "nothing was verified".to_owned(), |one| told(one.code, &one.detail)))
        }
    }
}

fn told(code: Code, detail: &str) -> String {
    let detail = if detail.is_empty() { code.cause().to_owned() } else { text::escape(detail) };
    format!("{code}: {detail}")
}

fn is_by(principal: &Principal, signer: &Signer) -> Result<String, String> {
    match (principal, signer) {
        (Principal::Key(id), Signer::Key(_)) => Ok(format!("key {id}")),
        (Principal::Identity(found), Signer::Identity { identity, issuer })
            if found.san == *identity && found.issuer == *issuer =>
        {
            Ok(format!("{} (issuer {})", text::escape(&found.san), text::escape(&found.issuer)))
        }
        (Principal::Identity(found), Signer::Identity { .. }) => Err(format!(
            "signed by {} (issuer {}), who is somebody else",
            text::escape(&found.san),
            text::escape(&found.issuer)
        )),
        (Principal::Certificate(_) | Principal::Notation(_), _) => {
            Err("signed by a certificate of another kind".to_owned())
        }
        (Principal::Key(_), Signer::Identity { .. }) => Err("signed by a key, not by an identity".to_owned()),
        (Principal::Identity(_), Signer::Key(_)) => Err("signed by an identity, not by this key".to_owned()),
    }
}
