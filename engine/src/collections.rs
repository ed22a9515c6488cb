//! All collections of a shard, by name and by slot, with what they amount to and what was deleted but is not yet freed.
//!
//! A collection's slot is that of its name. Names are kept apart, so that a list of them that is read in steps holds no
//! data. Invariants: a collection is there exactly while it holds a record or an entry; the counts are the sums of the
//! collections' own and the bytes of their names.

use std::cell::RefCell;
use std::rc::Rc;

use crate::chunk::{Blocks, ChunkSizes};
use crate::collection::{Collection, Counts};
use crate::limits::{SEALING_COOL_LOOKS, SEALING_LOOKS};
use crate::sealing::{Place, SealedWork, SealingWork, Unit};
use crate::table::{Named, Pages, Table};
use crate::upkeep::Upkeep;

/// The name of a collection.
#[derive(Clone)]
pub(crate) struct CollectionName(Box<str>);

impl Named for CollectionName {
    fn name(&self) -> &str {
        &self.0
    }
}

/// Collections with their names.
pub(crate) struct Collections {
    names: Table<CollectionName>,
    /// Boxed, so that growing moves little and a free slot costs little.
    slots: Vec<Option<Box<Collection>>>,
    counts: Counts,
    upkeep: Upkeep,
}

impl Collections {
    pub(crate) fn new(sizes: ChunkSizes) -> Self {
        Self {
            names: Table::new(),
            slots: Vec::new(),
            counts: Counts::default(),
            upkeep: Upkeep { sizes, ..Upkeep::default() },
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    pub(crate) fn names(&self) -> &Pages<CollectionName> {
        self.names.pages()
    }

    /// One past the last slot.
    pub(crate) fn slots_end(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Collection> {
        self.slots.get(self.names.find(name)?)?.as_deref()
    }

    /// The name in a slot, if the collection there holds this document.
    pub(crate) fn holder(&self, slot: usize, document: &str) -> Option<Rc<CollectionName>> {
        self.slots.get(slot)?.as_deref()?.documents.find(document)?;
        self.names.share(slot)
    }

    /// The slot of a collection, which is made if it isn't there; a change must follow that puts something into it.
    pub(crate) fn make(&mut self, name: &str) -> usize {
        if let Some(slot) = self.names.find(name) {
            return slot;
        }
        let slot = self.names.insert(CollectionName(name.into()));
        if self.slots.len() <= slot {
            self.slots.resize_with(slot + 1, || None);
        }
        self.slots[slot] = Some(Box::new(Collection::new()));
        self.counts.bytes += name.len();
        slot
    }

    /// Changes the collection in a slot, and takes it away if that leaves it empty; none if the slot is free.
    pub(crate) fn change_at<R>(
        &mut self,
        slot: usize,
        change: impl FnOnce(&mut Collection, &mut Upkeep) -> R,
    ) -> Option<R> {
        let collection = self.slots.get_mut(slot)?.as_deref_mut()?;
        self.counts.subtract(collection.counts());
        let result = change(collection, &mut self.upkeep);
        self.counts.add(collection.counts());
        if collection.is_empty() {
            self.remove_at(slot);
        }
        Some(result)
    }

    /// Changes a collection, if it is there.
    pub(crate) fn change<R>(
        &mut self,
        name: &str,
        change: impl FnOnce(&mut Collection, &mut Upkeep) -> R,
    ) -> Option<R> {
        self.change_at(self.names.find(name)?, change)
    }

    /// Removes a collection with all that is in it; false if it isn't there.
    pub(crate) fn remove(&mut self, name: &str) -> bool {
        let found = self.names.find(name);
        found.inspect(|slot| self.remove_at(*slot)).is_some()
    }

    fn remove_at(&mut self, slot: usize) {
        let name = self.names.remove(slot);
        self.counts.bytes -= name.name().len();
        if let Some(collection) = self.slots[slot].take() {
            self.counts.subtract(collection.counts());
            collection.discard(&mut self.upkeep.garbage);
        }
        if self.names.is_empty() {
            // Its names are in a new table, which begins with the first slot.
            self.slots = Vec::new();
        }
    }

    /// Frees a bounded amount of deleted data; returns whether more remains.
    pub(crate) fn collect_garbage(&mut self) -> bool {
        self.upkeep.garbage.step()
    }

    /// What reads sealed chunks.
    pub(crate) fn blocks(&self) -> &Rc<RefCell<Blocks>> {
        &self.upkeep.blocks
    }

    /// The number of documents that wait for some of their chunks to be sealed.
    pub(crate) fn waiting_for_sealing(&self) -> usize {
        self.upkeep.queue.len()
    }

    /// Takes chunks of a document that are to be sealed, after looking at some at most.
    pub(crate) fn take_sealing_work(&mut self) -> Option<SealingWork> {
        let sizes = self.upkeep.sizes;
        for _ in 0..SEALING_LOOKS {
            let place = self.upkeep.queue.next()?;
            let (units, has_more) = self.take_units(place, &sizes);
            if !units.is_empty() {
                self.upkeep.queue.note_cut(has_more);
                return Some(SealingWork { place, units });
            }
        }
        None
    }

    /// Takes what becomes one sealed chunk, if whoever seals does not keep up.
    pub(crate) fn take_sealing_step(&mut self) -> Option<SealingWork> {
        let sizes = ChunkSizes { work_records: 1, ..self.upkeep.sizes };
        for _ in 0..SEALING_LOOKS {
            let place = self.upkeep.queue.next_if_behind()?;
            let (units, _) = self.take_units(place, &sizes);
            if !units.is_empty() {
                return Some(SealingWork { place, units });
            }
        }
        None
    }

    /// Takes chunks of a document, and notes that they are under way if there are any.
    fn take_units(&mut self, place: Place, sizes: &ChunkSizes) -> (Vec<Unit>, bool) {
        let take = |collection: &mut Collection, upkeep: &mut Upkeep| {
            collection.take_units(place, sizes, &mut upkeep.queue)
        };
        let (units, has_more) = self.change_at(place.collection, take).unwrap_or_default();
        if !units.is_empty() {
            self.upkeep.queue.begin();
        }
        (units, has_more)
    }

    /// Puts in place what has been sealed; returns how many records that are.
    pub(crate) fn put_sealed(&mut self, work: SealedWork) -> usize {
        self.upkeep.queue.end();
        let at = work.place.collection;
        let put = |collection: &mut Collection, upkeep: &mut Upkeep| collection.put_sealed(work, upkeep);
        self.change_at(at, put).unwrap_or_default()
    }

    /// Looks at some documents from a place on for chunks that have been left alone; gives where to go on.
    pub(crate) fn cool(&mut self, from: Place) -> Option<Place> {
        let mut place = from;
        let mut looks = SEALING_COOL_LOOKS;
        while looks > 0 {
            looks -= 1;
            let collection = self.slots.get(place.collection)?;
            let end = collection.as_ref().map_or(0, |collection| collection.documents.pages().end());
            if place.document < end {
                let cool = |collection: &mut Collection, upkeep: &mut Upkeep| {
                    collection.cool(place, upkeep, &mut looks)
                };
                if self.change_at(place.collection, cool) != Some(false) {
                    place.document += 1;
                }
            } else {
                place = Place { collection: place.collection + 1, document: 0 };
            }
        }
        Some(place)
    }
}
