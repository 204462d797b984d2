//! The fast path: the questions of [`judged`](super::judged) in their order, each answered from memory. Anything but a hit
//! falls back to the slow path, whose work all concurrent requests share.

use pullgate_policy::content::Intact;
use pullgate_policy::decide;
use pullgate_policy::grant::Role;
use pullgate_policy::oci::{Document, Reference};
use pullgate_policy::verdict::{Permitted, Subject};

use super::{Content, Pull, Pulled, Remembered, permitted, recall, resolve, scope, serve};
use crate::clock::Plausible;
use crate::live::Live;
use crate::metrics::CacheResult;
use crate::pull::handles::Handles;

/// A document that this repository's upstream gave, and a permit for it that counts now; none where any of it would have
/// to be read, asked or decided.
pub(super) async fn answer(app: &Handles, live: &Live, pull: &Pull) -> Option<Pulled> {
    if app.clock.plausible() == Plausible::No {
        return None;
    }
    scope::may_ask(live, pull).ok()?;
    let digest = match &pull.reference {
        Reference::Digest(digest) => *digest,
        Reference::Tag(tag) => app.memory.tag(&pull.repository, tag, pull.accept).await?,
    };
    let document = resolve::remembered(app, &pull.repository, &digest).await?;
    let subject = Subject { repository: pull.repository.clone(), digest: document.digest() };
    // Blocks, exemptions and unchecked repositories: the slow path handles them.
    if decide::without_evidence(live.policy(), &subject, document.value(), app.clock.now()).is_some() {
        return None;
    }
    let content = content(app, live, &subject, document).await?;
    app.metrics.cache("verdicts", CacheResult::Hit);
    serve::remember(app, &content).await;
    Some(Pulled::new(content, Remembered::Hit))
}

async fn content(
    app: &Handles,
    live: &Live,
    subject: &Subject,
    document: Intact<Document>,
) -> Option<Content> {
    if let Some(permit) = recall::remembered_permit(app, live, subject).await {
        return permitted(permit, &document).ok();
    }
    let grant = recall::remembered_grant(app, live, &subject.repository, subject.digest, Role::Child).await?;
    Some(Content::Permitted(Box::new(Permitted::under_grant(grant, document).ok()?)))
}
