//! How far a long start is, on the log, once a second.

use crate::limits::PROGRESS_INTERVAL;
use std::time::Instant;
use tracing::info;

pub(crate) struct Progress {
    doing: &'static str,
    total: usize,
    done: usize,
    said: Instant,
}

impl Progress {
    pub(crate) fn new(doing: &'static str, total: usize) -> Progress {
        Progress { doing, total, done: 0, said: Instant::now() }
    }

    /// Counts records.
    pub(crate) fn add(&mut self, records: usize) {
        self.done += records;
        if self.said.elapsed() >= PROGRESS_INTERVAL {
            self.said = Instant::now();
            info!(records = self.done, of = self.total, "{}", self.doing);
        }
    }
}
