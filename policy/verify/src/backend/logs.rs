//! One thing that the library leaves open about transparency logs: that a log's key was valid *when* it signed (A311).
//!
//! The library looks at a key's window where the log signs a time of its own. A checkpoint of Rekor v2 has none, so an
//! expired or retired key would go on speaking; here the proven time of the signature must lie in the window.

use jiff::Timestamp;
use pullgate_policy::code::Code;
use sigstore_crypto::VerificationKey;
use sigstore_trust_root::TrustedRoot;
use sigstore_types::{Checkpoint, SignatureBytes, TimeRange, TransparencyLogEntry};

use crate::fault::Fault;

/// Bytes of a checkpoint's key hint: the first of the log's id (C2SP signed-note).
const HINT_BYTES: usize = 4;

/// The logs of one trusted root.
pub(super) struct Logs(Vec<LogKey>);

struct LogKey {
    hint: Vec<u8>,
    key: VerificationKey,
    window: Option<TimeRange>,
}

impl Logs {
    pub(super) fn of(root: &TrustedRoot) -> Self {
        let log = |log: &sigstore_trust_root::TransparencyLog| {
            let key = VerificationKey::from_spki(&log.public_key.raw_bytes).ok()?;
            let hint = log.log_id.key_id.as_bytes().get(..HINT_BYTES)?.to_vec();
            Some(LogKey { hint, key, window: log.public_key.valid_for })
        };
        Self(root.tlogs.iter().filter_map(log).collect())
    }

    /// Checks that each entry's checkpoint is signed by a log whose window holds `time`. An entry without a proof was
    /// checked by the library: its signed timestamp is a time, held against the window.
    pub(super) fn check(
        &self,
        entries: &[TransparencyLogEntry],
        time: Option<Timestamp>,
    ) -> Result<(), Fault> {
        let proven = |entry: &TransparencyLogEntry| {
            let Some(proof) = &entry.inclusion_proof else { return true };
            proof.checkpoint.checkpoint().is_some_and(|checkpoint| self.signed_within(checkpoint, time))
        };
        if entries.iter().all(proven) { Ok(()) } else { Err(Code::LogUnknown.into()) }
    }

    fn signed_within(&self, checkpoint: &Checkpoint, time: Option<Timestamp>) -> bool {
        self.0.iter().filter(|log| log.speaks_at(time)).any(|log| {
            let verifies =
                |signature: &SignatureBytes| log.key.verify(checkpoint.signed_data(), signature).is_ok();
            checkpoint.signatures().iter().any(|signature| {
                signature.key_id.as_bytes() == log.hint.as_slice() && verifies(&signature.signature)
            })
        })
    }
}

impl LogKey {
    /// Without a proven time, only a key whose window has no end speaks.
    fn speaks_at(&self, time: Option<Timestamp>) -> bool {
        match (self.window, time) {
            (None, _) => true,
            (Some(window), Some(time)) => window.contains(time),
            (Some(window), None) => window.end.is_none(),
        }
    }
}
