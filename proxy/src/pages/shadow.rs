//! Verdicts of a second policy on what is pulled.

use std::sync::Arc;

use axum::extract::State;
use pullgate_config::Shadow;

use super::frame::Frame;
use super::reports::Window;
use super::series::Series;
use super::{Answer, Pages, shown};
use crate::report::Image;
use crate::report::fit;

#[derive(askama::Template)]
#[template(path = "shadow.html")]
struct Page {
    frame: Frame,
    state: String,
    counts: Vec<(String, String, f64)>,
    images: Vec<Image>,
}

pub(super) async fn page(State(pages): State<Arc<Pages>>) -> Answer {
    let live = pages.app.live();
    let report = pages.reports.on(Window::Month, &live, pages.app.clock.now()).await?;
    let series = Series::read(&pages.app.metrics.encode());
    let count = |(labels, value): (&std::collections::BTreeMap<String, String>, f64)| {
        let label = |name: &str| labels.get(name).cloned().unwrap_or_default();
        (label("was"), label("would_be"), value)
    };
    let state = match &live.config().shadow {
        Some(Shadow::Policies(policies)) => {
            format!("Judged beside, by policy revision {}.", policies.set.revisions.policy)
        }
        Some(Shadow::Broken(why)) => format!("The policy of `audit.shadow` cannot be used: {}", fit(why)),
        None => "There is no `audit.shadow` in the configuration: no second policy is tried.".to_owned(),
    };
    shown(&Page {
        frame: Frame::live("Shadow", "/shadow"),
        state,
        counts: series.each("pullgate_shadow_verdicts_total").map(count).collect(),
        images: report.shadow.clone(),
    })
}
