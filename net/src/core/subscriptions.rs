//! Subscriptions as a core knows them: those of its shard, by whom they are for, and those of each of its connections, by
//! name.
//!
//! Protocol between the core that a connection is on (home) and the core that owns the collection:
//! 1. Home sends `Subscribe`, then for each subscription that is no longer wanted one `Unsubscribe`; they keep their order.
//! 2. The owner sends a subscription a `Push`, and no other before home has given it credit for that one. Home gives it
//!    when the connection has room for more, so what waits for a slow reader waits at the owner, as a place.
//! 3. A push travels behind the replies to what caused it, in the same lane. A request of the connection that several cores
//!    carry out is answered by home when all have: pushes that come meanwhile wait for that. What comes later need not
//!    wait for requests that began after it came.
//! 4. The owner's last word is a push that `is_end`; the subscription is gone on both sides then. Without a body it says
//!    nothing to the client, who has the reply of a request that failed.

use crate::core::ticket::{CoreIndex, PeerAddress};
use fluxion_engine::{Push, Receiver, SubscriptionId};
use hashbrown::HashMap;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

/// The subscriptions of a core's shard.
pub struct Subscriptions {
    /// By whom they are for.
    pub by_receiver: RefCell<HashMap<[u32; 4], SubscriptionId>>,
    /// There are some, or were lately.
    pub is_active: Cell<bool>,
    /// A message to itself to make more pushes is out.
    pub is_pumping: Cell<bool>,
    /// Pushes that wait until what they tell of is stored.
    pub held: RefCell<Vec<(Instant, Push)>>,
    /// Since when there have been changes of which pushes have not been made yet.
    pub unpushed_since: Cell<Option<Instant>>,
    /// Credit to be given to the subscriptions of each core.
    pub credits: RefCell<Vec<Vec<SubscriptionId>>>,
    /// There is some.
    pub has_credits: Cell<bool>,
    /// Wakes the task that waits for times, when there is one to wait for.
    pub timer: RefCell<Option<Waker>>,
}

impl Subscriptions {
    /// None yet.
    pub fn new(core_count: usize, is_active: bool) -> Subscriptions {
        Subscriptions {
            by_receiver: RefCell::default(),
            is_active: Cell::new(is_active),
            is_pumping: Cell::new(false),
            held: RefCell::default(),
            unpushed_since: Cell::new(None),
            credits: RefCell::new(vec![Vec::new(); core_count]),
            has_credits: Cell::new(false),
            timer: RefCell::default(),
        }
    }

    /// Notes credit for a subscription on a core, to be sent at the end of the burst.
    pub fn give_credit(&self, owner: CoreIndex, id: SubscriptionId) {
        self.credits.borrow_mut()[owner].push(id);
        self.has_credits.set(true);
    }
}

/// The receiver that stands for a subscription of a connection.
pub fn receiver(peer: PeerAddress, key: u32) -> Receiver {
    Receiver([peer.core as u32, peer.slot, peer.generation, key])
}

/// The connection and the key in a receiver.
pub fn address(Receiver([core, slot, generation, key]): Receiver) -> (PeerAddress, u32) {
    (PeerAddress { core: core as CoreIndex, slot, generation }, key)
}

/// A subscription of a connection.
pub struct Entry {
    /// Its name.
    pub name: Box<str>,
    /// The core that owns its collection.
    pub owner: CoreIndex,
    /// Tells it from others that had its name.
    pub key: u32,
}

/// A push on its way to one connection.
#[derive(Clone)]
pub struct Parcel {
    /// The subscription's key.
    pub key: u32,
    /// Its name on the core that owns it.
    pub id: SubscriptionId,
    /// The message from behind its name on.
    pub body: Arc<[u8]>,
    /// It is the last.
    pub is_end: bool,
}

/// The subscriptions of one connection.
#[derive(Default)]
pub struct PeerSubscriptions {
    /// Those that there are.
    pub entries: Vec<Entry>,
    next_key: u32,
    /// The gatherings of its changes that are not answered yet, in order.
    gathered: VecDeque<u32>,
    /// Pushes that came while there were such, each with the last of those.
    waiting: VecDeque<(u32, Parcel)>,
    /// Pushes for which the connection had no room.
    pub owed: Vec<(CoreIndex, SubscriptionId)>,
}

impl PeerSubscriptions {
    /// Adds one; gives its key.
    pub fn add(&mut self, name: &str, owner: CoreIndex) -> u32 {
        let key = self.next_key;
        self.next_key = self.next_key.wrapping_add(1);
        self.entries.push(Entry { name: name.into(), owner, key });
        key
    }

    /// The place of a subscription that has this key.
    pub fn find(&self, key: u32) -> Option<usize> {
        self.entries.iter().position(|entry| entry.key == key)
    }

    /// Takes a subscription out, with what it was to be sent.
    pub fn take(&mut self, place: usize) -> Entry {
        let entry = self.entries.swap_remove(place);
        self.waiting.retain(|(_, parcel)| parcel.key != entry.key);
        entry
    }

    /// Notes a change that several cores carry out.
    pub fn begin_gathered(&mut self, number: u32) {
        self.gathered.push_back(number);
    }

    /// Notes that one is answered.
    pub fn end_gathered(&mut self, number: u32) {
        self.gathered.retain(|known| *known != number);
    }

    /// Keeps a push if it must wait for an answer; else gives it back.
    pub fn hold(&mut self, parcel: Parcel) -> Option<Parcel> {
        let Some(last) = self.gathered.back() else { return Some(parcel) };
        self.waiting.push_back((*last, parcel));
        None
    }

    /// The next push that waits for nothing any more.
    pub fn released(&mut self) -> Option<Parcel> {
        let (last, _) = self.waiting.front()?;
        // Numbers go around; those under way are close to each other.
        let is_open = |first: &u32| last.wrapping_sub(*first) < u32::MAX / 2;
        if self.gathered.front().is_some_and(is_open) {
            return None;
        }
        self.waiting.pop_front().map(|(_, parcel)| parcel)
    }

    /// The bytes of pushes that wait.
    pub fn waiting_bytes(&self) -> usize {
        self.waiting.iter().map(|(_, parcel)| parcel.body.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parcel(key: u32) -> Parcel {
        Parcel { key, id: SubscriptionId::default(), body: Arc::from(&b"x"[..]), is_end: false }
    }

    #[test]
    fn pushes_wait_for_the_answers_that_were_under_way_when_they_came() {
        let mut peer = PeerSubscriptions::default();
        assert!(peer.hold(parcel(0)).is_some(), "nothing is under way");
        for number in [u32::MAX - 1, u32::MAX, 0] {
            peer.begin_gathered(number);
            assert!(peer.hold(parcel(number)).is_none());
        }
        let mut released = |number| {
            peer.end_gathered(number);
            std::iter::from_fn(|| peer.released()).map(|parcel| parcel.key).collect::<Vec<_>>()
        };
        assert!(released(u32::MAX).is_empty());
        assert_eq!(released(u32::MAX - 1), [u32::MAX - 1, u32::MAX]);
        assert_eq!(released(0), [0]);
    }

    #[test]
    fn what_waits_goes_with_its_subscription() {
        let mut peer = PeerSubscriptions::default();
        let keys = [peer.add("a", 0), peer.add("b", 1)];
        peer.begin_gathered(7);
        for key in keys {
            assert!(peer.hold(parcel(key)).is_none());
        }
        let entry = peer.take(peer.find(keys[0]).unwrap());
        assert_eq!((&*entry.name, peer.waiting_bytes()), ("a", 1));
        peer.end_gathered(7);
        assert_eq!(peer.released().map(|parcel| parcel.key), Some(keys[1]));
        assert!(peer.find(keys[0]).is_none() && peer.find(keys[1]).is_some());
    }

    #[test]
    fn a_receiver_says_which_connection_it_is_for() {
        let peer = PeerAddress { core: 3, slot: 70_000, generation: 9 };
        assert_eq!(address(receiver(peer, 5)), (peer, 5));
    }
}
