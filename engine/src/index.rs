//! Where things with a name lie: a hash index that grows in small steps.
//!
//! It holds a 32-bit hash and a slot of each thing and reads no names. A large hash table takes tens of milliseconds to
//! double, so this is many small ones: as things are added, one after the other is split in two (linear hashing).
//! Invariant: an entry is in the part that `part_of` gives for its hash.

use hashbrown::HashTable;

use crate::limits::INDEX_PART_LEN;

type Part = HashTable<(u32, u32)>;

/// Slots by hash.
pub(crate) struct Index {
    /// Apart from the others, for most indexes have no other.
    first: Part,
    others: Vec<Part>,
    len: usize,
}

impl Index {
    pub(crate) fn new() -> Self {
        Self { first: Part::new(), others: Vec::new(), len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The slot of this hash that is the one looked for.
    pub(crate) fn find(&self, hash: u32, mut is_it: impl FnMut(usize) -> bool) -> Option<usize> {
        let is_it = |&(known, slot): &(u32, u32)| known == hash && is_it(slot as usize);
        self.part(self.part_of(hash)).find(spread(hash), is_it).map(|&(_, slot)| slot as usize)
    }

    /// Adds a slot that isn't there.
    pub(crate) fn insert(&mut self, hash: u32, slot: u32) {
        let part = self.part_of(hash);
        add(self.part_mut(part), (hash, slot));
        self.len += 1;
        if self.len > (1 + self.others.len()) * INDEX_PART_LEN {
            self.split();
        }
    }

    /// Removes a slot; false if it isn't there.
    pub(crate) fn remove(&mut self, hash: u32, slot: u32) -> bool {
        let part = self.part_of(hash);
        match self.part_mut(part).find_entry(spread(hash), |&(_, known)| known == slot) {
            Ok(entry) => {
                entry.remove();
                self.len -= 1;
                true
            }
            Err(_) => false,
        }
    }

    /// Splits the part whose turn it is: of those as wide as it, the first not yet split.
    fn split(&mut self) {
        let count = 1 + self.others.len();
        let width = 1 << count.ilog2();
        let mut new = Part::new();
        let moves = |entry: &mut (u32, u32)| entry.0 as usize & width != 0;
        for entry in self.part_mut(count - width).extract_if(moves) {
            add(&mut new, entry);
        }
        self.others.push(new);
    }

    /// The number of the part of a hash: as many of its low bits as there are parts for.
    fn part_of(&self, hash: u32) -> usize {
        let count = 1 + self.others.len();
        let width = 1 << count.ilog2();
        let wide = hash as usize & (2 * width - 1);
        if wide < count { wide } else { hash as usize & (width - 1) }
    }

    fn part(&self, number: usize) -> &Part {
        number.checked_sub(1).map_or(&self.first, |other| &self.others[other])
    }

    fn part_mut(&mut self, number: usize) -> &mut Part {
        match number.checked_sub(1) {
            Some(other) => &mut self.others[other],
            None => &mut self.first,
        }
    }
}

fn add(part: &mut Part, entry: (u32, u32)) {
    part.insert_unique(spread(entry.0), entry, |&(known, _)| spread(known));
}

/// A 64-bit hash from the stored 32 bits: a part takes its tag from the top bits and its bucket from the bottom.
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(number: u32) -> u32 {
        number.wrapping_mul(0x85eb_ca6b) ^ (number >> 7)
    }

    #[test]
    fn parts_stay_small_and_lose_nothing() {
        let mut index = Index::new();
        let count = 50 * INDEX_PART_LEN as u32;
        for slot in 0..count {
            index.insert(hash(slot), slot);
            assert!(index.len() == slot as usize + 1);
        }
        assert_eq!(index.others.len(), 49);
        let longest = (0..50).map(|number| index.part(number).len()).max().unwrap();
        assert!(longest < 3 * INDEX_PART_LEN, "{longest}");
        for slot in 0..count {
            assert_eq!(index.find(hash(slot), |found| found == slot as usize), Some(slot as usize));
            if slot % 3 == 0 {
                assert!(index.remove(hash(slot), slot) && !index.remove(hash(slot), slot));
            }
        }
        let left = |slot: &u32| index.find(hash(*slot), |found| found == *slot as usize).is_some();
        assert!((0..count).filter(left).all(|slot| slot % 3 != 0));
        assert_eq!(index.len(), (0..count).filter(left).count());
    }

    #[test]
    fn things_of_one_hash_are_told_apart() {
        let mut index = Index::new();
        (0..100).for_each(|slot| index.insert(7, slot));
        assert!(index.remove(7, 42));
        assert_eq!(index.find(7, |slot| slot == 42), None);
        assert_eq!(index.find(7, |slot| slot == 43), Some(43));
    }
}
