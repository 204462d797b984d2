//! Asks for the worth of pieces of evidence about one manifest.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;
use pullgate_policy::code::Code;
use pullgate_policy::evidence::{Evidence, Layout, Source};
use pullgate_policy::identity::{Authority, By, IdentityPattern, Name, Transparency, Uses};
use pullgate_policy::oci::Digest;
use pullgate_verify::{
    Artifact, Found, Item, KeyRing, Progress, PublicKey, Request, TrustSet, TrustTable, Verification,
    verify_all,
};

pub(crate) const MANIFEST: &[u8] = b"{\"schemaVersion\":2}";
/// The trust table of every authority here.
pub(crate) const TRUST: &str = "test";

pub(crate) fn identity(transparency: Transparency) -> Authority {
    let pattern = IdentityPattern::Exact(String::new());
    let by = By::Identity { issuer: IdentityPattern::Exact(String::new()), pattern, claims: BTreeMap::new() };
    Authority { name: Name::new("identity"), uses: Uses::Both, transparency, trust: Name::new(TRUST), by }
}

pub(crate) struct Question {
    pub(crate) keys: KeyRing,
    pub(crate) authorities: Vec<Authority>,
    pub(crate) trust: TrustSet,
    pub(crate) now: Timestamp,
}

impl Question {
    pub(crate) fn new(tables: Vec<TrustTable>, authorities: Vec<Authority>) -> Self {
        let now = "2026-11-24T12:10:00Z".parse().unwrap();
        Self { keys: KeyRing::default(), authorities, trust: TrustSet::new(tables), now }
    }

    /// Adds an authority that holds this key.
    pub(crate) fn with_key(mut self, key: PublicKey, transparency: Transparency) -> Self {
        let id = self.keys.insert(key);
        let name = Name::new(&format!("key-{}", self.authorities.len()));
        let trust = Name::new(TRUST);
        self.authorities.push(Authority {
            name,
            uses: Uses::Both,
            transparency,
            trust,
            by: By::Keys(vec![id]),
        });
        self
    }

    pub(crate) fn ask(&self, items: Vec<Item>) -> Evidence {
        self.ask_about(Digest::of(MANIFEST), items)
    }

    pub(crate) fn ask_about(&self, subject: Digest, items: Vec<Item>) -> Evidence {
        self.with(subject, items, verify_all)
    }

    /// Signatures that are checked at most to verify one piece.
    pub(crate) fn checks(&self, item: Item) -> u64 {
        self.with(Digest::of(MANIFEST), vec![item], |request| {
            let mut verification = Verification::new(request);
            while verification.go_on(request) == Progress::More {}
            verification.cost().checks
        })
    }

    fn with<T>(&self, subject: Digest, items: Vec<Item>, ask: impl FnOnce(&Request<'_>) -> T) -> T {
        let source = Source { layout: Layout::Referrers, manifest: subject, blob: subject };
        let found: Vec<Found> = items.into_iter().map(|item| Found { source, item }).collect();
        let authorities: Vec<&Authority> = self.authorities.iter().collect();
        ask(&Request {
            subject,
            artifact: Artifact::Bytes(MANIFEST),
            found: &found,
            authorities: &authorities,
            keys: &self.keys,
            trust: &self.trust,
            now: self.now,
            collected: self.now,
        })
    }

    /// Why one piece does not count; none when it does.
    pub(crate) fn code(&self, item: Item) -> Option<Code> {
        let evidence = self.ask(vec![item]);
        assert!(evidence.rejected.len() + evidence.signatures.len() + evidence.attestations.len() > 0);
        evidence.rejected.first().map(|rejected| rejected.code)
    }
}

pub(crate) fn bundle(json: &serde_json::Value) -> Item {
    Item::Bundle { json: Bytes::from(json.to_string()) }
}
