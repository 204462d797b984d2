//! One record, field by field.

use jiff::Timestamp;
use pullgate_policy::text;
use schemars::JsonSchema;
use serde::Serialize;

/// What a record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A blob that was refused.
    BlobRefused,
    /// An answer to a manifest request.
    Manifest,
    /// A reload of the configuration.
    Reload,
}

/// What was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Word {
    /// 403.
    Deny,
    /// 404.
    Missing,
    /// 200.
    Permit,
    /// The request could not be read.
    Refused,
    /// 503.
    Undecided,
}

/// Who asked.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Client {
    /// Address and port.
    pub address: String,
    /// The `User-Agent`, escaped. It has no effect on anything.
    pub user_agent: String,
}

/// A reason of a denial.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Reason {
    /// The stable code.
    pub code: String,
    /// `file:line` of the requirement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// One line, escaped.
    pub text: String,
}

/// One line of the pull log.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Record {
    /// What it is about.
    pub kind: Kind,
    /// When the answer was made, RFC 3339 in UTC.
    pub time: String,
    /// Names this answer: 32 hex digits, of which people are shown the first 12.
    pub id: String,
    /// Who asked; absent for a reload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<Client>,
    /// GET or HEAD.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub method: String,
    /// The canonical repository, `registry/path`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub repository: String,
    /// The registry that was or would be asked.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub upstream: String,
    /// The tag or digest as asked.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reference: String,
    /// The SHA-256 digest that was served, or judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The digest that the tag had before, if it has another now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moved_from: Option<String>,
    /// What was answered.
    pub verdict: Word,
    /// On what ground it was permitted: `satisfied`, `warn-only`, `unchecked`, `exempt`, `evidence`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub ground: String,
    /// The root whose permit a grant rests on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// The policy that governs, if one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// The revision of the policy.
    pub policy_revision: String,
    /// The revision of the trust roots.
    pub trust_revision: String,
    /// `file:line` of each requirement that was met.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub requirements: Vec<String>,
    /// The authorities that met them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub authorities: Vec<String>,
    /// The identities that counted, escaped.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub identities: Vec<String>,
    /// The digests of the evidence that counted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
    /// Why it was refused, or would have been; and, in a `manifest` record, what evidence did not count.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
    /// `hit` from a remembered verdict, `kept` from kept evidence, `miss` where it was reached now.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cache: String,
    /// How long the answer took, milliseconds.
    pub milliseconds: u64,
    /// Records that were lost before this one.
    #[serde(skip_serializing_if = "is_zero")]
    pub lost: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Reasons in one record: the rest says no more to people.
const REASONS: usize = 64;

impl Record {
    /// A record of which only the outer facts are known.
    #[must_use]
    pub fn new(kind: Kind, id: &super::DecisionId, time: Timestamp, verdict: Word) -> Self {
        Self {
            kind,
            time: time.to_string(),
            id: id.as_str().to_owned(),
            client: None,
            method: String::new(),
            repository: String::new(),
            upstream: String::new(),
            reference: String::new(),
            digest: None,
            moved_from: None,
            verdict,
            ground: String::new(),
            root: None,
            policy: None,
            policy_revision: String::new(),
            trust_revision: String::new(),
            requirements: Vec::new(),
            authorities: Vec::new(),
            identities: Vec::new(),
            evidence: Vec::new(),
            reasons: Vec::new(),
            cache: String::new(),
            milliseconds: 0,
            lost: 0,
        }
    }

    /// The record as one line, without its end. Every text is escaped and cut, so nothing from outside breaks it (A521).
    #[must_use]
    pub fn line(&self) -> String {
        let mut shown = self.clone();
        shown.reasons.truncate(REASONS);
        let texts = [&mut shown.reference, &mut shown.repository, &mut shown.method, &mut shown.upstream];
        for text in texts {
            *text = text::escape(text);
        }
        if let Some(client) = &mut shown.client {
            client.user_agent = text::escape(&client.user_agent);
        }
        for text in shown.identities.iter_mut().chain(shown.policy.as_mut()) {
            *text = text::escape(text);
        }
        for reason in &mut shown.reasons {
            reason.text = text::escape(&reason.text);
        }
        serde_json::to_string(&shown).unwrap_or_default()
    }
}
