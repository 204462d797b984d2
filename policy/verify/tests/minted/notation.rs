//! Signatures of the Notary Project's, one fault at a time.

use bytes::Bytes;
use jiff::Timestamp;
use pullgate_policy::code::Code;
use pullgate_policy::evidence::notation::Form;
use pullgate_policy::evidence::{Evidence, Layout, SignatureFacts, Source};
use pullgate_policy::identity::{
    Authority, By, Name, RevocationAsked, Subject, Subjects, Terms, TimestampAsked, Transparency, Uses,
};
use pullgate_policy::oci::{Digest, media_type};
use pullgate_verify::{Artifact, Found, Item, KeyRing, Request, Store, Stores, TrustSet, verify_all};
use serde_json::Value;

use crate::notary::{self, SUBJECT, Signer};

mod attributes;
mod chains;
mod envelopes;
mod revocations;
mod times;

pub(crate) const MANIFEST: &[u8] = br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},"layers":[]}"#;
const NOW: &str = "2026-11-24T12:10:00Z";

/// One question about [`MANIFEST`], as a policy asks it.
struct Asked {
    stores: Stores,
    subjects: Subjects,
    terms: Terms,
    now: Timestamp,
}

impl Asked {
    /// Of signers called [`SUBJECT`], by an authority in the `ca` store, without timestamps.
    fn of(authority: &notary::Authority) -> Self {
        Self::with(&[(Store::Ca, authority.root())])
    }

    fn with(held: &[(Store, &[u8])]) -> Self {
        let mut stores = Stores::new(Name::new("corp"));
        for (store, certificate) in held {
            stores.add(*store, certificate).unwrap();
        }
        Self {
            stores,
            subjects: Subjects::AnyOf(vec![Subject::asked(SUBJECT).unwrap()]),
            terms: Terms { timestamp: TimestampAsked::Never, revocation: RevocationAsked::Yes },
            now: NOW.parse().unwrap(),
        }
    }

    fn at(self, now: &str) -> Self {
        Self { now: now.parse().unwrap(), ..self }
    }

    fn stamped(self, timestamp: TimestampAsked) -> Self {
        Self { terms: Terms { timestamp, ..self.terms }, ..self }
    }

    fn anybody(self) -> Self {
        Self { subjects: Subjects::Any, ..self }
    }

    fn listing(mut self, list: &[u8]) -> Self {
        self.stores.add_list(list).unwrap();
        self
    }

    fn ask(self, form: Form, bytes: Vec<u8>) -> Evidence {
        self.ask_about(MANIFEST, form, bytes)
    }

    fn ask_about(self, manifest: &[u8], form: Form, bytes: Vec<u8>) -> Evidence {
        let subject = Digest::of(manifest);
        let authority = Authority {
            name: Name::new("release"),
            uses: Uses::Signatures,
            transparency: Transparency::None,
            trust: self.stores.name().clone(),
            by: By::Subjects { subjects: self.subjects, terms: self.terms },
        };
        let source = Source { layout: Layout::Referrers, manifest: subject, blob: subject };
        let item = Item::Envelope { form, bytes: Bytes::from(bytes) };
        let mut evidence = verify_all(&Request {
            subject,
            artifact: Artifact::Bytes(manifest),
            found: &[Found { source, item }],
            authorities: &[&authority],
            keys: &KeyRing::default(),
            trust: &TrustSet::new(vec![]).with_stores(vec![self.stores]),
            now: self.now,
            collected: self.now,
        });
        assert_eq!(evidence.rejected.len() + evidence.signatures.len(), 1, "{evidence:?}");
        // What nobody whom the policy names has signed counts for nobody.
        evidence.signatures.retain(|one| authority.recognises(&one.facts().principal).is_ok());
        evidence
    }

    /// Why an envelope does not count; nothing where it does.
    fn code(self, form: Form, bytes: Vec<u8>) -> Option<Code> {
        why(&self.ask(form, bytes))
    }

    fn jws(self, envelope: &Value) -> Option<Code> {
        self.code(Form::Jws, envelope.to_string().into_bytes())
    }

    fn cose(self, envelope: Vec<u8>) -> Option<Code> {
        self.code(Form::Cose, envelope)
    }

    /// What is known of a signature that counts.
    fn facts(self, form: Form, bytes: Vec<u8>) -> SignatureFacts {
        let evidence = self.ask(form, bytes);
        assert!(evidence.rejected.is_empty(), "{:?}", evidence.rejected);
        evidence.signatures.first().unwrap().facts().clone()
    }
}

fn why(evidence: &Evidence) -> Option<Code> {
    let rejected = evidence.rejected.first().map(|one| one.code);
    rejected.or_else(|| evidence.signatures.is_empty().then_some(Code::UnknownAuthority))
}

/// The usual envelopes of a signer about [`MANIFEST`], in both forms.
fn usual(signer: &Signer) -> [(Form, Vec<u8>); 2] {
    [
        (Form::Jws, signer.jws(MANIFEST, media_type::OCI_MANIFEST)),
        (Form::Cose, signer.cose(MANIFEST, media_type::OCI_MANIFEST)),
    ]
}

fn payload() -> Value {
    notary::payload(MANIFEST, media_type::OCI_MANIFEST)
}
