//! The report.

use std::sync::Arc;

use axum::extract::{Query, State};
use serde::Deserialize;

use super::frame::Frame;
use super::reports::Window;
use super::{Answer, Pages, shown};
use crate::report::{Report, Sections};

/// The question.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    since: String,
}

#[derive(askama::Template)]
#[template(path = "report-page.html")]
struct Page {
    frame: Frame,
    report: Arc<Report>,
    show: Sections,
    window: Window,
    windows: [Window; 4],
}

pub(super) async fn page(State(pages): State<Arc<Pages>>, Query(asked): Query<Asked>) -> Answer {
    let window = Window::parse(&asked.since)?;
    let report = pages.reports.on(window, &pages.app.live(), pages.app.clock.now()).await?;
    let frame = Frame::still("Report", "/report");
    let show = Sections::of(std::iter::empty());
    shown(&Page { frame, report, show, window, windows: Window::ALL })
}
