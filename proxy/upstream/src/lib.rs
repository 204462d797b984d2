//! Registries as a gate meets them: endpoints, tokens, redirects, proxies and bounds. Everything that comes from one is
//! untrusted, bounded and timed; a credential goes to its own upstream or nowhere.
//!
//! Attack ids in comments (A026) are rows of `tests/ATTACKS.md`. Nothing here knows of policies or verdicts.

mod access;
mod address;
mod answer;
mod asking;
mod challenge;
mod client;
mod connect;
mod credentials;
mod endpoints;
mod fault;
mod files;
pub mod limits;
mod link;
mod lists;
mod notices;
mod off;
mod origin;
mod patience;
mod pinned;
mod quota;
mod realm;
mod redirect;
mod registry;
mod rest;
mod rest_of_blob;
mod resumed;
mod settings;
pub mod single_flight;
#[cfg(test)]
mod still;
#[cfg(test)]
mod tests;
mod token;
mod tunnel;

pub use answer::Room;
pub use fault::{Fault, SetupFault};
pub use files::Files;
pub use lists::{More, PageStart, ReferrerDescriptor, Referrers, TagPage};
pub use quota::Quota;
pub use registry::{BlobBody, FetchedManifest, Presence, Upstream};
pub use resumed::{blob_from, resumed};
pub use settings::Settings;
