//! The room that one step has, what it may look at, and text that may be cut between two steps.

use crate::json::{ESCAPE_BYTES_MAX, escape_some, escape_with};
use crate::limits::{WORK_MAX, WORK_PER_ITEM};
use crate::vectors::Method;

/// Whether a reply is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// There is more: call again.
    More,
    /// The reply is complete.
    Done,
}

/// Where one step writes, and how much it may still write and look at.
pub(crate) struct Step<'o> {
    pub(crate) out: &'o mut Vec<u8>,
    end: usize,
    /// The work that is left.
    work: usize,
    method: Method,
}

impl<'o> Step<'o> {
    pub(crate) fn new(out: &'o mut Vec<u8>, room: usize) -> Self {
        // Without room a cursor would never come to its end.
        let end = out.len().saturating_add(room.max(1));
        Self { out, end, work: WORK_MAX, method: Method::best() }
    }

    /// Whether the step must end before it looks at something more.
    pub(crate) fn is_spent(&self) -> bool {
        self.out.len() >= self.end || self.work == 0
    }

    /// Whether so many bytes of text are sure to fit, however many of them must be escaped.
    #[inline]
    pub(crate) fn fits(&self, bytes: usize) -> bool {
        self.work > 0 && bytes * ESCAPE_BYTES_MAX <= self.end.saturating_sub(self.out.len())
    }

    /// Counts one thing looked at.
    pub(crate) fn look(&mut self) {
        self.work = self.work.saturating_sub(WORK_PER_ITEM);
    }

    /// The work that is left, for a search to take from.
    pub(crate) fn work(&mut self) -> &mut usize {
        &mut self.work
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    pub(crate) fn write_number(&mut self, number: i64) {
        self.out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }

    /// Writes text escaped that fits.
    #[inline]
    pub(crate) fn write_whole(&mut self, text: &[u8]) {
        escape_with(self.method, self.out, text);
    }

    /// Writes text escaped, from `offset` on, as far as there is room; returns whether it came to the end.
    pub(crate) fn write_text(&mut self, text: &str, offset: &mut usize) -> bool {
        let room = self.end.saturating_sub(self.out.len());
        *offset += escape_some(self.method, self.out, &text.as_bytes()[*offset..], room);
        let is_whole = *offset == text.len();
        if is_whole {
            *offset = 0;
        }
        is_whole
    }
}
