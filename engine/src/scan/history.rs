//! The records of one document between two times, from either end.
//!
//! State is the half-open range of positions still to be looked at; going forward eats it from the front, in reverse from
//! the back. A record whose text was cut stays in the range until its end is written. Records are looked at as they are to
//! be had at once: a whole chunk, or a block of one that is sealed; where nothing is searched for, those that fit are written
//! so. A sealed chunk in which no text can hold what is searched for is passed over.

use super::step::{Progress, Step};
use super::time_text::TimeText;
use crate::chunk::{Blocks, Chunk, ChunkPlace, Chunks, Records};
use crate::limits::{READ_AHEAD, SEALED_LITERAL_WORK};
use crate::pattern::{Filter, FilterSearch};

/// The most that is written around a record's text.
const RECORD_BYTES_MAX: usize = 64;

/// A record's place, and as the end of a range the place behind it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Position {
    chunk: ChunkPlace,
    record: usize,
}

/// The place of the first record from a time on.
fn start_at(chunks: &Chunks, from: i64) -> Position {
    // Mostly no time is given, and the first chunk needn't be looked at.
    let first = ChunkPlace::default();
    if from == i64::MIN || chunks.get(first).is_some_and(|chunk| chunk.first_ts() >= from) {
        return Position { chunk: first, record: 0 };
    }
    let chunk = chunks.partition_point(|chunk| chunk.last_ts() < from);
    Position { chunk, record: chunks.get(chunk).map_or(0, |chunk| chunk.count_before(from)) }
}

/// The place behind the last record up to a time. The newest is looked at first, which most queries begin with.
fn end_at(chunks: &Chunks, to: i64) -> Position {
    if let Some(newest) = chunks.newest().filter(|newest| newest.last_ts() <= to || newest.first_ts() <= to) {
        return Position { chunk: chunks.newest_place(), record: newest.count_through(to) };
    }
    let behind = chunks.partition_point(|chunk| chunk.first_ts() <= to);
    let last = chunks.before(behind).and_then(|at| Some((at, chunks.get(at)?)));
    let end = |(chunk, last): (ChunkPlace, &Chunk)| Position { chunk, record: last.count_through(to) };
    last.map_or(Position { chunk: ChunkPlace::default(), record: 0 }, end)
}

/// How many records the chunk at a place has.
fn len(chunks: &Chunks, at: ChunkPlace) -> usize {
    chunks.get(at).map_or(0, Chunk::len)
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
    /// The sealed chunk that may hold what is searched for, as far as can be told without its texts.
    possible: Option<ChunkPlace>,
}

impl HistoryScan {
    /// The records between two times; if `all_count`, every one of them is to be written, up to the limit.
    pub(crate) fn new(
        chunks: &Chunks,
        from: i64,
        to: i64,
        limit: u64,
        reverse: bool,
        all_count: bool,
    ) -> Self {
        let end = end_at(chunks, to);
        // Where the newest few are wanted they are mostly in one chunk, and each other one looked at is a cache miss.
        let near = usize::try_from(limit).ok().and_then(|limit| end.record.checked_sub(limit));
        let near = near.filter(|&record| {
            reverse && all_count && chunks.get(end.chunk).is_some_and(|chunk| chunk.ts(record) >= from)
        });
        Self {
            next: near.map_or_else(|| start_at(chunks, from), |record| Position { record, ..end }),
            end,
            reverse,
            remaining: limit,
            is_first: true,
            cut: None,
            search: FilterSearch::default(),
            possible: None,
        }
    }

    /// The chunks that are still needed, taken out of `chunks`; positions are moved to fit.
    pub(crate) fn snapshot(&mut self, chunks: &Chunks) -> Chunks {
        let first = self.next.chunk;
        let needed = chunks.snapshot(first..self.end.chunk);
        self.next.chunk = Chunks::moved(first, first);
        self.end.chunk = Chunks::moved(self.end.chunk, first);
        self.possible = None;
        needed
    }

    pub(crate) fn run(
        &mut self,
        chunks: &Chunks,
        filter: &Filter<'_>,
        blocks: &mut Blocks,
        step: &mut Step<'_>,
    ) -> Progress {
        while let Some(position) = self.current(chunks) {
            if step.is_spent() {
                return Progress::More;
            }
            let Some(chunk) = chunks.get(position.chunk) else { break };
            if self.cut.is_none() && self.passes_over(chunk, chunks, position, filter, blocks, step) {
                continue;
            }
            let records = blocks.around(chunk, position.record);
            if self.write_some(&records, chunks, position, filter, step) == Progress::More {
                return Progress::More;
            }
        }
        step.write(b"]");
        Progress::Done
    }

    /// Passes over a sealed chunk in which nothing can be found.
    fn passes_over(
        &mut self,
        chunk: &Chunk,
        chunks: &Chunks,
        position: Position,
        filter: &Filter<'_>,
        blocks: &mut Blocks,
        step: &mut Step<'_>,
    ) -> bool {
        let (Chunk::Sealed(sealed), Some(literal)) = (chunk, filter.needed()) else { return false };
        if self.possible == Some(position.chunk) {
            return false;
        }
        *step.work() = step.work().saturating_sub(SEALED_LITERAL_WORK);
        if blocks.may_contain(sealed, literal) {
            self.possible = Some(position.chunk);
            return false;
        }
        if self.reverse {
            self.end = Position { record: 0, ..position };
        } else {
            self.next = Position { chunk: chunks.after(position.chunk), record: 0 };
        }
        self.search = FilterSearch::default();
        true
    }

    /// Writes what is asked for of these records, as far as the step goes; done when none of them is next.
    fn write_some(
        &mut self,
        records: &Records<'_>,
        chunks: &Chunks,
        mut position: Position,
        filter: &Filter<'_>,
        step: &mut Step<'_>,
    ) -> Progress {
        loop {
            let is_written =
                self.cut.is_none() && filter.is_empty() && self.write_run(records, position, step);
            if !is_written && self.write_one(records, position, filter, step) == Progress::More {
                return Progress::More;
            }
            match self.current(chunks) {
                Some(next) if next.chunk == position.chunk && records.range().contains(&next.record) => {
                    position = next;
                }
                _ => return Progress::Done,
            }
            if step.is_spent() {
                return Progress::More;
            }
        }
    }

    /// Writes a record, if it passes, as far as there is room.
    fn write_one(
        &mut self,
        records: &Records<'_>,
        position: Position,
        filter: &Filter<'_>,
        step: &mut Step<'_>,
    ) -> Progress {
        let data = records.data(position.record);
        if self.cut.is_none() {
            step.look();
            match filter.passes(data, &mut self.search, step.work()) {
                Some(true) => {}
                Some(false) => {
                    self.advance(position);
                    return Progress::Done;
                }
                None => return Progress::More,
            }
            step.write(if self.is_first { b"{\"ts\":" } else { b",{\"ts\":" });
            step.write_number(records.ts(position.record));
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
        Progress::Done
    }

    /// Writes these records from the next one on, as long as they surely fit; false if not even one does.
    fn write_run(&mut self, records: &Records<'_>, position: Position, step: &mut Step<'_>) -> bool {
        let most = usize::try_from(self.remaining).unwrap_or(usize::MAX);
        let (first, there) = (position.record, records.range());
        let written = if self.reverse {
            let start = if self.next.chunk == position.chunk { self.next.record } else { 0 };
            self.write_records(records, (start.max(there.start)..=first).rev().take(most), step)
        } else {
            let end = if self.end.chunk == position.chunk { self.end.record } else { there.end };
            self.write_records(records, (first..end.min(there.end)).take(most), step)
        };
        if written == 0 {
            return false;
        }
        self.is_first = false;
        self.remaining -= written as u64;
        if self.reverse {
            self.end = Position { record: first + 1 - written, ..position };
        } else {
            self.next.record += written;
        }
        true
    }

    /// Writes these records as long as they surely fit; returns how many those are.
    fn write_records(
        &self,
        records: &Records<'_>,
        indexes: impl Iterator<Item = usize>,
        step: &mut Step<'_>,
    ) -> usize {
        let mut between = TimeText::new(b"\"},{\"ts\":", b",\"data\":\"");
        let is_long = self.remaining > READ_AHEAD as u64;
        let mut written = 0;
        for index in indexes {
            if is_long {
                let soon = if self.reverse { index.wrapping_sub(READ_AHEAD) } else { index + READ_AHEAD };
                records.prefetch_text(soon);
            }
            let data = records.bytes(index);
            if !step.fits(data.len() + RECORD_BYTES_MAX) {
                break;
            }
            step.look();
            if written > 0 {
                between.put(step.out, records.ts(index));
            } else {
                step.write(if self.is_first { b"{\"ts\":" } else { b",{\"ts\":" });
                step.write_number(records.ts(index));
                step.write(b",\"data\":\"");
            }
            step.write_whole(data);
            written += 1;
        }
        if written > 0 {
            step.write(b"\"}");
        }
        written
    }

    /// The next record to look at, if there is one.
    fn current(&mut self, chunks: &Chunks) -> Option<Position> {
        if self.next >= self.end || self.remaining == 0 {
            return None;
        }
        if self.reverse {
            if self.end.record == 0 {
                let chunk = chunks.before(self.end.chunk)?;
                self.end = Position { chunk, record: len(chunks, chunk) };
            }
            let position = Position { record: self.end.record - 1, ..self.end };
            return (position >= self.next).then_some(position);
        }
        if self.next.record == len(chunks, self.next.chunk) {
            self.next = Position { chunk: chunks.after(self.next.chunk), record: 0 };
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
