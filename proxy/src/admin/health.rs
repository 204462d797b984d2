//! What is wrong with a gate, part by part.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use http::StatusCode;
use pullgate_policy::text;
use serde_json::json;

/// How a part of the gate is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// It works less well than it should; pulls are judged.
    Degraded(String),
    /// It is as it should be.
    Good,
    /// Pulls cannot be judged, or not be remembered.
    Unready(String),
}

/// What is wrong with a gate. Clones are one.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<Mutex<BTreeMap<&'static str, Part>>>);

enum Part {
    /// What was last said.
    Said(Condition),
    /// Who is asked each time.
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
    /// Nothing is known to be wrong.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Says how a part is.
    pub fn set(&self, component: &'static str, condition: Condition) {
        self.keep(component, Part::Said(condition));
    }

    /// Names a part that is asked whenever somebody wants to know. It must answer at once.
    pub fn watch(&self, component: &'static str, ask: impl Fn() -> Condition + Send + Sync + 'static) {
        self.keep(component, Part::Asked(Box::new(ask)));
    }

    fn keep(&self, component: &'static str, part: Part) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(component, part);
    }

    /// The status of `/readyz`, and its body: red only where pulls cannot be judged or what is judged not be kept.
    pub(super) fn report(&self) -> (StatusCode, serde_json::Value) {
        let parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut status = StatusCode::OK;
        let mut wrong = Vec::new();
        for (component, part) in parts.iter() {
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
        (status, json!({ "ready": status == StatusCode::OK, "wrong": wrong }))
    }
}
