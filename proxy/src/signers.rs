//! Signers as reports tell of them: their names, and the policy lines that would admit exactly them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pullgate_config::Policies;
use pullgate_policy::identity::{By, Principal};
use serde::Serialize;

pub mod lines;
mod names;

pub use self::names::Names;

/// A key, an identity, or a holder of a certificate of the policy's own authorities.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Who {
    /// Of the policy's own certificate authorities.
    Certificate {
        /// The trust table that proved the time.
        trust: String,
        /// The authorities.
        ca: String,
        /// The whole subject.
        subject: String,
        /// The subject alternative names.
        names: Vec<String>,
    },
    /// A key, by its fingerprint.
    Key(String),
    /// A holder of a certificate that signed by Notation.
    Notation {
        /// The trust table.
        trust: String,
        /// The whole subject.
        subject: String,
    },
    /// Of a certificate of a trust table.
    Identity {
        /// The trust table.
        trust: String,
        /// The OIDC issuer.
        issuer: String,
        /// The subject alternative name.
        name: String,
        /// Fulcio's extensions by name.
        claims: BTreeMap<String, String>,
    },
}

impl From<&Principal> for Who {
    fn from(principal: &Principal) -> Self {
        match principal {
            Principal::Certificate(certified) => Self::Certificate {
                trust: certified.trust.to_string(),
                ca: certified.roots.to_string(),
                subject: certified.subject.clone(),
                names: certified.names.iter().map(|name| name.as_str().to_owned()).collect(),
            },
            Principal::Key(id) => Self::Key(id.to_string()),
            Principal::Identity(identity) => Self::Identity {
                trust: identity.trust.to_string(),
                issuer: identity.issuer.clone(),
                name: identity.san.clone(),
                claims: identity.claims.clone(),
            },
            Principal::Notation(signer) => {
                Self::Notation { trust: signer.trust.to_string(), subject: signer.shown.clone() }
            }
        }
    }
}

/// Names and files of keys, by their fingerprints.
pub trait KeyNames {
    /// The name and the file of a key.
    fn find(&self, fingerprint: &str) -> Option<(&str, &Path)>;
}

/// The keys of a policy, by the names of their authorities.
#[derive(Debug, Clone, Default)]
pub struct PolicyKeys(BTreeMap<String, (String, PathBuf)>);

impl PolicyKeys {
    /// Those of its authorities that are known by a key.
    #[must_use]
    pub fn of(policies: &Policies) -> Self {
        let mut keys = BTreeMap::new();
        for authority in policies.set.authorities.values() {
            if let (By::Keys(ids), Some(file)) = (&authority.by, policies.key_files.get(&authority.name)) {
                let file = std::path::absolute(file).unwrap_or_else(|_| file.clone());
                keys.extend(
                    ids.iter().map(|id| (id.to_string(), (authority.name.to_string(), file.clone()))),
                );
            }
        }
        Self(keys)
    }
}

impl KeyNames for PolicyKeys {
    fn find(&self, fingerprint: &str) -> Option<(&str, &Path)> {
        self.0.get(fingerprint).map(|(name, file)| (name.as_str(), file.as_path()))
    }
}
