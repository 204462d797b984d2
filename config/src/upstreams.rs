//! The upstreams of the configuration file, for checks of registry names.

use std::collections::{BTreeMap, BTreeSet};

use pullgate_policy::oci::Registry;

use crate::config::Upstream;

/// The upstreams of the file.
#[derive(Debug, Default)]
pub(crate) struct Upstreams {
    /// Those that could be read.
    pub(crate) tables: BTreeMap<Registry, Upstream>,
    /// Those that are named, so that a broken one has its own faults only.
    pub(crate) names: BTreeSet<Registry>,
}
