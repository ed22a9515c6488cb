//! The records of a document, and what is done with them whatever their chunks are.

use std::rc::Rc;

use super::state::SealingState;
use crate::chunk::{Chunk, ChunkPlace, ChunkSizes, Chunks, OpenChunk, RECORD_BYTES};
use crate::sealed::Sealed;
use crate::table::Named;

/// A named series of records.
///
/// In this order, so that what an insertion and a look at the newest record need are the first 48 bytes.
#[derive(Clone)]
#[repr(C)]
pub(crate) struct Document {
    name: Box<str>,
    record_count: usize,
    /// The memory of the records.
    pub(super) bytes: usize,
    pub(super) chunks: Chunks,
    pub(super) sealing: SealingState,
}

impl Named for Document {
    fn name(&self) -> &str {
        &self.name
    }
}

impl Document {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            record_count: 0,
            bytes: 0,
            chunks: Chunks::default(),
            sealing: SealingState::default(),
        }
    }

    pub(crate) fn chunks(&self) -> &Chunks {
        &self.chunks
    }

    pub(crate) fn record_count(&self) -> usize {
        self.record_count
    }

    /// The memory of the records.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    pub(crate) fn into_chunks(self) -> Chunks {
        self.chunks
    }

    /// Has the CPU fetch what the newest record and the next one need.
    #[inline]
    pub(crate) fn prefetch_end(&self) {
        if let Some(newest) = self.chunks.newest() {
            newest.prefetch_end();
        }
    }

    /// The newest record.
    pub(crate) fn newest(&self) -> Option<(i64, &str)> {
        let newest = self.chunks.newest()?.unsealed()?;
        Some((newest.last_ts(), newest.records().data(newest.len() - 1)))
    }

    /// The newest record at or before a time, as chunk and index in it.
    #[inline]
    pub(crate) fn newest_through(&self, ts: i64) -> Option<(&Chunk, usize)> {
        let newest = self.chunks.newest()?;
        if newest.last_ts() <= ts {
            return Some((newest, newest.len() - 1));
        }
        let chunk = if newest.first_ts() <= ts {
            newest
        } else {
            let behind = self.chunks.partition_point(|chunk| chunk.first_ts() <= ts);
            self.chunks.get(self.chunks.before(behind)?)?
        };
        Some((chunk, chunk.count_through(ts) - 1))
    }

    /// Stores a record, in place of one of the same time. Returns whether there may be something to be sealed now.
    pub(crate) fn put(&mut self, ts: i64, data: &str, sizes: &ChunkSizes) -> bool {
        let is_due = match self.chunks.newest_mut() {
            // Nearly all come so.
            Some(Chunk::Open(newest)) if ts > newest.last_ts() && newest.has_room(data, sizes) => {
                let newest = Rc::make_mut(newest);
                newest.push(ts, data);
                newest.len() == sizes.open_records
            }
            Some(last) if ts <= last.last_ts() => {
                return self.put_inside(ts, data, sizes) && sizes.seals;
            }
            Some(last) if last.unsealed().is_some_and(|last| last.has_room(data, sizes)) => {
                let Some(last) = last.unsealed_mut() else { unreachable!("it is not sealed") };
                last.push(ts, data);
                last.len() == sizes.open_records
            }
            Some(last) => {
                // Shrinking copies, so a chunk that a snapshot holds is left as it is, and so is one that is soon sealed.
                if !sizes.seals
                    && let Some(full) = last.own_mut()
                {
                    full.shrink();
                }
                let text_bytes = last.unsealed().map_or(0, OpenChunk::text_bytes);
                self.add_chunk(self.chunks.end(), ts, data);
                // It will be about as full as that, and growing step by step would copy it at each.
                if let Some(new) = self.chunks.newest_mut().and_then(Chunk::own_mut) {
                    new.reserve_text(text_bytes, sizes);
                }
                true
            }
            None => {
                self.add_chunk(ChunkPlace::default(), ts, data);
                false
            }
        };
        self.record_count += 1;
        self.bytes += data.len() + RECORD_BYTES;
        is_due && sizes.seals
    }

    /// Stores a record that is not the newest. Returns whether there may be something to be sealed now.
    fn put_inside(&mut self, ts: i64, data: &str, sizes: &ChunkSizes) -> bool {
        let mut at = self.chunk_at(ts);
        if let Some(chunk) = self.chunks.get(at).filter(|chunk| chunk.is_sealed()) {
            if ts < chunk.first_ts() {
                self.sealing.note_change_inside();
                self.record_count += 1;
                self.bytes += data.len() + RECORD_BYTES;
                self.add_chunk(at, ts, data);
                return false;
            }
            // One that grows without end by what comes late is cut anew some day.
            let is_large =
                chunk.len() > 2 * sizes.sealed_records || chunk.text_bytes() > 2 * sizes.sealed_text_bytes;
            if !is_large && chunk.takes_patch(data.len()) {
                return self.patch(at, ts, data);
            }
            self.open(at, sizes);
            at = self.chunk_at(ts);
        }
        self.sealing.note_change_inside();
        self.put_open(at, ts, data, sizes);
        false
    }

    /// Stores a record in a chunk that is not sealed.
    fn put_open(&mut self, at: ChunkPlace, ts: i64, data: &str, sizes: &ChunkSizes) {
        let chunk = self.edit(at);
        let index = chunk.count_before(ts);
        if index < chunk.len() && chunk.ts(index) == ts {
            let known_len = chunk.data_len(index);
            if chunk.has_room_in_place(index, data, sizes) {
                chunk.replace(index, data);
                self.bytes = self.bytes - known_len + data.len();
                return;
            }
            chunk.remove(index..index + 1);
            self.bytes = self.bytes - known_len + data.len();
        } else {
            self.record_count += 1;
            self.bytes += data.len() + RECORD_BYTES;
        }
        self.insert_new(at, index, ts, data, sizes);
    }

    /// Counts a record that was stored, if it is one more.
    pub(super) fn note_record(&mut self, is_new: bool) {
        self.record_count += usize::from(is_new);
    }

    /// Counts records that were removed.
    pub(super) fn note_removed(&mut self, count: usize) {
        self.record_count -= count;
    }

    /// The chunk that holds a time, or the first if it is before all.
    pub(super) fn chunk_at(&self, ts: i64) -> ChunkPlace {
        let behind = self.chunks.partition_point(|chunk| chunk.first_ts() <= ts);
        self.chunks.before(behind).unwrap_or_default()
    }

    /// A chunk that is known not to be sealed, to be changed.
    fn edit(&mut self, at: ChunkPlace) -> &mut OpenChunk {
        match self.chunks.get_mut(at).and_then(Chunk::unsealed_mut) {
            Some(chunk) => chunk,
            None => unreachable!("a sealed chunk is opened before it is changed"),
        }
    }

    /// Whether one more record of this text may go into a chunk.
    fn has_room(&self, at: ChunkPlace, data: &str, sizes: &ChunkSizes) -> bool {
        let chunk = self.chunks.get(at).and_then(Chunk::unsealed);
        chunk.is_some_and(|chunk| chunk.has_room(data, sizes))
    }

    /// Inserts a record of a new time before record `index` of the chunk at a place, making room if there is none.
    fn insert_new(&mut self, at: ChunkPlace, index: usize, ts: i64, data: &str, sizes: &ChunkSizes) {
        if self.has_room(at, data, sizes) {
            return self.edit(at).insert(index, ts, data);
        }
        if index == 0 {
            return self.add_chunk(at, ts, data);
        }
        let after = self.chunks.after(at);
        let chunk = self.edit(at);
        if index == chunk.len() {
            return if self.has_room(after, data, sizes) {
                self.edit(after).insert(0, ts, data)
            } else {
                self.add_chunk(after, ts, data)
            };
        }
        // Cut in the middle if that makes room, else at the record's own place, where it is first or last of a part.
        let middle = chunk.len() / 2;
        let cut =
            if chunk.text_bytes() / 2 + data.len() <= sizes.text_bytes / 4 * 3 { middle } else { index };
        let later = chunk.split_off(cut);
        let later_at = self.chunks.insert(after, Chunk::new(later));
        if index > cut {
            self.insert_new(later_at, index - cut, ts, data, sizes)
        } else {
            self.insert_new(self.chunks.before(later_at).unwrap_or_default(), index, ts, data, sizes)
        }
    }

    pub(super) fn add_sealed(&mut self, sealed: Sealed) {
        self.record_count += sealed.len();
        self.bytes += sealed.allocated_bytes();
        self.chunks.insert(self.chunks.end(), Chunk::Sealed(sealed));
    }

    fn add_chunk(&mut self, at: ChunkPlace, ts: i64, data: &str) {
        let mut chunk = OpenChunk::default();
        chunk.push(ts, data);
        self.chunks.insert(at, Chunk::new(chunk));
    }

    /// The latest time, at most `to`, up to which a range from `from` on touches no more than so many chunks.
    pub(crate) fn end_of_chunks(&self, from: i64, to: i64, count: usize) -> i64 {
        let first = self.chunks.partition_point(|chunk| chunk.last_ts() < from);
        let last = self.chunks.forward(first, count - 1);
        match self.chunks.get(last) {
            Some(chunk) if self.chunks.after(last) < self.chunks.end() => chunk.last_ts().min(to),
            _ => to,
        }
    }

    /// Deletes the records between two times, both inclusive; whole chunks go to `freed`. Returns how many went.
    pub(crate) fn delete_range(
        &mut self,
        from: i64,
        to: i64,
        sizes: &ChunkSizes,
        freed: &mut Vec<Chunk>,
    ) -> usize {
        if from > to {
            return 0;
        }
        let count_before = self.record_count;
        self.open_ends(from, to, sizes);
        let first = self.chunks.partition_point(|chunk| chunk.last_ts() < from);
        let end = self.chunks.partition_point(|chunk| chunk.first_ts() <= to);
        let Some(last) = self.chunks.before(end).filter(|last| first <= *last) else {
            return count_before - self.record_count;
        };
        // The outermost chunks may be covered in part; what is between them goes whole.
        self.trim(last, from, to);
        if first < last {
            self.trim(first, from, to);
        }
        let mut at = first;
        if self.touches_outside(at, from, to) {
            at = self.chunks.after(at);
        }
        let is_inside = |chunk: &Chunk| chunk.first_ts() >= from && chunk.last_ts() <= to;
        while self.chunks.get(at).is_some_and(is_inside)
            && let Some((chunk, next)) = self.chunks.remove(at)
        {
            self.record_count -= chunk.len();
            self.bytes -= chunk.bytes();
            freed.push(chunk);
            at = next;
        }
        self.join_before(at, sizes);
        self.open_newest(sizes);
        count_before - self.record_count
    }

    /// Whether the chunk keeps records beside the range.
    fn touches_outside(&self, at: ChunkPlace, from: i64, to: i64) -> bool {
        self.chunks.get(at).is_some_and(|chunk| chunk.first_ts() < from || chunk.last_ts() > to)
    }

    /// Removes a chunk's records in the range, unless that is all of them.
    fn trim(&mut self, at: ChunkPlace, from: i64, to: i64) {
        let Some(chunk) = self.chunks.get(at) else { return };
        let range = chunk.count_before(from)..chunk.count_through(to);
        if range.is_empty() || range.len() == chunk.len() {
            return;
        }
        self.record_count -= range.len();
        self.bytes -= chunk.bytes();
        let chunk = self.edit(at);
        chunk.remove(range);
        self.bytes += chunk.bytes();
    }

    /// Joins small neighbours around the place behind a deletion.
    fn join_before(&mut self, at: ChunkPlace, sizes: &ChunkSizes) {
        let mut right = Some(self.chunks.after(at));
        for _ in 0..3 {
            let Some((later, earlier)) = right.and_then(|at| Some((at, self.chunks.before(at)?))) else {
                return;
            };
            right = Some(earlier);
            let both = self.chunks.get(earlier).and_then(Chunk::unsealed).zip(self.chunks.get(later));
            let should_join = both.is_some_and(|(earlier, later)| {
                later.unsealed().is_some_and(|later| earlier.should_join(later, sizes))
            });
            if should_join && let Some((joined, next)) = self.chunks.remove(later) {
                right = self.chunks.before(next);
                if let (Some(joined), Some(earlier)) = (joined.unsealed(), right) {
                    self.edit(earlier).append(joined);
                }
            }
        }
    }

    /// Checks the invariant; for tests and debug builds.
    #[cfg(test)]
    pub(crate) fn check(&self) {
        let mut blocks = crate::chunk::Blocks::default();
        let times: Vec<i64> = self.records(&mut blocks).into_iter().map(|(ts, _)| ts).collect();
        assert!(times.is_sorted_by(|a, b| a < b));
        assert!(self.chunks.iter().all(|chunk| chunk.len() > 0));
        self.chunks.check();
        assert!(
            self.chunks.newest().is_none_or(|newest| newest.unsealed().is_some()),
            "the newest is not sealed"
        );
        assert_eq!(times.len(), self.record_count);
        assert_eq!(self.chunks.iter().map(Chunk::bytes).sum::<usize>(), self.bytes);
    }

    /// All records, read block by block.
    #[cfg(test)]
    pub(crate) fn records(&self, blocks: &mut crate::chunk::Blocks) -> Vec<(i64, String)> {
        let mut all = Vec::new();
        for chunk in self.chunks.iter() {
            let mut index = 0;
            while index < chunk.len() {
                let records = blocks.around(chunk, index);
                all.extend(records.each().map(|(ts, data)| (ts, data.to_owned())));
                index = records.range().end;
            }
        }
        all
    }
}
