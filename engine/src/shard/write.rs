//! Mutations: each changes a collection, keeps the shard's counts in step, and enters what changed in the feed.
//!
//! What changes nothing is not entered. A collection left empty is taken away in the same call.

use std::ops::Range;

use super::{CollectionName, Shard};
use crate::collection::Collection;
use crate::feed::Change;
use crate::garbage::Garbage;
use crate::request::{Record, RecordKey};
use crate::table::Named;

impl Shard {
    /// Records of one collection or document usually come together, so the names looked up last are remembered.
    pub(super) fn insert(&mut self, records: &[Record<&str>]) {
        for run in records.chunk_by(|a, b| a.collection == b.collection) {
            let slot = self.collection_slot(run[0].collection);
            let before = self.collection_mut(slot).counts();
            let Self { collections, feed, .. } = self;
            let Some(collection) = collections[slot].as_deref_mut() else { unreachable!("it was just made") };
            for same in run.chunk_by(|a, b| a.document == b.document) {
                let document = collection.document_slot(same[0].document);
                for record in same {
                    collection.put(document, record.ts, record.data);
                    let &Record { collection, document, ts, data } = record;
                    feed.push(Change::Put { collection, document, ts, data });
                }
            }
            let after = collection.counts();
            self.counts.subtract(before);
            self.counts.add(after);
        }
    }

    pub(super) fn delete_document(&mut self, collection: &str, document: &str) {
        if self.change(collection, |found, garbage| found.delete_document(document, garbage)) {
            self.feed.push(Change::DeleteDocument { collection, document });
        }
    }

    /// Deletes a document in the collections of these slots.
    pub(super) fn delete_document_in(&mut self, slots: Range<usize>, document: &str) {
        for slot in slots {
            let holds =
                self.collections[slot].as_ref().is_some_and(|found| found.documents.find(document).is_some());
            if holds && let Some(name) = self.names.share(slot) {
                self.delete_document(name.name(), document);
            }
        }
    }

    pub(super) fn delete_collection(&mut self, collection: &str) {
        if let Some(slot) = self.names.find(collection) {
            self.take_away(slot);
            self.feed.push(Change::DeleteCollection { collection });
        }
    }

    pub(super) fn delete_records(&mut self, keys: &[RecordKey<&str>]) {
        for &RecordKey { collection, document, ts } in keys {
            if self.change(collection, |found, garbage| found.delete_range(document, ts, ts, garbage)) {
                self.feed.push(Change::DeleteRecord { collection, document, ts });
            }
        }
    }

    pub(super) fn delete_range(&mut self, collection: &str, document: &str, from: i64, to: i64) {
        if self.change(collection, |found, garbage| found.delete_range(document, from, to, garbage)) {
            self.feed.push(Change::DeleteRange { collection, document, from, to });
        }
    }

    pub(super) fn set_value(&mut self, collection: &str, key: &str, value: &str) {
        self.collection_slot(collection);
        self.change(collection, |found, _| {
            found.set_value(key, value);
            true
        });
        self.feed.push(Change::SetValue { collection, key, value });
    }

    pub(super) fn remove_value(&mut self, collection: &str, key: &str) {
        if self.change(collection, |found, _| found.remove_value(key)) {
            self.feed.push(Change::RemoveValue { collection, key });
        }
    }

    /// Changes a collection, if it is there, and takes it away if that leaves it empty; returns what `change` did.
    fn change(&mut self, name: &str, change: impl FnOnce(&mut Collection, &mut Garbage) -> bool) -> bool {
        let Some(slot) = self.names.find(name) else { return false };
        let Self { collections, garbage, counts, .. } = self;
        let Some(collection) = collections[slot].as_deref_mut() else {
            unreachable!("a name has a collection")
        };
        counts.subtract(collection.counts());
        let changed = change(collection, garbage);
        counts.add(collection.counts());
        if collection.is_empty() {
            self.take_away(slot);
        }
        changed
    }

    /// The slot of a collection, which is made if it isn't there; a record or an entry must follow.
    pub(super) fn collection_slot(&mut self, name: &str) -> usize {
        if let Some(slot) = self.names.find(name) {
            return slot;
        }
        let slot = self.names.insert(CollectionName(name.into()));
        if self.collections.len() <= slot {
            self.collections.resize_with(slot + 1, || None);
        }
        self.collections[slot] = Some(Box::new(Collection::new()));
        self.counts.bytes += name.len();
        slot
    }

    fn take_away(&mut self, slot: usize) {
        let name = self.names.remove(slot);
        self.counts.bytes -= name.name().len();
        if let Some(collection) = self.collections[slot].take() {
            self.counts.subtract(collection.counts());
            self.garbage.add_collection(*collection);
        }
    }
}
