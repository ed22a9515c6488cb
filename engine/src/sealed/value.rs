//! The sealed chunk as a value: its bytes, and what can be told from its head and its times alone.
//!
//! Invariant: the bytes have been made by a `Sealer`, or `from_bytes` has found them to be a sealed chunk.

use std::sync::Arc;

use super::field;
use super::format::{BLOCK_RECORDS, Damaged, Input, i64_at, u32_at};
use super::ints::{first_int, take_ints};
use super::template::TemplateTable;

/// Records that don't change any more, in few bytes.
///
/// Cheap to clone, and to be sent to other threads: all clones share the bytes.
#[derive(Clone)]
pub struct Sealed {
    bytes: Arc<[u8]>,
    table: Option<Arc<TemplateTable>>,
}

impl Sealed {
    /// Takes bytes that are known to be good, and the table that they refer to.
    pub(super) fn trusted(bytes: Arc<[u8]>, table: Option<Arc<TemplateTable>>) -> Self {
        Self { bytes, table }
    }

    /// Returns the bytes to be stored, which are those in memory.
    pub fn bytes(&self) -> &Arc<[u8]> {
        &self.bytes
    }

    /// The table of templates that the chunk can't be read without, if it has one.
    pub fn table(&self) -> Option<&Arc<TemplateTable>> {
        self.table.as_ref()
    }

    /// How many records there are; at least one.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        u32_at(&self.bytes, field::COUNT) as usize
    }

    /// The length of all texts together.
    pub fn text_bytes(&self) -> usize {
        u32_at(&self.bytes, field::TEXT_BYTES) as usize
    }

    /// The length of the shortest text.
    pub fn shortest_text(&self) -> usize {
        u32_at(&self.bytes, field::SHORTEST) as usize
    }

    /// The length of the longest text.
    pub fn longest_text(&self) -> usize {
        u32_at(&self.bytes, field::LONGEST) as usize
    }

    /// The time of the earliest record.
    pub fn first_ts(&self) -> i64 {
        i64_at(&self.bytes, field::FIRST_TS)
    }

    /// The time of the latest record.
    pub fn last_ts(&self) -> i64 {
        i64_at(&self.bytes, field::LAST_TS)
    }

    /// The memory that it takes from the allocator, with the two counts of the `Arc`, and without a table, which others share.
    pub fn allocated_bytes(&self) -> usize {
        self.bytes.len() + 2 * size_of::<usize>() + size_of::<Self>()
    }

    /// How many blocks there are. All but the last have `BLOCK_RECORDS` records.
    pub fn block_count(&self) -> usize {
        self.len().div_ceil(BLOCK_RECORDS)
    }

    /// How many records a block has.
    pub fn block_len(&self, block: usize) -> usize {
        self.len().saturating_sub(block * BLOCK_RECORDS).min(BLOCK_RECORDS)
    }

    /// The bytes of a block.
    pub(super) fn block(&self, block: usize) -> Input<'_> {
        let directory = u32_at(&self.bytes, field::BLOCKS_AT) as usize;
        let end_of = |block: usize| u32_at(&self.bytes, directory + 4 * block) as usize;
        let start = match block {
            0 => directory + 4 * self.block_count(),
            _ => end_of(block - 1),
        };
        Input::new(&self.bytes, start, end_of(block))
    }

    /// The time of a record; that of the latest if there are fewer.
    pub fn ts(&self, index: usize) -> i64 {
        if index + 1 >= self.len() {
            return self.last_ts();
        }
        let block = index / BLOCK_RECORDS;
        self.times(block).map_or(self.last_ts(), |times| times[index % BLOCK_RECORDS])
    }

    /// The number of records before this time.
    pub fn count_before(&self, ts: i64) -> usize {
        if ts <= self.first_ts() {
            return 0;
        }
        if ts > self.last_ts() {
            return self.len();
        }
        // The last block that begins before the time holds the place.
        let (mut low, mut high) = (0, self.block_count());
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.block_ts(middle) < ts { low = middle } else { high = middle }
        }
        let count = self.block_len(low);
        let times = self.times(low);
        low * BLOCK_RECORDS + times.map_or(0, |times| times[..count].partition_point(|&known| known < ts))
    }

    /// The number of records at or before this time; the newest is what is most often asked for.
    pub fn count_through(&self, ts: i64) -> usize {
        if self.last_ts() <= ts { self.len() } else { self.count_before(ts.saturating_add(1)) }
    }

    /// The time of a block's first record.
    fn block_ts(&self, block: usize) -> i64 {
        let first = first_int(&mut self.block(block), self.block_len(block), TIMES);
        self.first_ts().wrapping_add(first.unwrap_or(0))
    }

    /// The times of a block; there are always some, as they have been read before.
    fn times(&self, block: usize) -> Result<[i64; BLOCK_RECORDS], Damaged> {
        let mut times = [0; BLOCK_RECORDS];
        take_times(&mut self.block(block), self.block_len(block), self.first_ts(), &mut times)?;
        Ok(times)
    }
}

const TIMES: &str = "times of a block";

/// Reads the times that a block begins with.
pub(super) fn take_times(
    input: &mut Input<'_>,
    count: usize,
    first_ts: i64,
    times: &mut [i64; BLOCK_RECORDS],
) -> Result<(), Damaged> {
    take_ints(input, count, times, TIMES)?;
    times[..count].iter_mut().for_each(|time| *time = time.wrapping_add(first_ts));
    Ok(())
}
