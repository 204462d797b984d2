//! An import, and what the gate then says of images with evidence that a test states.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use pullgate_config::{
    Accept, Content, Disk, Import, ImportFault, Imported, Memory, Source, Style, Unreadable, import,
    load_policy_with,
};
use pullgate_policy::code::Code;
use pullgate_policy::content::{Intact, Untrusted};
use pullgate_policy::decide::{Outcome, judge, without_evidence};
use pullgate_policy::evidence::{
    self, AttestationFacts, Evidence, Layout, Logged, Predicate, SignatureFacts, VerifiedAttestation,
    VerifiedSignature, Vouchers,
};
use pullgate_policy::identity::{Identity, KeyId, Name, Principal, SanKind};
use pullgate_policy::oci::{Digest, Document, Image};
use pullgate_policy::policy::{PolicySet, Unmatched};
use pullgate_policy::verdict::{Ground, Subject, Verdict};

pub(crate) const GITHUB: &str = "https://token.actions.githubusercontent.com";
pub(crate) const WORKFLOW: &str = "https://github.com/acme/app/.github/workflows/build.yml@refs/heads/main";

/// Keys that were minted for these tests.
pub(crate) fn key(name: &str) -> String {
    std::fs::read_to_string(keys().join(format!("{name}.pub"))).unwrap()
}

fn keys() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import/keys")
}

/// Text with each line moved to the right, as it stands in a block of YAML.
pub(crate) fn indented(text: &str, by: usize) -> String {
    text.lines().map(|line| format!("{}{line}\n", " ".repeat(by))).collect()
}

fn now() -> Timestamp {
    "2026-12-01T00:00:00Z".parse().unwrap()
}

/// Files of a test in memory, then those on the disk.
struct Both(Memory);

impl Source for Both {
    fn read(&self, path: &Path, most: u64) -> Result<Content, Unreadable> {
        self.0.read(path, most).or_else(|_| Disk.read(path, most))
    }
}

/// What is to be imported.
#[derive(Default)]
pub(crate) struct Asked {
    memory: Memory,
    files: Vec<PathBuf>,
    keys: BTreeMap<String, PathBuf>,
    registries_d: Option<Vec<PathBuf>>,
    accept: BTreeSet<Accept>,
}

impl Asked {
    pub(crate) fn file(mut self, name: &str, text: impl Into<Vec<u8>>) -> Self {
        self.memory = self.memory.with(name, text);
        self.files.push(name.into());
        self
    }

    pub(crate) fn on_disk(mut self, path: PathBuf) -> Self {
        self.files.push(path);
        self
    }

    /// A key of these tests, by what a policy calls it.
    pub(crate) fn key(mut self, reference: &str, name: &str) -> Self {
        self.keys.insert(reference.to_owned(), keys().join(name));
        self
    }

    pub(crate) fn registries_d(mut self, text: &str) -> Self {
        self.memory = self.memory.with("registries.d/default.yaml", text);
        self.registries_d = Some(vec!["registries.d/default.yaml".into()]);
        self
    }

    pub(crate) fn accept(mut self, accept: Accept) -> Self {
        self.accept.insert(accept);
        self
    }

    pub(crate) fn import(&self) -> Result<Imported, ImportFault> {
        let source = Both(self.memory.clone());
        import(&Import {
            source: &source,
            files: self.files.clone(),
            keys: self.keys.clone(),
            trusted_roots: BTreeMap::new(),
            registries_d: self.registries_d.clone(),
            accept: self.accept.clone(),
            now: now(),
        })
    }

    /// The import, which must come about.
    pub(crate) fn gate(&self) -> Gate {
        match self.import() {
            Ok(imported) => Gate::of(imported),
            Err(fault) => panic!("{fault}"),
        }
    }

    /// Why nothing comes of it.
    pub(crate) fn fault(&self) -> String {
        match self.import() {
            Ok(imported) => panic!("{}", imported.policy),
            Err(fault) => fault.to_string(),
        }
    }
}

/// One YAML file.
pub(crate) fn yaml(text: &str) -> Asked {
    Asked::default().file("policy.yaml", text)
}

/// An imported policy in force.
pub(crate) struct Gate {
    pub(crate) imported: Imported,
    set: PolicySet,
}

/// What the gate says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Says {
    Deny,
    Permit,
    Warn,
}

impl Gate {
    pub(crate) fn of(imported: Imported) -> Self {
        let files = imported.files.iter();
        let memory = files.fold(
            Memory::default().with("policy.toml", imported.policy.as_str()),
            |memory, (name, bytes)| memory.with(name, bytes.as_slice()),
        );
        let loaded = load_policy_with(&memory, Path::new("policy.toml"), now());
        match loaded {
            Ok(loaded) => Self { imported, set: loaded.policies.set },
            Err(faults) => panic!("{}\n{}", imported.policy, faults.render(Style::Plain)),
        }
    }

    pub(crate) fn permits_what_is_unmatched(&self) -> bool {
        self.set.unmatched == Unmatched::Permit
    }

    /// The codes of all remarks.
    pub(crate) fn codes(&self) -> BTreeSet<&'static str> {
        let parts = self.imported.parts.iter().flat_map(|part| &part.remarks);
        parts.chain(&self.imported.remarks).map(|remark| remark.code.as_str()).collect()
    }

    pub(crate) fn says(&self, image: &str, signed: &[Signed]) -> Says {
        let image: Image = image.parse().unwrap();
        let document = document();
        let subject = Subject { repository: image.repository.clone(), digest: document.digest() };
        if let Some(verdict) = without_evidence(&self.set, &subject, document.value(), now()) {
            return said(Outcome::Decided(verdict));
        }
        let evidence = evidence(&image.repository.to_string(), signed);
        said(judge(&self.set, &subject, document.value(), &evidence, now()))
    }
}

fn said(outcome: Outcome) -> Says {
    match outcome {
        Outcome::Decided(Verdict::Permit(permit)) if matches!(permit.ground(), Ground::WarnOnly(_)) => {
            Says::Warn
        }
        Outcome::Decided(Verdict::Permit(_)) => Says::Permit,
        Outcome::Decided(Verdict::Deny(_)) => Says::Deny,
        Outcome::Undecided(undecided) => panic!("{undecided:?}"),
    }
}

fn document() -> Intact<Document> {
    let config = "application/vnd.oci.image.config.v1+json";
    let layer = "application/vnd.oci.image.layer.v1.tar";
    let digest = Digest::of(b"{}");
    let text = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
            "config":{{"mediaType":"{config}","digest":"{digest}","size":2}},
            "layers":[{{"mediaType":"{layer}","digest":"{digest}","size":2}}]}}"#
    );
    Untrusted::new(Bytes::from(text)).hash().parse(None).unwrap()
}

/// One signature or attestation whose cryptography holds.
#[derive(Clone)]
pub(crate) struct Signed {
    by: Principal,
    logged: Logged,
    annotations: BTreeMap<String, String>,
    reference: Option<String>,
    is_bundle: bool,
    attests: Option<(String, serde_json::Value)>,
}

impl Signed {
    fn new(by: Principal) -> Self {
        let (annotations, reference, attests) = (BTreeMap::new(), None, None);
        Self { by, logged: Logged::Yes, annotations, reference, is_bundle: false, attests }
    }

    /// By a key of these tests.
    pub(crate) fn key(name: &str) -> Self {
        let key = pullgate_verify::PublicKey::from_file(key(name).as_bytes()).unwrap();
        Self::new(Principal::Key(key[0].id()))
    }

    /// By a key, by the SHA-256 of its SubjectPublicKeyInfo.
    pub(crate) fn key_id(hex: &str) -> Self {
        Self::new(Principal::Key(serde_json::from_value(format!("sha256:{hex}").into()).unwrap()))
    }

    /// By a key that nobody names.
    pub(crate) fn stranger() -> Self {
        Self::new(Principal::Key(KeyId::of_spki(b"nobody's")))
    }

    pub(crate) fn identity(issuer: &str, san: &str) -> Self {
        let kind = match san {
            _ if san.contains(':') => SanKind::Uri,
            _ if san.contains('@') => SanKind::Email,
            _ => SanKind::OtherName,
        };
        let trust = Name::new("sigstore");
        let (issuer, san) = (issuer.to_owned(), san.to_owned());
        Self::new(Principal::Identity(Identity {
            trust,
            issuer,
            kind,
            san,
            claims: BTreeMap::new(),
            held: None,
        }))
    }

    /// Under another trust table.
    pub(crate) fn under(mut self, trust: &str) -> Self {
        if let Principal::Identity(identity) = &mut self.by {
            identity.trust = Name::new(trust);
        }
        self
    }

    pub(crate) fn unlogged(self) -> Self {
        Self { logged: Logged::No(Code::LogEntryMissing), ..self }
    }

    pub(crate) fn annotated(mut self, key: &str, value: &str) -> Self {
        self.annotations.insert(key.to_owned(), value.to_owned());
        self
    }

    /// About another name of the image than its repository.
    pub(crate) fn naming(self, reference: &str) -> Self {
        Self { reference: Some(reference.to_owned()), ..self }
    }

    pub(crate) fn in_bundle(self) -> Self {
        Self { is_bundle: true, ..self }
    }

    pub(crate) fn attesting(self, kind: &str, predicate: serde_json::Value) -> Self {
        Self { attests: Some((kind.to_owned(), predicate)), ..self }
    }
}

#[expect(clippy::disallowed_methods, reason = "tests state facts that nobody verified")]
fn evidence(repository: &str, signed: &[Signed]) -> Evidence {
    let subject = document().digest();
    let mut evidence = Evidence::none(subject, now());
    for (at, one) in signed.iter().enumerate() {
        let digest = Digest::of(at.to_string().as_bytes());
        let source = evidence::Source { layout: Layout::SigTag, manifest: digest, blob: digest };
        let trusted_time = Some(now() - SignedDuration::from_hours(1));
        let (principal, logged, annotations) = (one.by.clone(), one.logged, one.annotations.clone());
        match &one.attests {
            None => {
                let reference = one.reference.clone().unwrap_or_else(|| repository.to_owned());
                let claimed_reference = (!one.is_bundle).then_some(reference);
                evidence.signatures.push(VerifiedSignature::assert_verified(SignatureFacts {
                    subject,
                    principal,
                    logged,
                    trusted_time,
                    ends: None,
                    vouchers: Vouchers::default(),
                    annotations,
                    claimed_reference,
                    source,
                }));
            }
            Some((kind, predicate)) => {
                let statement = serde_json::json!({"predicateType": kind, "predicate": predicate});
                evidence.attestations.push(VerifiedAttestation::assert_verified(AttestationFacts {
                    subject,
                    principal,
                    logged,
                    trusted_time,
                    vouchers: Vouchers::default(),
                    predicate_type: kind.clone(),
                    statement: Arc::new(statement),
                    predicate: Predicate::Kept,
                    annotations,
                    source,
                }));
            }
        }
    }
    evidence
}
