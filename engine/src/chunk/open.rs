//! A run of records of one document in order of time that can be changed.
//!
//! The encoding is this type's secret: columns of times and text ends, and one text. A chunk is never empty once it is in
//! a document; how many records and how much text it may have, the sizes say, but one longer record may be alone.
//! Invariant: times ascend strictly, ends ascend, and the last end is the length of the text.

use std::ops::Range;

use super::records::Records;
use super::sizes::ChunkSizes;
use crate::vectors::prefetch;

/// What the CPU fetches at once.
const LINE_BYTES: usize = 64;

/// The part by which the memory of a chunk's text may be larger than that, once nothing more is appended.
const SPARE_PART: usize = 128;

/// Rounds for which a chunk must have been left alone, of which the first may be over at once.
const HEAT: u8 = 2;

/// The memory of a record beside its text: its time and the end of its text.
pub(crate) const RECORD_BYTES: usize = 12;

/// Records in ascending order of time.
#[derive(Clone, Default)]
pub(crate) struct OpenChunk {
    timestamps: Vec<i64>,
    ends: Vec<u32>,
    text: String,
    /// It has been changed inside, or was sealed before, in the last few rounds: more such changes may follow soon.
    heat: u8,
}

impl OpenChunk {
    pub(crate) fn len(&self) -> usize {
        self.timestamps.len()
    }

    pub(crate) fn text_bytes(&self) -> usize {
        self.text.len()
    }

    /// The memory of its records.
    pub(crate) fn bytes(&self) -> usize {
        self.text.len() + self.len() * RECORD_BYTES
    }

    /// All records.
    pub(crate) fn records(&self) -> Records<'_> {
        Records::new(0, &self.timestamps, &self.ends, &self.text)
    }

    /// Rounds until no more changes inside are to be expected.
    pub(crate) fn heat(&self) -> u8 {
        self.heat
    }

    /// Notes that changes inside are to be expected.
    pub(crate) fn warm(&mut self) {
        self.heat = HEAT;
    }

    /// Notes that a round has passed.
    pub(crate) fn cool(&mut self) {
        self.heat = self.heat.saturating_sub(1);
    }

    pub(crate) fn ts(&self, index: usize) -> i64 {
        self.timestamps[index]
    }

    pub(crate) fn first_ts(&self) -> i64 {
        self.timestamps[0]
    }

    pub(crate) fn last_ts(&self) -> i64 {
        self.timestamps[self.timestamps.len() - 1]
    }

    /// The length of a text.
    pub(crate) fn data_len(&self, index: usize) -> usize {
        self.span(index).len()
    }

    /// Has the CPU fetch the ends of the columns, where the newest record is and the next one goes.
    #[inline]
    pub(crate) fn prefetch_end(&self) {
        prefetch(self.timestamps.as_ptr().wrapping_add(self.timestamps.len()).wrapping_sub(1));
        prefetch(self.ends.as_ptr().wrapping_add(self.ends.len()).wrapping_sub(1));
        let text_end = self.text.as_ptr().wrapping_add(self.text.len());
        prefetch(text_end);
        prefetch(text_end.wrapping_sub(LINE_BYTES));
    }

    /// The number of records before this time.
    pub(crate) fn count_before(&self, ts: i64) -> usize {
        self.timestamps.partition_point(|&known| known < ts)
    }

    /// The number of records at or before this time; the newest is what is most often asked for.
    pub(crate) fn count_through(&self, ts: i64) -> usize {
        if self.last_ts() <= ts { self.len() } else { self.timestamps.partition_point(|&known| known <= ts) }
    }

    /// Whether one more record of this text may go in.
    #[inline]
    pub(crate) fn has_room(&self, data: &str, sizes: &ChunkSizes) -> bool {
        self.len() == 0 || self.len() < sizes.records && self.text.len() + data.len() <= sizes.text_bytes
    }

    /// Whether the text at `index` may be replaced by this one.
    pub(crate) fn has_room_in_place(&self, index: usize, data: &str, sizes: &ChunkSizes) -> bool {
        self.len() == 1 || self.text.len() - self.data_len(index) + data.len() <= sizes.text_bytes
    }

    /// Whether two chunks are so small that they should be one: half full, so that the next insert doesn't split it again.
    pub(crate) fn should_join(&self, other: &Self, sizes: &ChunkSizes) -> bool {
        self.len() + other.len() <= sizes.records / 2
            && self.text.len() + other.text.len() <= sizes.text_bytes / 2
    }

    pub(crate) fn push(&mut self, ts: i64, data: &str) {
        self.timestamps.push(ts);
        self.text.push_str(data);
        self.ends.push(end(self.text.len()));
    }

    pub(crate) fn insert(&mut self, index: usize, ts: i64, data: &str) {
        if index == self.len() {
            return self.push(ts, data);
        }
        let start = self.start(index);
        self.heat = HEAT;
        self.timestamps.insert(index, ts);
        self.text.insert_str(start, data);
        self.ends.insert(index, end(start));
        self.shift_ends(index, data.len() as isize);
    }

    pub(crate) fn replace(&mut self, index: usize, data: &str) {
        let span = self.span(index);
        self.heat = HEAT;
        let growth = data.len() as isize - span.len() as isize;
        self.text.replace_range(span, data);
        self.shift_ends(index, growth);
    }

    /// Removes these records; the chunk may be empty afterwards.
    pub(crate) fn remove(&mut self, range: Range<usize>) {
        if range.is_empty() {
            return;
        }
        self.heat = HEAT;
        let text = self.start(range.start)..self.start(range.end);
        self.text.replace_range(text.clone(), "");
        self.timestamps.drain(range.clone());
        self.ends.drain(range.clone());
        self.shift_ends(range.start, -(text.len() as isize));
        if self.len() < self.timestamps.capacity() / 2 || self.text.len() < self.text.capacity() / 2 {
            self.shrink();
        }
    }

    /// Splits off the records from `index` on.
    pub(crate) fn split_off(&mut self, index: usize) -> Self {
        let start = self.start(index);
        let text = self.text.split_off(start);
        let ends = self.ends.drain(index..).map(|known| known - end(start)).collect();
        let timestamps = self.timestamps.split_off(index);
        self.shrink();
        Self { timestamps, ends, text, heat: self.heat }
    }

    /// Appends a later chunk.
    pub(crate) fn append(&mut self, later: &Self) {
        let offset = end(self.text.len());
        self.timestamps.extend_from_slice(&later.timestamps);
        self.ends.extend(later.ends.iter().map(|known| known + offset));
        self.text.push_str(&later.text);
        self.heat = self.heat.max(later.heat);
    }

    /// Makes room for about so much text. What is not written to is not taken from the system.
    pub(crate) fn reserve_text(&mut self, bytes: usize, sizes: &ChunkSizes) {
        let wanted = (bytes + bytes / SPARE_PART).min(sizes.text_bytes);
        self.text.reserve_exact(wanted.saturating_sub(self.text.len()));
    }

    /// Gives back spare memory, when no more is expected to be appended.
    pub(crate) fn shrink(&mut self) {
        // Copied, not shrunk: an allocator may leave a block that shrinks by less than half as large as it was.
        if self.timestamps.capacity() > self.len() {
            self.timestamps = self.timestamps.as_slice().to_vec();
            self.ends = self.ends.as_slice().to_vec();
        }
        if self.text.capacity() - self.text.len() > self.text.len() / SPARE_PART {
            self.text = self.text.as_str().to_owned();
        }
    }

    /// The memory that it takes from the allocator, with the two counts of its `Rc`.
    #[cfg(test)]
    pub(crate) fn allocated_bytes(&self) -> usize {
        let columns = self.timestamps.capacity() * 8 + self.ends.capacity() * 4 + self.text.capacity();
        columns + size_of::<Self>() + 16
    }

    fn start(&self, index: usize) -> usize {
        if index == 0 { 0 } else { self.ends[index - 1] as usize }
    }

    fn span(&self, index: usize) -> Range<usize> {
        self.start(index)..self.ends[index] as usize
    }

    fn shift_ends(&mut self, from: usize, by: isize) {
        for known in &mut self.ends[from..] {
            *known = end((*known as usize).wrapping_add_signed(by));
        }
    }
}

/// A message is far shorter than 4 GiB, and so is a chunk, which holds at most one record beyond its cap.
fn end(bytes: usize) -> u32 {
    assert!(bytes <= u32::MAX as usize, "a chunk's text is shorter than 4 GiB");
    bytes as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(chunk: &OpenChunk) -> Vec<(i64, &str)> {
        chunk.records().each().collect()
    }

    #[test]
    fn edits_keep_the_columns_in_step() {
        let mut chunk = OpenChunk::default();
        chunk.push(10, "ten");
        chunk.push(30, "");
        chunk.insert(1, 20, "zwölf");
        chunk.insert(0, 5, "five");
        chunk.replace(1, "t");
        assert_eq!(contents(&chunk), [(5, "five"), (10, "t"), (20, "zwölf"), (30, "")]);
        let later = chunk.split_off(2);
        assert_eq!(contents(&later), [(20, "zwölf"), (30, "")]);
        chunk.append(&later);
        assert_eq!(contents(&chunk), [(5, "five"), (10, "t"), (20, "zwölf"), (30, "")]);
        chunk.remove(1..3);
        assert_eq!(contents(&chunk), [(5, "five"), (30, "")]);
        assert_eq!((chunk.count_before(5), chunk.count_through(5), chunk.count_through(i64::MAX)), (0, 1, 2));
    }
}
