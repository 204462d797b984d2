//! One record, field by field.

use jiff::Timestamp;
use pullgate_policy::policy::Revisions;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::DecisionId;

mod line;
mod words;

pub use words::{Kind, Word};

/// Who asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Client {
    /// Address and port.
    pub address: String,
    /// The address that a trusted proxy names; absent where none stands between.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forwarded: Option<String>,
    /// The names that it proved by certificate or password, escaped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// The `User-Agent`, escaped. It has no effect on anything.
    pub user_agent: String,
}

/// A reason of a denial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reason {
    /// The stable code.
    pub code: String,
    /// `file:line` of the requirement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// One line, escaped.
    pub text: String,
}

/// Who signed something by a signature that holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Signer {
    /// The identity with its issuer, or the key by its fingerprint, escaped.
    pub by: String,
    /// The layout in which it was found.
    pub layout: String,
    /// The predicate type of an attestation, escaped; absent of a signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attests: Option<String>,
    /// The authorities that it counted for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authorities: Vec<String>,
    /// Why it counted for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Whom its certificate names; absent of a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// Whether a log vouches for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub logged: bool,
}

/// Whom a certificate of a trust table names: what a policy must say to mean exactly that one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Identity {
    /// The trust table.
    pub trust: String,
    /// The OIDC issuer, escaped.
    pub issuer: String,
    /// The subject alternative name, escaped.
    pub name: String,
    /// The repository for which a workflow ran, escaped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// A piece of evidence that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failed {
    /// The digest of the blob.
    pub digest: String,
    /// The layout in which it was found.
    pub layout: String,
    /// Why.
    pub code: String,
}

/// One line of the pull log.
// `time` comes first: an unfinished last line is known by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Record {
    /// When the answer was made, RFC 3339 in UTC, milliseconds.
    #[serde(serialize_with = "to_the_millisecond")]
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub time: Timestamp,
    /// Counts the records of a gate, those that are lost too: where a number is left out, one is missing. Records of
    /// requests that were refused before any upstream was asked have none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub sequence: u64,
    /// The SHA-256 of the line before, in hex: of the numbered records each holds the one before it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub before: String,
    /// The gate that wrote it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub gate: String,
    /// Names this answer: 32 hex digits, of which people are shown the first 12.
    pub id: String,
    /// The answer whose verdict this one repeats from memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict_id: Option<String>,
    /// What one client asked for under one root, by tag, by digest, HEAD or GET, has one of these.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub story: String,
    /// What it is about.
    pub kind: Kind,
    /// How many requests it sums up; absent where it is one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub count: u64,
    /// When the first of them was answered; `time` is when they were summed up.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "perhaps_to_the_millisecond")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub since: Option<Timestamp>,
    /// Who asked; absent for a reload. In a sum the address has no port, and of IPv6 it is the network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<Client>,
    /// GET or HEAD.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub method: String,
    /// The canonical repository, `registry/path`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub repository: String,
    /// The registry that was or would be asked.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub upstream: String,
    /// The tag or digest as asked; of a request that was refused before it was known what it is for, its path.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reference: String,
    /// The SHA-256 digest that was served, or judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The media type of what was served, or judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The digest that the tag had before, if it has another now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_from: Option<String>,
    /// What was answered.
    pub verdict: Word,
    /// The HTTP status of the answer; of a reload 200 where it is in force, else 400.
    pub status: u16,
    /// On what ground it was permitted: `satisfied`, `warn-only`, `unchecked`, `exempt`, `each-child`, `evidence`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub ground: String,
    /// The root whose permit a grant rests on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// What the answer warned of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
    /// The policy that governs, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// The revision of the policy.
    pub policy_revision: String,
    /// The revision of the trust roots.
    pub trust_revision: String,
    /// `file:line` of each requirement that was met.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requirements: Vec<String>,
    /// `file:line` of each requirement that was not met.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unmet: Vec<String>,
    /// When it would be permitted, where its age is all that is missing.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "perhaps_to_the_millisecond")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub ripe_at: Option<Timestamp>,
    /// The authorities that met requirements.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authorities: Vec<String>,
    /// The identities that counted, escaped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identities: Vec<String>,
    /// The digests of the evidence that counted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
    /// Why it was refused, or would have been; then, by code, what evidence did not count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
    /// Of a denial: who signed something about it by a signature that holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signers: Vec<Signer>,
    /// Of a denial: pieces of evidence whose cryptography or form does not hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<Failed>,
    /// Entries of the lists above that are left out: each has at most 64.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: u64,
    /// `hit` from a remembered verdict, `kept` from kept evidence, `miss` where it was reached now.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cache: String,
    /// Of a checkpoint: the signed head, line by line (C2SP signed-note).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub note: Vec<String>,
    /// How long the answer took, milliseconds.
    pub milliseconds: u64,
    /// Records that were lost before this one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lost: u64,
}

/// Always three digits of a second: who sorts lines as text sorts them by time.
fn to_the_millisecond<S: serde::Serializer>(time: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&format_args!("{time:.3}"))
}

fn perhaps_to_the_millisecond<S: serde::Serializer>(
    time: &Option<Timestamp>,
    to: S,
) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => to_the_millisecond(time, to),
        None => to.serialize_none(),
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Record {
    /// A record of which only the outer facts are known.
    #[must_use]
    pub fn new(kind: Kind, id: &DecisionId, time: Timestamp, verdict: Word) -> Self {
        Self {
            time: Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time),
            sequence: 0,
            before: String::new(),
            gate: String::new(),
            id: id.as_str().to_owned(),
            verdict_id: None,
            story: String::new(),
            kind,
            count: 0,
            since: None,
            client: None,
            method: String::new(),
            repository: String::new(),
            upstream: String::new(),
            reference: String::new(),
            digest: None,
            media_type: None,
            moved_from: None,
            verdict,
            status: verdict.status(),
            ground: String::new(),
            root: None,
            warning: None,
            policy: None,
            policy_revision: String::new(),
            trust_revision: String::new(),
            requirements: Vec::new(),
            unmet: Vec::new(),
            ripe_at: None,
            authorities: Vec::new(),
            identities: Vec::new(),
            evidence: Vec::new(),
            reasons: Vec::new(),
            signers: Vec::new(),
            failed: Vec::new(),
            left_out: 0,
            cache: String::new(),
            note: Vec::new(),
            milliseconds: 0,
            lost: 0,
        }
    }

    /// The record of a reload, and of a trust root that was refreshed.
    #[must_use]
    pub fn reload(revisions: Revisions, now: Timestamp, result: Word, why: &[String]) -> Self {
        let mut record = Self::new(Kind::Reload, &DecisionId::random(), now, result);
        record.revisions(revisions);
        let reason = |text: &String| Reason { code: "reload".to_owned(), location: None, text: text.clone() };
        record.reasons.extend(why.iter().map(reason));
        record
    }

    /// The record of a start or a stop.
    #[must_use]
    pub fn of_gate(kind: Kind, revisions: Revisions, now: Timestamp, said: &[String]) -> Self {
        let mut record = Self::new(kind, &DecisionId::random(), now, Word::Permit);
        record.revisions(revisions);
        let reason =
            |text: &String| Reason { code: kind.as_str().to_owned(), location: None, text: text.clone() };
        record.reasons.extend(said.iter().map(reason));
        record
    }

    /// Says under which revisions of policy and trust.
    pub fn revisions(&mut self, revisions: Revisions) {
        self.policy_revision = revisions.policy.to_string();
        self.trust_revision = revisions.trust.to_string();
    }
}
