//! Filling a shard with what was stored, before it serves: no requests, no changes.

use super::state::Shard;
use crate::feed::{Change, ChangeRef};
use crate::request::{Record, RecordKey};
use crate::sealed::Sealed;
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
        let slot = self.collection_slot();
        self.shard.collections.change_at(slot, |collection, upkeep| {
            let document = *self.document_slot.get_or_insert_with(|| collection.document_slot(self.document));
            collection.put(Place { collection: slot, document }, ts, data, upkeep);
        });
    }

    /// Stores a chunk as it was kept, whose records are later than all that are there.
    pub fn put_sealed(&mut self, sealed: Sealed) {
        let slot = self.collection_slot();
        self.shard.collections.change_at(slot, |collection, upkeep| {
            let document = *self.document_slot.get_or_insert_with(|| collection.document_slot(self.document));
            collection.load(document, |document| document.append_sealed(sealed, &upkeep.sizes));
        });
    }

    /// The slot of the collection, into which something must be put.
    fn collection_slot(&mut self) -> usize {
        *self.slot.get_or_insert_with(|| self.shard.collections.make(self.collection))
    }
}

impl Drop for DocumentLoader<'_> {
    fn drop(&mut self) {
        if let (Some(slot), Some(document)) = (self.slot, self.document_slot) {
            self.shard.collections.change_at(slot, |collection, upkeep| {
                collection.load(document, |document| document.end_loading(&upkeep.sizes));
            });
        }
    }
}

impl Shard {
    /// Carries out a change of before, as it was entered in the feed then; nobody is told of it.
    pub fn replay(&mut self, change: ChangeRef<'_>) {
        match change {
            Change::Put { collection, document, ts, data } => {
                self.replay_records(&[Record { collection, document, ts, data }]);
            }
            Change::DeleteRecord { collection, document, ts } => {
                self.delete_records(&[RecordKey { collection, document, ts }]);
            }
            Change::DeleteRange { collection, document, from, to } => {
                self.delete_range(collection, document, from, to);
            }
            Change::DeleteDocument { collection, document } => self.delete_document(collection, document),
            Change::DeleteCollection { collection } => self.delete_collection(collection),
            Change::SetValue { collection, key, value } => self.set_value(collection, key, value),
            Change::RemoveValue { collection, key } => self.remove_value(collection, key),
            Change::SetApiKey { .. } | Change::RemoveApiKey { .. } => {}
        }
    }

    /// Does the same with records that were put, which is faster with many.
    pub fn replay_records(&mut self, records: &[Record<&str>]) {
        self.insert(records);
    }
}

#[cfg(test)]
mod tests {
    use crate::sealed::Sealer;
    use crate::{Change, ChunkSizes};
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

    #[test]
    fn chunks_are_loaded_as_they_were_stored() {
        let mut sealer = Sealer::default();
        let sizes = ChunkSizes {
            records: 8,
            sealed_records: 32,
            open_records: 8,
            seals: true,
            ..ChunkSizes::default()
        };
        for counts in [&[1][..], &[100], &[40, 3, 60], &[40, 40], &[2, 3, 4]] {
            let mut written = Shard::new();
            let mut loaded = Shard::with_sizes(sizes);
            let mut loader = loaded.load_document("c", "d");
            let mut first = 0;
            for &count in counts {
                let texts: Vec<String> = (first..first + count).map(|ts| format!("{{\"a\":{ts}}}")).collect();
                let times = || (first..first + count).zip(&texts);
                let sealed = sealer.seal(times().map(|(ts, text)| (ts, text.as_str())), None).unwrap();
                loader.put_sealed(sealed);
                for (ts, data) in times() {
                    written.replay(Change::Put { collection: "c", document: "d", ts, data });
                }
                first += count;
            }
            drop(loader);
            // What is changed then is anywhere in it, and behind it.
            for ts in [0, first / 2, first - 1, first] {
                for shard in [&mut written, &mut loaded] {
                    shard.replay(Change::Put { collection: "c", document: "d", ts, data: "new" });
                }
            }
            let history = |shard: &mut Shard| {
                let mut out = Vec::new();
                let request = Request::History {
                    collection: "c",
                    document: "d",
                    from: None,
                    to: i64::MAX,
                    limit: None,
                    reverse: false,
                    contains: None,
                    excludes: None,
                };
                if let crate::Outcome::Reply(mut cursor) = shard.execute(&request, &mut out).unwrap() {
                    while cursor.step(&mut out, crate::PIECE_BYTES) == crate::Progress::More {}
                }
                out
            };
            assert_eq!(history(&mut loaded), history(&mut written), "{counts:?}");
            assert_eq!(loaded.record_count(), first as usize + 1);
            loaded.replay(Change::DeleteDocument { collection: "c", document: "d" });
            assert_eq!((loaded.bytes(), loaded.collection_count()), (0, 0));
        }
    }
}
