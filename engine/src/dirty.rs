//! The dirty log: what changed since it was last taken, in execution order.
//!
//! A batch is a list of segments, each a text arena and changes that point into it; a name equal to that of the change
//! before is not copied again. Segments are small, so that no large buffer is ever copied to grow.
//! Replaying a batch's changes in order onto the state before it gives the state after it.
//! Only effective mutations are here: deleting what isn't there leaves no trace.

use crate::limits::SEGMENT_TEXT_BYTES;
use crate::packet::Span;

/// Whether a shard keeps a dirty log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogMode {
    /// Nothing is kept: the data lives in memory only.
    Off,
    /// Every effective mutation is kept until it is taken.
    On,
}

/// One effective mutation, generic over how its texts are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<S> {
    /// A record was stored or replaced.
    Put {
        /// The collection's name.
        collection: S,
        /// The document's name.
        document: S,
        /// The record's time.
        ts: i64,
        /// The record's text.
        data: S,
    },
    /// A record was deleted.
    DeleteRecord {
        /// The collection's name.
        collection: S,
        /// The document's name.
        document: S,
        /// The record's time.
        ts: i64,
    },
    /// The records between two times, both inclusive, were deleted.
    DeleteRange {
        /// The collection's name.
        collection: S,
        /// The document's name.
        document: S,
        /// The earliest time.
        from: i64,
        /// The latest time.
        to: i64,
    },
    /// A document was deleted.
    DeleteDocument {
        /// The collection's name.
        collection: S,
        /// The document's name.
        document: S,
    },
    /// A collection was deleted with its documents and entries.
    DeleteCollection {
        /// The collection's name.
        collection: S,
    },
    /// An entry was set.
    SetValue {
        /// The collection's name.
        collection: S,
        /// The entry's key.
        key: S,
        /// The entry's new value.
        value: S,
    },
    /// An entry was removed.
    RemoveValue {
        /// The collection's name.
        collection: S,
        /// The entry's key.
        key: S,
    },
    /// An API key was added, or given another scope.
    SetApiKey {
        /// The key.
        key: S,
        /// The name of its scope.
        scope: S,
    },
    /// An API key was removed.
    RemoveApiKey {
        /// The key.
        key: S,
    },
}

/// A change as a batch gives it out.
pub type ChangeRef<'a> = Change<&'a str>;

impl<S: Copy> Change<S> {
    #[rustfmt::skip]
    fn map<T>(&self, mut f: impl FnMut(S) -> T) -> Change<T> {
        match *self {
            Self::Put { collection, document, ts, data } => Change::Put {
                collection: f(collection), document: f(document), ts, data: f(data),
            },
            Self::DeleteRecord { collection, document, ts } => Change::DeleteRecord {
                collection: f(collection), document: f(document), ts,
            },
            Self::DeleteRange { collection, document, from, to } => Change::DeleteRange {
                collection: f(collection), document: f(document), from, to,
            },
            Self::DeleteDocument { collection, document } => Change::DeleteDocument {
                collection: f(collection), document: f(document),
            },
            Self::DeleteCollection { collection } => Change::DeleteCollection { collection: f(collection) },
            Self::SetValue { collection, key, value } => Change::SetValue {
                collection: f(collection), key: f(key), value: f(value),
            },
            Self::RemoveValue { collection, key } => Change::RemoveValue { collection: f(collection), key: f(key) },
            Self::SetApiKey { key, scope } => Change::SetApiKey { key: f(key), scope: f(scope) },
            Self::RemoveApiKey { key } => Change::RemoveApiKey { key: f(key) },
        }
    }
}

/// Part of a batch: changes whose texts lie in one arena.
#[derive(Clone, Default)]
struct Segment {
    text: String,
    changes: Vec<Change<Span>>,
    /// The names of the newest change by position: collection, then document or key.
    recent: [Span; 2],
}

impl Segment {
    fn push(&mut self, change: ChangeRef<'_>) {
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

    fn bytes(&self) -> usize {
        self.text.len() + self.changes.len() * size_of::<Change<Span>>()
    }
}

/// Changes in execution order, with their texts; can be sent to another thread.
#[derive(Clone, Default)]
pub struct Batch {
    segments: Vec<Segment>,
    /// What all segments but the last take.
    full_bytes: usize,
}

impl Batch {
    /// The changes in the order in which they took effect.
    pub fn changes(&self) -> impl Iterator<Item = ChangeRef<'_>> {
        self.segments.iter().flat_map(|segment| {
            segment.changes.iter().map(|change| change.map(|span| span.of(&segment.text)))
        })
    }

    /// How many changes it holds.
    pub fn len(&self) -> usize {
        self.segments.iter().map(|segment| segment.changes.len()).sum()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// The memory its contents take.
    pub fn bytes(&self) -> usize {
        self.full_bytes + self.segments.last().map_or(0, Segment::bytes)
    }

    /// Leaves the first changes, of about so many bytes, in this batch, and gives the others.
    pub fn split_off(&mut self, bytes: usize) -> Batch {
        let mut kept_bytes = 0;
        let full = self.segments.iter().take_while(|segment| {
            kept_bytes += segment.bytes();
            kept_bytes < bytes
        });
        let kept = (full.count() + 1).min(self.segments.len());
        let mut rest = Batch { segments: self.segments.split_off(kept), full_bytes: 0 };
        self.count_full_bytes();
        rest.count_full_bytes();
        rest
    }

    fn count_full_bytes(&mut self) {
        let full = self.segments.split_last().map_or(&[][..], |(_, full)| full);
        self.full_bytes = full.iter().map(Segment::bytes).sum();
    }

    /// Adds a change behind the others.
    pub fn push(&mut self, change: ChangeRef<'_>) {
        match self.segments.last_mut() {
            Some(last) if last.text.len() < SEGMENT_TEXT_BYTES => last.push(change),
            last => {
                self.full_bytes += last.map_or(0, |last| last.bytes());
                let mut segment = Segment::default();
                segment.push(change);
                self.segments.push(segment);
            }
        }
    }
}

/// The log of one shard, or nothing at all.
pub(crate) struct DirtyLog {
    batch: Batch,
    mode: LogMode,
}

impl DirtyLog {
    pub(crate) fn new(mode: LogMode) -> Self {
        Self { batch: Batch::default(), mode }
    }

    pub(crate) fn push(&mut self, change: ChangeRef<'_>) {
        if self.mode == LogMode::On {
            self.batch.push(change);
        }
    }

    pub(crate) fn start(&mut self) {
        self.mode = LogMode::On;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    pub(crate) fn take(&mut self) -> Batch {
        std::mem::take(&mut self.batch)
    }

    pub(crate) fn take_first(&mut self, bytes: usize) -> Batch {
        let rest = self.batch.split_off(bytes);
        std::mem::replace(&mut self.batch, rest)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.batch.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_consecutive_changes_are_held_once() {
        fn assert_send<T: Send>() {}
        assert_send::<Batch>();
        let mut log = DirtyLog::new(LogMode::On);
        let change = |ts| Change::Put { collection: "col", document: "doc", ts, data: "x" };
        (0..10).for_each(|ts| log.push(change(ts)));
        log.push(Change::RemoveValue { collection: "col", key: "k" });
        let batch = log.take();
        assert_eq!(batch.segments[0].text, "coldocxxxxxxxxxxk");
        assert_eq!(batch.changes().nth(9), Some(change(9)));
        assert_eq!(batch.len(), 11);
        assert!(log.take().is_empty());
    }

    #[test]
    fn a_long_log_is_cut_into_segments() {
        let data = "x".repeat(SEGMENT_TEXT_BYTES / 3);
        let mut batch = Batch::default();
        for ts in 0..10 {
            batch.push(Change::Put { collection: "c", document: "d", ts, data: &data });
        }
        assert_eq!((batch.segments.len(), batch.len()), (4, 10));
        let whole: usize = batch.segments.iter().map(Segment::bytes).sum();
        assert_eq!(batch.bytes(), whole);
        let expected =
            (0..10).map(|ts| Change::Put { collection: "c", document: "d", ts, data: data.as_str() });
        assert!(batch.changes().eq(expected.clone()));
        for (bytes, kept) in [(0, 3), (1, 3), (SEGMENT_TEXT_BYTES + 1000, 6), (usize::MAX, 10)] {
            let mut first = batch.clone();
            let rest = first.split_off(bytes);
            assert_eq!((first.len(), rest.len(), first.bytes() + rest.bytes()), (kept, 10 - kept, whole));
            let data = data.as_str();
            let expected = (0..10).map(|ts| Change::Put { collection: "c", document: "d", ts, data });
            assert!(first.changes().chain(rest.changes()).eq(expected));
        }
        assert!(Batch::default().split_off(1).is_empty());
    }

    #[test]
    fn a_log_that_is_off_keeps_nothing() {
        let mut log = DirtyLog::new(LogMode::Off);
        log.push(Change::DeleteCollection { collection: "c" });
        assert_eq!((log.bytes(), log.take().len()), (0, 0));
    }
}
