//! The records of one document between two times, from either end.
//!
//! State is the half-open range of positions still to be looked at; going forward eats it from the front, in reverse from
//! the back. A record whose text was cut stays in the range until its end is written.

use std::rc::Rc;

use super::step::{Progress, Step};
use crate::chunk::Chunk;
use crate::pattern::{Filter, FilterSearch};

/// A record's place, and as the end of a range the place behind it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Position {
    chunk: usize,
    record: usize,
}

/// A history that may be cut anywhere.
pub(crate) struct HistoryScan {
    next: Position,
    end: Position,
    reverse: bool,
    /// The number of records that may still be written.
    remaining: u64,
    is_first: bool,
    /// Set while a record is half written: how much of its text is.
    cut: Option<usize>,
    search: FilterSearch,
}

impl HistoryScan {
    pub(crate) fn new(chunks: &[Rc<Chunk>], from: i64, to: i64, limit: u64, reverse: bool) -> Self {
        // The ends are looked at first: most queries are open at one of them, and each chunk looked at is a cache miss.
        let first = match chunks.first() {
            Some(first) if first.first_ts() >= from => 0,
            _ => chunks.partition_point(|chunk| chunk.last_ts() < from),
        };
        let count = match chunks.last() {
            Some(last) if last.first_ts() <= to => chunks.len(),
            _ => chunks.partition_point(|chunk| chunk.first_ts() <= to),
        };
        let next =
            Position { chunk: first, record: chunks.get(first).map_or(0, |chunk| chunk.count_before(from)) };
        let end = match count.checked_sub(1) {
            Some(chunk) => Position { chunk, record: chunks[chunk].count_through(to) },
            None => Position { chunk: 0, record: 0 },
        };
        Self {
            next,
            end,
            reverse,
            remaining: limit,
            is_first: true,
            cut: None,
            search: FilterSearch::default(),
        }
    }

    /// The chunks that are still needed, taken out of `chunks`; positions are moved to fit.
    pub(crate) fn snapshot(&mut self, chunks: &[Rc<Chunk>]) -> Vec<Rc<Chunk>> {
        let first = self.next.chunk;
        self.next.chunk -= first;
        self.end.chunk -= first;
        chunks[first..=first + self.end.chunk].to_vec()
    }

    pub(crate) fn run(&mut self, chunks: &[Rc<Chunk>], filter: &Filter<'_>, step: &mut Step<'_>) -> Progress {
        loop {
            let Some(position) = self.current(chunks) else {
                step.write(b"]");
                return Progress::Done;
            };
            if step.is_spent() {
                return Progress::More;
            }
            let chunk = &*chunks[position.chunk];
            let data = chunk.data(position.record);
            if self.cut.is_none() {
                step.look();
                match filter.passes(data, &mut self.search, step.work()) {
                    Some(true) => {}
                    Some(false) => {
                        self.advance(position);
                        continue;
                    }
                    None => return Progress::More,
                }
                step.write(if self.is_first { b"{\"ts\":" } else { b",{\"ts\":" });
                step.write_number(chunk.ts(position.record));
                step.write(b",\"data\":\"");
                self.is_first = false;
            }
            let mut offset = self.cut.take().unwrap_or(0);
            if !step.write_text(data, &mut offset) {
                self.cut = Some(offset);
                return Progress::More;
            }
            step.write(b"\"}");
            self.remaining -= 1;
            self.advance(position);
        }
    }

    /// The next record to look at, if there is one.
    fn current(&mut self, chunks: &[Rc<Chunk>]) -> Option<Position> {
        if self.next >= self.end || self.remaining == 0 {
            return None;
        }
        if self.reverse {
            if self.end.record == 0 {
                self.end.chunk -= 1;
                self.end.record = chunks[self.end.chunk].len();
            }
            let position = Position { record: self.end.record - 1, ..self.end };
            return (position >= self.next).then_some(position);
        }
        if self.next.record == chunks[self.next.chunk].len() {
            self.next = Position { chunk: self.next.chunk + 1, record: 0 };
        }
        (self.next < self.end).then_some(self.next)
    }

    fn advance(&mut self, position: Position) {
        if self.reverse {
            self.end = position;
        } else {
            self.next.record += 1;
        }
    }
}
