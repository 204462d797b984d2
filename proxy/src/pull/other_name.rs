//! A block names bytes, under any digest algorithm (A609): where a block and a request use different algorithms, the
//! blob is read to its end and hashed before any of it leaves. Names of bytes are remembered: they are a fact about
//! bytes, and no leave to serve them.

use std::sync::Arc;

use http_body_util::BodyExt as _;
use pullgate_policy::code::Code;
use pullgate_policy::grant::Grant;

use pullgate_policy::oci::{Digest, Hasher};

use super::blob::{Blob, open};
use super::scope;
use crate::live::Live;
use crate::pull::handles::Handles;
use crate::refusal::Refusal;

/// Refuses a blob whose bytes are blocked under their other name.
///
/// # Errors
/// The denial, or why the bytes could not be read.
pub(super) async fn not_blocked(app: &Arc<Handles>, live: &Arc<Live>, grant: &Grant) -> Result<(), Refusal> {
    let digest = grant.digest();
    if live.policy().blocks.iter().all(|block| block.digest.algorithm() == digest.algorithm()) {
        return Ok(());
    }
    let name = match app.memory.other_name(digest).await {
        Some(name) => name,
        None => read_once(app, live, grant).await?,
    };
    scope::not_blocked(live, &name)
}

/// The other name, computed once for all concurrent requests.
async fn read_once(app: &Arc<Handles>, live: &Arc<Live>, grant: &Grant) -> Result<Digest, Refusal> {
    let digest = grant.digest();
    let work = {
        let (app, live, grant) = (Arc::clone(app), Arc::clone(live), grant.clone());
        || async move {
            let name = read(&app, &live, &grant).await?;
            app.memory.keep_other_name(digest, name).await;
            Ok(name)
        }
    };
    let lost = |_lost| Err(Refusal::undecided(Code::Internal));
    app.names.join((grant.repository().clone(), digest), work).await.unwrap_or_else(lost)
}

/// The fetched bytes are kept and served after this: the upstream is asked once.
async fn read(app: &Arc<Handles>, live: &Live, grant: &Grant) -> Result<Digest, Refusal> {
    let Blob::Granted(reader) = open(app, live, grant).await? else {
        return Err(Refusal::undecided(Code::Internal));
    };
    let mut hasher = match grant.digest() {
        Digest::Sha256(_) => Hasher::sha512(),
        Digest::Sha512(_) => Hasher::sha256(),
    };
    let mut body = reader.into_body();
    // The last piece comes only when the whole is what its digest says.
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_broken| Refusal::undecided(Code::UpstreamIntegrity))?;
        if let Some(bytes) = frame.data_ref() {
            hasher.update(bytes);
        }
    }
    Ok(hasher.finish())
}
