//! The logs of one trusted root. An entry names its log by id. That log's key, valid when the signature was made
//! (A311), must have signed the checkpoint, under the log's own name (A625).

use aws_lc_rs::digest as hash;
use bytes::Bytes;
use jiff::Timestamp;
use pullgate_policy::code::Code;
use sigstore_merkle::{hash_leaf, verify_inclusion_proof};
use sigstore_types::{InclusionProof, Sha256Hash, TransparencyLogEntry};

use super::note::{self, HINT_BYTES, Note};
use super::root::Key;
use crate::artifact::SharedArtifact;
use crate::fault::PieceFault;
use crate::key::NoteKind;

/// The logs of one trusted root.
pub(super) struct Logs(pub(super) Vec<Key>);

/// Which rules a checkpoint follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rekor {
    /// In the name of a host and a tree; the log's lines alone. The proof tells index, size and root.
    V1,
    /// In the name of the log's address; lines of witnesses beside. The entry tells the index, the checkpoint the rest.
    V2,
}

impl Logs {
    /// Whether the table has a log of this id.
    pub(super) fn holds(&self, id: &[u8]) -> bool {
        self.0.iter().any(|key| key.id == id)
    }

    /// Whether the library has it too.
    pub(super) fn is_known(&self, id: &[u8]) -> bool {
        self.0.iter().any(|key| key.id == id && key.known)
    }

    /// The keys of a log whose window holds `time`.
    pub(super) fn keys_at(&self, id: &[u8], time: Option<Timestamp>) -> impl Iterator<Item = &Key> {
        self.0.iter().filter(move |key| key.id == id && key.speaks_at(time))
    }

    /// The address of a log, as the trust table has it.
    pub(super) fn named(&self, id: &[u8]) -> String {
        self.0.iter().find(|key| key.id == id).map(|key| key.name.clone()).unwrap_or_default()
    }

    /// Checks that the entry's log, within its window, signed a checkpoint to which the proof leads from the entry.
    pub(super) fn check_included(
        &self,
        entry: &TransparencyLogEntry,
        proof: &InclusionProof,
        rekor: Rekor,
        time: Option<Timestamp>,
    ) -> Result<(), PieceFault> {
        let invalid = |detail: &str| PieceFault::new(Code::CheckpointInvalid, detail);
        let note = Note::read(proof.checkpoint.envelope())
            .ok_or_else(|| invalid("the checkpoint cannot be read"))?;
        let root = Sha256Hash::try_from(note.root.as_slice()).map_err(|_| Code::CheckpointInvalid)?;
        let index = match rekor {
            Rekor::V1 if root != proof.root_hash || note.size != proof.tree_size => {
                return Err(Code::CheckpointMismatch.into());
            }
            Rekor::V1 => proof.log_index.get(),
            Rekor::V2 => entry.log_index.get(),
        };
        let leaf = hash_leaf(entry.canonicalized_body.as_bytes());
        verify_inclusion_proof(&leaf, index, note.size, &proof.hashes, &root)
            .map_err(|error| PieceFault::new(Code::InclusionProofInvalid, error.to_string()))?;
        let id = entry.log_id.key_id.as_bytes();
        let mut fault = PieceFault::from(Code::LogUnknown);
        for key in self.keys_at(id, time) {
            match key.check_signed(&note, rekor) {
                Ok(()) => return Ok(()),
                Err(detail) => fault = invalid(detail),
            }
        }
        Err(fault)
    }
}

impl Key {
    /// Without a proven time, only a key whose window has no end speaks.
    fn speaks_at(&self, time: Option<Timestamp>) -> bool {
        time.map_or(self.window.end.is_none(), |time| self.window.contains(time))
    }

    /// Whether this log signed the note, as the reference asks it. No line is verified twice.
    fn check_signed(&self, note: &Note<'_>, rekor: Rekor) -> Result<(), &'static str> {
        let text = SharedArtifact::of(Bytes::copy_from_slice(note.text.as_bytes()));
        let verifies = |signature: &[u8]| self.key.verifies(&text, signature);
        match rekor {
            Rekor::V1 => {
                let host = note::host_of_tree(note.origin)
                    .ok_or("the checkpoint is not one of a tree of Rekor v1")?;
                let spki = hint(&[self.key.spki()]);
                if note.lines.iter().any(|line| line.name != host || Some(line.hint) != spki) {
                    return Err("a line of the checkpoint is not the log's");
                }
                let all = note.lines.iter().all(|line| verifies(&line.signature));
                all.then_some(()).ok_or("the log did not sign the checkpoint")
            }
            Rekor::V2 => {
                let host = note::host_of_address(&self.name)
                    .ok_or("the log has no address to sign in the name of")?;
                if note.origin != host {
                    return Err("the checkpoint is another log's");
                }
                let hint = self.hint(&host);
                let mut lines = note.lines.iter().filter(|line| line.name == host && Some(line.hint) == hint);
                let line = lines.next().ok_or("no line of the checkpoint is the log's")?;
                verifies(&line.signature).then_some(()).ok_or("the log did not sign the checkpoint")
            }
        }
    }

    /// The hint in a line of this key under a name (C2SP signed-note, "Signatures"); of an ECDSA key it is of the key alone.
    fn hint(&self, name: &str) -> Option<[u8; HINT_BYTES]> {
        let kind: &[u8] = match self.key.note_kind() {
            NoteKind::Ecdsa => return hint(&[self.key.spki()]),
            NoteKind::Ed25519 => &[1],
            NoteKind::Rsa => b"\xffPKIX-RSA-PKCS#1v1.5",
        };
        hint(&[name.as_bytes(), b"\n", kind, self.key.note_bytes()])
    }
}

fn hint(parts: &[&[u8]]) -> Option<[u8; HINT_BYTES]> {
    let digest = hash::digest(&hash::SHA256, &parts.concat());
    digest.as_ref().first_chunk().copied()
}
