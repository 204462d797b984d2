//! The hash of the record before, in each: who alters, drops or puts in one has to alter all that came after it.

use std::sync::Arc;

use crate::hash::hash;
use crate::key::LogKey;
use crate::note::{self, Begins, Head, Says};
use crate::record::{Kind, Record};

/// The end of the chain, as who writes lines holds it.
#[derive(Debug)]
pub(crate) struct Chain {
    end: End,
    key: Option<Arc<LogKey>>,
}

/// Behind what the next record comes.
#[derive(Debug)]
pub(crate) enum End {
    /// Behind nothing that is borne out: a checkpoint says so.
    Begins(Begins),
    /// Behind this record.
    Head(Head),
}

impl Chain {
    /// Goes on behind a record, or begins; its heads are signed where there is a key.
    pub(crate) fn new(end: End, key: Option<Arc<LogKey>>) -> Self {
        Self { end, key }
    }

    /// Binds a record to the one before; a checkpoint signs that.
    pub(crate) fn bind(&self, record: &mut Record) {
        if let End::Head(head) = &self.end {
            record.before = hex::encode(head.hash);
        }
        if let (Kind::Checkpoint, Some(key)) = (record.kind, &self.key) {
            let says = match &self.end {
                End::Begins(begins) if record.sequence == 1 => Says::Begins(0, *begins),
                End::Begins(_) => Says::Begins(record.sequence.saturating_sub(1), Begins::Anew),
                End::Head(head) => Says::Covers(head.clone()),
            };
            record.note = note::sign(&says, record.time, key);
        }
    }

    /// The line that was made of it.
    pub(crate) fn advance(&mut self, sequence: u64, line: &str) {
        self.end = End::Head(Head { sequence, hash: hash(line.as_bytes()) });
    }
}
