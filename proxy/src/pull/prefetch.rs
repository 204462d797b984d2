//! By digest, the subject is known before its manifest is here: the layouts are asked for its evidence at the same
//! time, which saves one round trip to the upstream.

use std::pin::pin;

use pullgate_policy::content::Intact;
use pullgate_policy::oci::{Digest, Document, Reference};
use pullgate_policy::verdict::Subject;

use super::collect::{self, AskedLayouts};
use super::{Pull, resolve};
use crate::live::Live;
use crate::pull::handles::Handles;
use crate::refusal::Refusal;
use crate::store::OrAnew as _;

/// Fetches the document of `pull`, and asks for what lies beside it where a verdict will need that.
///
/// # Errors
/// [`Refusal`]: of the document. A layout that cannot be asked is no error here.
pub(super) async fn fetch(
    app: &Handles,
    live: &Live,
    pull: &Pull,
) -> Result<(Intact<Document>, Option<AskedLayouts>), Refusal> {
    let mut document = pin!(resolve::fetch(app, live, &pull.repository, &pull.reference, pull.accept));
    let mut asked = pin!(async {
        let subject = new_subject(app, live, pull).await?;
        // A verdict that had to wait for its place would not be reached sooner.
        let place = app.slots.free(subject.repository.registry())?;
        Some(collect::ask(app, live, subject, Some(place)).await)
    });
    tokio::select! {
        // A missing or malformed manifest ends the questions.
        document = &mut document => Ok((document?, asked.await)),
        asked = &mut asked => Ok((document.await?, asked)),
    }
}

/// The subject of a pull by digest that needs its evidence, as far as is known: there is no exemption, grant, denial or
/// kept evidence of it. Where the store cannot answer, a needless question costs a request only.
async fn new_subject(app: &Handles, live: &Live, pull: &Pull) -> Option<Subject> {
    let Reference::Digest(digest @ Digest::Sha256(_)) = pull.reference else { return None };
    let subject = Subject { repository: pull.repository.clone(), digest };
    let exempt = live.policy().exemption(&subject.repository, &digest, app.clock.now());
    if exempt.is_some() || live.policy().authorities_for(&subject.repository).is_empty() {
        return None;
    }
    let known = app.memory.denial(&subject, live.revisions()).await.is_some()
        || app.memory.grants(&subject.repository, digest).await.is_some()
        || app
            .store
            .grants(&subject.repository, &digest, live.revisions(), 0)
            .await
            .is_ok_and(|grants| !grants.is_empty())
        || app.store.evidence(&subject).await.or_anew().is_some();
    (!known).then_some(subject)
}
