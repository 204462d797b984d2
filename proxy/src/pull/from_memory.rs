//! The fast path: the order of every pull ([`order`]), answered from memory. Anything but a hit falls back to the slow
//! path, whose work all concurrent requests share.

use std::sync::Arc;

use pullgate_policy::oci::Reference;

use super::handles::Handles;
use super::order::{self, At, Found, Leave, Standing, Walk};
use super::{Pull, Pulled, resolve, serve};
use crate::live::Live;
use crate::metrics::CacheResult;

/// A document that this repository's upstream gave, and a permit for it that counts now; `None` where a part would have
/// to be read, asked for or decided.
pub(super) async fn answer(
    app: &Arc<Handles>,
    live: &Arc<Live>,
    leave: &Leave,
    pull: &Pull,
) -> Option<Pulled> {
    let digest = match &pull.reference {
        Reference::Digest(digest) => *digest,
        Reference::Tag(tag) => app.memory.tag(&pull.repository, tag, pull.accept).await?,
    };
    let document = resolve::remembered(app, &pull.repository, &digest).await?;
    let found = match order::standing((app, live), Walk::Fast, leave, At::Here(&document)).await {
        Ok(Standing::Found(found @ (Found::Granted(_) | Found::Remembered(_)))) => found,
        // Exemptions and unchecked repositories: the slow path handles them.
        Ok(Standing::Found(Found::ServableEvidence(_) | Found::Ruled(_))) => return None,
        Ok(Standing::Denied(_) | Standing::NotInMemory | Standing::Open(_) | Standing::Undecided(..))
        | Err(_) => return None,
    };
    let pulled = Pulled::found(found, &document).ok()?;
    app.metrics.cache("verdicts", CacheResult::Hit);
    serve::remember(app, &pulled.content).await;
    Some(pulled)
}
