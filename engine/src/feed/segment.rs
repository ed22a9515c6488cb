//! Segments, which hold changes in order of execution, and batches, which are runs of them.
//!
//! A segment is a text arena and changes that point into it; a name equal to that of the change before is not copied again.
//! It is small, so that no large buffer is ever copied to grow, and once it is closed it is shared by all its readers.

use std::sync::Arc;

use super::change::{Change, ChangeRef};
use crate::limits::{SEGMENT_CHANGES, SEGMENT_TEXT_BYTES};
use crate::packet::Span;

/// Changes whose texts lie in one arena.
#[derive(Clone, Default)]
pub(crate) struct Segment {
    text: String,
    changes: Vec<Change<Span>>,
    /// The names of the newest change by position: collection, then document or key.
    recent: [Span; 2],
}

impl Segment {
    pub(crate) fn push(&mut self, change: ChangeRef<'_>) {
        let Self { text, changes, recent } = self;
        let mut index = 0;
        changes.push(change.map(|part| {
            let known = recent.get(index).copied().filter(|span| span.of(text) == part);
            let span = known.unwrap_or_else(|| Span::push(text, part));
            if let Some(name) = recent.get_mut(index) {
                *name = span;
            }
            index += 1;
            span
        }));
    }

    pub(crate) fn len(&self) -> usize {
        self.changes.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Whether the next change should go into another one.
    pub(super) fn is_full(&self) -> bool {
        self.text.len() >= SEGMENT_TEXT_BYTES || self.changes.len() >= SEGMENT_CHANGES
    }

    pub(crate) fn bytes(&self) -> usize {
        self.text.len() + self.changes.len() * size_of::<Change<Span>>()
    }

    /// The bytes of its texts.
    pub(crate) fn text_len(&self) -> usize {
        self.text.len()
    }

    /// One of its changes.
    pub(crate) fn get(&self, index: usize) -> ChangeRef<'_> {
        self.changes[index].map(|span| span.of(&self.text))
    }

    /// The first of its changes.
    pub(crate) fn first(&self) -> Option<ChangeRef<'_>> {
        self.changes().next()
    }

    /// Forgets its changes, and keeps its memory unless that is much.
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.changes.clear();
        self.recent = [Span::default(); 2];
        self.text.shrink_to(SEGMENT_TEXT_BYTES / 8);
        self.changes.shrink_to(SEGMENT_CHANGES / 8);
    }

    fn changes(&self) -> impl Iterator<Item = ChangeRef<'_>> {
        self.changes.iter().map(|change| change.map(|span| span.of(&self.text)))
    }
}

/// Consecutive changes with their texts, of whole requests; can be sent to another thread.
#[derive(Clone, Default)]
pub struct Batch {
    first_number: u64,
    segments: Vec<Arc<Segment>>,
    bytes: usize,
    unchanged: Vec<(String, u64)>,
}

impl Batch {
    pub(super) fn starting_at(first_number: u64) -> Self {
        Self { first_number, ..Self::default() }
    }

    /// The number of its first change; the others follow without a gap.
    pub fn first_number(&self) -> u64 {
        self.first_number
    }

    /// The changes in the order in which they took effect.
    pub fn changes(&self) -> impl Iterator<Item = ChangeRef<'_>> {
        self.segments.iter().flat_map(|segment| segment.changes())
    }

    /// The number of changes in it.
    pub fn len(&self) -> usize {
        self.segments.iter().map(|segment| segment.len()).sum()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// For the last batch of a shard: the collections that have not changed from a number on, to be known in its next life.
    pub fn set_unchanged(&mut self, unchanged: Vec<(String, u64)>) {
        self.unchanged = unchanged;
    }

    /// The collections that have not changed from a number on.
    pub fn unchanged(&self) -> &[(String, u64)] {
        &self.unchanged
    }

    /// The memory that its contents take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn add(&mut self, segment: Arc<Segment>) {
        self.bytes += segment.bytes();
        self.segments.push(segment);
    }

    /// Adds a change behind the others, for a batch that no feed has made.
    pub fn push(&mut self, change: ChangeRef<'_>) {
        let last = self.segments.last_mut().and_then(Arc::get_mut).filter(|last| !last.is_full());
        match last {
            Some(last) => {
                self.bytes -= last.bytes();
                last.push(change);
                self.bytes += last.bytes();
            }
            None => {
                let mut segment = Segment::default();
                segment.push(change);
                self.add(Arc::new(segment));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_consecutive_changes_are_held_once() {
        fn assert_send<T: Send>() {}
        assert_send::<Batch>();
        let mut batch = Batch::default();
        let change = |ts| Change::Put { collection: "col", document: "doc", ts, data: "x" };
        (0..10).for_each(|ts| batch.push(change(ts)));
        batch.push(Change::RemoveValue { collection: "col", key: "k" });
        assert_eq!(batch.segments[0].text, "coldocxxxxxxxxxxk");
        assert_eq!(batch.changes().nth(9), Some(change(9)));
        assert_eq!(batch.len(), 11);
    }

    #[test]
    fn segments_are_bounded_in_text_and_in_changes() {
        let data = "x".repeat(SEGMENT_TEXT_BYTES / 3);
        for (data, count) in [(&*data, 10), ("", 3 * SEGMENT_CHANGES + 1)] {
            let mut batch = Batch::default();
            let change = |ts| Change::Put { collection: "c", document: "d", ts, data };
            (0..count as i64).for_each(|ts| batch.push(change(ts)));
            assert_eq!((batch.segments.len(), batch.len()), (4, count));
            let whole: usize = batch.segments.iter().map(|segment| segment.bytes()).sum();
            assert_eq!(batch.bytes(), whole);
            assert!(batch.changes().eq((0..count as i64).map(change)));
        }
    }
}
