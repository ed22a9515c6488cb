//! The documents whose newest record a group's filter holds back, as far as they were looked at: who has been told so needn't
//! be told again.
//!
//! All groups of a shard share a bound. A document that finds no room in it is told of again, which changes nothing.

use hashbrown::HashMap;
use std::cell::Cell;
use std::rc::Rc;

use crate::limits::FAILING_MAX;

/// A document that is held back.
#[derive(Clone, Copy)]
struct Known {
    /// Tells the entry in the order from others that had its slot.
    born: u64,
    /// The number of the change at which that was first seen: whoever stands beyond it has been told.
    since: u64,
}

/// The documents that one group holds back, by slot in the order.
pub(super) struct Failing {
    known: HashMap<u32, Known>,
    /// How many all groups know.
    total: Rc<Cell<usize>>,
}

impl Failing {
    pub(super) fn new(total: Rc<Cell<usize>>) -> Self {
        Self { known: HashMap::new(), total }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// The number of the change at which it was first seen that this document is held back, which may be this one's.
    pub(super) fn since(&mut self, slot: u32, born: u64, number: u64) -> u64 {
        match self.known.get_mut(&slot) {
            Some(known) if known.born == born => known.since,
            Some(known) => {
                *known = Known { born, since: number };
                number
            }
            None => {
                if self.total.get() < FAILING_MAX {
                    self.total.set(self.total.get() + 1);
                    self.known.insert(slot, Known { born, since: number });
                }
                number
            }
        }
    }

    /// Notes that a document isn't held back.
    pub(super) fn remove(&mut self, slot: u32) {
        if self.known.remove(&slot).is_some() {
            self.total.set(self.total.get() - 1);
        }
    }
}

impl Drop for Failing {
    fn drop(&mut self) {
        self.total.set(self.total.get() - self.known.len());
    }
}

/// The memory that so many known documents take.
pub(super) fn bytes(count: usize) -> usize {
    count * size_of::<(u32, Known)>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_counted_and_bounded() {
        let total = Rc::new(Cell::new(FAILING_MAX - 2));
        let (mut one, mut other) = (Failing::new(total.clone()), Failing::new(total.clone()));
        assert_eq!((one.since(1, 7, 10), one.since(1, 7, 11), other.since(1, 7, 12)), (10, 10, 12));
        assert_eq!((one.since(1, 8, 13), one.since(1, 8, 14)), (13, 13), "another document in the slot");
        assert_eq!(total.get(), FAILING_MAX);
        assert_eq!((one.since(2, 7, 15), one.since(2, 7, 16)), (15, 16), "there is no room for it");
        one.remove(1);
        one.remove(2);
        assert!(one.is_empty() && total.get() == FAILING_MAX - 1);
        drop(other);
        assert_eq!(total.get(), FAILING_MAX - 2);
    }
}
