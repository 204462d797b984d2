//! The audit record of an answer: what was asked, what was said, and what it rests on.

use std::net::SocketAddr;
use std::time::Instant;

use http::{HeaderMap, Method};
use pullgate_policy::evidence::Evidence;
use pullgate_policy::oci::{Digest, Repository};
use pullgate_policy::policy::Governing;
use pullgate_policy::verdict::{Basis, Denial, Ground, Permit};

use crate::app::App;
use crate::audit::{self, DecisionId, Record};
use crate::live::Live;
use crate::pull::{Content, Pull, Pulled, Remembered};
use crate::refusal::Refusal;

/// A request, as its record tells of it.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Who asked.
    pub client: SocketAddr,
    /// GET or HEAD.
    pub method: Method,
    /// The request's headers.
    pub headers: HeaderMap,
    /// The id of the answer.
    pub id: DecisionId,
    /// When it began.
    pub started: Instant,
}
