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
//!
//! Beside the readers, which take batches, there may be one visitor, who looks at changes where they are. It begins a visit
//! only where a batch could end, and may stop anywhere.

mod change;
mod segment;

pub use change::{Change, ChangeRef};
pub use segment::Batch;
pub(crate) use segment::Segment;

use std::collections::VecDeque;
use std::sync::Arc;

/// How far a visit came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Visited {
    /// Every change has been visited.
    All,
    /// There are more.
    More,
    /// There are more, but a change goes on in steps: they can be visited when it has ended.
    Unfinished,
}

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

impl ClosedSegment {
    /// The number of the first change behind it.
    fn end(&self) -> u64 {
        self.first_number + self.segment.len() as u64
    }
}

/// The changes that not all readers have taken yet.
pub struct Feed {
    next_number: u64,
    closed: VecDeque<ClosedSegment>,
    open: Segment,
    readers: Vec<Reader>,
    reader_count: u64,
    /// The number of the next change for the visitor, if there is one.
    visitor: Option<u64>,
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
            visitor: None,
            closed_bytes: 0,
            unfinished: 0,
            is_end_wanted: false,
        }
    }

    /// Sets the number of the next change, before there is a reader: where a stored shard left off.
    pub fn start(&mut self, next_number: u64) {
        assert!(
            self.readers.is_empty() && self.visitor.is_none(),
            "a reader counts on the numbers that it was given"
        );
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

    /// A batch of no changes, in which a reader's last word can be said.
    pub fn empty_batch(&self) -> Batch {
        Batch::starting_at(self.next_number)
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

    /// Has what changes from now on visited, of a change under way the rest; or no longer.
    pub(crate) fn set_visited(&mut self, is_visited: bool) {
        if is_visited != self.visitor.is_some() {
            self.visitor = is_visited.then_some(self.next_number);
            self.drop_taken();
        }
    }

    /// Whether a change is between its steps.
    pub(crate) fn is_between_steps(&self) -> bool {
        self.unfinished > 0
    }

    /// Shows the visitor the next changes with their numbers: at most so many, and none after one for which it returns
    /// false.
    pub(crate) fn visit(
        &mut self,
        count_max: usize,
        mut f: impl FnMut(u64, ChangeRef<'_>) -> bool,
    ) -> Visited {
        let Some(next) = self.visitor.filter(|next| *next < self.next_number) else { return Visited::All };
        if self.unfinished > 0 {
            self.is_end_wanted = true;
            return Visited::Unfinished;
        }
        let end = next.saturating_add(count_max as u64).min(self.next_number);
        let mut number = next;
        let mut first = self.closed.partition_point(|closed| closed.end() <= next);
        let open_first = self.next_number - self.open.len() as u64;
        let mut goes_on = true;
        while goes_on && number < end {
            let (segment, start) = match self.closed.get(first) {
                Some(closed) => (&*closed.segment, closed.first_number),
                None => (&self.open, open_first),
            };
            for index in (number - start) as usize..segment.len() {
                if !goes_on || number == end {
                    break;
                }
                goes_on = f(number, segment.get(index));
                number += 1;
            }
            first += 1;
        }
        self.visitor = Some(number);
        self.drop_taken();
        if number == self.next_number { Visited::All } else { Visited::More }
    }

    /// Enters a change.
    pub(crate) fn push(&mut self, change: ChangeRef<'_>) {
        if !self.readers.is_empty() || self.visitor.is_some() {
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
        let Some(next) = self.readers.iter().map(|reader| reader.next).chain(self.visitor).min() else {
            self.closed.clear();
            self.open = Segment::default();
            return;
        };
        while self.closed.front().is_some_and(|closed| closed.end() <= next) {
            self.closed.pop_front();
        }
        if self.readers.is_empty() && next == self.next_number {
            self.open.clear();
        }
    }
}

#[cfg(test)]
mod tests;
