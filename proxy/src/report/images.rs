//! Pulled manifests, each once, with the last verdict on it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use super::fit;
use super::told::client;
use crate::audit::read::Sum;
use crate::limits::REPORT_CLIENTS_OF_ONE;

/// Tags of one manifest that are told apart.
const TAGS: usize = 256;
/// The name under which further clients are counted.
const OTHERS: &str = "(others)";
/// Codes of denials for which nobody looks who signed: the name alone says no.
const BY_NAME: [&str; 4] = ["blocked", "foreign-layer", "policy-denies", "scope-unmatched"];

/// The verdict on a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Said {
    /// It was served.
    Permitted,
    /// It was refused.
    Refused,
    /// It was served with a warning.
    Warned,
    /// Nothing could be said.
    Unknown,
}

/// A manifest that was asked for.
#[derive(Debug, Clone, Serialize)]
pub struct Image {
    /// Its repository.
    pub repository: String,
    /// The tags by which it was asked for.
    pub tags: BTreeSet<String>,
    /// Its digest.
    pub digest: String,
    /// The index whose permit it rests on, where it does.
    pub root: String,
    /// Manifests that were pulled under it and go its way.
    pub children: u64,
    /// The last verdict on it.
    pub said: Said,
    /// On what ground it was served.
    pub ground: String,
    /// The policy that said so.
    pub policy: String,
    /// Why it was refused or warned of: the first code.
    pub code: String,
    /// Its signers; without a permit, those whose signatures hold.
    pub signers: BTreeSet<String>,
    /// Answers about it.
    pub pulls: u64,
    /// Clients, and the number of their answers.
    pub clients: BTreeMap<String, u64>,
    /// The first time.
    pub first: Timestamp,
    /// The last time.
    pub last: Timestamp,
}

/// The same with what only a report asks for.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) image: Image,
    /// As the log has them, not escaped.
    pub(super) repository: String,
    pub(super) signers: String,
    /// The last record of what was said last.
    pub(super) position: i64,
    /// From when to when each tag was this, and how often it was asked for.
    pub(super) tags: BTreeMap<String, (Timestamp, Timestamp, u64)>,
    /// Answers by exemption, and the last of them.
    pub(super) exempt: Option<(Timestamp, u64)>,
}

/// Manifests, as many as are told apart.
#[derive(Debug)]
pub(super) struct Images {
    most: usize,
    all: BTreeMap<(String, String, String), Seen>,
    pub(super) left_out: u64,
}

impl Images {
    pub(super) fn new(most: usize) -> Self {
        Self { most, all: BTreeMap::new(), left_out: 0 }
    }

    pub(super) fn add(&mut self, sum: &Sum) {
        let facts = &sum.facts;
        let said = match (facts.verdict.as_ref(), facts.ground.as_str()) {
            ("permit", "warn-only") => Said::Warned,
            ("permit", _) => Said::Permitted,
            ("deny", _) => Said::Refused,
            ("undecided", _) if facts.kind == "shadow" => Said::Unknown,
            // Answers without a verdict are none about what was pulled.
            _ => return,
        };
        // Refused before it was resolved: the tag is what was asked for.
        let name = if facts.digest.is_empty() { &facts.reference } else { &facts.digest };
        let root = if facts.root == facts.digest { "" } else { &facts.root };
        let key = (facts.repository.clone(), name.clone(), root.to_owned());
        if self.all.len() >= self.most && !self.all.contains_key(&key) {
            self.left_out = self.left_out.saturating_add(sum.count);
            return;
        }
        self.all.entry(key).or_insert_with(|| Seen::new(sum, root)).add(sum, said);
    }

    /// Each of them.
    pub(super) fn each(&self) -> impl Iterator<Item = &Seen> {
        self.all.values()
    }

    /// The images of a predicate, those with most pulls first; a manifest under such a root stands with it.
    pub(super) fn images(&self, are: impl Fn(&Seen) -> bool) -> Vec<Image> {
        let so: Vec<&Seen> = self.all.values().filter(|seen| are(seen)).collect();
        let roots: BTreeSet<(&str, &str)> =
            so.iter().map(|seen| (seen.repository.as_str(), seen.image.digest.as_str())).collect();
        let goes_with = |seen: &Seen| {
            !seen.image.root.is_empty()
                && roots.contains(&(seen.repository.as_str(), seen.image.root.as_str()))
        };
        let mut children: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        for seen in so.iter().filter(|seen| goes_with(seen)) {
            *children.entry((&seen.repository, &seen.image.root)).or_default() += 1;
        }
        let mut images: Vec<Image> = Vec::new();
        for seen in so.iter().filter(|seen| !goes_with(seen)) {
            let children = children.get(&(seen.repository.as_str(), seen.image.digest.as_str()));
            images.push(Image { children: children.copied().unwrap_or(0), ..seen.image.clone() });
        }
        images.sort_by(|a, b| {
            let order =
                |image: &Image| (Reverse(image.pulls), image.repository.clone(), image.digest.clone());
            order(a).cmp(&order(b))
        });
        images
    }
}

impl Seen {
    fn new(sum: &Sum, root: &str) -> Self {
        let facts = &sum.facts;
        Self {
            image: Image {
                repository: fit(&facts.repository),
                tags: BTreeSet::new(),
                digest: fit(&facts.digest),
                root: fit(root),
                children: 0,
                said: Said::Unknown,
                ground: String::new(),
                policy: String::new(),
                code: String::new(),
                signers: BTreeSet::new(),
                pulls: 0,
                clients: BTreeMap::new(),
                first: sum.first,
                last: Timestamp::MIN,
            },
            repository: facts.repository.clone(),
            signers: String::new(),
            position: 0,
            tags: BTreeMap::new(),
            exempt: None,
        }
    }

    fn add(&mut self, sum: &Sum, said: Said) {
        let (facts, image) = (&sum.facts, &mut self.image);
        image.pulls = image.pulls.saturating_add(sum.count);
        image.first = image.first.min(sum.first);
        let name = client(facts);
        let has_place = image.clients.len() < REPORT_CLIENTS_OF_ONE || image.clients.contains_key(&name);
        let name = if has_place { name } else { OTHERS.to_owned() };
        *image.clients.entry(name).or_default() += sum.count;
        let is_tag = !facts.reference.contains(':') && !facts.reference.is_empty();
        if is_tag && (self.tags.len() < TAGS || self.tags.contains_key(&facts.reference)) {
            image.tags.insert(fit(&facts.reference));
            let held = self.tags.entry(facts.reference.clone()).or_insert((sum.first, sum.last, 0));
            *held = (held.0.min(sum.first), held.1.max(sum.last), held.2.saturating_add(sum.count));
        }
        if facts.ground == "exempt" {
            let (last, pulls) = self.exempt.unwrap_or((sum.last, 0));
            self.exempt = Some((last.max(sum.last), pulls.saturating_add(sum.count)));
        }
        if sum.last >= image.last {
            image.last = sum.last;
            image.said = said;
            image.ground.clone_from(&facts.ground);
            image.policy = fit(&facts.policy);
            image.code = fit(&facts.code);
            image.signers = facts.signers.lines().map(fit).collect();
            self.signers.clone_from(&facts.signers);
            self.position = sum.position;
        }
    }

    /// The last verdict on it.
    pub(super) fn said(&self) -> Said {
        self.image.said
    }

    /// Whether it was served, and nobody is known to have signed it: nobody whose signature holds, or nobody looked.
    pub(super) fn is_unsigned(&self) -> bool {
        let image = &self.image;
        match (image.said, image.ground.as_str()) {
            (Said::Permitted, "evidence" | "each-child") | (Said::Refused | Said::Unknown, _) => false,
            (Said::Permitted | Said::Warned, _) => image.signers.is_empty(),
        }
    }

    /// Whether nobody looked who signed it.
    #[must_use]
    pub(super) fn was_looked_at(image: &Image) -> bool {
        !matches!(image.ground.as_str(), "unchecked" | "exempt") && !BY_NAME.contains(&image.code.as_str())
    }
}

impl Image {
    /// Whether somebody looked who signed it.
    #[must_use]
    pub fn was_looked_at(&self) -> bool {
        Seen::was_looked_at(self)
    }

    /// Its name: repository and tags.
    #[must_use]
    pub fn name(&self) -> String {
        let tags: Vec<&str> = self.tags.iter().map(String::as_str).collect();
        if tags.is_empty() {
            self.repository.clone()
        } else {
            format!("{}:{}", self.repository, tags.join(", :"))
        }
    }

    /// Its clients, those who asked most first.
    #[must_use]
    pub fn asked_by(&self) -> Vec<(&str, u64)> {
        let mut clients: Vec<(&str, u64)> =
            self.clients.iter().map(|(name, pulls)| (name.as_str(), *pulls)).collect();
        clients.sort_by_key(|(name, pulls)| (Reverse(*pulls), *name));
        clients
    }
}
