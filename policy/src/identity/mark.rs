//! What tells of signers that they are one (A233).

use super::{KeyId, Principal};
use crate::forge;

/// What tells signers apart, for thresholds: a key, a name, a subject. Signatures that share one of these are by one
/// signer, whatever else they say (A233).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mark(String);

impl Principal {
    /// All that tells who it is. One certificate has all of its marks under each trust table and each authority to which it
    /// leads; so have two certificates of one key, of one subject, or with a name in common.
    #[must_use]
    pub fn marks(&self) -> Vec<Mark> {
        let key = |id: &KeyId| Mark(format!("key {id}"));
        match self {
            Self::Certificate(certified) => {
                let names = certified.names.iter().map(|name| name_mark(name.as_str()));
                let marks = certified.held.iter().map(key).chain(names);
                marks.chain(subject_mark(&certified.subject)).collect()
            }
            Self::Identity(identity) => {
                identity.held.iter().map(key).chain([name_mark(&identity.san)]).collect()
            }
            Self::Key(id) => vec![key(id)],
            Self::Notation(signer) => {
                [key(&signer.held)].into_iter().chain(subject_mark(&signer.shown)).collect()
            }
        }
    }
}

/// No subject is none in common.
fn subject_mark(subject: &str) -> Option<Mark> {
    let subject = Some(subject.to_lowercase()).filter(|subject| !subject.is_empty());
    subject.map(|subject| Mark(format!("subject {subject:?}")))
}

/// A name in another case is no other signer (A233): an address or a host anywhere, a workflow where its forge has it so.
fn name_mark(name: &str) -> Mark {
    match !name.contains("://") || forge::folds(name) {
        true => Mark(format!("name {:?}", name.to_lowercase())),
        false => Mark(format!("name {name:?}")),
    }
}
