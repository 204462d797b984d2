//! Pulls every image through the gate and compares each outcome with the expected one.

use std::sync::Arc;

use http::{Method, StatusCode};
use pullgate_policy::code::Code;
use pullgate_policy::policy::Location;
use pullgate_policy::verdict::{Denial, Ground};

use super::client::{Answer, Client, ClientFault};
use super::images::{Expected, IMAGES, Shown, TAG};
use super::recorded::{Recorded, repository_named};
use crate::accept::Accept;
use crate::app::App;
use crate::pull::{self, Content, Pull};
use crate::refusal::Refusal;

/// One line of the table.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) shown: Shown,
    /// The statuses by tag, by digest, and of a HEAD.
    pub(super) statuses: [StatusCode; 3],
    pub(super) verdict: Word,
    pub(super) reason: String,
    /// The line of the policy that was met, or that was not.
    pub(super) location: Option<Location>,
    pub(super) outcome: Outcome,
}

/// A verdict in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    Deny,
    Permit,
    Undecided,
    Warn,
}

/// Whether an outcome is the expected one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    AsExpected,
    Other,
}

/// The gate's verdict on an image, and the line of the policy that it rests on.
struct Ruling {
    verdict: Word,
    code: Option<Code>,
    text: Option<String>,
    location: Option<Location>,
}

/// Pulls every image by tag, by digest and by HEAD.
pub(super) async fn all(
    client: &Client,
    app: &Arc<App>,
    recorded: &Recorded,
) -> Result<Vec<Row>, ClientFault> {
    let mut rows = Vec::new();
    for shown in IMAGES {
        rows.push(one(client, app, recorded, shown).await?);
    }
    Ok(rows)
}

async fn one(client: &Client, app: &Arc<App>, recorded: &Recorded, shown: Shown) -> Result<Row, ClientFault> {
    let digest = pushed(recorded, shown.repository);
    // HEAD first: a node that has the content starts a container after nothing else.
    let head = client.manifest(Method::HEAD, shown.repository, TAG).await?;
    let by_tag = client.manifest(Method::GET, shown.repository, TAG).await?;
    let by_digest = client.manifest(Method::GET, shown.repository, &digest).await?;
    let ruling = ruling(app, shown.repository).await;
    let same = [&by_tag, &by_digest, &head].into_iter().all(|answer| agrees(answer, shown.expected, &digest));
    let outcome = match (shown.expected, ruling.verdict, ruling.code) {
        (Expected::Permit, Word::Permit, _) if same => Outcome::AsExpected,
        (Expected::Deny(wanted), Word::Deny, Some(code))
        | (Expected::Warn(wanted), Word::Warn, Some(code))
            if same && code == wanted =>
        {
            Outcome::AsExpected
        }
        (Expected::Deny(_) | Expected::Permit | Expected::Warn(_), _, _) => Outcome::Other,
    };
    let statuses = [by_tag.status, by_digest.status, head.status];
    let reason = ruling.text.or(by_tag.said).unwrap_or_default();
    Ok(Row { shown, statuses, verdict: ruling.verdict, reason, location: ruling.location, outcome })
}

fn pushed(recorded: &Recorded, repository: &str) -> String {
    let digest = repository_named(repository).ok().zip(TAG.parse().ok());
    let digest = digest.and_then(|(repository, tag)| recorded.tag(&repository, &tag));
    digest.map(|digest| digest.to_string()).unwrap_or_default()
}

/// Whether one answer over HTTP is the expected one: the status, and the digest of the pushed image, or a reason.
fn agrees(answer: &Answer, expected: Expected, pushed: &str) -> bool {
    let served = answer.digest.is_some_and(|digest| digest.to_string() == pushed);
    match expected {
        Expected::Deny(_) => answer.status == StatusCode::FORBIDDEN && answer.said.is_some(),
        Expected::Permit => answer.status == StatusCode::OK && served && answer.said.is_none(),
        Expected::Warn(_) => answer.status == StatusCode::OK && served && answer.said.is_some(),
    }
}

/// Asks the gate in this process for the verdict that it just gave over HTTP: clients do not see the line of the
/// policy.
async fn ruling(app: &Arc<App>, repository: &str) -> Ruling {
    let none = |verdict| Ruling { verdict, code: None, text: None, location: None };
    let (Ok(repository), Ok(reference)) = (repository_named(repository), TAG.parse()) else {
        return none(Word::Undecided);
    };
    match pull::manifest(&app.pull, &Pull { repository, reference, accept: Accept::default() }).await {
        Ok((pulled, _)) => match &pulled.content {
            Content::Permitted(permitted) => permit(permitted.permit()),
            Content::Evidence(_) => none(Word::Permit),
        },
        Err((Refusal::Denied(denial), _)) => of_denial(&denial, Word::Deny),
        Err((refusal, _)) => Ruling { text: Some(refusal.code().to_owned()), ..none(Word::Undecided) },
    }
}

fn permit(permit: &pullgate_policy::verdict::Permit) -> Ruling {
    match permit.ground() {
        Ground::WarnOnly(denial) => of_denial(denial, Word::Warn),
        ground @ (Ground::EachChild | Ground::Exempt { .. } | Ground::Satisfied | Ground::Unchecked) => {
            let met = permit.met().first();
            let text = met.map(|met| {
                let names: Vec<_> = met.authorities.iter().map(|name| format!("\"{name}\"")).collect();
                format!("by {}", names.join(", "))
            });
            Ruling {
                verdict: Word::Permit,
                code: None,
                text: text.or_else(|| Some(ground.as_str().to_owned())),
                location: met.map(|met| met.location.clone()),
            }
        }
    }
}

fn of_denial(denial: &Denial, verdict: Word) -> Ruling {
    let first = denial.first();
    Ruling {
        verdict,
        code: Some(first.code),
        text: Some(first.text.clone()),
        location: first.location.clone(),
    }
}

impl Word {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Permit => "permit",
            Self::Undecided => "undecided",
            Self::Warn => "warn",
        }
    }
}
