//! Named things by name and by slot: a paged copy-on-write slab with a hash index.
//!
//! Slots live in pages of 64 behind `Rc`, so a snapshot is a clone of the page list, and a writer copies a page only while
//! a snapshot holds it. Invariant: the index and the occupied slots are the same set; a free slot is in `free` once.

use std::hash::BuildHasher;
use std::rc::Rc;

use hashbrown::DefaultHashBuilder;

use crate::index::Index;

const PAGE_SLOTS: usize = 64;

/// A thing that a table can hold.
pub(crate) trait Named: Clone {
    fn name(&self) -> &str;

    /// The text beside the name, if this kind of thing has one.
    fn value(&self) -> &str {
        ""
    }
}

#[derive(Clone)]
struct Page<T>([Option<Rc<T>>; PAGE_SLOTS]);

/// A run of pages; a snapshot is one of its own.
pub(crate) struct Pages<T> {
    /// The slot at which the first page starts.
    base: usize,
    pages: Vec<Rc<Page<T>>>,
}

impl<T> Pages<T> {
    pub(crate) fn empty() -> Self {
        Self { base: 0, pages: Vec::new() }
    }

    /// A run of one thing, in slot 0.
    pub(crate) fn single(thing: T) -> Self {
        let mut page = Page([const { None }; PAGE_SLOTS]);
        page.0[0] = Some(Rc::new(thing));
        Self { base: 0, pages: vec![Rc::new(page)] }
    }

    /// One past the last slot.
    pub(crate) fn end(&self) -> usize {
        self.base + self.pages.len() * PAGE_SLOTS
    }

    pub(crate) fn get(&self, slot: usize) -> Option<&T> {
        let index = slot.checked_sub(self.base)?;
        self.pages.get(index / PAGE_SLOTS)?.0[index % PAGE_SLOTS].as_deref()
    }

    /// A snapshot of the pages that hold these slots.
    pub(crate) fn snapshot(&self, slots: std::ops::Range<usize>) -> Self {
        let first = (slots.start - self.base).min(self.pages.len() * PAGE_SLOTS) / PAGE_SLOTS;
        let last = (slots.end - self.base).div_ceil(PAGE_SLOTS).clamp(first, self.pages.len());
        Self { base: self.base + first * PAGE_SLOTS, pages: self.pages[first..last].to_vec() }
    }

    /// Takes the last page apart; false when there is none.
    pub(crate) fn pop_page(&mut self, mut take: impl FnMut(Rc<T>)) -> bool {
        let Some(page) = self.pages.pop() else { return false };
        // A page that a snapshot still holds is freed with the snapshot.
        if let Some(page) = Rc::into_inner(page) {
            page.0.into_iter().flatten().for_each(&mut take);
        }
        true
    }
}

/// Things of one kind, found by name.
pub(crate) struct Table<T> {
    pages: Pages<T>,
    index: Index,
    free: Vec<u32>,
    hasher: DefaultHashBuilder,
}

impl<T: Named> Table<T> {
    pub(crate) fn new() -> Self {
        let hasher = DefaultHashBuilder::default();
        Self { pages: Pages::empty(), index: Index::new(), free: Vec::new(), hasher }
    }

    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.index.len() == 0
    }

    pub(crate) fn pages(&self) -> &Pages<T> {
        &self.pages
    }

    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        let is_it = |slot| self.pages.get(slot).is_some_and(|thing| thing.name() == name);
        self.index.find(self.hash(name), is_it)
    }

    pub(crate) fn get(&self, slot: usize) -> Option<&T> {
        self.pages.get(slot)
    }

    /// The thing in an occupied slot, to be changed; copied first if a snapshot holds it.
    pub(crate) fn get_mut(&mut self, slot: usize) -> &mut T {
        match self.slot_mut(slot) {
            Some(thing) => Rc::make_mut(thing),
            None => unreachable!("slot {slot} was found in the index, so it is occupied"),
        }
    }

    /// The thing in an occupied slot, to be held beyond the next write.
    pub(crate) fn share(&self, slot: usize) -> Option<Rc<T>> {
        self.pages.pages.get(slot / PAGE_SLOTS)?.0[slot % PAGE_SLOTS].clone()
    }

    /// Adds a thing whose name is not in the table.
    pub(crate) fn insert(&mut self, thing: T) -> usize {
        debug_assert!(self.find(thing.name()).is_none());
        let hash = self.hash(thing.name());
        if self.free.is_empty() {
            let end = self.pages.end();
            assert!(end + PAGE_SLOTS <= u32::MAX as usize, "a table holds at most 2^32 slots");
            self.pages.pages.push(Rc::new(Page([const { None }; PAGE_SLOTS])));
            self.free.extend((end..end + PAGE_SLOTS).rev().map(|slot| slot as u32));
        }
        let Some(slot) = self.free.pop() else { unreachable!("a page of free slots was just added") };
        *self.slot_mut(slot as usize) = Some(Rc::new(thing));
        self.index.insert(hash, slot);
        slot as usize
    }

    /// Empties an occupied slot.
    pub(crate) fn remove(&mut self, slot: usize) -> Rc<T> {
        let Some(thing) = self.slot_mut(slot).take() else { unreachable!("slot {slot} is occupied") };
        let hash = self.hash(thing.name());
        let was_known = self.index.remove(hash, slot as u32);
        assert!(was_known, "an occupied slot is in the index");
        self.free.push(slot as u32);
        if self.index.len() == 0 {
            *self = Self::new();
        }
        thing
    }

    /// Gives up the index and keeps the things, to be freed page by page.
    pub(crate) fn into_pages(self) -> Pages<T> {
        self.pages
    }

    fn slot_mut(&mut self, slot: usize) -> &mut Option<Rc<T>> {
        &mut Rc::make_mut(&mut self.pages.pages[slot / PAGE_SLOTS]).0[slot % PAGE_SLOTS]
    }

    fn hash(&self, name: &str) -> u32 {
        (self.hasher.hash_one(name) >> 32) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Named for String {
        fn name(&self) -> &str {
            self
        }
    }

    #[test]
    fn names_are_found_until_removed() {
        let mut table = Table::new();
        for number in 0..1000 {
            table.insert(number.to_string());
        }
        for number in (0..1000).step_by(2) {
            let slot = table.find(&number.to_string()).unwrap();
            table.remove(slot);
        }
        assert_eq!(table.len(), 500);
        for number in 0..1000 {
            assert_eq!(table.find(&number.to_string()).is_some(), number % 2 == 1);
        }
        let pages = table.pages().end();
        for number in 0..500 {
            table.insert((number * 2).to_string());
        }
        assert_eq!(table.pages().end(), pages, "free slots are used again");
    }

    #[test]
    fn a_snapshot_stays_as_it_was() {
        let mut table = Table::new();
        let slots: Vec<_> = (0..200).map(|number| table.insert(number.to_string())).collect();
        let snapshot = table.pages().snapshot(70..200);
        table.remove(slots[100]);
        table.get_mut(slots[101]).push('x');
        assert_eq!(
            (snapshot.get(100).unwrap().as_str(), snapshot.get(101).unwrap().as_str()),
            ("100", "101")
        );
        assert!(snapshot.get(10).is_none() && snapshot.get(64).is_some() && table.get(100).is_none());
    }
}
