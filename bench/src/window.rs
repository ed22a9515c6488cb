//! The requests of one connection that wait for their replies.
//!
//! Invariant: the ids of a slot are those with the same remainder by the number of slots, so an id leads to its slot
//! without a search; and no id is used twice, so a second reply to one request is noticed.

use crate::workload::Workload;

/// A request that was sent or is about to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// The moment that its latency is counted from.
    pub since_ns: u64,
    /// Its kind.
    pub workload: Workload,
    /// Records it inserts.
    pub records: u32,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    /// Of the request that waits, or of the next one.
    id: u64,
    /// Counts all requests of the window, to know the oldest.
    sequence: u64,
    request: Option<Request>,
}

/// A fixed number of slots, free or waiting.
#[derive(Debug)]
pub struct Window {
    slots: Vec<Slot>,
    free: Vec<u32>,
    next_sequence: u64,
}

impl Window {
    /// A window for this many requests.
    pub fn new(in_flight: u32) -> Self {
        Self {
            slots: (0..in_flight)
                .map(|slot| Slot { id: u64::from(slot), sequence: 0, request: None })
                .collect(),
            free: (0..in_flight).rev().collect(),
            next_sequence: 0,
        }
    }

    /// Whether one more request may be sent.
    #[inline]
    pub fn has_room(&self) -> bool {
        !self.free.is_empty()
    }

    /// The number of requests that wait.
    pub fn in_flight(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Takes a slot and gives the request its id, or nothing when all are taken.
    #[inline]
    pub fn open(&mut self, request: Request) -> Option<u64> {
        let slot = &mut self.slots[self.free.pop()? as usize];
        slot.sequence = self.next_sequence;
        slot.request = Some(request);
        self.next_sequence += 1;
        Some(slot.id)
    }

    /// Frees the slot of the request with this id; without an id, of the oldest. Nothing if no such request waits.
    #[inline]
    pub fn close(&mut self, id: Option<u64>) -> Option<Request> {
        let slot_count = self.slots.len() as u64;
        let index = match id {
            Some(id) => (id % slot_count) as usize,
            None => self.oldest()?,
        };
        let slot = &mut self.slots[index];
        if id.is_some_and(|id| id != slot.id) {
            return None;
        }
        let request = slot.request.take()?;
        slot.id += slot_count;
        self.free.push(index as u32);
        Some(request)
    }

    /// The requests that wait, in no order.
    pub fn waiting(&self) -> impl Iterator<Item = &Request> {
        self.slots.iter().filter_map(|slot| slot.request.as_ref())
    }

    fn oldest(&self) -> Option<usize> {
        let waiting = self.slots.iter().enumerate().filter(|(_, slot)| slot.request.is_some());
        waiting.min_by_key(|(_, slot)| slot.sequence).map(|(index, _)| index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(since_ns: u64) -> Request {
        Request { since_ns, workload: Workload::Ins, records: 1 }
    }

    #[test]
    fn replies_may_come_in_any_order() {
        let mut window = Window::new(3);
        let ids: Vec<u64> = (0..3).map(|since| window.open(request(since)).unwrap()).collect();
        assert!(!window.has_room() && window.open(request(9)).is_none());
        for index in [1, 2, 0] {
            assert_eq!(window.close(Some(ids[index])), Some(request(index as u64)));
        }
        assert_eq!(window.in_flight(), 0);
    }

    #[test]
    fn without_ids_replies_go_to_the_oldest() {
        let mut window = Window::new(4);
        let ids: Vec<u64> = (0..4).map(|since| window.open(request(since)).unwrap()).collect();
        window.close(Some(ids[0])).unwrap();
        window.open(request(4)).unwrap();
        for since in 1..=4 {
            assert_eq!(window.close(None), Some(request(since)));
        }
        assert_eq!(window.close(None), None);
    }

    #[test]
    fn an_id_is_good_for_one_reply() {
        let mut window = Window::new(1);
        let first = window.open(request(0)).unwrap();
        assert!(window.close(Some(first + 1)).is_none());
        window.close(Some(first)).unwrap();
        assert!(window.close(Some(first)).is_none());
        let second = window.open(request(1)).unwrap();
        assert_ne!(first, second);
        assert!(window.close(Some(first)).is_none());
        assert_eq!(window.waiting().count(), 1);
    }
}
