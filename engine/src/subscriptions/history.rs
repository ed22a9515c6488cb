//! The changes of a collection that those who want all of them may still have to be sent: bounded, and of each change the
//! place in the order of the shard.
//!
//! They lie in blocks, of which the oldest goes as a whole. Below the floor nothing is known any more.

use std::collections::VecDeque;

use crate::feed::{ChangeRef, Segment};
use crate::limits::{HISTORY_BLOCK_BYTES, HISTORY_BLOCK_CHANGES, HISTORY_CHANGE_BYTES};

struct Block {
    segment: Segment,
    /// The number of each change, and the weight of all changes of the history up to it, with its own.
    places: Vec<(u64, u64)>,
    /// The number of changes that were entered before it.
    ordinal: u64,
}

impl Block {
    fn bytes(&self) -> usize {
        self.segment.bytes() + self.places.capacity() * size_of::<(u64, u64)>()
    }

    fn weight_before(&self) -> u64 {
        self.places.first().map_or(0, |place| place.1)
            - self.segment.first().map_or(0, |change| weight(&change))
    }

    fn first_number(&self) -> u64 {
        self.places.first().map_or(0, |place| place.0)
    }
}

/// The changes of one collection.
pub(super) struct History {
    blocks: VecDeque<Block>,
    bytes: usize,
    floor: u64,
    /// The weight of all changes that were ever entered.
    weight: u64,
    /// The number of changes that were ever entered.
    count: u64,
}

impl History {
    pub(super) fn new(floor: u64) -> Self {
        Self { blocks: VecDeque::new(), bytes: 0, floor, weight: 0, count: 0 }
    }

    /// The changes from this number on are all here.
    pub(super) fn floor(&self) -> u64 {
        self.floor
    }

    /// One past the number of the last change.
    pub(super) fn end(&self) -> u64 {
        self.blocks.back().and_then(|block| block.places.last()).map_or(self.floor, |place| place.0 + 1)
    }

    /// The memory that it takes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Enters a change.
    pub(super) fn push(&mut self, number: u64, change: ChangeRef<'_>) {
        let is_full = |block: &Block| {
            block.segment.text_len() >= HISTORY_BLOCK_BYTES || block.segment.len() >= HISTORY_BLOCK_CHANGES
        };
        if self.blocks.back().is_none_or(is_full) {
            let ordinal = self.count;
            self.blocks.push_back(Block { segment: Segment::default(), places: Vec::new(), ordinal });
        }
        let Some(last) = self.blocks.back_mut() else { return };
        self.bytes -= last.bytes();
        last.segment.push(change);
        self.weight += weight(&change);
        self.count += 1;
        last.places.push((number, self.weight));
        self.bytes += last.bytes();
    }

    /// The number of changes that were ever entered.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Forgets the oldest block if all of it is before a number; false if it isn't.
    pub(super) fn forget_block_before(&mut self, number: u64) -> bool {
        self.blocks.get(1).is_some_and(|next| next.first_number() <= number) && self.forget_block()
    }

    /// Forgets the oldest block, unless it is the only one; false if it is.
    pub(super) fn forget_block(&mut self) -> bool {
        if self.blocks.len() < 2 {
            return false;
        }
        let Some(block) = self.blocks.pop_front() else { return false };
        self.bytes -= block.bytes();
        self.floor = self.blocks.front().map_or(self.floor, Block::first_number);
        true
    }

    /// The number of changes that were entered before the one of this number.
    pub(super) fn ordinal(&self, number: u64) -> u64 {
        self.block_of(number).map_or(self.count, |block| {
            block.ordinal + block.places.partition_point(|place| place.0 < number) as u64
        })
    }

    /// The weight of the changes from a number on.
    pub(super) fn weight_from(&self, number: u64) -> u64 {
        let before =
            self.block_of(number).map(|block| match block.places.partition_point(|place| place.0 < number) {
                0 => block.weight_before(),
                count => block.places[count - 1].1,
            });
        self.weight - before.unwrap_or(self.weight)
    }

    /// The block that a change of this number is in, or would be.
    fn block_of(&self, number: u64) -> Option<&Block> {
        let behind = self.blocks.partition_point(|block| block.first_number() <= number);
        self.blocks.get(behind.saturating_sub(1))
    }

    /// The number of changes that are forgotten.
    pub(super) fn forgotten(&self) -> u64 {
        self.blocks.front().map_or(0, |block| block.ordinal)
    }

    /// The changes from a number on, each with its number.
    pub(super) fn from(&self, number: u64) -> impl Iterator<Item = (u64, ChangeRef<'_>)> {
        let behind = self.blocks.partition_point(|block| block.first_number() <= number);
        self.blocks.range(behind.saturating_sub(1)..).flat_map(move |block| {
            let skipped = block.places.partition_point(|place| place.0 < number);
            let places = block.places[skipped..].iter().zip(skipped..);
            places.map(|(place, index)| (place.0, block.segment.get(index)))
        })
    }
}

/// About the bytes that a change takes when it is sent.
pub(super) fn weight(change: &ChangeRef<'_>) -> u64 {
    let text = match change {
        ChangeRef::Put { document, data, .. } => document.len() + data.len(),
        ChangeRef::DeleteRecord { document, .. }
        | ChangeRef::DeleteRange { document, .. }
        | ChangeRef::DeleteDocument { document, .. } => document.len(),
        ChangeRef::DeleteCollection { .. }
        | ChangeRef::SetValue { .. }
        | ChangeRef::RemoveValue { .. }
        | ChangeRef::SetApiKey { .. }
        | ChangeRef::RemoveApiKey { .. } => 0,
    };
    (text + HISTORY_CHANGE_BYTES) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(ts: i64, data: &str) -> ChangeRef<'_> {
        ChangeRef::Put { collection: "c", document: "d", ts, data }
    }

    fn times(history: &History, from: u64) -> impl Iterator<Item = usize> {
        history.from(from).map(|(_, change)| match change {
            ChangeRef::Put { ts, .. } => ts as usize,
            _ => panic!("a put"),
        })
    }

    #[test]
    fn changes_are_found_by_number_and_the_oldest_go() {
        let mut history = History::new(10);
        let data = "x".repeat(1000);
        let count = 3 * HISTORY_BLOCK_BYTES / 1000;
        for index in 0..count {
            history.push(10 + 2 * index as u64, put(index as i64, &data));
        }
        assert!(times(&history, 0).eq(0..count) && times(&history, 10).eq(0..count));
        for from in [11, 12, 99, 500] {
            assert!(times(&history, from).eq((from as usize - 9) / 2..count), "{from}");
        }
        assert_eq!(times(&history, 10 + 2 * count as u64).count(), 0);
        assert_eq!((history.ordinal(10), history.ordinal(11), history.ordinal(12)), (0, 1, 1));
        let one = weight(&put(0, &data));
        assert_eq!(
            (history.weight_from(0), history.weight_from(13)),
            (history.weight, one * (count as u64 - 2))
        );
        assert_eq!(history.weight_from(u64::MAX), 0);
        let before = history.bytes();
        assert!(history.forget_block());
        assert!(history.bytes() < before && history.floor() > 10);
        assert_eq!(history.from(0).next().map(|found| found.0), Some(history.floor()));
        assert_eq!(history.forgotten() + times(&history, 0).count() as u64, count as u64);
        assert_eq!(history.ordinal(history.floor()), history.forgotten());
        assert_eq!(history.weight_from(0), one * times(&history, 0).count() as u64);
        let second = history.blocks[1].first_number();
        assert!(!history.forget_block_before(second - 1) && history.forget_block_before(second));
        assert_eq!(history.floor(), second);
        while history.forget_block() {}
        assert_eq!(history.blocks.len(), 1);
        assert!(!history.forget_block_before(u64::MAX));
        assert_eq!(history.count(), count as u64);
    }
}
