//! What `doctor` found, for programs and for people.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use pullgate_policy::text::escape;
use serde::{Serialize, Serializer};

use crate::cli::Exit;
use crate::cli::node::{Finding, Gate, Runtime, Way, Weight};
use crate::cli::paint::Paint;

/// The shape of `doctor --format json`.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    version: u32,
    pub(super) result: Outcome,
    gates: Vec<String>,
    pub(super) runtimes: Vec<Looked>,
    pub(super) findings: Vec<Cured>,
    pub(super) probes: Vec<Probe>,
    pub(super) images: Vec<JudgedImage>,
}

/// What all findings come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Outcome {
    Closed,
    Open,
    Unknown,
}

#[derive(Debug, Serialize)]
pub(super) struct Looked {
    #[serde(serialize_with = "word")]
    pub(super) runtime: Runtime,
    pub(super) result: Outcome,
}

/// A finding with what closes it.
#[derive(Debug, Serialize)]
pub(super) struct Cured {
    pub(super) code: &'static str,
    pub(super) weight: &'static str,
    pub(super) runtime: Option<&'static str>,
    path: Option<String>,
    says: String,
    cure: String,
    pub(super) accepted: bool,
    #[serde(skip)]
    finding: Finding,
}

/// One question for the canary.
#[derive(Debug, Serialize)]
pub(super) struct Probe {
    #[serde(serialize_with = "word")]
    pub(super) runtime: Runtime,
    pub(super) image: String,
    pub(super) result: &'static str,
    pub(super) shown: String,
}

/// An image of the node.
#[derive(Debug, Serialize)]
pub(super) struct JudgedImage {
    pub(super) image: String,
    pub(super) verdict: &'static str,
    pub(super) code: Option<String>,
}

fn word<S: Serializer>(runtime: &Runtime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(runtime.as_str())
}

impl Cured {
    pub(super) fn new(finding: Finding, cure: String) -> Self {
        Self {
            code: finding.way.as_str(),
            weight: finding.way.weight().as_str(),
            runtime: finding.runtime.map(Runtime::as_str),
            path: finding.path.as_ref().map(|path| escape(&path.display().to_string())),
            says: escape(&finding.says),
            cure,
            accepted: false,
            finding,
        }
    }

    fn counts(&self) -> bool {
        !self.accepted && self.finding.way.weight() != Weight::Told
    }
}

impl Outcome {
    fn of<'a>(findings: impl Iterator<Item = &'a Cured>) -> Self {
        match findings.filter(|one| one.counts()).map(|one| one.finding.way.weight()).min() {
            Some(Weight::Open) => Self::Open,
            Some(Weight::Unknown) => Self::Unknown,
            Some(Weight::Told) | None => Self::Closed,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::Unknown => "unknown",
        }
    }

    fn painted(self, paint: Paint) -> String {
        match self {
            Self::Closed => paint.good(self.as_str()),
            Self::Open => paint.bad(self.as_str()),
            Self::Unknown => paint.odd(self.as_str()),
        }
    }
}

impl Report {
    pub(super) fn of(gates: &[Gate], runtimes: &BTreeSet<Runtime>) -> Self {
        let looked = |runtime: &Runtime| Looked { runtime: *runtime, result: Outcome::Closed };
        Self {
            version: 1,
            result: Outcome::Closed,
            gates: gates.iter().map(ToString::to_string).collect(),
            runtimes: runtimes.iter().map(looked).collect(),
            findings: Vec::new(),
            probes: Vec::new(),
            images: Vec::new(),
        }
    }

    /// With the cure that a person does.
    pub(super) fn add(&mut self, finding: Finding) {
        let cure = finding.way.cure().to_owned();
        self.findings.push(Cured::new(finding, cure));
    }

    /// What it comes to, without what is accepted. A node on which nothing pulls is not shown to be closed.
    pub(super) fn settle(&mut self, accepted: &[Way]) {
        for one in &mut self.findings {
            one.accepted = accepted.contains(&one.finding.way);
        }
        self.findings.sort_by(|a, b| {
            let key = |one: &Cured| (one.finding.runtime, one.finding.way.weight(), one.finding.clone());
            key(a).cmp(&key(b))
        });
        for looked in &mut self.runtimes {
            let of = self.findings.iter().filter(|one| one.finding.runtime == Some(looked.runtime));
            looked.result = Outcome::of(of);
        }
        self.result = match Outcome::of(self.findings.iter()) {
            Outcome::Closed if self.runtimes.is_empty() => Outcome::Unknown,
            outcome => outcome,
        };
    }

    pub(super) fn exit(&self) -> Exit {
        match self.result {
            Outcome::Closed => Exit::Success,
            Outcome::Open => Exit::No,
            Outcome::Unknown => Exit::Usage,
        }
    }

    /// How many findings count with this weight.
    pub(super) fn count(&self, weight: Weight) -> usize {
        self.findings.iter().filter(|one| one.counts() && one.finding.way.weight() == weight).count()
    }

    /// For people. What files, programs and images say is escaped: a terminal obeys its input (A522).
    pub(super) fn text(&self, paint: Paint) -> String {
        let mut shown = String::new();
        for looked in &self.runtimes {
            let _ =
                writeln!(shown, "{}  {}", paint.bold(looked.runtime.as_str()), looked.result.painted(paint));
            let of = |one: &&Cured| one.finding.runtime == Some(looked.runtime);
            self.findings.iter().filter(of).for_each(|one| one.shown(&mut shown, paint));
        }
        let about_node: Vec<_> = self.findings.iter().filter(|one| one.finding.runtime.is_none()).collect();
        if !about_node.is_empty() {
            let _ = writeln!(shown, "{}", paint.bold("node"));
            about_node.into_iter().for_each(|one| one.shown(&mut shown, paint));
        }
        for probe in &self.probes {
            let runtime = probe.runtime.as_str();
            let _ = writeln!(shown, "probe  {runtime} {}: {}", escape(&probe.image), probe.result);
        }
        for image in &self.images {
            let code = image.code.as_deref().map(|code| format!(" ({code})")).unwrap_or_default();
            let _ = writeln!(shown, "image  {}: {}{code}", escape(&image.image), image.verdict);
        }
        let (open, unknown) = (self.count(Weight::Open), self.count(Weight::Unknown));
        let sum = match self.result {
            Outcome::Closed => "no pull goes around the gate, as far as was looked".to_owned(),
            Outcome::Open => format!("a pull can go around the gate: ways {open}, not known {unknown}"),
            Outcome::Unknown => {
                format!("whether a pull can go around the gate is not known: {unknown} to look at")
            }
        };
        let _ = writeln!(shown, "{}: {sum}", self.result.painted(paint));
        shown
    }
}

impl Cured {
    fn shown(&self, shown: &mut String, paint: Paint) {
        let weight = match (self.accepted, self.finding.way.weight()) {
            (true, _) => paint.dim("accepted"),
            (false, Weight::Open) => paint.bad(self.weight),
            (false, Weight::Unknown) => paint.odd(self.weight),
            (false, Weight::Told) => paint.dim(self.weight),
        };
        let _ = writeln!(shown, "  {weight}  {}  {}", self.code, self.finding);
        let _ = writeln!(shown, "        cure: {}", self.cure);
    }
}
