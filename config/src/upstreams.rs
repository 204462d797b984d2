//! What the configuration file says of upstreams, for whoever holds names of registries against it.

use std::collections::{BTreeMap, BTreeSet};

use pullgate_policy::oci::Registry;

use crate::config::Upstream;

/// What the file says of upstreams.
#[derive(Debug, Default)]
pub(crate) struct Upstreams {
    /// Those that could be read.
    pub(crate) tables: BTreeMap<Registry, Upstream>,
    /// Those that are named, so that a broken one has its own faults only.
    pub(crate) names: BTreeSet<Registry>,
}
