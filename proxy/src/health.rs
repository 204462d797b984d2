//! The health of a gate, part by part.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use http::StatusCode;
use parking_lot::Mutex;
use pullgate_policy::text;
pub use pullgate_store::Condition;
use serde_json::{Value, json};

/// The conditions of a gate. Clones are one.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<Mutex<Parts>>);

#[derive(Debug, Default)]
struct Parts {
    conditions: BTreeMap<&'static str, Part>,
    told: BTreeMap<&'static str, Facts>,
}

/// Facts that are reported in any condition.
struct Facts(Box<dyn Fn() -> Value + Send + Sync>);

impl fmt::Debug for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.0)().fmt(f)
    }
}

enum Part {
    /// The last reported condition.
    Said(Condition),
    /// Asked for its condition each time.
    Asked(Box<dyn Fn() -> Condition + Send + Sync>),
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.condition().fmt(f)
    }
}

impl Part {
    fn condition(&self) -> Condition {
        match self {
            Self::Said(condition) => condition.clone(),
            Self::Asked(ask) => ask(),
        }
    }
}

impl Health {
    /// A gate without any condition.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Says how a part is.
    pub fn set(&self, component: &'static str, condition: Condition) {
        self.keep(component, Part::Said(condition));
    }

    /// Registers a part that is asked for its condition with each report. It must answer at once.
    pub fn watch(&self, component: &'static str, ask: impl Fn() -> Condition + Send + Sync + 'static) {
        self.keep(component, Part::Asked(Box::new(ask)));
    }

    fn keep(&self, component: &'static str, part: Part) {
        self.0.lock().conditions.insert(component, part);
    }

    /// Registers facts that are part of each report. It must answer at once.
    pub fn tell(&self, name: &'static str, facts: impl Fn() -> Value + Send + Sync + 'static) {
        let facts = Facts(Box::new(facts));
        self.0.lock().told.insert(name, facts);
    }

    /// The status of `/readyz`, and its body: red only where pulls cannot be judged or verdicts cannot be kept.
    pub(super) fn report(&self) -> (StatusCode, Value) {
        let parts = self.0.lock();
        let mut status = StatusCode::OK;
        let mut wrong = Vec::new();
        for (component, part) in &parts.conditions {
            let (state, why) = match part.condition() {
                Condition::Good => continue,
                Condition::Degraded(why) => ("degraded", why),
                Condition::Unready(why) => {
                    status = StatusCode::SERVICE_UNAVAILABLE;
                    ("unready", why)
                }
            };
            wrong.push(json!({ "component": component, "state": state, "why": text::escape(&why) }));
        }
        let mut report = json!({ "ready": status == StatusCode::OK, "wrong": wrong });
        for (name, facts) in &parts.told {
            if let Some(report) = report.as_object_mut() {
                report.insert((*name).to_owned(), (facts.0)());
            }
        }
        (status, report)
    }
}
