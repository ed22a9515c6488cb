//! The things that a shard owns: the collections, the feed of changes, the compiled patterns and the
//! subscriptions.

use crate::chunk::ChunkSizes;
use crate::collections::Collections;
use crate::feed::{ChangeRef, Feed};
use crate::pattern::PatternCache;
use crate::sealing::Place;
use crate::subscriptions::Subscriptions;

/// The data of one shard.
pub struct Shard {
    pub(super) collections: Collections,
    pub(super) feed: Feed,
    pub(super) patterns: PatternCache,
    pub(super) subscriptions: Subscriptions,
    /// Where the round over all documents has come to that looks for chunks that have been left alone.
    pub(super) cool_at: Place,
}

impl Default for Shard {
    fn default() -> Self {
        Self::new()
    }
}

impl Shard {
    /// An empty shard.
    pub fn new() -> Self {
        Self::with_sizes(ChunkSizes::default())
    }

    /// An empty shard with chunks of these sizes.
    pub fn with_sizes(sizes: ChunkSizes) -> Self {
        Self {
            collections: Collections::new(sizes),
            feed: Feed::new(),
            patterns: PatternCache::default(),
            subscriptions: Subscriptions::default(),
            cool_at: Place { collection: 0, document: 0 },
        }
    }

    /// Notes a change of what no shard holds, so that readers get it in order with the others: of the API keys.
    pub fn note(&mut self, change: ChangeRef<'_>) {
        self.feed.push(change);
        self.feed.end_request();
    }

    /// The changes, for those who read them.
    pub fn feed(&self) -> &Feed {
        &self.feed
    }

    /// The changes, to be taken.
    pub fn feed_mut(&mut self) -> &mut Feed {
        &mut self.feed
    }

    /// The number of collections.
    pub fn collection_count(&self) -> usize {
        self.collections.len()
    }

    /// The number of documents, over all collections.
    pub fn document_count(&self) -> usize {
        self.collections.counts().documents
    }

    /// The number of records, over all documents.
    pub fn record_count(&self) -> usize {
        self.collections.counts().records
    }

    /// The number of key-value entries, over all collections.
    pub fn entry_count(&self) -> usize {
        self.collections.counts().entries
    }

    /// The memory of the data, without the spare room of the allocator and of half-filled pages. What is sealed counts with
    /// the few bytes that it takes.
    pub fn bytes(&self) -> usize {
        self.collections.counts().bytes
    }

    /// Frees a bounded amount of deleted data; returns whether more remains.
    pub fn collect_garbage(&mut self) -> bool {
        self.collections.collect_garbage()
    }
}
