//! Changes of API keys on their way through the cores: on core 0 what each still waits for before it is answered, and on
//! every core the requests under way that it waits for.

use crate::core::ticket::{PeerAddress, Ticket};
use hashbrown::HashMap;

/// A change that is not answered yet.
pub struct Pending {
    /// Whom to answer.
    pub ticket: Ticket,
    /// The request's id.
    pub id: Box<str>,
    /// The reply.
    pub payload: Vec<u8>,
    /// The number of those who have not confirmed it: the cores, and the storage.
    missing: usize,
}

/// The changes that not everybody has confirmed; used on core 0 alone.
#[derive(Default)]
pub struct KeyChanges {
    next_number: u64,
    pending: HashMap<u64, Pending>,
}

impl KeyChanges {
    /// Enters a change that so many must confirm; gives its number.
    pub fn begin(&mut self, ticket: Ticket, id: &str, payload: Vec<u8>, missing: usize) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        self.pending.insert(number, Pending { ticket, id: id.into(), payload, missing });
        number
    }

    /// Counts a confirmation; gives the change when it was the last.
    pub fn confirm(&mut self, number: u64) -> Option<Pending> {
        let pending = self.pending.get_mut(&number)?;
        pending.missing -= 1;
        if pending.missing > 0 { None } else { self.pending.remove(&number) }
    }

    /// Takes a change out that could not be stored.
    pub fn fail(&mut self, number: u64) -> Option<Pending> {
        self.pending.remove(&number)
    }
}

struct Barrier {
    number: u64,
    waits_for: Vec<PeerAddress>,
}

/// The changes that this core has applied and not confirmed: requests that their key was allowed before are under way.
#[derive(Default)]
pub struct KeyBarriers(Vec<Barrier>);

impl KeyBarriers {
    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Has a change wait until these connections have all their answers; false if there are none.
    pub fn add(&mut self, number: u64, waits_for: Vec<PeerAddress>) -> bool {
        if waits_for.is_empty() {
            return false;
        }
        self.0.push(Barrier { number, waits_for });
        true
    }

    /// Notes that a connection has all its answers; gives the changes that wait no longer.
    pub fn answered(&mut self, peer: PeerAddress) -> Vec<u64> {
        self.0.iter_mut().for_each(|barrier| barrier.waits_for.retain(|address| *address != peer));
        self.0.extract_if(.., |barrier| barrier.waits_for.is_empty()).map(|barrier| barrier.number).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::ticket::Asked;
    use crate::core::ticket::Reservation;
    use crate::requests::kind::Kind;
    use std::time::Instant;

    fn address(slot: u32) -> PeerAddress {
        PeerAddress { core: 0, slot, generation: 1 }
    }

    fn ticket() -> Ticket {
        Ticket {
            peer: address(0),
            gather: None,
            reservation: Reservation { bytes: 0, alone: false },
            asked: Asked::new(Kind::ApiKeys, Instant::now(), 0),
        }
    }

    #[test]
    fn a_change_is_answered_when_all_have_confirmed_it() {
        let mut changes = KeyChanges::default();
        let first = changes.begin(ticket(), "1", b"one".to_vec(), 2);
        let second = changes.begin(ticket(), "2", b"two".to_vec(), 1);
        assert!(changes.confirm(first).is_none());
        assert_eq!(changes.confirm(second).map(|pending| pending.payload), Some(b"two".to_vec()));
        assert_eq!(changes.confirm(first).map(|pending| pending.id), Some("1".into()));
        assert!(changes.confirm(first).is_none());
        let third = changes.begin(ticket(), "3", Vec::new(), 2);
        assert!(changes.fail(third).is_some() && changes.confirm(third).is_none());
    }

    #[test]
    fn a_barrier_falls_with_the_last_answer() {
        let mut barriers = KeyBarriers::default();
        assert!(!barriers.add(1, Vec::new()));
        assert!(barriers.add(2, vec![address(1), address(2)]) && barriers.add(3, vec![address(2)]));
        assert!(barriers.answered(address(9)).is_empty());
        assert_eq!(barriers.answered(address(2)), [3]);
        assert_eq!(barriers.answered(address(1)), [2]);
        assert!(barriers.is_empty());
    }
}
