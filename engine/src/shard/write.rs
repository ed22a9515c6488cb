//! Mutations: each changes a collection, keeps the shard's counts in step, and enters what changed in the feed.
//!
//! A change without effect is not entered. A collection left empty is taken away in the same call.

use std::ops::Range;

use super::state::Shard;
use crate::collection::Collection;
use crate::feed::Change;
use crate::limits::INSERT_AHEAD;
use crate::request::{Record, RecordKey};
use crate::sealing::Place;
use crate::table::Named;

impl Shard {
    /// Records of one collection or document usually come together, so the names looked up last are remembered. Several
    /// documents are looked up before the first is written to, so that the CPU waits for the memory of all of them at once.
    pub(super) fn insert(&mut self, records: &[Record<&str>]) {
        for run in records.chunk_by(|a, b| a.collection == b.collection) {
            let Self { collections, feed, .. } = self;
            let slot = collections.make(run[0].collection);
            collections.change_at(slot, |collection, upkeep| {
                for part in run.chunks(INSERT_AHEAD) {
                    let mut slots = [0; INSERT_AHEAD];
                    find_documents(collection, part, &mut slots);
                    for (&document_slot, record) in slots.iter().zip(part) {
                        let &Record { collection: name, document, ts, data } = record;
                        let place = Place { collection: slot, document: document_slot };
                        collection.put(place, ts, data, upkeep);
                        feed.push(Change::Put { collection: name, document, ts, data });
                    }
                }
            });
        }
    }

    pub(super) fn delete_document(&mut self, collection: &str, document: &str) {
        if self
            .collections
            .change(collection, |found, upkeep| found.delete_document(document, &mut upkeep.garbage))
            == Some(true)
        {
            self.feed.push(Change::DeleteDocument { collection, document });
        }
    }

    /// Deletes a document in the collections of these slots.
    pub(super) fn delete_document_in(&mut self, slots: Range<usize>, document: &str) {
        for slot in slots {
            if let Some(name) = self.collections.holder(slot, document) {
                self.delete_document(name.name(), document);
            }
        }
    }

    pub(super) fn delete_collection(&mut self, collection: &str) {
        self.subscriptions.keep_deleted(collection, self.feed.next_number(), &self.collections);
        if self.collections.remove(collection) {
            self.feed.push(Change::DeleteCollection { collection });
        }
    }

    pub(super) fn delete_records(&mut self, keys: &[RecordKey<&str>]) {
        for &RecordKey { collection, document, ts } in keys {
            if self
                .collections
                .change(collection, |found, upkeep| found.delete_range(document, ts, ts, upkeep))
                == Some(true)
            {
                self.feed.push(Change::DeleteRecord { collection, document, ts });
            }
        }
    }

    pub(super) fn delete_range(&mut self, collection: &str, document: &str, from: i64, to: i64) {
        if self.collections.change(collection, |found, upkeep| found.delete_range(document, from, to, upkeep))
            == Some(true)
        {
            self.feed.push(Change::DeleteRange { collection, document, from, to });
        }
    }

    pub(super) fn set_value(&mut self, collection: &str, key: &str, value: &str) {
        let slot = self.collections.make(collection);
        self.collections.change_at(slot, |found, _| found.set_value(key, value));
        self.feed.push(Change::SetValue { collection, key, value });
    }

    pub(super) fn remove_value(&mut self, collection: &str, key: &str) {
        if self.collections.change(collection, |found, _| found.remove_value(key)) == Some(true) {
            self.feed.push(Change::RemoveValue { collection, key });
        }
    }
}

/// Finds the slots of the documents of these records, each of which must be put into it.
fn find_documents(collection: &mut Collection, records: &[Record<&str>], slots: &mut [usize; INSERT_AHEAD]) {
    let mut last: Option<(&str, usize)> = None;
    for (slot, record) in slots.iter_mut().zip(records) {
        *slot = match last {
            Some((name, known)) if name == record.document => known,
            _ => collection.document_slot(record.document),
        };
        if let Some(document) = collection.documents.get(*slot) {
            document.prefetch_end();
        }
        last = Some((record.document, *slot));
    }
}
