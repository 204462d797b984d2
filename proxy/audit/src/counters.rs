//! The pull log's own counters.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// The counters of the pull log. Clones are one.
#[derive(Clone, Debug)]
pub struct Counters {
    /// Records that are not in the log.
    pub lost: Counter,
    /// Records that are not in the database.
    pub rows_lost: Counter,
    /// Records that the database got later, from the lines.
    pub rows_made_good: Counter,
    /// Records of requests that were refused before any upstream was asked, where they are not kept.
    pub refusals_lost: Counter,
    files_lost: Family<FileLabels, Counter>,
}

/// A file of the pull log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AuditFile {
    /// `audit.db`.
    Database,
    /// That of the lines.
    Log,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct FileLabels {
    file: &'static str,
}

impl Counters {
    /// Adds the counters to those that are shown.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("audit_lost", "Audit records that are not in the pull log", self.lost.clone());
        let rows = "Audit records that are not in the database";
        registry.register("audit_rows_lost", rows, self.rows_lost.clone());
        let good = "Audit records that the database got later, from the pull log";
        registry.register("audit_rows_made_good", good, self.rows_made_good.clone());
        let refusals = "Records of requests refused before any upstream was asked, not kept as line or row";
        registry.register("audit_refusals_lost", refusals, self.refusals_lost.clone());
        let files = "Files of the pull log that somebody else removed, moved or replaced";
        registry.register("audit_files_lost", files, self.files_lost.clone());
    }

    /// Counts a file that another process removed or replaced.
    pub(super) fn file_lost(&self, file: AuditFile) {
        self.files_lost.get_or_create(&file.labels()).inc();
    }
}

impl Default for Counters {
    fn default() -> Self {
        let files_lost = Family::<FileLabels, Counter>::default();
        // An alert on a series that is not there yet is silent.
        for file in AuditFile::ALL {
            drop(files_lost.get_or_create(&file.labels()));
        }
        Self {
            lost: Counter::default(),
            rows_lost: Counter::default(),
            rows_made_good: Counter::default(),
            refusals_lost: Counter::default(),
            files_lost,
        }
    }
}

impl AuditFile {
    const ALL: [Self; 2] = [Self::Database, Self::Log];

    fn labels(self) -> FileLabels {
        let file = match self {
            Self::Database => "database",
            Self::Log => "log",
        };
        FileLabels { file }
    }
}
