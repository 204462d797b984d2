//! Past pulls: each manifest once, with all its clients, from the roll-up of the pull log or from a list of images.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jiff::Timestamp;
use pullgate_policy::oci::{Digest, Image, Reference, Repository, Tag};

use crate::audit::Facts;
use crate::audit::read::{Filter, ReadError, Reader};
use crate::pull::handles::Handles;
use crate::pull::replay::Content;

/// The answer about a manifest at that time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Said {
    /// It was refused.
    Refused,
    /// It was served.
    Served,
    /// It was served with a warning.
    Warned,
}

/// A manifest that was asked for.
#[derive(Debug, Default)]
pub(super) struct Pulled {
    /// The tags by which it was asked for.
    pub(super) tags: BTreeSet<String>,
    /// The clients, by address or proven names, and how often each asked.
    pub(super) clients: BTreeMap<String, u64>,
    /// The last answer.
    pub(super) said: Option<(Timestamp, Said)>,
    pub(super) pulls: u64,
    pub(super) first: Option<Timestamp>,
    pub(super) last: Option<Timestamp>,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct All {
    pub(super) manifests: BTreeMap<Content, Pulled>,
    /// References without a digest: refused before they were resolved, or tags of the list that were never seen. By
    /// name.
    pub(super) unresolved: BTreeMap<String, u64>,
    pub(super) pulls: u64,
}

impl All {
    /// From the roll-up of the log. Answers without a verdict are left out.
    pub(super) async fn of_log(file: &Path, since: Timestamp) -> Result<Self, ReadError> {
        let reader = Reader::open(file).await?;
        let mut sums = reader.sums(Filter { since: Some(since), ..Filter::default() });
        let mut all = Self::default();
        while let Some(sum) = sums.next().await? {
            if sum.last >= since && sum.facts.kind == "manifest" {
                all.add(&sum.facts, (sum.count, sum.first.max(since), sum.last));
            }
        }
        Ok(all)
    }

    fn add(&mut self, facts: &Facts, (count, first, last): (u64, Timestamp, Timestamp)) {
        let said = match (facts.verdict.as_ref(), facts.ground.as_str()) {
            ("permit", "warn-only") => Said::Warned,
            ("permit", _) => Said::Served,
            ("deny", _) => Said::Refused,
            _ => return,
        };
        self.pulls += count;
        let Some(content) = content(facts) else {
            *self.unresolved.entry(format!("{}:{}", facts.repository, facts.reference)).or_default() += count;
            return;
        };
        let pulled = self.manifests.entry(content).or_default();
        if !facts.reference.contains(':') {
            pulled.tags.insert(facts.reference.clone());
        }
        let names = facts.names.replace('\n', ", ");
        let client = if names.is_empty() { facts.client.clone() } else { names };
        *pulled.clients.entry(client).or_default() += count;
        pulled.pulls += count;
        pulled.first = Some(pulled.first.map_or(first, |before| before.min(first)));
        if pulled.last.is_none_or(|before| before <= last) {
            (pulled.last, pulled.said) = (Some(last), Some((last, said)));
        }
    }

    /// Images by name: a tag has the digest that it was last seen with.
    pub(super) async fn of_list(app: &Handles, images: &[Image]) -> Self {
        let mut all = Self::default();
        for image in images {
            let (digest, tag) = match &image.reference {
                Reference::Digest(digest) => (Some(*digest), None),
                Reference::Tag(tag) => (seen(app, &image.repository, tag).await, Some(tag.to_string())),
            };
            all.pulls += 1;
            let Some(digest) = digest else {
                *all.unresolved.entry(image.to_string()).or_default() += 1;
                continue;
            };
            let content = Content { repository: image.repository.clone(), digest, root: None };
            let pulled = all.manifests.entry(content).or_default();
            pulled.tags.extend(tag);
            pulled.pulls += 1;
        }
        all
    }
}

/// The digest that a tag was last seen with, however long ago.
pub(super) async fn seen(app: &Handles, repository: &Repository, tag: &Tag) -> Option<Digest> {
    let seen = app.store.store().database().tag_of_anybody(repository, tag).await;
    seen.ok().flatten().map(|seen| seen.digest)
}

fn content(facts: &Facts) -> Option<Content> {
    let digest = facts.digest.parse().ok()?;
    let root = facts.root.parse().ok().filter(|root| *root != digest);
    Some(Content { repository: facts.repository.parse().ok()?, digest, root })
}
