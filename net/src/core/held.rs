//! Replies that are held back to the end of a round over the sockets, so that they leave right behind each other. A client
//! on this machine that sleeps is woken by the first of them, which costs its sender as much as some twenty requests; for
//! the rest it is awake.

use crate::core::peers::SharedPeer;
use crate::limits::{HELD_BACK_BYTES, HELD_BACK_MAX};
use std::cell::{Cell, RefCell};

/// The connections of one core whose replies are held back.
#[derive(Default)]
pub struct Held {
    is_open: Cell<bool>,
    bytes: Cell<usize>,
    senders: RefCell<Vec<SharedPeer>>,
}

impl Held {
    /// From now on replies may be held back, for there will be a `take`.
    pub fn open(&self) {
        self.is_open.set(true);
    }

    /// Whether replies of so many bytes may be held back.
    pub fn admits(&self, bytes: usize) -> bool {
        self.is_open.get() && bytes <= HELD_BACK_BYTES
    }

    /// Holds back what a connection has to send; whether as much is held as may be, and must be sent now.
    pub fn add(&self, sender: SharedPeer, bytes: usize) -> bool {
        let mut senders = self.senders.borrow_mut();
        senders.push(sender);
        self.bytes.set(self.bytes.get() + bytes);
        senders.len() == HELD_BACK_MAX || self.bytes.get() > HELD_BACK_BYTES
    }

    /// Those who are to send now; if the round is over, no reply may be held back until the next begins.
    pub fn take(&self, is_over: bool) -> Vec<SharedPeer> {
        self.is_open.set(self.is_open.get() && !is_over);
        self.bytes.set(0);
        self.senders.take()
    }
}
