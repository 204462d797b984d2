//! The frame of all pages.

/// The heading of a page, and which place of the navigation it is.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) title: String,
    pub(super) here: &'static str,
    pub(super) live: Live,
}

/// Whether a page is shown anew while somebody looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Live {
    No,
    Yes,
}

impl Frame {
    /// A page that stays as it is.
    pub(super) fn still(title: impl Into<String>, here: &'static str) -> Self {
        Self { title: title.into(), here, live: Live::No }
    }

    /// A page that is shown anew every few seconds, where scripts run.
    pub(super) fn live(title: impl Into<String>, here: &'static str) -> Self {
        Self { title: title.into(), here, live: Live::Yes }
    }

    /// Whether a place of the navigation is this page.
    pub(super) fn is_here(&self, path: &str) -> bool {
        self.here == path
    }

    /// Whether a script shows it anew.
    pub(super) fn is_live(&self) -> bool {
        self.live == Live::Yes
    }

    /// The places of the navigation: where they lead, what they are called.
    pub(super) fn places() -> [(&'static str, &'static str); 5] {
        [
            ("/", "Overview"),
            ("/search", "Search"),
            ("/report", "Report"),
            ("/policy", "Policy"),
            ("/shadow", "Shadow"),
        ]
    }
}
