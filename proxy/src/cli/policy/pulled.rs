//! What was pulled: each manifest once, with all who asked for it, from the roll-up of the pull log or from a list of
//! images.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jiff::Timestamp;
use pullgate_policy::oci::{Digest, Image, Reference, Repository, Tag};

use crate::audit::Facts;
use crate::audit::read::{Filter, ReadError, Reader};
use crate::pull::handles::Handles;
use crate::pull::replay::Content;

/// What was said of a manifest then.
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
    /// Who asked, by address or by the names that it proved, and how often.
    pub(super) clients: BTreeMap<String, u64>,
    /// What was said, the last time.
    pub(super) said: Option<(Timestamp, Said)>,
    pub(super) pulls: u64,
    pub(super) first: Option<Timestamp>,
    pub(super) last: Option<Timestamp>,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct All {
    pub(super) manifests: BTreeMap<Content, Pulled>,
    /// What was asked for and has no digest: it was refused before it was resolved, or the list names a tag that was never
    /// seen. By name.
    pub(super) unresolved: BTreeMap<String, u64>,
    pub(super) pulls: u64,
}

impl All {
    /// From the roll-up of the log. Answers without a verdict are none of a policy.
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

    /// Images by name: a tag is what it was when it was seen last.
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

/// What a tag was when it was seen last, however long ago.
pub(super) async fn seen(app: &Handles, repository: &Repository, tag: &Tag) -> Option<Digest> {
    let seen = app.store.store().database().tag_of_anybody(repository, tag).await;
    seen.ok().flatten().map(|seen| seen.digest)
}

fn content(facts: &Facts) -> Option<Content> {
    let digest = facts.digest.parse().ok()?;
    let root = facts.root.parse().ok().filter(|root| *root != digest);
    Some(Content { repository: facts.repository.parse().ok()?, digest, root })
}
