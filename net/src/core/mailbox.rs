//! One mailbox a core: how cores talk to each other, and how a plain thread talks to a core.
//!
//! Protocol:
//! 1. Anyone may `push` and `push_urgent`, at any time; neither blocks. What lies in a mailbox is bounded by admission: a
//!    connection has a window of requests and bytes in flight.
//! 2. Urgent messages are received before all others. Messages of one kind keep their order.
//! 3. After a burst of pushes the sender calls `kick` once. A push without a kick may lie there for long.
//! 4. Only the owning core's drain loop calls `receive`; it is the only task that is woken from outside.
//! 5. While the owner's thread looks at `waiting` itself, it says so by `attend`, and nobody wakes it; when it stops looking,
//!    its drain loop is woken for what has come meanwhile.
//! 6. `close` is called by the owner before its executor ends, so that no later kick wakes a dead task.

use atomic_waker::AtomicWaker;
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::task::{Context, Poll};

struct Lane<T> {
    sender: Sender<T>,
    receiver: Receiver<T>,
}

impl<T> Default for Lane<T> {
    fn default() -> Self {
        let (sender, receiver) = unbounded();
        Lane { sender, receiver }
    }
}

impl<T> Lane<T> {
    fn push(&self, message: T) {
        // Both ends live in this struct, so the channel can't be disconnected.
        let _ = self.sender.send(message);
    }
}

/// The queue of one core.
#[repr(align(128))]
pub struct Mailbox<T> {
    urgent: Lane<T>,
    plain: Lane<T>,
    parked: AtomicBool,
    waker: AtomicWaker,
}

impl<T> Default for Mailbox<T> {
    fn default() -> Self {
        Mailbox {
            urgent: Lane::default(),
            plain: Lane::default(),
            parked: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        }
    }
}

/// The owner's thread looks at the mailbox.
pub struct Attended<'a, T> {
    mailbox: &'a Mailbox<T>,
    /// The drain loop waits to be woken.
    slept: bool,
}

impl<T> Drop for Attended<'_, T> {
    fn drop(&mut self) {
        if self.slept {
            self.mailbox.parked.store(true, Ordering::SeqCst);
            fence(Ordering::SeqCst);
            if self.mailbox.waiting() > 0 {
                self.mailbox.kick();
            }
        }
    }
}

impl<T> Mailbox<T> {
    /// Leaves a message.
    pub fn push(&self, message: T) {
        self.plain.push(message);
    }

    /// Leaves a message that goes before the others.
    pub fn push_urgent(&self, message: T) {
        self.urgent.push(message);
    }

    /// Messages that wait.
    pub fn waiting(&self) -> usize {
        self.urgent.receiver.len() + self.plain.receiver.len()
    }

    /// Wakes the owner if it sleeps. Once per burst.
    pub fn kick(&self) {
        fence(Ordering::SeqCst);
        if self.parked.load(Ordering::Relaxed) && self.parked.swap(false, Ordering::AcqRel) {
            self.waker.wake();
        }
    }

    /// Called by the owner's thread: until the guard is dropped it looks by itself whether messages wait. Then whoever
    /// drains is woken, if some do.
    pub fn attend(&self) -> Attended<'_, T> {
        Attended { mailbox: self, slept: self.parked.swap(false, Ordering::AcqRel) }
    }

    /// Waits for messages and moves at most `count_max` of them to `into`, urgent ones first.
    pub async fn receive(&self, into: &mut Vec<T>, count_max: usize) {
        poll_fn(|context| self.poll_receive(context, into, count_max)).await;
    }

    fn poll_receive(&self, context: &mut Context<'_>, into: &mut Vec<T>, count_max: usize) -> Poll<()> {
        if self.take(into, count_max) {
            return Poll::Ready(());
        }
        self.waker.register(context.waker());
        self.parked.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if !self.take(into, count_max) {
            return Poll::Pending;
        }
        self.parked.store(false, Ordering::Relaxed);
        Poll::Ready(())
    }

    fn take(&self, into: &mut Vec<T>, count_max: usize) -> bool {
        into.extend(self.urgent.receiver.try_iter().take(count_max));
        let room = count_max.saturating_sub(into.len());
        into.extend(self.plain.receiver.try_iter().take(room));
        !into.is_empty()
    }

    /// Ends the owner's part: later kicks wake nobody.
    pub fn close(&self) {
        self.parked.store(false, Ordering::SeqCst);
        drop(self.waker.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    #[derive(Default)]
    struct CountedWakes(AtomicUsize);

    impl Wake for CountedWakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn urgent_messages_come_first_and_each_lane_keeps_its_order() {
        let mailbox = Mailbox::default();
        (0..4).for_each(|number| mailbox.push(number));
        (10..13).for_each(|number| mailbox.push_urgent(number));
        assert_eq!(mailbox.waiting(), 7);
        let mut got = Vec::new();
        assert!(mailbox.take(&mut got, 5));
        assert_eq!(got, [10, 11, 12, 0, 1]);
        got.clear();
        assert!(mailbox.take(&mut got, 5));
        assert_eq!(got, [2, 3]);
    }

    #[test]
    fn a_parked_owner_is_woken_once_a_burst_and_an_awake_one_never() {
        let mailbox = Mailbox::default();
        let wakes = Arc::new(CountedWakes::default());
        let waker = wakes.clone().into();
        let mut context = Context::from_waker(&waker);
        let mut got = Vec::new();
        mailbox.push(1);
        mailbox.kick();
        assert_eq!(wakes.0.load(Ordering::SeqCst), 0, "nobody has slept yet");
        assert!(mailbox.poll_receive(&mut context, &mut got, 9).is_ready());
        got.clear();
        assert!(mailbox.poll_receive(&mut context, &mut got, 9).is_pending());
        mailbox.push(2);
        assert_eq!(wakes.0.load(Ordering::SeqCst), 0, "a push alone wakes nobody");
        mailbox.push_urgent(3);
        mailbox.kick();
        mailbox.kick();
        assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
        assert!(mailbox.poll_receive(&mut context, &mut got, 9).is_ready());
        assert_eq!(got, [3, 2]);
        got.clear();
        assert!(mailbox.poll_receive(&mut context, &mut got, 9).is_pending());
        mailbox.close();
        mailbox.kick();
        assert_eq!(wakes.0.load(Ordering::SeqCst), 1, "a closed mailbox wakes nobody");
    }

    #[test]
    fn an_owner_that_attends_is_woken_at_the_end_if_messages_came() {
        let mailbox = Mailbox::default();
        let wakes = Arc::new(CountedWakes::default());
        let waker = wakes.clone().into();
        let mut context = Context::from_waker(&waker);
        let mut got = Vec::new();
        assert!(mailbox.poll_receive(&mut context, &mut got, 9).is_pending());
        drop(mailbox.attend());
        assert_eq!(wakes.0.load(Ordering::SeqCst), 0);
        let attended = mailbox.attend();
        mailbox.push(1);
        mailbox.kick();
        assert_eq!((mailbox.waiting(), wakes.0.load(Ordering::SeqCst)), (1, 0), "it sees that itself");
        drop(attended);
        assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
        drop(mailbox.attend());
        assert_eq!(wakes.0.load(Ordering::SeqCst), 1, "it has been woken and has not slept again");
        assert!(mailbox.poll_receive(&mut context, &mut got, 9).is_ready());
        got.clear();
        assert!(mailbox.poll_receive(&mut context, &mut got, 9).is_pending());
        mailbox.push(2);
        mailbox.kick();
        assert_eq!(wakes.0.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn no_message_is_missed_between_looking_and_parking() {
        const COUNT: usize = 20_000;
        let mailbox = Arc::new(Mailbox::default());
        let sender = mailbox.clone();
        let pushing = std::thread::spawn(move || {
            for number in 0..COUNT {
                sender.push(number);
                sender.kick();
            }
        });
        let mut got = Vec::new();
        let mut batch = Vec::new();
        while got.len() < COUNT {
            futures_lite::future::block_on(mailbox.receive(&mut batch, 64));
            got.append(&mut batch);
        }
        assert!(got.into_iter().eq(0..COUNT));
        assert!(pushing.join().is_ok());
    }
}
