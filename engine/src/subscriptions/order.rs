//! The documents of a collection in the order in which their newest record changed last, with those that are gone.
//!
//! A subscriber to what is newest is a place in this order: what it has not been sent is behind it. Each document is in it
//! once, so it is bounded by documents; of those that are gone only so many are kept, and below the floor nothing
//! is known any more.

use hashbrown::{DefaultHashBuilder, HashTable};
use std::collections::BTreeSet;
use std::hash::BuildHasher;
use std::ops::Bound;

use super::slab::Slab;
use crate::limits::ORDER_GONE_MAX;

/// A place in the order: a change's number, and one of the documents that it concerned.
pub(super) type Place = (u64, u32);

/// One document.
pub(super) struct Entry {
    pub(super) name: Box<str>,
    pub(super) number: u64,
    /// The number of its first change in this order, which tells it from others that had its slot.
    pub(super) born: u64,
    is_gone: bool,
}

/// The memory of an entry beside its name: in the slab, the order, and the index.
const ENTRY_BYTES: usize = size_of::<Entry>() + 8 + 2 * size_of::<Place>() + 8;

/// The documents that changed since the order is kept.
pub(super) struct Order {
    entries: Slab<Entry>,
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
    by_number: BTreeSet<Place>,
    gone: BTreeSet<Place>,
    /// The changes from this number on are all here.
    floor: u64,
    name_bytes: usize,
}

impl Order {
    pub(super) fn new(floor: u64) -> Self {
        Self {
            entries: Slab::default(),
            index: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            by_number: BTreeSet::new(),
            gone: BTreeSet::new(),
            floor,
            name_bytes: 0,
        }
    }

    pub(super) fn floor(&self) -> u64 {
        self.floor
    }

    pub(super) fn bytes(&self) -> usize {
        self.entries.len() * ENTRY_BYTES + self.name_bytes
    }

    /// Notes that a document's newest record changed, or went with the document.
    pub(super) fn touch(&mut self, name: &str, number: u64, is_gone: bool) {
        let slot = match self.find(name) {
            Some(slot) => slot,
            None => self.add(name, number),
        };
        if let Some(entry) = self.entries.get_mut(slot) {
            self.by_number.remove(&(entry.number, slot));
            if entry.is_gone {
                self.gone.remove(&(entry.number, slot));
            }
            (entry.number, entry.is_gone) = (number, is_gone);
        }
        self.by_number.insert((number, slot));
        if is_gone {
            self.gone.insert((number, slot));
            self.forget_oldest();
        }
    }

    /// Forgets everything before a number, and what is known of it.
    pub(super) fn restart(&mut self, floor: u64) {
        *self = Self::new(floor);
    }

    /// The documents from a place on, oldest change first.
    pub(super) fn from(&self, place: Place) -> impl Iterator<Item = (Place, &Entry)> {
        let range = self.by_number.range((Bound::Included(place), Bound::Unbounded));
        range.filter_map(|place| Some((*place, self.entries.get(place.1)?)))
    }

    /// One document.
    pub(super) fn get(&self, name: &str) -> Option<(Place, &Entry)> {
        let slot = self.find(name)?;
        let entry = self.entries.get(slot)?;
        Some(((entry.number, slot), entry))
    }

    fn find(&self, name: &str) -> Option<u32> {
        let is_it = |slot: &u32| self.entries.get(*slot).is_some_and(|entry| *entry.name == *name);
        self.index.find(self.hasher.hash_one(name), is_it).copied()
    }

    fn add(&mut self, name: &str, number: u64) -> u32 {
        let entry = Entry { name: name.into(), number, born: number, is_gone: false };
        self.name_bytes += name.len();
        let slot = self.entries.insert(entry);
        let Self { entries, hasher, .. } = self;
        let hash = |slot: &u32| entries.get(*slot).map_or(0, |entry| hasher.hash_one(&*entry.name));
        self.index.insert_unique(hasher.hash_one(name), slot, hash);
        slot
    }

    fn forget_oldest(&mut self) {
        while self.gone.len() > ORDER_GONE_MAX {
            let Some(place) = self.gone.pop_first() else { return };
            self.by_number.remove(&place);
            self.floor = self.floor.max(place.0 + 1);
            if let Some(entry) = self.entries.remove(place.1) {
                self.name_bytes -= entry.name.len();
                let hash = self.hasher.hash_one(&*entry.name);
                if let Ok(found) = self.index.find_entry(hash, |slot| *slot == place.1) {
                    found.remove();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(order: &Order, from: u64) -> Vec<&str> {
        order.from((from, 0)).map(|(_, entry)| &*entry.name).collect()
    }

    #[test]
    fn each_document_stands_where_it_changed_last() {
        let mut order = Order::new(1);
        for (number, name) in (1..).zip(["a", "b", "c", "a"]) {
            order.touch(name, number, false);
        }
        assert_eq!(names(&order, 1), ["b", "c", "a"]);
        assert_eq!(names(&order, 3), ["c", "a"]);
        order.touch("b", 5, true);
        order.touch("b", 6, false);
        assert_eq!((names(&order, 4), order.gone.len()), (vec!["a", "b"], 0));
        assert_eq!(order.get("c").map(|(place, _)| place.0), Some(3));
        assert!(order.get("d").is_none());
    }

    #[test]
    fn of_those_that_are_gone_the_oldest_are_forgotten() {
        let mut order = Order::new(1);
        order.touch("stays", 1, false);
        for number in 2..ORDER_GONE_MAX as u64 + 12 {
            order.touch(&number.to_string(), number, true);
        }
        assert_eq!((order.floor(), order.gone.len()), (12, ORDER_GONE_MAX));
        assert!(order.get("11").is_none() && order.get("12").is_some() && order.get("stays").is_some());
        assert_eq!(order.entries.len(), order.index.len());
    }
}
