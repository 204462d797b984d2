//! The last stage: what a permitted manifest grants, and the answer that carries it.

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, WARNING};
use http::{Method, Response};
use pullgate_policy::oci::{Digest, Document, Reference};
use pullgate_policy::verdict::Ground;
use pullgate_policy::{limits, text};

use super::{Content, Pulled};
use crate::app::App;
use crate::body::Body;
use crate::memory::GrantMemory;
use crate::route::Target;
use crate::store::{GrantRow, Standing};

/// Keeps the grants that follow from serving this, in memory at once, and in the store those that it may not have yet.
/// Evidence that passes grants nothing; its blobs are the gate's own copies (A031).
pub(super) async fn remember(app: &App, content: &Content) {
    match content {
        Content::Evidence(_) => {}
        Content::Permitted(permitted) => {
            // Asked before anything is handed over: what is lost after that counts as news.
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

/// What is permitted for what it is, and not only let through, is permitted by the next policy too, as a rule (A616).
fn standing(ground: &Ground) -> Standing {
    match ground {
        Ground::Satisfied => Standing::Proven,
        Ground::Exempt { .. } | Ground::Unchecked | Ground::WarnOnly(_) => Standing::LetThrough,
    }
}

impl Content {
    /// The document.
    #[must_use]
    pub fn document(&self) -> &Document {
        match self {
            Self::Evidence(passing) => passing.document().value(),
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
            Self::Evidence(passing) => passing.document().digest(),
            Self::Permitted(permitted) => permitted.digest(),
        }
    }
}

/// Answers with the very bytes that were judged. Every header is ours (A111, A523).
#[must_use]
pub fn answer(pulled: &Pulled, target: &Target, reference: &Reference, method: &Method) -> Response<Body> {
    let document = pulled.content.document();
    // A client that asked by sha512 checks the digest it asked for.
    let digest = match reference {
        Reference::Digest(digest) => *digest,
        Reference::Tag(_) => pulled.content.digest(),
    };
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    set(headers, CONTENT_TYPE, document.media_type());
    set(headers, CONTENT_LENGTH, &document.bytes().len().to_string());
    set(headers, HeaderName::from_static("docker-content-digest"), &digest.to_string());
    set(headers, HeaderName::from_static("oci-namespace"), target.repository.registry().as_str());
    if let Some(warning) = warning(pulled) {
        set(headers, WARNING, &format!("299 - \"{warning}\""));
    }
    if *method != Method::HEAD {
        *response.body_mut() = Body::full(document.bytes().clone());
    }
    response
}

/// What a person should know although the content is served.
#[must_use]
pub fn warning(pulled: &Pulled) -> Option<String> {
    let text = match (&pulled.content, pulled.undecided) {
        (_, Some(code)) => format!("pullgate could not decide ({code}); served as on_undecided says"),
        (Content::Evidence(_), None) => return None,
        (Content::Permitted(permitted), None) => match permitted.permit().ground() {
            Ground::WarnOnly(denial) => format!("pullgate would refuse this: {}", denial.first().text),
            Ground::Exempt { .. } | Ground::Satisfied | Ground::Unchecked => return None,
        },
    };
    Some(text::header(&text, limits::WARNING_BYTES))
}

/// Sets a header; a value that does not fit is left out, never a panic (A522).
pub(crate) fn set(headers: &mut http::HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(name, value);
    }
}
