//! The feed of a shard: its changes, numbered in order of execution, for readers that each have a position of their own.
//!
//! Replaying changes in order onto the state before them gives the state after them. Only what had an effect is here:
//! deleting what isn't there leaves no trace. What all readers have taken is dropped; without a reader nothing is kept.
//!
//! Where a batch may end:
//! 1. At the end of a request, never inside one, so that all of it is stored or nothing.
//! 2. A change that goes on in steps lets other requests in between, so nowhere between its first step and its last.
//! 3. When a reader wanted such a place in vain, no further change begins before those under way have ended. So a place
//!    comes soon, whatever clients send.
//! 4. Segments end at such places, unless one change is longer than a segment; each knows whether it does.

mod change;
mod segment;

pub use change::{Change, ChangeRef};
pub use segment::Batch;

use std::collections::VecDeque;
use std::sync::Arc;

use segment::Segment;

/// A reader of one feed, until it is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReaderId(u64);

struct Reader {
    id: ReaderId,
    /// The number of the next change it gets; a segment begins with that.
    next: u64,
    /// The bytes of all segments before that, as `Feed::closed_bytes` counts them.
    bytes: u64,
}

struct ClosedSegment {
    first_number: u64,
    segment: Arc<Segment>,
    /// Whether a batch may end behind it.
    ends_whole: bool,
}

/// The changes that not all readers have taken yet.
pub struct Feed {
    next_number: u64,
    closed: VecDeque<ClosedSegment>,
    open: Segment,
    readers: Vec<Reader>,
    reader_count: u64,
    /// The bytes of all segments that were ever closed.
    closed_bytes: u64,
    /// Changes that have begun and go on in steps.
    unfinished: usize,
    /// Whether a reader waits for a place to end a batch at.
    is_end_wanted: bool,
}

impl Feed {
    pub(crate) fn new() -> Self {
        Self {
            next_number: 1,
            closed: VecDeque::new(),
            open: Segment::default(),
            readers: Vec::new(),
            reader_count: 0,
            closed_bytes: 0,
            unfinished: 0,
            is_end_wanted: false,
        }
    }

    /// Sets the number of the next change, before there is a reader: where a stored shard left off.
    pub fn start(&mut self, next_number: u64) {
        assert!(self.readers.is_empty(), "a reader counts on the numbers that it was given");
        self.next_number = next_number;
    }

    /// The number that the next change will have.
    pub fn next_number(&self) -> u64 {
        self.next_number
    }

    /// Adds a reader, which gets what changes from now on: of a change under way, the rest.
    pub fn open_reader(&mut self) -> ReaderId {
        self.close_segment(self.unfinished == 0);
        let id = ReaderId(self.reader_count);
        self.reader_count += 1;
        self.readers.push(Reader { id, next: self.next_number, bytes: self.closed_bytes });
        id
    }

    /// Removes a reader, and what was kept for it alone.
    pub fn close_reader(&mut self, id: ReaderId) {
        self.readers.retain(|reader| reader.id != id);
        self.drop_taken();
    }

    /// The memory of the changes that the reader has not taken yet.
    pub fn waiting_bytes(&self, id: ReaderId) -> usize {
        let waiting = |reader: &Reader| (self.closed_bytes - reader.bytes) as usize + self.open.bytes();
        self.reader(id).map_or(0, waiting)
    }

    /// Whether the reader has taken every change.
    pub fn is_caught_up(&self, id: ReaderId) -> bool {
        self.reader(id).is_none_or(|reader| reader.next == self.next_number)
    }

    /// Takes the next changes, of about so many bytes, as far as whole requests go. None if there are none, or if all are
    /// of a change that goes on: then they can be taken soon.
    pub fn take(&mut self, id: ReaderId, about_bytes: usize) -> Option<Batch> {
        let index = self.readers.iter().position(|reader| reader.id == id)?;
        let Reader { next, bytes, .. } = self.readers[index];
        let first = self.closed.partition_point(|closed| closed.first_number < next);
        let count = self.segments_to_take(first, about_bytes);
        if count == 0 {
            self.is_end_wanted = self.unfinished > 0;
            return None;
        }
        let mut batch = Batch::starting_at(next);
        for closed in self.closed.range(first..first + count) {
            batch.add(Arc::clone(&closed.segment));
        }
        let reader = &mut self.readers[index];
        reader.next = next + batch.len() as u64;
        reader.bytes = bytes + batch.bytes() as u64;
        self.drop_taken();
        Some(batch)
    }

    /// The number of segments from `first` on that come to about so many bytes and end with a whole request.
    fn segments_to_take(&mut self, first: usize, about_bytes: usize) -> usize {
        let (mut count, mut bytes) = (0, 0);
        let mut index = first;
        loop {
            if index == self.closed.len() && (self.unfinished > 0 || !self.close_segment(true)) {
                return count;
            }
            let closed = &self.closed[index];
            index += 1;
            bytes += closed.segment.bytes();
            if closed.ends_whole {
                count = index - first;
                if bytes >= about_bytes {
                    return count;
                }
            }
        }
    }

    /// Enters a change.
    pub(crate) fn push(&mut self, change: ChangeRef<'_>) {
        if !self.readers.is_empty() {
            if self.open.is_full() {
                self.close_segment(false);
            }
            self.open.push(change);
        }
        self.next_number += 1;
    }

    /// Marks that all changes of a request are entered.
    pub(crate) fn end_request(&mut self) {
        if self.open.is_full() && self.unfinished == 0 {
            self.close_segment(true);
        }
    }

    /// Lets a change begin that goes on in steps; false if it must wait for those under way.
    pub(crate) fn begin_steps(&mut self) -> bool {
        if self.unfinished == 0 {
            self.close_segment(true);
        } else if self.is_end_wanted {
            return false;
        }
        self.unfinished += 1;
        true
    }

    /// Ends a change that went on in steps.
    pub(crate) fn end_steps(&mut self) {
        self.unfinished -= 1;
        if self.unfinished == 0 {
            self.is_end_wanted = false;
            if !self.close_segment(true)
                && let Some(last) = self.closed.back_mut()
            {
                last.ends_whole = true;
            }
        }
    }

    fn reader(&self, id: ReaderId) -> Option<&Reader> {
        self.readers.iter().find(|reader| reader.id == id)
    }

    /// Closes the open segment; false if there is nothing in it.
    fn close_segment(&mut self, ends_whole: bool) -> bool {
        if self.open.is_empty() {
            return false;
        }
        let segment = std::mem::take(&mut self.open);
        let first_number = self.next_number - segment.len() as u64;
        self.closed_bytes += segment.bytes() as u64;
        self.closed.push_back(ClosedSegment { first_number, segment: Arc::new(segment), ends_whole });
        true
    }

    fn drop_taken(&mut self) {
        let Some(next) = self.readers.iter().map(|reader| reader.next).min() else {
            self.closed.clear();
            self.open = Segment::default();
            return;
        };
        while self.closed.front().is_some_and(|closed| closed.first_number < next) {
            self.closed.pop_front();
        }
    }
}

#[cfg(test)]
mod tests;
