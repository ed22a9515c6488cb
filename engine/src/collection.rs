//! One collection: its documents, its entries, and what they amount to.
//!
//! Keeps the counts in step with every change, so that asking for them is free. It knows nothing of its own name, of the
//! feed, or of other collections. Invariant: no document in it is empty.

use std::rc::Rc;

use crate::chunk::ChunkSizes;
use crate::document::{Document, Looked};
use crate::entry::Entry;
use crate::garbage::Garbage;
use crate::sealing::{Place, Queue, SealedWork, Unit};
use crate::table::{Named, Table};
use crate::upkeep::Upkeep;

/// The amount of data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) documents: usize,
    pub(crate) records: usize,
    pub(crate) entries: usize,
    /// Names, keys, values, and records: texts and columns, or sealed.
    pub(crate) bytes: usize,
}

impl Counts {
    pub(crate) fn add(&mut self, other: Self) {
        self.documents += other.documents;
        self.records += other.records;
        self.entries += other.entries;
        self.bytes += other.bytes;
    }

    pub(crate) fn subtract(&mut self, other: Self) {
        self.documents -= other.documents;
        self.records -= other.records;
        self.entries -= other.entries;
        self.bytes -= other.bytes;
    }

    fn of(document: &Document) -> Self {
        let bytes = document.name().len() + document.bytes();
        Self { documents: 1, records: document.record_count(), entries: 0, bytes }
    }
}

/// Documents and entries under one name.
pub(crate) struct Collection {
    pub(crate) documents: Table<Document>,
    pub(crate) entries: Table<Entry>,
    counts: Counts,
}

impl Collection {
    pub(crate) fn new() -> Self {
        Self { documents: Table::new(), entries: Table::new(), counts: Counts::default() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.documents.is_empty() && self.entries.is_empty()
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// The slot of a document, which is made if it isn't there; a record must follow.
    pub(crate) fn document_slot(&mut self, name: &str) -> usize {
        self.documents.find(name).unwrap_or_else(|| {
            let document = Document::new(name);
            self.counts.add(Counts::of(&document));
            self.documents.insert(document)
        })
    }

    /// Stores a record in the document of this place, whose collection this is.
    pub(crate) fn put(&mut self, place: Place, ts: i64, data: &str, upkeep: &mut Upkeep) {
        let document = self.documents.get_mut(place.document);
        self.counts.subtract(Counts::of(document));
        let is_due = document.put(ts, data, &upkeep.sizes);
        self.counts.add(Counts::of(document));
        if is_due && !document.is_queued() {
            document.set_queued(upkeep.queue.add(place));
        }
    }

    /// Changes a document while it is loaded.
    pub(crate) fn load(&mut self, document: usize, change: impl FnOnce(&mut Document)) {
        let document = self.documents.get_mut(document);
        self.counts.subtract(Counts::of(document));
        change(document);
        self.counts.add(Counts::of(document));
    }

    /// Takes chunks of a document that are to be sealed; none if there are none.
    /// Says too whether there are more.
    pub(crate) fn take_units(
        &mut self,
        place: Place,
        sizes: &ChunkSizes,
        queue: &mut Queue,
    ) -> (Vec<Unit>, bool) {
        if self.documents.get(place.document).is_none() {
            return (Vec::new(), false);
        }
        let document = self.documents.get_mut(place.document);
        let (units, has_more) = document.take_units(sizes);
        // What is taken is back before more is.
        document.set_queued(!units.is_empty() || has_more && queue.add(place));
        (units, has_more)
    }

    /// Puts sealed chunks in the place of those that have not been changed, and has the document looked at again. Returns how
    /// many records they have.
    pub(crate) fn put_sealed(&mut self, work: SealedWork, upkeep: &mut Upkeep) -> usize {
        let SealedWork { place, units } = work;
        if self.documents.get(place.document).is_none() {
            return 0;
        }
        let mut count = 0;
        let document = self.documents.get_mut(place.document);
        self.counts.subtract(Counts::of(document));
        for (unit, sealed) in units {
            if let Some(sealed) = sealed {
                count += document.put_sealed(&unit, sealed);
            }
        }
        self.counts.add(Counts::of(document));
        document.set_queued(upkeep.queue.add(place));
        count
    }

    /// Looks at some of a document for what has been left alone; returns whether that was all of it.
    pub(crate) fn cool(&mut self, place: Place, upkeep: &mut Upkeep, looks: &mut usize) -> bool {
        if !self.documents.get(place.document).is_some_and(Document::has_to_cool) {
            return true;
        }
        let document = self.documents.get_mut(place.document);
        let looked = document.cool(&upkeep.sizes, looks);
        if looked == Looked::Due && !document.is_queued() {
            document.set_queued(upkeep.queue.add(place));
        }
        looked != Looked::Partly
    }

    /// Deletes records of one document; returns whether there were any.
    pub(crate) fn delete_range(&mut self, name: &str, from: i64, to: i64, upkeep: &mut Upkeep) -> bool {
        let Some(slot) = self.documents.find(name) else { return false };
        // Looked at first, so that a deletion of nothing copies nothing that a snapshot holds.
        let newest = self.documents.get(slot).and_then(|document| document.newest_through(to));
        if newest.is_none_or(|(chunk, index)| chunk.ts(index) < from) {
            return false;
        }
        let document = self.documents.get_mut(slot);
        self.counts.subtract(Counts::of(document));
        let Upkeep { sizes, garbage, .. } = upkeep;
        let deleted = garbage.collect_chunks(|freed| document.delete_range(from, to, sizes, freed));
        self.counts.add(Counts::of(document));
        if document.is_empty() {
            self.delete_document(name, &mut upkeep.garbage);
        }
        deleted > 0
    }

    /// Deletes a document; returns whether it was there.
    pub(crate) fn delete_document(&mut self, name: &str, garbage: &mut Garbage) -> bool {
        let Some(slot) = self.documents.find(name) else { return false };
        let document = self.documents.remove(slot);
        self.counts.subtract(Counts::of(&document));
        garbage.add_document(document);
        true
    }

    pub(crate) fn set_value(&mut self, key: &str, value: &str) {
        match self.entries.find(key) {
            Some(slot) => {
                let entry = self.entries.get_mut(slot);
                self.counts.bytes = self.counts.bytes - entry.value.len() + value.len();
                entry.value = value.into();
            }
            None => {
                self.counts.entries += 1;
                self.counts.bytes += key.len() + value.len();
                self.entries.insert(Entry { key: key.into(), value: value.into() });
            }
        }
    }

    /// Removes an entry; returns whether it was there.
    pub(crate) fn remove_value(&mut self, key: &str) -> bool {
        let Some(slot) = self.entries.find(key) else { return false };
        let entry = self.entries.remove(slot);
        self.counts.entries -= 1;
        self.counts.bytes -= entry.key.len() + entry.value.len();
        true
    }

    /// Hands all that is in it over to be freed.
    pub(crate) fn discard(self, garbage: &mut Garbage) {
        let Self { documents, entries, .. } = self;
        if !documents.is_empty() {
            garbage.add_documents(documents.into_pages());
        }
        if !entries.is_empty() {
            garbage.add_entries(entries.into_pages());
        }
    }

    pub(crate) fn share_entry(&self, key: &str) -> Option<Rc<Entry>> {
        self.entries.share(self.entries.find(key)?)
    }
}
