//! One mailbox a core: how cores talk to each other, and how a plain thread talks to a core.
//!
//! Protocol:
//! 1. Anyone may `push`, at any time; it never blocks. The number of messages is bounded by admission: each
//!    connection has a window of requests in flight.
//! 2. After a burst of pushes the sender calls `kick` once. A push without a kick may lie there for long.
//! 3. Only the owning core's drain loop calls `receive`; it is the only task that is woken from outside.
//! 4. `close` is called by the owner before its executor ends, so that no later kick wakes a dead task.

use atomic_waker::AtomicWaker;
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::task::Poll;

/// The queue of one core.
#[repr(align(128))]
pub struct Mailbox<T> {
    sender: Sender<T>,
    receiver: Receiver<T>,
    parked: AtomicBool,
    waker: AtomicWaker,
}

impl<T> Default for Mailbox<T> {
    fn default() -> Self {
        let (sender, receiver) = unbounded();
        Mailbox { sender, receiver, parked: AtomicBool::new(false), waker: AtomicWaker::new() }
    }
}

impl<T> Mailbox<T> {
    /// Leaves a message.
    pub fn push(&self, message: T) {
        // Both ends live in this struct, so the channel can't be disconnected.
        let _ = self.sender.send(message);
    }

    /// Wakes the owner if it sleeps. Once per burst.
    pub fn kick(&self) {
        fence(Ordering::SeqCst);
        if self.parked.load(Ordering::Relaxed) && self.parked.swap(false, Ordering::AcqRel) {
            self.waker.wake();
        }
    }

    /// Waits for messages and moves at most `count_max` of them to `into`.
    pub async fn receive(&self, into: &mut Vec<T>, count_max: usize) {
        poll_fn(|context| {
            into.extend(self.receiver.try_iter().take(count_max));
            if !into.is_empty() {
                return Poll::Ready(());
            }
            self.waker.register(context.waker());
            self.parked.store(true, Ordering::SeqCst);
            fence(Ordering::SeqCst);
            into.extend(self.receiver.try_iter().take(count_max));
            if into.is_empty() {
                return Poll::Pending;
            }
            self.parked.store(false, Ordering::Relaxed);
            Poll::Ready(())
        })
        .await;
    }

    /// Ends the owner's part: later kicks wake nobody.
    pub fn close(&self) {
        self.parked.store(false, Ordering::SeqCst);
        drop(self.waker.take());
    }
}
