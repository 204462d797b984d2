//! Signers of pulled images; signers that no requirement names, with the policy lines that would admit them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use pullgate_config::Policies;
use pullgate_policy::identity::{self, By, Name, Principal};
use serde::Serialize;

use super::fit;
use super::told::Told;
use crate::audit::read::{ReadError, Reader};
use crate::audit::{Facts, Signer as Recorded};
use crate::signers::lines::{self, Piece, Repository};
use crate::signers::{Names, PolicyKeys, Who};

/// Repositories of one signer that are named.
const REPOSITORIES: usize = 1_000;
/// The code of a signature by somebody whom the requirement does not name.
const UNKNOWN: &str = "unknown-authority";

/// A signer of a pulled image.
#[derive(Debug, Clone, Serialize)]
pub struct Signer {
    /// The identity with its issuer, or the key by its fingerprint.
    pub by: String,
    /// Answers in which a signature of theirs counted.
    pub counted: u64,
    /// Answers in which it was there, and something was refused or warned of all the same.
    pub in_vain: u64,
    /// In which repositories.
    pub repositories: BTreeSet<String>,
}

/// Signers, as many as are told apart.
#[derive(Debug)]
pub(super) struct Signers {
    most: usize,
    all: BTreeMap<String, Signer>,
}

impl Signers {
    pub(super) fn new(most: usize) -> Self {
        Self { most, all: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, facts: &Facts, counted: Counted, count: u64) {
        for by in facts.signers.lines() {
            if self.all.len() >= self.most && !self.all.contains_key(by) {
                continue;
            }
            let new = || Signer { by: fit(by), counted: 0, in_vain: 0, repositories: BTreeSet::new() };
            let signer = self.all.entry(by.to_owned()).or_insert_with(new);
            let to = match counted {
                Counted::Yes => &mut signer.counted,
                Counted::No => &mut signer.in_vain,
            };
            *to = to.saturating_add(count);
            if signer.repositories.len() < REPOSITORIES {
                signer.repositories.insert(fit(&facts.repository));
            }
        }
    }

    /// The signers of most pulls first.
    pub(super) fn sorted(&self) -> Vec<Signer> {
        let mut all: Vec<Signer> = self.all.values().cloned().collect();
        all.sort_by(|a, b| {
            let order = |one: &Signer| (Reverse(one.counted), Reverse(one.in_vain), one.by.clone());
            order(a).cmp(&order(b))
        });
        all
    }
}

/// Whether what somebody signed was served for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    No,
    Yes,
}

/// A signer that no requirement of the governing policy names.
#[derive(Debug, Clone, Serialize)]
pub struct Stranger {
    /// The identity with its issuer, or the key by its fingerprint.
    pub by: String,
    /// The repositories in which it signed.
    pub repositories: BTreeSet<String>,
    /// The authorities of the policy of now that are this signer: a requirement does not ask for them.
    pub authorities: BTreeSet<String>,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    pub(super) all: Vec<Stranger>,
    pub(super) lines: String,
}

pub(super) async fn of(
    reader: &Reader,
    told: &Told,
    policies: Option<&Policies>,
) -> Result<Strangers, ReadError> {
    let places: Vec<i64> = told.samples.values().copied().collect();
    let keys = policies.map(PolicyKeys::of).unwrap_or_default();
    let (mut all, mut names): (BTreeMap<String, Stranger>, _) = (BTreeMap::new(), Names::default());
    let mut repositories: BTreeMap<String, Repository> = BTreeMap::new();
    for record in reader.at(&places).await?.into_iter().map(|found| found.record) {
        for signer in &record.signers {
            if signer.code.as_deref() != Some(UNKNOWN) {
                continue;
            }
            let stranger = all.entry(signer.by.clone()).or_insert_with(|| Stranger {
                by: fit(&signer.by),
                repositories: BTreeSet::new(),
                authorities: policies.map(|policies| known_as(policies, signer)).unwrap_or_default(),
            });
            stranger.repositories.insert(fit(&record.repository));
            let Some(who) = who(signer) else { continue };
            let piece = Piece {
                name: names.of(&who, &keys),
                who,
                logged: signer.logged,
                attests: signer.attests.clone(),
            };
            let repository = repositories.entry(record.repository.clone()).or_default();
            match piece.attests {
                Some(_) => repository.attestations.push(piece),
                None => repository.signatures.push(piece),
            }
        }
    }
    let sources = policies.map(|policies| policies.sources.as_slice()).unwrap_or_default();
    // An invalid repository name was put into the log by somebody else.
    repositories.retain(|name, _| name.parse::<pullgate_policy::oci::Repository>().is_ok());
    let lines = lines::admitting(&repositories, &keys, sources);
    Ok(Strangers { all: all.into_values().collect(), lines })
}

/// The signer, where the record says as much as a policy must.
fn who(signer: &Recorded) -> Option<Who> {
    match &signer.identity {
        Some(identity) => Some(Who::Identity {
            trust: identity.trust.clone(),
            issuer: identity.issuer.clone(),
            name: identity.name.clone(),
            claims: identity
                .source
                .iter()
                .map(|source| ("source_repository_uri".to_owned(), source.clone()))
                .collect(),
        }),
        None => signer.by.strip_prefix("key ").map(|fingerprint| Who::Key(fingerprint.to_owned())),
    }
}

/// The authorities of a policy that are this signer.
fn known_as(policies: &Policies, signer: &Recorded) -> BTreeSet<String> {
    let told = signer.identity.clone().map(|one| {
        let trust = Name::new(&one.trust);
        Principal::Identity(identity::Identity::told(trust, one.issuer, one.name, one.source))
    });
    let fingerprint = signer.by.strip_prefix("key ");
    let authorities = policies.set.authorities.values().filter(|authority| match (&told, &authority.by) {
        (Some(told), _) => authority.recognises(told).is_ok(),
        (None, By::Keys(ids)) => ids.iter().any(|id| Some(id.to_string().as_str()) == fingerprint),
        (None, By::Certificate { .. } | By::Identity { .. } | By::Subjects { .. }) => false,
    });
    authorities.map(|authority| authority.name.to_string()).collect()
}
