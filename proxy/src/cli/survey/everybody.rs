//! A policy under which everybody counts whose signature can be checked. It is never in force in a gate, and no verdict
//! of it is shown.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pullgate_config::Policies;
use pullgate_policy::identity::{Authority, By, IdentityPattern, KeyId, Name, Transparency, Uses};
use pullgate_policy::limits;
use pullgate_policy::policy::{
    Asks, ClaimedReference, Every, EvidencePasses, ForeignLayers, IndexRule, Location, Mode, OnUndecided,
    Policy, PolicySet, PredicateType, Requirement, Rule, Unmatched,
};
use pullgate_policy::scope::Scope;
use pullgate_verify::{KeyRing, PublicKey};

use crate::signers::KeyNames;

/// The keys that are looked for, each with the name and the file of the policy that would trust it.
pub(super) struct Keys {
    ring: KeyRing,
    known: BTreeMap<KeyId, Known>,
}

/// What a key is called, and where it lies.
struct Known {
    name: String,
    file: PathBuf,
    trust: Name,
}

impl Keys {
    /// Those of the policy, and those of the command line.
    pub(super) fn of(policies: &Policies, more: &[PathBuf]) -> Result<Self, String> {
        let mut keys = Self { ring: policies.keys.as_ref().clone(), known: BTreeMap::new() };
        for authority in policies.set.authorities.values() {
            let (By::Keys(ids), Some(file)) = (&authority.by, policies.key_files.get(&authority.name)) else {
                continue;
            };
            for id in ids {
                let (name, trust) = (authority.name.to_string(), authority.trust.clone());
                keys.known.insert(*id, Known { name, file: absolute(file), trust });
            }
        }
        for path in more {
            keys.add(path)?;
        }
        Ok(keys)
    }

    fn add(&mut self, path: &Path) -> Result<(), String> {
        let shown = path.display();
        let bytes = std::fs::read(path).map_err(|error| format!("{shown} cannot be read: {error}"))?;
        if bytes.len() as u64 > limits::KEY_FILE_BYTES {
            return Err(format!("{shown} is no key: it is larger than {} bytes", limits::KEY_FILE_BYTES));
        }
        let read = PublicKey::from_file(&bytes).map_err(|fault| format!("{shown}: {fault}"))?;
        for key in read {
            let id = self.ring.insert(key);
            let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
            let known = Known { name: stem, file: absolute(path), trust: Name::new("sigstore") };
            self.known.entry(id).or_insert(known);
        }
        Ok(())
    }
}

impl KeyNames for Keys {
    fn find(&self, fingerprint: &str) -> Option<(&str, &Path)> {
        let found = self.known.iter().find(|(id, _)| id.to_string() == fingerprint);
        found.map(|(_, known)| (known.name.as_str(), known.file.as_path()))
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The policy of everybody, with the keys and trust tables that can be had.
pub(super) fn policies(own: &Policies, keys: &Keys) -> Policies {
    // Nobody's identity: each certificate is a stranger's, and is checked all the same.
    let holders = own.sources.iter().map(|source| {
        let by = By::Identity {
            issuer: IdentityPattern::Exact(String::new()),
            pattern: IdentityPattern::Exact(String::new()),
            claims: BTreeMap::new(),
        };
        // A log entry is looked for, and told of where there is none.
        authority(&format!("certificates of {}", source.name), source.name.clone(), Transparency::None, by)
    });
    let keyed = keys.known.iter().map(|(id, known)| {
        authority(&format!("key {id}"), known.trust.clone(), Transparency::Optional, By::Keys(vec![*id]))
    });
    let authorities: BTreeMap<Name, Authority> =
        holders.chain(keyed).map(|authority| (authority.name.clone(), authority)).collect();
    let names: Vec<Name> = authorities.keys().cloned().collect();
    let location = Location { file: Arc::from("survey"), line: 1 };
    let requirement = |asks| Requirement {
        location: location.clone(),
        asks,
        any_of: names.clone(),
        // Never met: what lies one step further away is looked for too.
        threshold: 0,
        annotations: BTreeMap::new(),
        claimed_reference: ClaimedReference::Reported,
        max_age: None,
        min_age: None,
        condition: None,
        slsa: None,
        every: Every::One,
        or: Vec::new(),
    };
    let any = Asks::Attestation(vec![PredicateType::Exact(String::new())]);
    let policy = Policy {
        name: Name::new("survey"),
        location: location.clone(),
        scopes: Scope::parse("**").into_iter().collect(),
        mode: Mode::Enforce,
        on_undecided: OnUndecided::Deny,
        foreign_layers: ForeignLayers::Permit,
        evidence: EvidencePasses::Verified,
        index: IndexRule::Itself,
        rule: Rule::Requirements(vec![requirement(Asks::Signature), requirement(any)]),
    };
    let set = PolicySet {
        revisions: own.set.revisions,
        unmatched: Unmatched::Deny,
        authorities,
        policies: vec![policy],
        blocks: Vec::new(),
        exemptions: Vec::new(),
        permit_ttl: own.set.permit_ttl,
    };
    Policies { set, keys: Arc::new(keys.ring.clone()), ..own.clone() }
}

fn authority(name: &str, trust: Name, transparency: Transparency, by: By) -> Authority {
    Authority { name: Name::new(name), uses: Uses::Both, transparency, trust, by }
}
