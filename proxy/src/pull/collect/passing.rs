//! Finds out whether a manifest is nothing but evidence: every blob of it is fetched and read here first (A031).

use std::sync::Arc;

use pullgate_policy::code::Code;
use pullgate_policy::content::Intact;
use pullgate_policy::evidence::passing::Passing;
use pullgate_policy::oci::Document;
use pullgate_policy::verdict::Subject;

use super::pieces;
use crate::app::App;
use crate::live::Live;
use crate::pull::scope;
use crate::refusal::Refusal;

/// The manifest as evidence that passes, if it is that and nothing else.
///
/// # Errors
/// Undecided, when a blob could not be asked for: whether it passes is then not known.
pub async fn look(
    app: &App,
    live: &Live,
    subject: &Subject,
    document: &Intact<Document>,
) -> Result<Option<Arc<Passing>>, Refusal> {
    if let Some(passing) = app.memory.passing(&subject.repository, subject.digest).await {
        return Ok(Some(passing));
    }
    if Passing::needs(document.value()).is_none() {
        return Ok(None);
    }
    let overload = |_full| Refusal::undecided(Code::Overload);
    let mut held = app.in_flight.begin(subject.repository.registry()).await.map_err(overload)?;
    held.grow(document.value().manifest().content().map(|part| part.size).sum()).map_err(overload)?;
    let mut blobs = Vec::new();
    for descriptor in document.value().manifest().content() {
        let Some(digest) = descriptor.digest else { return Ok(None) };
        scope::not_blocked(live, &digest)?;
        match pieces::blob(app, live, &subject.repository, digest, descriptor.size).await {
            Ok(bytes) => blobs.push(bytes),
            Err(refusal @ Refusal::Undecided(_)) => return Err(refusal),
            Err(_) => return Ok(None),
        }
    }
    let Ok(passing) = Passing::check(document.clone(), blobs) else { return Ok(None) };
    let passing = Arc::new(passing);
    app.memory.keep_passing(&subject.repository, &passing).await;
    Ok(Some(passing))
}
