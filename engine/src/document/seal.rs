//! Which chunks of a document are sealed and when, and how they are opened again.
//!
//! Chunks that have been filled in order of time are sealed once enough newer records are behind them; how far that has
//! come is a time. Earlier ones that were changed since, or opened for that, are sealed when they have been left alone from
//! one round over all documents to the next.

use std::sync::Arc;

use super::series::Document;
use crate::chunk::{Chunk, ChunkSizes, OpenChunk, open};
use crate::limits::SEALING_RECORDS_MIN;
use crate::sealed::Sealed;
use crate::sealing::Unit;

/// Chunks that are put together to units.
#[derive(Default)]
struct Units {
    whole: Vec<Unit>,
    unit: Unit,
    records: usize,
    text_bytes: usize,
    total: usize,
}

impl Units {
    /// Whether a chunk of so many records and so much text still goes into the unit.
    fn fits(&self, chunk: &OpenChunk, sizes: &ChunkSizes) -> bool {
        self.records + chunk.len() <= sizes.sealed_records + sizes.sealed_records / 4
            && self.text_bytes + chunk.text_bytes() <= sizes.sealed_text_bytes
    }

    fn is_nearly_full(&self, sizes: &ChunkSizes) -> bool {
        self.records >= sizes.sealed_records / 4 * 3 || self.text_bytes >= sizes.sealed_text_bytes / 4 * 3
    }

    fn push(&mut self, chunk: Arc<OpenChunk>) {
        self.records += chunk.len();
        self.text_bytes += chunk.text_bytes();
        self.unit.push(chunk);
    }

    /// Ends a unit; one of few records stays as it is.
    fn close(&mut self, sizes: &ChunkSizes) {
        let unit = std::mem::take(&mut self.unit);
        if self.records >= SEALING_RECORDS_MIN.min(sizes.sealed_records) {
            self.total += self.records;
            self.whole.push(unit);
        }
        (self.records, self.text_bytes) = (0, 0);
    }
}

impl Document {
    pub(crate) fn is_queued(&self) -> bool {
        self.sealing.is_queued
    }

    pub(crate) fn set_queued(&mut self, is_queued: bool) {
        self.sealing.is_queued = is_queued;
    }

    /// The chunks that are to be sealed next.
    pub(crate) fn take_units(&mut self, sizes: &ChunkSizes) -> Vec<Unit> {
        let mut units = Units::default();
        if self.sealing.is_cold {
            self.sealing.is_cold = self.take_cold(&mut units, sizes);
        }
        if units.total < sizes.work_records {
            self.take_filled(&mut units, sizes);
        }
        units.whole
    }

    /// Takes chunks that have been filled in order.
    fn take_filled(&mut self, units: &mut Units, sizes: &ChunkSizes) {
        let end = self.end_of_old(sizes);
        let start = self.chunks.partition_point(|chunk| chunk.first_ts() < self.sealing.next_ts);
        let mut next = start;
        for at in start..end {
            let goes_on = match self.chunks[at].unsealed() {
                Some(chunk) if units.fits(chunk, sizes) || units.unit.is_empty() => true,
                Some(_) | None => false,
            };
            if !goes_on {
                units.close(sizes);
                next = at;
                if units.total >= sizes.work_records {
                    break;
                }
            }
            self.push_unit(at, units, sizes);
        }
        if units.total < sizes.work_records {
            let is_whole = units.is_nearly_full(sizes) || units.unit.is_empty();
            if is_whole {
                units.close(sizes);
                next = end.max(start);
            }
        }
        if let Some(next) = self.chunks.get(next) {
            self.sealing.next_ts = self.sealing.next_ts.max(next.first_ts());
        }
    }

    /// Takes chunks further back that have been left alone; returns whether there may be more.
    fn take_cold(&mut self, units: &mut Units, sizes: &ChunkSizes) -> bool {
        let end = self.end_of_looked_at(sizes);
        for at in 0..end {
            let goes_on = self.is_cold(at);
            let fits = self.chunks[at].unsealed().is_some_and(|chunk| units.fits(chunk, sizes));
            let ends = !goes_on || !fits;
            if ends && !units.unit.is_empty() {
                units.close(sizes);
                if units.total >= sizes.work_records {
                    return true;
                }
            }
            if goes_on {
                self.push_unit(at, units, sizes);
            }
        }
        units.close(sizes);
        false
    }

    /// Whether a chunk is open and has been left alone, as have its neighbours: with them it was or will be one.
    fn is_cold(&self, at: usize) -> bool {
        let around = &self.chunks[at.saturating_sub(1)..(at + 2).min(self.chunks.len())];
        self.chunks[at].unsealed().is_some()
            && !around.iter().filter_map(Chunk::unsealed).any(OpenChunk::is_warm)
    }

    fn push_unit(&mut self, at: usize, units: &mut Units, sizes: &ChunkSizes) {
        let small =
            self.chunks[at].unsealed().is_some_and(|chunk| chunk.text_bytes() <= sizes.sealed_text_bytes);
        if small && let Some(chunk) = self.chunks[at].share_full() {
            units.push(chunk);
        }
    }

    /// The number of chunks before those with the newest records.
    fn end_of_old(&self, sizes: &ChunkSizes) -> usize {
        let mut end = self.chunks.len().saturating_sub(1);
        let mut newer = self.chunks.last().map_or(0, Chunk::len);
        while end > 0 && newer < sizes.open_records {
            end -= 1;
            newer += self.chunks[end].len();
        }
        end
    }

    /// The number of chunks that sealing in order has passed.
    fn end_of_looked_at(&self, sizes: &ChunkSizes) -> usize {
        let passed = self.chunks.partition_point(|chunk| chunk.first_ts() < self.sealing.next_ts);
        passed.min(self.end_of_old(sizes))
    }

    /// Puts a sealed chunk in the place of those that it was made of, if none of them has changed. Returns how many records
    /// that were.
    pub(crate) fn put_sealed(&mut self, unit: &[Arc<OpenChunk>], sealed: Sealed) -> usize {
        let at = self.chunks.partition_point(|chunk| chunk.last_ts() < sealed.first_ts());
        let end = at + unit.len();
        let is_same =
            |now: &Chunk, was: &Arc<OpenChunk>| matches!(now, Chunk::Full(now) if Arc::ptr_eq(now, was));
        let are_same = end < self.chunks.len()
            && self.chunks[at..end].iter().zip(unit).all(|(now, was)| is_same(now, was));
        if !are_same {
            self.sealing.is_open_inside = true;
            return 0;
        }
        let count = sealed.len();
        self.bytes -= self.chunks[at..end].iter().map(Chunk::bytes).sum::<usize>();
        self.bytes += sealed.allocated_bytes();
        self.chunks.splice(at..end, [Chunk::Sealed(sealed)]);
        count
    }

    /// Notes which of the chunks that are not sealed have been left alone since the last time; returns whether there may be
    /// something to be sealed.
    pub(crate) fn cool(&mut self, sizes: &ChunkSizes) -> bool {
        let end = self.end_of_looked_at(sizes);
        let is_large = |chunk: &OpenChunk| {
            chunk.len() >= SEALING_RECORDS_MIN.min(sizes.sealed_records)
                && chunk.text_bytes() <= sizes.sealed_text_bytes
        };
        let is_cold = (0..end).any(|at| self.is_cold(at) && self.chunks[at].unsealed().is_some_and(is_large));
        let mut is_open_inside = false;
        for chunk in &mut self.chunks[..end] {
            if !chunk.unsealed().is_some_and(OpenChunk::is_warm) {
                continue;
            }
            is_open_inside = true;
            // One that a snapshot holds is looked at again the next time.
            if let Some(open) = chunk.own_mut() {
                open.set_warm(false);
            }
        }
        // Records that don't come in order fill chunks without a word.
        let is_behind = end < self.end_of_old(sizes);
        self.sealing.is_open_inside = is_open_inside || is_cold || is_behind;
        self.sealing.is_cold = is_cold;
        is_cold || is_behind
    }

    /// Whether `cool` has something to look at.
    pub(crate) fn is_open_inside(&self) -> bool {
        self.sealing.is_open_inside
    }

    /// Opens a chunk, so that it can be changed.
    pub(super) fn open(&mut self, at: usize, sizes: &ChunkSizes) {
        if let Chunk::Sealed(sealed) = &self.chunks[at] {
            let opened = open(sealed, sizes);
            self.sealing.is_open_inside = true;
            self.bytes -= sealed.allocated_bytes();
            self.bytes += opened.iter().map(Chunk::bytes).sum::<usize>();
            self.chunks.splice(at..at + 1, opened);
        }
    }

    /// Opens the chunks that have records both inside and outside of a range of time.
    pub(super) fn open_ends(&mut self, from: i64, to: i64, sizes: &ChunkSizes) {
        for ts in [to, from] {
            let at = self.chunk_at(ts);
            if let Some(Chunk::Sealed(sealed)) = self.chunks.get(at) {
                let inside = sealed.count_through(to).saturating_sub(sealed.count_before(from));
                if inside > 0 && inside < sealed.len() {
                    self.open(at, sizes);
                }
            }
        }
    }

    /// Opens the last chunk, which is written to and read most.
    pub(super) fn open_last(&mut self, sizes: &ChunkSizes) {
        if let Some(last) = self.chunks.len().checked_sub(1) {
            self.open(last, sizes);
        }
    }
}
