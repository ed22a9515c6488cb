//! One document: its records in chunks in order of time.
//!
//! Appending in order touches the last chunk only; anything else is a binary search and an edit of one chunk. Chunks are
//! behind `Rc`: a reader's snapshot holds them, and a writer copies the one it must change.
//! Invariant: no chunk is empty, and the times of a chunk are all before those of the next.

use std::rc::Rc;

use crate::chunk::Chunk;
use crate::limits::CHUNK_TEXT_BYTES;
use crate::table::Named;

/// A named series of records.
#[derive(Clone)]
pub(crate) struct Document {
    name: Box<str>,
    chunks: Vec<Rc<Chunk>>,
    record_count: usize,
    text_bytes: usize,
}

impl Named for Document {
    fn name(&self) -> &str {
        &self.name
    }
}

impl Document {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.into(), chunks: Vec::new(), record_count: 0, text_bytes: 0 }
    }

    pub(crate) fn chunks(&self) -> &[Rc<Chunk>] {
        &self.chunks
    }

    pub(crate) fn record_count(&self) -> usize {
        self.record_count
    }

    pub(crate) fn text_bytes(&self) -> usize {
        self.text_bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    pub(crate) fn into_chunks(self) -> Vec<Rc<Chunk>> {
        self.chunks
    }

    /// Has the CPU fetch what the newest record and the next one need.
    #[inline]
    pub(crate) fn prefetch_end(&self) {
        if let Some(last) = self.chunks.last() {
            last.prefetch_end();
        }
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

    /// Stores a record, in place of one of the same time.
    pub(crate) fn put(&mut self, ts: i64, data: &str) {
        match self.chunks.last_mut() {
            Some(last) if ts > last.last_ts() && last.has_room(data) => Rc::make_mut(last).push(ts, data),
            Some(last) if ts > last.last_ts() => {
                // Shrinking copies, so a chunk that a snapshot holds is left as it is.
                if let Some(full) = Rc::get_mut(last) {
                    full.seal();
                }
                let text_bytes = last.text_bytes();
                self.add_chunk(self.chunks.len(), ts, data);
                // It will be about as full as that, and growing step by step would copy it at each.
                if let Some(new) = self.chunks.last_mut().and_then(Rc::get_mut) {
                    new.reserve_text(text_bytes);
                }
            }
            Some(_) => return self.put_inside(ts, data),
            None => self.add_chunk(0, ts, data),
        }
        self.record_count += 1;
        self.text_bytes += data.len();
    }

    fn put_inside(&mut self, ts: i64, data: &str) {
        let at = self.chunks.partition_point(|chunk| chunk.first_ts() <= ts).saturating_sub(1);
        let chunk = &self.chunks[at];
        let index = chunk.count_before(ts);
        if index < chunk.len() && chunk.ts(index) == ts {
            self.text_bytes = self.text_bytes - chunk.data(index).len() + data.len();
            if chunk.has_room_in_place(index, data) {
                return Rc::make_mut(&mut self.chunks[at]).replace(index, data);
            }
            Rc::make_mut(&mut self.chunks[at]).remove(index..index + 1);
        } else {
            self.record_count += 1;
            self.text_bytes += data.len();
        }
        self.insert_new(at, index, ts, data);
    }

    /// Inserts a record of a new time before record `index` of chunk `at`, making room if there is none.
    fn insert_new(&mut self, at: usize, index: usize, ts: i64, data: &str) {
        let chunk = &mut self.chunks[at];
        if chunk.has_room(data) {
            return Rc::make_mut(chunk).insert(index, ts, data);
        }
        if index == 0 {
            return self.add_chunk(at, ts, data);
        }
        if index == chunk.len() {
            return match self.chunks.get_mut(at + 1) {
                Some(next) if next.has_room(data) => Rc::make_mut(next).insert(0, ts, data),
                _ => self.add_chunk(at + 1, ts, data),
            };
        }
        // Cut in the middle if that makes room, else at the record's own place, where it is first or last of a part.
        let middle = chunk.len() / 2;
        let cut =
            if chunk.text_bytes() / 2 + data.len() <= CHUNK_TEXT_BYTES / 4 * 3 { middle } else { index };
        let later = Rc::make_mut(chunk).split_off(cut);
        self.chunks.insert(at + 1, Rc::new(later));
        if index > cut {
            self.insert_new(at + 1, index - cut, ts, data)
        } else {
            self.insert_new(at, index, ts, data)
        }
    }

    fn add_chunk(&mut self, at: usize, ts: i64, data: &str) {
        let mut chunk = Chunk::default();
        chunk.push(ts, data);
        self.chunks.insert(at, Rc::new(chunk));
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
    pub(crate) fn delete_range(&mut self, from: i64, to: i64, freed: &mut Vec<Rc<Chunk>>) -> usize {
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
            self.text_bytes -= chunk.text_bytes();
            freed.push(chunk);
        }
        self.join_around(first);
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
        self.text_bytes -= chunk.text_bytes();
        let chunk = Rc::make_mut(&mut self.chunks[at]);
        chunk.remove(range);
        self.text_bytes += chunk.text_bytes();
    }

    /// Joins small neighbours near `at`, where a deletion was.
    fn join_around(&mut self, at: usize) {
        for left in (at.saturating_sub(1)..at + 2).rev() {
            let Some([earlier, later]) = self.chunks.get_mut(left..).and_then(|rest| rest.first_chunk_mut())
            else {
                continue;
            };
            if earlier.should_join(later) {
                Rc::make_mut(earlier).append(later);
                self.chunks.remove(left + 1);
            }
        }
    }

    /// Checks the invariant; for tests and debug builds.
    #[cfg(test)]
    pub(crate) fn check(&self) {
        let times: Vec<i64> =
            self.chunks.iter().flat_map(|chunk| (0..chunk.len()).map(|index| chunk.ts(index))).collect();
        assert!(times.is_sorted_by(|a, b| a < b));
        assert!(self.chunks.iter().all(|chunk| chunk.len() > 0));
        assert_eq!(times.len(), self.record_count);
        assert_eq!(self.chunks.iter().map(|chunk| chunk.text_bytes()).sum::<usize>(), self.text_bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::CHUNK_RECORDS;

    fn filled(times: impl Iterator<Item = i64>) -> Document {
        let mut document = Document::new("d");
        times.for_each(|ts| document.put(ts, &format!("{ts:048}")));
        document.check();
        document
    }

    #[test]
    fn any_order_gives_the_same_records() {
        let scattered = filled((0..5000).map(|number| number * 1777 % 5000));
        let backwards = filled((0..5000).rev());
        for document in [&filled(0..5000), &scattered, &backwards] {
            assert_eq!(document.record_count(), 5000);
            assert!(document.chunks.len() <= 2 * 5000 / CHUNK_RECORDS + 2, "{}", document.chunks.len());
            let (chunk, index) = document.newest_through(4321).unwrap();
            assert_eq!(chunk.ts(index), 4321);
        }
        assert!(scattered.newest_through(-1).is_none());
    }

    #[test]
    fn large_records_take_chunks_of_their_own() {
        let mut document = filled(0..100);
        let large = "x".repeat(2 * CHUNK_TEXT_BYTES);
        for ts in [50, 1000, -5, 75, 50] {
            document.put(ts, &large);
            document.check();
            let (chunk, index) = document.newest_through(ts).unwrap();
            assert_eq!((chunk.data(index).len(), chunk.len()), (large.len(), 1));
        }
        document.put(50, "small");
        document.check();
        assert_eq!(document.record_count(), 102);
    }

    #[test]
    fn ranges_vanish_and_neighbours_join() {
        let mut freed = Vec::new();
        let mut document = filled(0..5000);
        assert_eq!(document.delete_range(10, 4989, &mut freed), 4980);
        document.check();
        assert_eq!((document.chunks.len(), document.record_count()), (1, 20));
        for ts in (0..10).chain(4990..5000) {
            let (chunk, index) = document.newest_through(ts).unwrap();
            assert_eq!(chunk.data(index), format!("{ts:048}"));
        }
        assert_eq!(
            document.delete_range(11, 10, &mut freed) + document.delete_range(10, 4989, &mut freed),
            0
        );
        assert_eq!(document.delete_range(5, 5, &mut freed), 1);
        assert_eq!(document.delete_range(i64::MIN, i64::MAX, &mut freed), 19);
        assert!(document.is_empty());
    }

    /// Backed by the count of what the allocator is asked for: the capacity of the columns, not their length.
    #[test]
    fn a_record_costs_its_text_and_at_most_fourteen_bytes() {
        let document = filled(0..17_000);
        let bytes: usize = document.chunks.iter().map(|chunk| chunk.allocated_bytes()).sum();
        let per_record = (bytes + document.chunks.capacity() * 8) as f64 / 17_000.0;
        println!("{per_record:.2} bytes a record");
        assert!(per_record <= 62.0, "{per_record}");
    }
}
