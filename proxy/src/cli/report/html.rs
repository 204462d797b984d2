//! A report as one page that needs nothing else.

use askama::Template as _;

use crate::report::{Report, Sections};

/// The page.
#[derive(askama::Template)]
#[template(path = "report.html")]
struct Page<'a> {
    report: &'a Report,
    show: &'a Sections,
}

pub(super) fn page(report: &Report, show: &Sections) -> String {
    // It is written into memory: nothing can fail.
    Page { report, show }.render().unwrap_or_default()
}
