//! One thing that the library leaves open about transparency logs: that a log's key was valid *when* it signed (A311).
//!
//! The library looks at a key's window where the log signs a time of its own. A checkpoint of Rekor v2 has none, so an
//! expired or retired key would go on speaking; here the proven time of the signature must lie in the window.

use jiff::Timestamp;
use pullgate_policy::code::Code;
use pullgate_policy::evidence::{LogEntry, LogProof};
use sigstore_crypto::VerificationKey;
use sigstore_merkle::{hash_leaf, verify_inclusion_proof};
use sigstore_trust_root::TrustedRoot;
use sigstore_types::{
    Checkpoint, InclusionProof, KindVersion, SignatureBytes, TimeRange, TransparencyLogEntry,
};

use crate::fault::Fault;

/// Bytes of a checkpoint's key hint: the first of the log's id (C2SP signed-note).
const HINT_BYTES: usize = 4;

/// The logs of one trusted root.
pub(super) struct Logs(Vec<LogKey>);

/// One log.
pub(super) struct LogKey {
    name: String,
    id: Vec<u8>,
    key: VerificationKey,
    window: Option<TimeRange>,
}

impl Logs {
    pub(super) fn of(root: &TrustedRoot) -> Self {
        let log = |log: &sigstore_trust_root::TransparencyLog| {
            let key = VerificationKey::from_spki(&log.public_key.raw_bytes).ok()?;
            let id = log.log_id.key_id.as_bytes().to_vec();
            Some(LogKey { name: log.base_url.clone(), id, key, window: log.public_key.valid_for })
        };
        Self(root.tlogs.iter().filter_map(log).collect())
    }

    /// Checks that each entry's checkpoint is signed by a log whose window holds `time`, and tells of each what its log
    /// vouches for. An entry without a proof was checked by the library: its signed timestamp is a time, held against the
    /// window.
    pub(super) fn check(
        &self,
        entries: &[TransparencyLogEntry],
        time: Option<Timestamp>,
    ) -> Result<Vec<LogEntry>, Fault> {
        entries.iter().map(|entry| self.vouches(entry, time).ok_or(Code::LogUnknown.into())).collect()
    }

    fn vouches(&self, entry: &TransparencyLogEntry, time: Option<Timestamp>) -> Option<LogEntry> {
        // What Rekor v2 has none of is not looked at there, so nothing is known of it.
        let second = entry.kind_version == KindVersion::HashedRekordV002;
        let promised = !second && entry.inclusion_promise.is_some();
        let (log, by) = match (&entry.inclusion_proof, promised) {
            (None, _) => (self.named(entry.log_id.key_id.as_bytes()), LogProof::SignedTimestamp),
            (Some(proof), _) => {
                let log = self.signer_within(proof.checkpoint.checkpoint()?, time)?;
                let both = LogProof::InclusionAndSignedTimestamp;
                (log.name.clone(), if promised { both } else { LogProof::Inclusion })
            }
        };
        // A signed timestamp covers the index; so does a proof of Rekor v2, which leads from there.
        let covered = promised || second;
        let index = covered.then(|| u64::from(entry.log_index));
        Some(LogEntry { log, index, by })
    }

    /// The key of a log whose window holds `time`.
    pub(super) fn key_at(&self, id: &[u8], time: Timestamp) -> Option<&VerificationKey> {
        self.0.iter().find(|log| log.id == id && log.speaks_at(Some(time))).map(|log| &log.key)
    }

    /// The address of a log, as the trust table has it.
    pub(super) fn named(&self, id: &[u8]) -> String {
        self.0.iter().find(|log| log.id == id).map(|log| log.name.clone()).unwrap_or_default()
    }

    /// The log that signed `checkpoint` within its window, where `proof` leads there from the entry at `index`.
    pub(super) fn included(
        &self,
        entry: &TransparencyLogEntry,
        (proof, checkpoint): (&InclusionProof, &Checkpoint),
        index: u64,
        time: Option<Timestamp>,
    ) -> Result<&LogKey, Fault> {
        let leaf = hash_leaf(entry.canonicalized_body.as_bytes());
        verify_inclusion_proof(&leaf, index, checkpoint.tree_size(), &proof.hashes, checkpoint.root_hash())
            .map_err(|error| Fault::new(Code::InclusionProofInvalid, error.to_string()))?;
        self.signer_within(checkpoint, time).ok_or(Code::CheckpointInvalid.into())
    }

    /// A log that signed this checkpoint, and whose window holds `time`.
    fn signer_within(&self, checkpoint: &Checkpoint, time: Option<Timestamp>) -> Option<&LogKey> {
        self.0.iter().filter(|log| log.speaks_at(time)).find(|log| {
            let verifies =
                |signature: &SignatureBytes| log.key.verify(checkpoint.signed_data(), signature).is_ok();
            checkpoint.signatures().iter().any(|signature| {
                log.id.get(..HINT_BYTES).is_some_and(|hint| signature.key_id.as_bytes() == hint)
                    && verifies(&signature.signature)
            })
        })
    }
}

impl LogKey {
    /// Its address, as the trust table has it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Without a proven time, only a key whose window has no end speaks.
    fn speaks_at(&self, time: Option<Timestamp>) -> bool {
        match (self.window, time) {
            (None, _) => true,
            (Some(window), Some(time)) => window.contains(time),
            (Some(window), None) => window.end.is_none(),
        }
    }
}
