//! The audit record of an answer: request, verdict, and the evidence that it rests on.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use http::header::USER_AGENT;
use http::{HeaderMap, HeaderValue, Method, Uri};
use jiff::Timestamp;
use pullgate_policy::code::Code;
use pullgate_policy::evidence::Evidence;
use pullgate_policy::limits::LOG_FIELD_BYTES;
use pullgate_policy::oci::{Digest, Reference, Repository};
use pullgate_policy::policy::Governing;
use pullgate_policy::verdict::{Basis, Denial, Ground, Permit};

use super::respond;
use crate::audit::{Client, DecisionId, Failed, Identity, Kind, Reason, Record, Refused, Signer, Word};
use crate::live::Live;
use crate::metrics::Said;
use crate::pull::replay::{Content as Replayable, Replayed};
use crate::pull::{Content, Pull, Pulled, Remembered};
use crate::refusal::Refusal;
use crate::route;
use crate::shadow::Answered;

/// The facts of a request for its record.
#[derive(Debug, Clone)]
pub struct RequestFacts {
    /// Who asked.
    pub client: SocketAddr,
    /// The address that a trusted proxy names.
    pub forwarded: Option<IpAddr>,
    /// The names that it proved.
    pub names: Vec<String>,
    /// GET or HEAD.
    pub method: Method,
    /// The request's headers.
    pub headers: HeaderMap,
    /// The id of the answer.
    pub id: DecisionId,
    /// When it began.
    pub started: Instant,
}

/// The record of content that is served.
#[must_use]
pub fn served(now: Timestamp, live: &Live, asked: &RequestFacts, pull: &Pull, pulled: &Pulled) -> Record {
    let mut record = begun(now, live, asked, Kind::Manifest, &pull.repository, Word::Permit);
    record.reference = pull.reference.to_string();
    record.digest = Some(pulled.content.digest().to_string());
    record.media_type = Some(pulled.content.document().media_type().to_owned());
    record.warning = crate::pull::serve::warning(pulled);
    record.moved_from = pulled.moved_from.map(|digest| digest.to_string());
    record.cache = match pulled.memory {
        Remembered::Hit => "hit",
        Remembered::Kept => "kept",
        Remembered::Miss => "miss",
    }
    .to_owned();
    match &pulled.content {
        Content::Evidence(passed) => {
            "evidence".clone_into(&mut record.ground);
            if let Some(vouched) = passed.vouched() {
                record.authorities.push(vouched.authority.to_string());
                record.identities.push(vouched.identity.clone());
                record.evidence.push(vouched.blob.to_string());
            }
        }
        Content::Permitted(permitted) => {
            rests_on(&mut record, live, permitted.permit());
            if let Basis::Grant(grant) = permitted.basis() {
                record.root = Some(grant.permit().subject().digest.to_string());
            }
        }
    }
    if let Some(code) = pulled.undecided {
        record.reasons.push(told(code, "served as on_undecided says"));
    }
    if let Some(evidence) = &pulled.evidence {
        record.reasons.extend(did_not_count(evidence));
    }
    record
}

fn rests_on(record: &mut Record, live: &Live, permit: &Permit) {
    permit.ground().as_str().clone_into(&mut record.ground);
    record.policy = permit.policy().map(ToString::to_string);
    for met in permit.met() {
        record.requirements.push(met.location.to_string());
        record.authorities.extend(met.authorities.iter().map(ToString::to_string));
        record.identities.extend(met.identities.iter().cloned());
        record.evidence.extend(met.evidence.iter().map(ToString::to_string));
        record.reasons.extend(met.claimed.iter().map(|claimed| Reason {
            code: Code::ClaimedReferenceDiffers.as_str().to_owned(),
            location: Some(met.location.to_string()),
            text: format!("the payload names {claimed}"),
        }));
    }
    match permit.ground() {
        Ground::WarnOnly(denial) => denied(record, denial),
        Ground::Exempt { owner, location } => {
            // It stands in the policy under which the permit counts now.
            let exemption = live.policy().exemptions.iter().find(|one| one.location == *location);
            let why =
                exemption.map(|one| format!(", until {}: {}", one.until, one.reason)).unwrap_or_default();
            record.reasons.push(Reason {
                code: "exempt".to_owned(),
                location: Some(location.to_string()),
                text: format!("exempt, {owner} answers for it{why}"),
            });
        }
        Ground::EachChild | Ground::Satisfied | Ground::Unchecked => {}
    }
}

/// The record of a manifest request that gets no content.
#[must_use]
pub fn refused(now: Timestamp, live: &Live, asked: &RequestFacts, pull: &Pull, refusal: &Refusal) -> Record {
    let mut record = begun(now, live, asked, Kind::Manifest, &pull.repository, word(refusal));
    record.reference = pull.reference.to_string();
    if let Reference::Digest(digest) = &pull.reference {
        record.digest = Some(digest.to_string());
    }
    why(&mut record, live, asked, refusal);
    record
}

/// The record of a blob that is refused.
#[must_use]
pub fn blob_refused(
    now: Timestamp,
    live: &Live,
    asked: &RequestFacts,
    repository: &Repository,
    digest: &Digest,
    refusal: &Refusal,
) -> Record {
    let mut record = begun(now, live, asked, Kind::BlobRefused, repository, word(refusal));
    record.reference = digest.to_string();
    record.digest = Some(digest.to_string());
    why(&mut record, live, asked, refusal);
    record
}

/// The record of a request that was refused before its route was known: malformed, or for a registry that is not
/// served. It has the path and registry of the target, never the query.
#[must_use]
pub fn unread(now: Timestamp, live: &Live, asked: &RequestFacts, target: &Uri, refusal: &Refusal) -> Record {
    let mut record = Record::new(Kind::RequestRefused, &asked.id, now, word(refusal));
    by_whom(&mut record, asked);
    target.path().clone_into(&mut record.reference);
    record.upstream = route::registry_named(target).map(|named| named.to_string()).unwrap_or_default();
    record.revisions(live.revisions());
    why(&mut record, live, asked, refusal);
    record
}

/// Whether a refusal of the pull itself is a stranger's: where no policy governs, no upstream is asked (A062, A606).
#[must_use]
pub fn whose(refusal: &Refusal) -> Refused {
    match refusal {
        Refusal::Denied(denial) if denial.first().code == Code::ScopeUnmatched => Refused::Unasked,
        Refusal::Denied(_)
        | Refusal::HeadTooLarge
        | Refusal::Malformed
        | Refusal::Missing(_)
        | Refusal::NotShown
        | Refusal::RangeUnsatisfiable(_)
        | Refusal::Request(_)
        | Refusal::TargetTooLong
        | Refusal::Unauthenticated
        | Refusal::Undecided(_) => Refused::Governed,
    }
}

fn begun(
    now: Timestamp,
    live: &Live,
    asked: &RequestFacts,
    kind: Kind,
    repository: &Repository,
    verdict: Word,
) -> Record {
    let mut record = Record::new(kind, &asked.id, now, verdict);
    by_whom(&mut record, asked);
    record.repository = repository.to_string();
    record.upstream = repository.registry().to_string();
    if let Governing::Policy(policy, _) = live.policy().governing(repository) {
        record.policy = Some(policy.name.to_string());
    }
    record.revisions(live.revisions());
    record
}

fn by_whom(record: &mut Record, asked: &RequestFacts) {
    record.client = Some(client(asked));
    record.method = asked.method.to_string();
    record.milliseconds = u64::try_from(asked.started.elapsed().as_millis()).unwrap_or(u64::MAX);
}

/// Who asked.
pub(super) fn client(asked: &RequestFacts) -> Client {
    // As much as a record shows, and one byte by which it shows that there was more: stories keep it.
    let shown = |value: &HeaderValue| {
        let bytes = value.as_bytes();
        let cut = bytes.get(..=LOG_FIELD_BYTES).unwrap_or(bytes);
        String::from_utf8_lossy(cut).into_owned()
    };
    let agent = asked.headers.get(USER_AGENT).map(shown);
    Client {
        address: asked.client.to_string(),
        forwarded: asked.forwarded.map(|address| address.to_string()),
        names: asked.names.clone(),
        user_agent: agent.unwrap_or_default(),
    }
}

fn word(refusal: &Refusal) -> Word {
    match refusal {
        Refusal::Denied(_) => Word::Deny,
        Refusal::HeadTooLarge
        | Refusal::Malformed
        | Refusal::RangeUnsatisfiable(_)
        | Refusal::Request(_)
        | Refusal::TargetTooLong
        | Refusal::Unauthenticated => Word::Refused,
        Refusal::Missing(_) | Refusal::NotShown => Word::Missing,
        Refusal::Undecided(_) => Word::Undecided,
    }
}

/// The reasons of a denial, the evidence that did not count, the judged document, and the lines of the unmet
/// requirements.
fn denied(record: &mut Record, denial: &Denial) {
    if let Some(judged) = denial.judged() {
        record.digest = Some(judged.digest.to_string());
        record.media_type = Some(judged.media_type.clone());
    }
    record.ripe_at = denial.ripe_at();
    record.reasons.extend(reasons(denial));
    record.signers.extend(denial.signers().iter().map(|signer| Signer {
        by: signer.by.clone(),
        layout: signer.layout.clone(),
        attests: signer.attests.clone(),
        authorities: signer.authorities.iter().map(ToString::to_string).collect(),
        code: signer.code.map(|code| code.as_str().to_owned()),
        identity: signer.identity.as_ref().map(|named| Identity {
            trust: named.trust.to_string(),
            issuer: named.issuer.clone(),
            name: named.name.clone(),
            source: named.source.clone(),
        }),
        logged: signer.logged,
    }));
    record.failed.extend(denial.failed().iter().map(|failed| Failed {
        digest: failed.digest.to_string(),
        layout: failed.layout.clone(),
        code: failed.code.as_str().to_owned(),
    }));
    record.unmet.extend(denial.reasons().filter_map(|reason| Some(reason.location.as_ref()?.to_string())));
    record.requirements.extend(denial.met().iter().map(ToString::to_string));
}

fn why(record: &mut Record, live: &Live, asked: &RequestFacts, refusal: &Refusal) {
    record.status = respond::status(refusal, &asked.method, live.denied_head()).as_u16();
    match refusal {
        Refusal::Denied(denial) => denied(record, denial),
        Refusal::Undecided(undecided) => {
            record.reasons.push(told(undecided.code(), undecided.code().cause()))
        }
        Refusal::NotShown => {
            record.reasons.push(told(Code::UpstreamNotShown, Code::UpstreamNotShown.cause()));
        }
        Refusal::Malformed
        | Refusal::Missing(_)
        | Refusal::RangeUnsatisfiable(_)
        | Refusal::Request(_)
        | Refusal::HeadTooLarge
        | Refusal::TargetTooLong
        | Refusal::Unauthenticated => {
            let code = refusal.code().to_owned();
            record.reasons.push(Reason { code, location: None, text: String::new() });
        }
    }
}

fn told(code: Code, text: &str) -> Reason {
    Reason { code: code.as_str().to_owned(), location: None, text: text.to_owned() }
}

fn reasons(denial: &Denial) -> impl Iterator<Item = Reason> {
    denial.reasons().chain(denial.skipped()).map(|reason| Reason {
        code: reason.code.as_str().to_owned(),
        location: reason.location.as_ref().map(ToString::to_string),
        text: reason.text.clone(),
    })
}

fn did_not_count(evidence: &Evidence) -> impl Iterator<Item = Reason> {
    evidence.rejected.iter().map(|rejected| Reason {
        code: rejected.code.as_str().to_owned(),
        location: None,
        text: format!("{} {}: {}", rejected.source.layout.as_str(), rejected.source.blob, rejected.detail),
    })
}

/// A pull to be judged by another policy too; `None` where there was no verdict.
#[must_use]
pub fn answered(record: &Record) -> Option<Answered> {
    let was = match (record.verdict, record.ground.as_str()) {
        (Word::Deny, _) => Said::Deny,
        (Word::Permit, "warn-only") => Said::Warn,
        (Word::Permit, _) => Said::Permit,
        (Word::Missing | Word::Refused | Word::Undecided, _) => return None,
    };
    let digest = record.digest.as_ref()?.parse().ok()?;
    let root = record.root.as_ref().and_then(|root| root.parse().ok());
    let content = Replayable { repository: record.repository.parse().ok()?, digest, root };
    let mut shadow = Record::new(Kind::Shadow, &DecisionId::random(), record.time, record.verdict);
    shadow.verdict_id = Some(record.id.clone());
    shadow.client.clone_from(&record.client);
    shadow.method.clone_from(&record.method);
    shadow.repository.clone_from(&record.repository);
    shadow.upstream.clone_from(&record.upstream);
    shadow.reference.clone_from(&record.reference);
    shadow.digest.clone_from(&record.digest);
    shadow.root.clone_from(&record.root);
    Some(Answered { content, was, record: shadow, at: tokio::time::Instant::now() })
}

/// Fills in the other policy's verdict.
pub fn would_be(record: &mut Record, by: &Live, verdict: &Replayed) {
    if let Ok(repository) = record.repository.parse()
        && let Governing::Policy(policy, _) = by.policy().governing(&repository)
    {
        record.policy = Some(policy.name.to_string());
    }
    record.revisions(by.revisions());
    match verdict {
        Replayed::Deny(denial) => {
            (record.verdict, record.status) = (Word::Deny, 403);
            denied(record, denial);
        }
        Replayed::Permit(permit) => {
            (record.verdict, record.status) = (Word::Permit, 200);
            rests_on(record, by, permit);
        }
        Replayed::Unknown(unknown) => {
            (record.verdict, record.status) = (Word::Undecided, 503);
            let (code, text) = (unknown.code().to_owned(), unknown.text().to_owned());
            record.reasons.push(Reason { code, location: None, text });
        }
    }
}
