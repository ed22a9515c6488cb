//! Filling a shard with what was stored, before it serves: no requests, no changes.

use super::state::Shard;
use crate::sealing::Place;

/// Puts records into one document.
pub struct DocumentLoader<'a> {
    shard: &'a mut Shard,
    collection: &'a str,
    document: &'a str,
    /// The slot of the collection, once there is a record.
    slot: Option<usize>,
    /// The slot of the document in it.
    document_slot: Option<usize>,
}

impl Shard {
    /// Fills a document; it is there from its first record on.
    pub fn load_document<'a>(&'a mut self, collection: &'a str, document: &'a str) -> DocumentLoader<'a> {
        DocumentLoader { shard: self, collection, document, slot: None, document_slot: None }
    }
}

impl DocumentLoader<'_> {
    /// Stores a record; fastest in order of time.
    pub fn put(&mut self, ts: i64, data: &str) {
        let collections = &mut self.shard.collections;
        let slot = self.slot.unwrap_or_else(|| collections.make(self.collection));
        self.slot = Some(slot);
        collections.change_at(slot, |collection, upkeep| {
            let document = *self.document_slot.get_or_insert_with(|| collection.document_slot(self.document));
            collection.put(Place { collection: slot, document }, ts, data, upkeep);
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::{Record, Request, Shard};

    #[test]
    fn a_loaded_shard_is_one_that_was_written() {
        let mut written = Shard::new();
        let mut loaded = Shard::new();
        for document in ["a", "b"] {
            let mut loader = loaded.load_document("c", document);
            for ts in 0..2000 {
                let record = Record { collection: "c", document, ts, data: "x" };
                written.execute(&Request::Insert(vec![record]), &mut Vec::new()).unwrap();
                loader.put(ts, "x");
            }
        }
        loaded.load_document("nothing", "in it");
        let facts = |shard: &Shard| {
            (shard.collection_count(), shard.document_count(), shard.record_count(), shard.bytes())
        };
        assert_eq!(facts(&loaded), facts(&written));
        loaded.feed_mut().start(7);
        let reader = loaded.feed_mut().open_reader();
        loaded.execute(&Request::DeleteCollection { collection: "c" }, &mut Vec::new()).unwrap();
        assert_eq!(loaded.bytes(), 0);
        let batch = loaded.feed_mut().take(reader, usize::MAX).unwrap();
        assert_eq!((batch.first_number(), batch.len()), (7, 1));
    }
}
