//! The value of one entry, which may be cut anywhere: the smallest of scans, for a value can be a whole message long.

use super::step::{Progress, Step};
use crate::entry::Entry;

/// The place that the writing of a value has come to.
#[derive(Default)]
pub(crate) struct ValueScan {
    offset: usize,
}

impl ValueScan {
    pub(crate) fn run(&mut self, entry: &Entry, step: &mut Step<'_>) -> Progress {
        if !step.write_text(&entry.value, &mut self.offset) {
            return Progress::More;
        }
        step.write(b"\"");
        Progress::Done
    }
}
