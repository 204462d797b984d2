//! The hash of the record before, in each: who alters, drops or puts in one has to alter all that came after it.

use std::sync::Arc;

use crate::hash::hash;
use crate::key::LogKey;
use crate::note::{self, Head};
use crate::record::{Kind, Record};

/// The end of the chain, as who writes lines holds it.
#[derive(Debug)]
pub(crate) struct Chain {
    head: Option<Head>,
    key: Option<Arc<LogKey>>,
}

impl Chain {
    /// Goes on behind a record, if there is one; its heads are signed where there is a key.
    pub(crate) fn new(head: Option<Head>, key: Option<Arc<LogKey>>) -> Self {
        Self { head, key }
    }

    /// Binds a record to the one before; a checkpoint signs that.
    pub(crate) fn bind(&self, record: &mut Record) {
        let Some(head) = &self.head else { return };
        record.before = hex::encode(head.hash);
        if let (Kind::Checkpoint, Some(key)) = (record.kind, &self.key) {
            record.note = note::sign(head, record.time, key);
        }
    }

    /// The line that was made of it.
    pub(crate) fn advance(&mut self, sequence: u64, line: &str) {
        self.head = Some(Head { sequence, hash: hash(line.as_bytes()) });
    }
}
