//! A count of records during a long start, which the log tells once a second.

use crate::limits::PROGRESS_INTERVAL;
use std::time::Instant;
use tracing::info;

pub(crate) struct Tally {
    doing: &'static str,
    total: usize,
    done: usize,
    said: Instant,
}

impl Tally {
    pub(crate) fn new(doing: &'static str, total: usize) -> Tally {
        Tally { doing, total, done: 0, said: Instant::now() }
    }

    /// Counts further records.
    pub(crate) fn add(&mut self, records: usize) {
        self.done += records;
        if self.said.elapsed() >= PROGRESS_INTERVAL {
            self.said = Instant::now();
            info!(records = self.done, of = self.total, "{}", self.doing);
        }
    }
}
