//! Keys and certificate authorities from a policy's own files.

use std::collections::BTreeMap;
use std::sync::Arc;

use pullgate_policy::identity::{KeyId, RootsId};

use crate::backend::Roots;
use crate::key::PublicKey;

/// The keys and certificate authorities of a policy, by id.
#[derive(Debug, Clone, Default)]
pub struct KeyRing {
    keys: BTreeMap<KeyId, PublicKey>,
    roots: BTreeMap<RootsId, Arc<Roots>>,
}

impl KeyRing {
    /// Adds a key and gives its id.
    pub fn insert(&mut self, key: PublicKey) -> KeyId {
        let id = key.id();
        self.keys.insert(id, key);
        id
    }

    /// The key with this id.
    #[must_use]
    pub fn get(&self, id: &KeyId) -> Option<&PublicKey> {
        self.keys.get(id)
    }

    /// Adds certificate authorities and gives their id.
    pub fn insert_roots(&mut self, roots: Roots) -> RootsId {
        let id = roots.id();
        self.roots.insert(id, Arc::new(roots));
        id
    }

    /// The certificate authorities with this id.
    pub(crate) fn roots(&self, id: &RootsId) -> Option<&Roots> {
        self.roots.get(id).map(AsRef::as_ref)
    }
}
