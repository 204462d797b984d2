//! Why there is no page.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::frame::Frame;
use super::{shown, with_status};
use crate::audit::read::ReadError;

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// The question is malformed.
    #[error("{0}")]
    Asked(String),
    /// The log does not have it.
    #[error("{0}")]
    NotFound(&'static str),
    /// Nothing is there.
    #[error("there is no such page")]
    NoSuchPage,
    /// The log cannot be read.
    #[error("the pull log cannot be read: {0}")]
    Log(Arc<ReadError>),
    /// The count takes longer than a page waits.
    #[error("the pull log is long: it is still being counted. Ask again in a moment.")]
    StillCounting,
    /// The page cannot be written.
    #[error("the page cannot be shown")]
    Unshown,
}

impl From<ReadError> for Fault {
    fn from(error: ReadError) -> Self {
        Self::Log(Arc::new(error))
    }
}

#[derive(askama::Template)]
#[template(path = "fault.html")]
struct Page {
    frame: Frame,
    why: String,
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::Asked(_) => StatusCode::BAD_REQUEST,
            Self::NotFound(_) | Self::NoSuchPage => StatusCode::NOT_FOUND,
            Self::Log(_) | Self::StillCounting => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unshown => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let page = Page { frame: Frame::still("Not shown", ""), why: crate::report::fit(&self.to_string()) };
        match shown(&page) {
            Ok(page) => with_status(status, page),
            Err(_) => status.into_response(),
        }
    }
}
