//! The last stage: the grants of a permitted manifest, and the warnings of its answer.

use pullgate_policy::limits;
use pullgate_policy::oci::{Digest, Document};
use pullgate_policy::text;
use pullgate_policy::verdict::Ground;

use super::{Content, Pulled};
use crate::memory::GrantMemory;
use crate::pull::handles::Handles;
use crate::store::{GrantRank, GrantRow};

/// Keeps the grants that follow from serving this, in memory at once, and in the store those that it may not have yet.
/// Evidence that passes grants nothing; its blobs are the gate's own copies (A031).
pub(super) async fn remember(app: &Handles, content: &Content) {
    match content {
        Content::Evidence(_) => {}
        Content::Permitted(permitted) => {
            // Read before the writes are queued: a later loss makes the grants new again.
            let lost = app.store.store().database().writes_lost();
            if app.memory.granted_lately(permitted, lost).await {
                return;
            }
            let mut rows = Vec::new();
            let standing = standing(permitted.permit().ground());
            for grant in permitted.grants() {
                let sealed = app.seal.seal(&grant);
                let (repository, digest) = (grant.repository(), grant.digest());
                match app.memory.keep_grant(repository, digest, (&sealed, standing), lost).await {
                    GrantMemory::Known => {}
                    GrantMemory::New => rows.push(GrantRow {
                        repository: grant.repository().clone(),
                        child: grant.digest(),
                        root: grant.permit().subject().digest,
                        role: grant.role(),
                        standing,
                        sealed,
                    }),
                }
            }
            app.store.keep_grants(rows).await;
            app.store.rest_on(vec![permitted.digest()]);
            app.memory.keep_granted(permitted, lost).await;
        }
    }
}

/// A root whose evidence satisfied the policy is likely to be permitted by the next policy too (A616).
fn standing(ground: &Ground) -> GrantRank {
    match ground {
        Ground::Satisfied => GrantRank::Proven,
        Ground::EachChild | Ground::Exempt { .. } | Ground::Unchecked | Ground::WarnOnly(_) => {
            GrantRank::LetThrough
        }
    }
}

impl Content {
    /// The document.
    #[must_use]
    pub fn document(&self) -> &Document {
        match self {
            Self::Evidence(passed) => passed.content().value(),
            Self::Permitted(permitted) => permitted.value(),
        }
    }

    /// On what ground it leaves, as the metrics call it.
    #[must_use]
    pub fn ground(&self) -> &'static str {
        match self {
            Self::Evidence(_) => "evidence",
            Self::Permitted(permitted) => permitted.permit().ground().as_str(),
        }
    }

    /// Its SHA-256 digest.
    #[must_use]
    pub fn digest(&self) -> Digest {
        match self {
            Self::Evidence(passed) => passed.content().digest(),
            Self::Permitted(permitted) => permitted.digest(),
        }
    }
}

/// Warnings for a person about content that is served.
#[must_use]
pub fn warning(pulled: &Pulled) -> Option<String> {
    let text = match (&pulled.content, pulled.undecided) {
        (Content::Permitted(permitted), Some(code)) => {
            let said_by = match permitted.permit().ground() {
                Ground::WarnOnly(_) => "mode = \"warn\"",
                Ground::EachChild | Ground::Exempt { .. } | Ground::Satisfied | Ground::Unchecked => {
                    "on_undecided"
                }
            };
            format!("pullgate could not decide ({code}); served as {said_by} says")
        }
        (Content::Evidence(_), Some(code)) => {
            format!("pullgate could not decide ({code}); served as on_undecided says")
        }
        (Content::Evidence(_), None) => return None,
        (Content::Permitted(permitted), None) => match permitted.permit().ground() {
            Ground::WarnOnly(denial) => format!("pullgate would refuse this: {}", denial.first().text),
            Ground::EachChild | Ground::Exempt { .. } | Ground::Satisfied | Ground::Unchecked => return None,
        },
    };
    Some(text::header(&text, limits::WARNING_BYTES))
}
