//! The outcome of the expectations. The JSON form is documented in `proxy/README.md` and stable.

use std::fmt::Write as _;

use pullgate_config::{Expect, ExpectedVerdict};
use pullgate_policy::oci::Digest;
use pullgate_policy::text;
use pullgate_policy::verdict::{Denial, Ground};
use serde::Serialize;

use crate::cli::Exit;
use crate::cli::paint::Paint;
use crate::pull::replay::Replayed;

/// The version of the JSON shape.
const VERSION: u32 = 1;

/// All of them.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    version: u32,
    pub(super) expectations: Vec<Tried>,
    pub(super) as_expected: usize,
    pub(super) otherwise: usize,
    pub(super) unknown: usize,
}

/// One of them.
#[derive(Debug, Serialize)]
pub(super) struct Tried {
    pub(super) image: String,
    /// Where it is expected.
    pub(super) location: String,
    pub(super) digest: Option<Digest>,
    pub(super) expected: &'static str,
    pub(super) expected_code: Option<&'static str>,
    /// `permit`, `warn`, `deny`; `unknown` where content or evidence was not kept.
    pub(super) verdict: &'static str,
    pub(super) reasons: Vec<Reason>,
    pub(super) outcome: Outcome,
}

/// Why.
#[derive(Debug, Serialize)]
pub(super) struct Reason {
    pub(super) code: String,
    pub(super) text: String,
    pub(super) location: Option<String>,
}

/// Whether it is as expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Outcome {
    AsExpected,
    Otherwise,
    Unknown,
}

impl Tried {
    /// What came of one.
    pub(super) fn of(expect: &Expect, digest: Option<Digest>, verdict: &Replayed) -> Self {
        let (said, reasons) = match verdict {
            Replayed::Deny(denial) => (Some(ExpectedVerdict::Deny), reasons(denial)),
            Replayed::Permit(permit) => match permit.ground() {
                Ground::WarnOnly(denial) => (Some(ExpectedVerdict::Warn), reasons(denial)),
                Ground::EachChild | Ground::Exempt { .. } | Ground::Satisfied | Ground::Unchecked => {
                    (Some(ExpectedVerdict::Permit), Vec::new())
                }
            },
            Replayed::Unknown(unknown) => {
                let (code, text) = (unknown.code().to_owned(), unknown.text().to_owned());
                (None, vec![Reason { code, text, location: None }])
            }
        };
        let has_code = expect.code.is_none_or(|code| reasons.iter().any(|one| one.code == code.as_str()));
        let outcome = match said {
            None => Outcome::Unknown,
            Some(said) if said == expect.verdict && has_code => Outcome::AsExpected,
            Some(_) => Outcome::Otherwise,
        };
        Self {
            image: expect.image.to_string(),
            location: expect.location.to_string(),
            digest,
            expected: expect.verdict.as_str(),
            expected_code: expect.code.map(|code| code.as_str()),
            verdict: said.map_or("unknown", ExpectedVerdict::as_str),
            reasons,
            outcome,
        }
    }

    /// Expectation and outcome, in one line.
    pub(super) fn line(&self) -> String {
        let code = self.expected_code.map(|code| format!(" ({code})")).unwrap_or_default();
        let reasons: Vec<String> = self
            .reasons
            .iter()
            .map(|reason| {
                let place = reason.location.as_ref().map(|place| format!("{place}: ")).unwrap_or_default();
                format!("; {place}{}: {}", reason.code, text::escape(&reason.text))
            })
            .collect();
        format!("{} expected{code}, {} came{}", self.expected, self.verdict, reasons.concat())
    }
}

fn reasons(denial: &Denial) -> Vec<Reason> {
    let one = |reason: &pullgate_policy::verdict::Reason| Reason {
        code: reason.code.to_string(),
        text: reason.text.clone(),
        location: reason.location.as_ref().map(ToString::to_string),
    };
    denial.reasons().map(one).collect()
}

impl Report {
    /// All together.
    pub(super) fn of(expectations: Vec<Tried>) -> Self {
        let count = |outcome| expectations.iter().filter(|one| one.outcome == outcome).count();
        let (as_expected, otherwise) = (count(Outcome::AsExpected), count(Outcome::Otherwise));
        let unknown = count(Outcome::Unknown);
        Self { version: VERSION, as_expected, otherwise, unknown, expectations }
    }

    /// The worst of them.
    pub(super) fn exit(&self) -> Exit {
        match (self.unknown, self.otherwise) {
            (0, 0) => Exit::Success,
            (0, _) => Exit::No,
            (_, _) => Exit::Undecided,
        }
    }

    /// For people.
    pub(super) fn render(&self, paint: Paint) -> String {
        let mut shown = String::new();
        for one in &self.expectations {
            let word = match one.outcome {
                Outcome::AsExpected => paint.good("ok     "),
                Outcome::Otherwise => paint.bad("not    "),
                Outcome::Unknown => paint.odd("unknown"),
            };
            let _ = writeln!(shown, "{word} {} {}: {}", one.location, one.image, one.line());
        }
        let Self { as_expected, otherwise, unknown, .. } = self;
        let _ = writeln!(shown, "{as_expected} as expected, {otherwise} not, {unknown} unknown");
        shown
    }
}
