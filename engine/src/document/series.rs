//! The records of a document, and what is done with them whatever their chunks are.

use super::state::SealingState;
use crate::chunk::{Chunk, ChunkSizes, OpenChunk, RECORD_BYTES};
use crate::sealed::Sealed;
use crate::table::Named;

/// A named series of records.
#[derive(Clone)]
pub(crate) struct Document {
    name: Box<str>,
    pub(super) chunks: Vec<Chunk>,
    record_count: usize,
    /// The memory of the records.
    pub(super) bytes: usize,
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
            chunks: Vec::new(),
            record_count: 0,
            bytes: 0,
            sealing: SealingState::default(),
        }
    }

    pub(crate) fn chunks(&self) -> &[Chunk] {
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

    pub(crate) fn into_chunks(self) -> Vec<Chunk> {
        self.chunks
    }

    /// Has the CPU fetch what the newest record and the next one need.
    #[inline]
    pub(crate) fn prefetch_end(&self) {
        if let Some(last) = self.chunks.last() {
            last.prefetch_end();
        }
    }

    /// The newest record.
    pub(crate) fn newest(&self) -> Option<(i64, &str)> {
        let last = self.chunks.last()?.unsealed()?;
        Some((last.last_ts(), last.records().data(last.len() - 1)))
    }

    /// The newest record at or before a time, as chunk and index in it.
    pub(crate) fn newest_through(&self, ts: i64) -> Option<(&Chunk, usize)> {
        let last = self.chunks.last()?;
        if last.last_ts() <= ts {
            return Some((last, last.len() - 1));
        }
        let chunk = if last.first_ts() <= ts {
            last
        } else {
            let count = self.chunks.partition_point(|chunk| chunk.first_ts() <= ts);
            &self.chunks[count.checked_sub(1)?]
        };
        Some((chunk, chunk.count_through(ts) - 1))
    }

    /// Stores a record, in place of one of the same time. Returns whether there may be something to be sealed now.
    pub(crate) fn put(&mut self, ts: i64, data: &str, sizes: &ChunkSizes) -> bool {
        let is_due = match self.chunks.last_mut() {
            Some(last) if ts <= last.last_ts() => {
                self.put_inside(ts, data, sizes);
                return false;
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
                self.add_chunk(self.chunks.len(), ts, data);
                // It will be about as full as that, and growing step by step would copy it at each.
                if let Some(new) = self.chunks.last_mut().and_then(Chunk::own_mut) {
                    new.reserve_text(text_bytes, sizes);
                }
                true
            }
            None => {
                self.add_chunk(0, ts, data);
                false
            }
        };
        self.record_count += 1;
        self.bytes += data.len() + RECORD_BYTES;
        is_due && sizes.seals
    }

    fn put_inside(&mut self, ts: i64, data: &str, sizes: &ChunkSizes) {
        self.sealing.is_open_inside = true;
        let mut at = self.chunk_at(ts);
        if let Chunk::Sealed(sealed) = &self.chunks[at] {
            if ts < sealed.first_ts() {
                self.record_count += 1;
                self.bytes += data.len() + RECORD_BYTES;
                return self.add_chunk(at, ts, data);
            }
            self.open(at, sizes);
            at = self.chunk_at(ts);
        }
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

    /// The chunk that holds a time, or the first if it is before all.
    pub(super) fn chunk_at(&self, ts: i64) -> usize {
        self.chunks.partition_point(|chunk| chunk.first_ts() <= ts).saturating_sub(1)
    }

    /// A chunk that is known not to be sealed, to be changed.
    fn edit(&mut self, at: usize) -> &mut OpenChunk {
        match self.chunks[at].unsealed_mut() {
            Some(chunk) => chunk,
            None => unreachable!("a sealed chunk is opened before it is changed"),
        }
    }

    /// Whether one more record of this text may go into a chunk.
    fn has_room(&self, at: usize, data: &str, sizes: &ChunkSizes) -> bool {
        let chunk = self.chunks.get(at).and_then(Chunk::unsealed);
        chunk.is_some_and(|chunk| chunk.has_room(data, sizes))
    }

    /// Inserts a record of a new time before record `index` of chunk `at`, making room if there is none.
    fn insert_new(&mut self, at: usize, index: usize, ts: i64, data: &str, sizes: &ChunkSizes) {
        if self.has_room(at, data, sizes) {
            return self.edit(at).insert(index, ts, data);
        }
        if index == 0 {
            return self.add_chunk(at, ts, data);
        }
        let chunk = self.edit(at);
        if index == chunk.len() {
            return if self.has_room(at + 1, data, sizes) {
                self.edit(at + 1).insert(0, ts, data)
            } else {
                self.add_chunk(at + 1, ts, data)
            };
        }
        // Cut in the middle if that makes room, else at the record's own place, where it is first or last of a part.
        let middle = chunk.len() / 2;
        let cut =
            if chunk.text_bytes() / 2 + data.len() <= sizes.text_bytes / 4 * 3 { middle } else { index };
        let later = chunk.split_off(cut);
        self.chunks.insert(at + 1, Chunk::new(later));
        if index > cut {
            self.insert_new(at + 1, index - cut, ts, data, sizes)
        } else {
            self.insert_new(at, index, ts, data, sizes)
        }
    }

    pub(super) fn add_sealed(&mut self, sealed: Sealed) {
        self.record_count += sealed.len();
        self.bytes += sealed.allocated_bytes();
        self.chunks.push(Chunk::Sealed(sealed));
    }

    fn add_chunk(&mut self, at: usize, ts: i64, data: &str) {
        let mut chunk = OpenChunk::default();
        chunk.push(ts, data);
        self.chunks.insert(at, Chunk::new(chunk));
    }

    /// The latest time, at most `to`, up to which a range from `from` on touches no more than so many chunks.
    pub(crate) fn end_of_chunks(&self, from: i64, to: i64, count: usize) -> i64 {
        let first = self.chunks.partition_point(|chunk| chunk.last_ts() < from);
        match self.chunks.get(first + count - 1) {
            Some(last) if first + count < self.chunks.len() => last.last_ts().min(to),
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
        self.open_ends(from, to, sizes);
        let first = self.chunks.partition_point(|chunk| chunk.last_ts() < from);
        let end = self.chunks.partition_point(|chunk| chunk.first_ts() <= to);
        if from > to || first >= end {
            return 0;
        }
        let count_before = self.record_count;
        // The outermost chunks may be covered in part; what is between them goes whole.
        let last = end - 1;
        self.trim(last, from, to);
        if first < last {
            self.trim(first, from, to);
        }
        let keep_first = usize::from(self.touches_outside(first, from, to));
        let keep_last = usize::from(first < last && self.touches_outside(last, from, to));
        for chunk in self.chunks.drain(first + keep_first..end - keep_last) {
            self.record_count -= chunk.len();
            self.bytes -= chunk.bytes();
            freed.push(chunk);
        }
        self.join_around(first, sizes);
        self.open_last(sizes);
        count_before - self.record_count
    }

    /// Whether the chunk keeps records beside the range.
    fn touches_outside(&self, at: usize, from: i64, to: i64) -> bool {
        let chunk = &self.chunks[at];
        chunk.first_ts() < from || chunk.last_ts() > to
    }

    /// Removes a chunk's records in the range, unless that is all of them.
    fn trim(&mut self, at: usize, from: i64, to: i64) {
        let chunk = &self.chunks[at];
        let range = chunk.count_before(from)..chunk.count_through(to);
        if range.is_empty() || range.len() == chunk.len() {
            return;
        }
        self.record_count -= range.len();
        self.bytes -= chunk.bytes();
        self.edit(at).remove(range);
        self.bytes += self.chunks[at].bytes();
    }

    /// Joins small neighbours near `at`, where a deletion was.
    fn join_around(&mut self, at: usize, sizes: &ChunkSizes) {
        for left in (at.saturating_sub(1)..at + 2).rev() {
            let Some([earlier, later]) = self.chunks.get_mut(left..).and_then(|rest| rest.first_chunk_mut())
            else {
                continue;
            };
            let Some(joined) = later.unsealed() else { continue };
            if earlier.unsealed().is_some_and(|earlier| earlier.should_join(joined, sizes))
                && let Some(earlier) = earlier.unsealed_mut()
            {
                earlier.append(joined);
                self.chunks.remove(left + 1);
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
        assert!(self.chunks.last().is_none_or(|last| last.unsealed().is_some()), "the last is not sealed");
        assert_eq!(times.len(), self.record_count);
        assert_eq!(self.chunks.iter().map(Chunk::bytes).sum::<usize>(), self.bytes);
    }

    /// All records, read block by block.
    #[cfg(test)]
    pub(crate) fn records(&self, blocks: &mut crate::chunk::Blocks) -> Vec<(i64, String)> {
        let mut all = Vec::new();
        for chunk in &self.chunks {
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
