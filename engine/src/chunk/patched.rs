//! A sealed chunk with a few records that came late, were replaced or were deleted since: its patches.
//!
//! To open a chunk takes a thousand times as long as to note one more patch. Readers get the records in order, as if there
//! were one chunk: a block of the sealed records at a time, with its patches in their places.
//! Invariants: patches are in order of time; the texts are those of the patches that give one, in the same order.

use super::open::OpenChunk;
use super::records::Records;
use crate::limits::{PATCH_TEXT_BYTES, PATCHES_MAX};
use crate::sealed::{BLOCK_RECORDS, Decoder, Sealed};

/// What is different at one time.
#[derive(Clone, Copy)]
struct Patch {
    ts: i64,
    /// The number of sealed records before it.
    rank: u32,
    /// The sealed record of this time does not count any more.
    takes: bool,
    /// There is a text for this time.
    gives: bool,
}

impl Patch {
    /// By how much it makes the chunk longer.
    fn growth(&self) -> isize {
        isize::from(self.gives) - isize::from(self.takes)
    }
}

/// Where a record of the chunk lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Sealed(usize),
    Late,
}

/// Sealed records and their patches.
#[derive(Clone)]
pub(crate) struct Patched {
    first_ts: i64,
    last_ts: i64,
    len: usize,
    sealed: Sealed,
    patches: Vec<Patch>,
    texts: OpenChunk,
}

/// A block of records with its patches; a buffer that is used again.
#[derive(Default)]
pub(crate) struct Merged {
    times: Vec<i64>,
    ends: Vec<u32>,
    text: String,
}

impl Merged {
    fn clear(&mut self) {
        self.times.clear();
        self.ends.clear();
        self.text.clear();
        self.text.shrink_to(PATCH_TEXT_BYTES);
    }

    fn push(&mut self, ts: i64, data: &str) {
        self.times.push(ts);
        self.text.push_str(data);
        // A block and its patches are far shorter than 4 GiB.
        self.ends.push(self.text.len() as u32);
    }

    pub(super) fn records(&self, first: usize) -> Records<'_> {
        Records::new(first, &self.times, &self.ends, &self.text)
    }
}

impl Patched {
    pub(crate) fn new(sealed: Sealed) -> Self {
        Self {
            first_ts: sealed.first_ts(),
            last_ts: sealed.last_ts(),
            len: sealed.len(),
            sealed,
            patches: Vec::new(),
            texts: OpenChunk::default(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn first_ts(&self) -> i64 {
        self.first_ts
    }

    pub(super) fn last_ts(&self) -> i64 {
        self.last_ts
    }

    pub(super) fn sealed(&self) -> &Sealed {
        &self.sealed
    }

    /// How many times are different from what is sealed.
    pub(crate) fn patch_count(&self) -> usize {
        self.patches.len()
    }

    /// The length of all texts, at most.
    pub(crate) fn text_bytes(&self) -> usize {
        self.sealed.text_bytes() + self.texts.text_bytes()
    }

    /// The memory of its records.
    pub(super) fn bytes(&self) -> usize {
        self.sealed.allocated_bytes() + self.patches.len() * size_of::<Patch>() + self.texts.bytes()
    }

    /// Rounds until no more changes are to be expected.
    pub(crate) fn heat(&self) -> u8 {
        self.texts.heat()
    }

    pub(super) fn cool(&mut self) {
        self.texts.cool();
    }

    /// Whether one more record of this text may be noted.
    pub(super) fn has_room(&self, data_bytes: usize) -> bool {
        self.patches.len() < PATCHES_MAX && self.texts.text_bytes() + data_bytes <= PATCH_TEXT_BYTES
    }

    /// The patch of a time, or where it would be; and the number of texts before it.
    fn find(&self, ts: i64) -> (Result<usize, usize>, usize) {
        (self.patches.binary_search_by_key(&ts, |patch| patch.ts), self.texts_before(ts))
    }

    fn texts_before(&self, ts: i64) -> usize {
        if self.texts.len() == 0 { 0 } else { self.texts.count_before(ts) }
    }

    /// The patch of a time, made if it is not there.
    fn patch(&mut self, ts: i64) -> (usize, usize) {
        let (found, text) = self.find(ts);
        let index = found.unwrap_or_else(|index| {
            let rank = self.sealed.count_before(ts);
            let takes = rank < self.sealed.len() && self.sealed.count_through(ts) > rank;
            // As yet it changes nothing: what it takes, it must give or be made to take.
            self.patches.insert(index, Patch { ts, rank: rank as u32, takes, gives: false });
            self.len -= usize::from(takes);
            index
        });
        (index, text)
    }

    /// Stores a record not before the first, in place of one of the same time; returns whether it is one more.
    pub(crate) fn put(&mut self, ts: i64, data: &str) -> bool {
        let len = self.len;
        let (index, text) = self.patch(ts);
        let patch = &mut self.patches[index];
        if patch.gives {
            self.texts.replace(text, data);
        } else {
            patch.gives = true;
            self.len += 1;
            self.texts.insert(text, ts, data);
        }
        self.texts.warm();
        self.last_ts = self.last_ts.max(ts);
        self.len > len
    }

    /// Removes a record that is there, one of several.
    pub(crate) fn remove(&mut self, ts: i64) {
        let (index, text) = self.patch(ts);
        let patch = &mut self.patches[index];
        if patch.gives {
            patch.gives = false;
            self.len -= 1;
            self.texts.remove(text..text + 1);
        }
        if !self.patches[index].takes {
            self.patches.remove(index);
        }
        self.texts.warm();
        (self.first_ts, self.last_ts) = (self.ts(0), self.ts(self.len - 1));
    }

    /// Where a record lies, and its time if it came late.
    fn locate(&self, index: usize) -> (Source, i64) {
        let mut growth = 0;
        for patch in &self.patches {
            let at = patch.rank as isize + growth;
            if (index as isize) < at {
                break;
            }
            if patch.gives && index as isize == at {
                return (Source::Late, patch.ts);
            }
            growth += patch.growth();
        }
        (Source::Sealed((index as isize - growth) as usize), 0)
    }

    pub(super) fn source(&self, index: usize) -> Source {
        self.locate(index).0
    }

    pub(super) fn ts(&self, index: usize) -> i64 {
        match self.locate(index) {
            (Source::Sealed(index), _) => self.sealed.ts(index),
            (Source::Late, ts) => ts,
        }
    }

    /// The number of records before this time.
    pub(super) fn count_before(&self, ts: i64) -> usize {
        let before = self.patches.iter().take_while(|patch| patch.ts < ts);
        let growth: isize = before.map(Patch::growth).sum();
        (self.sealed.count_before(ts) as isize + growth) as usize
    }

    /// The number of records at or before this time.
    pub(super) fn count_through(&self, ts: i64) -> usize {
        if self.last_ts <= ts { self.len } else { self.count_before(ts.saturating_add(1)) }
    }

    /// The block of the sealed records that a patch belongs to.
    fn block_of(&self, rank: usize) -> usize {
        rank.min(self.sealed.len() - 1) / BLOCK_RECORDS
    }

    /// The block in which a record is.
    pub(super) fn block_with(&self, index: usize) -> usize {
        match self.locate(index) {
            (Source::Sealed(index), _) => index / BLOCK_RECORDS,
            (Source::Late, ts) => {
                let (Ok(patch) | Err(patch), _) = self.find(ts);
                self.block_of(self.patches[patch].rank as usize)
            }
        }
    }

    /// Reads a block with its patches; returns the place of its first record.
    pub(super) fn merge(&self, block: usize, decoder: &mut Decoder, merged: &mut Merged) -> usize {
        let belongs = |patch: &Patch| self.block_of(patch.rank as usize);
        let start = self.patches.partition_point(|patch| belongs(patch) < block);
        let end = self.patches.partition_point(|patch| belongs(patch) <= block);
        let mut patches = self.patches[start..end].iter().peekable();
        let mut text = self.patches[..start].iter().filter(|patch| patch.gives).count();
        let records = self.texts.records();
        let mut put = |patch: &Patch, merged: &mut Merged| {
            if patch.gives {
                merged.push(patch.ts, records.data(text));
                text += 1;
            }
        };
        merged.clear();
        let mut reader = decoder.open(&self.sealed);
        for (ts, data) in reader.block(block).records() {
            while let Some(patch) = patches.next_if(|patch| patch.ts < ts) {
                put(patch, merged);
            }
            match patches.next_if(|patch| patch.ts == ts) {
                Some(patch) => put(patch, merged),
                None => merged.push(ts, data),
            }
        }
        patches.for_each(|patch| put(patch, merged));
        let growth: isize = self.patches[..start].iter().map(Patch::growth).sum();
        ((block * BLOCK_RECORDS) as isize + growth) as usize
    }

    /// All records in order.
    pub(super) fn each_record(&self, mut f: impl FnMut(i64, &str)) {
        let (mut decoder, mut merged) = (Decoder::default(), Merged::default());
        for block in 0..self.sealed.block_count() {
            self.merge(block, &mut decoder, &mut merged);
            merged.records(0).each().for_each(|(ts, data)| f(ts, data));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::any::Chunk;
    use super::super::blocks::Blocks;
    use super::*;
    use crate::sealed::Sealer;
    use std::collections::BTreeMap;
    use std::sync::Arc;

    fn assert_is(patched: &Patched, expected: &BTreeMap<i64, String>) {
        let chunk = Chunk::Patched(Arc::new(patched.clone()));
        assert_eq!(chunk.len(), expected.len());
        let ends = expected.first_key_value().zip(expected.last_key_value());
        assert_eq!(Some((chunk.first_ts(), chunk.last_ts())), ends.map(|(first, last)| (*first.0, *last.0)));
        let mut blocks = Blocks::default();
        for (index, (&ts, data)) in expected.iter().enumerate() {
            assert_eq!(
                (chunk.ts(index), chunk.count_before(ts), chunk.count_through(ts)),
                (ts, index, index + 1)
            );
            assert_eq!(chunk.count_before(ts + 1), index + 1);
            assert_eq!(blocks.one(&chunk, index).data(index), data);
            let around = blocks.around(&chunk, index);
            assert!(around.range().contains(&index) && around.ts(index) == ts && around.data(index) == data);
        }
        let mut all = Vec::new();
        patched.each_record(|ts, data| all.push((ts, data.to_owned())));
        assert!(all.iter().map(|(ts, data)| (ts, data)).eq(expected));
    }

    #[test]
    fn patches_lie_between_replace_and_remove_what_is_sealed() {
        for count in [1, 2, 127, 128, 129, 300, 512] {
            let text = |ts: i64| format!("{{\"v\":{ts}}}");
            let mut expected: BTreeMap<i64, String> = (0..count).map(|at| (10 * at, text(at))).collect();
            let records = expected.iter().map(|(&ts, data)| (ts, data.as_str()));
            let sealed = Sealer::default().seal(records, None).unwrap();
            let mut patched = Patched::new(sealed);
            let mut number = 12345_u64;
            for round in 0..100 {
                number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let first = *expected.first_key_value().unwrap().0;
                let ts = first + (number >> 33) as i64 % (10 * count + 20);
                if round % 3 == 2 && expected.len() > 1 {
                    let ts = *expected.range(ts..).next().unwrap_or(expected.first_key_value().unwrap()).0;
                    expected.remove(&ts);
                    patched.remove(ts);
                } else {
                    let ts = if round % 3 == 1 { ts / 10 * 10 } else { ts }.max(first);
                    let data = "late ".repeat(round % 4);
                    let is_new = expected.insert(ts, data.clone()).is_none();
                    assert_eq!(patched.put(ts, &data), is_new);
                }
                if round % 10 == 9 {
                    assert_is(&patched, &expected);
                }
            }
            assert!(patched.has_room(10) && !patched.has_room(PATCH_TEXT_BYTES));
        }
    }
}
