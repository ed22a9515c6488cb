//! The sockets of one core, and which of them something can be received from or sent to. One epoll set watches all of
//! them, so that a look at it is one call of the kernel for any number of sockets, and data that arrives while the core is
//! busy interrupts it no more. (A poll in the executor's ring is an interrupt for each burst of each connection.)
//!
//! The set is edge-triggered: a socket counts as readable from the moment it is said to be until a read finds it empty.
//! So whoever waits for a direction must have been refused in it.

use crate::limits::READY_EVENTS;
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::task::{Context, Waker};

/// One socket of the set.
#[derive(Default)]
pub struct Watched {
    readable: Cell<bool>,
    writable: Cell<bool>,
    /// Behind a short read there may be more: the end of the stream, or what follows an urgent byte.
    may_hold_more: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Watched {
    /// Whether something may be received. If not, the task is woken when it may.
    pub fn can_read(&self, context: &Context<'_>) -> bool {
        self.readable.get() || self.wait(context)
    }

    /// Whether something may be sent. If not, the task is woken when it may.
    pub fn can_write(&self, context: &Context<'_>) -> bool {
        self.writable.get() || self.wait(context)
    }

    /// Whether something may be sent, as far as is known.
    pub fn is_writable(&self) -> bool {
        self.writable.get()
    }

    /// A read found the socket empty.
    pub fn was_empty(&self) {
        self.readable.set(false);
    }

    /// A read brought less than it asked for, so there was no more.
    pub fn was_short(&self) {
        self.readable.set(self.may_hold_more.get());
    }

    /// A write found the socket full.
    pub fn was_full(&self) {
        self.writable.set(false);
    }

    fn wait(&self, context: &Context<'_>) -> bool {
        let mut waker = self.waker.borrow_mut();
        match &mut *waker {
            Some(known) => known.clone_from(context.waker()),
            None => *waker = Some(context.waker().clone()),
        }
        false
    }

    /// Notes what the kernel says, and wakes who waits for it.
    fn note(&self, flags: EventFlags) {
        let over = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
        let readable = over || flags.contains(EventFlags::IN);
        let writable = over || flags.contains(EventFlags::OUT);
        let may_hold_more = over || flags.contains(EventFlags::PRI);
        self.may_hold_more.set(self.may_hold_more.get() || may_hold_more);
        let was_writable = self.writable.replace(self.writable.get() || writable);
        self.readable.set(self.readable.get() || readable);
        if (readable || !was_writable)
            && let Some(waker) = &*self.waker.borrow()
        {
            waker.wake_by_ref();
        }
    }
}

#[derive(Default)]
struct Slot {
    generation: u32,
    watched: Option<Rc<Watched>>,
}

#[derive(Default)]
struct Slots {
    all: Vec<Slot>,
    free: Vec<u32>,
}

/// The set of one core.
pub struct Readiness {
    epoll: OwnedFd,
    slots: RefCell<Slots>,
    events: RefCell<Vec<Event>>,
}

impl Readiness {
    /// An empty set.
    pub fn new() -> io::Result<Readiness> {
        Ok(Readiness {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            slots: RefCell::default(),
            events: RefCell::new(Vec::with_capacity(READY_EVENTS)),
        })
    }

    /// Watches a socket until `remove`. It is said to be readable when that is known.
    pub fn add(&self, socket: impl AsFd) -> io::Result<(u32, Rc<Watched>)> {
        let slots = &mut *self.slots.borrow_mut();
        let index = slots.free.pop().unwrap_or_else(|| {
            slots.all.push(Slot::default());
            slots.all.len() as u32 - 1
        });
        let slot = &mut slots.all[index as usize];
        slot.generation = slot.generation.wrapping_add(1);
        let data = EventData::new_u64(u64::from(slot.generation) << 32 | u64::from(index));
        let flags = EventFlags::IN | EventFlags::PRI | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        if let Err(error) = epoll::add(&self.epoll, socket, data, flags) {
            slots.free.push(index);
            return Err(error.into());
        }
        let watched = Rc::new(Watched::default());
        watched.writable.set(true);
        slot.watched = Some(watched.clone());
        Ok((index, watched))
    }

    /// Forgets a socket, which is about to be closed.
    pub fn remove(&self, index: u32, socket: impl AsFd) {
        let _ = epoll::delete(&self.epoll, socket);
        let slots = &mut *self.slots.borrow_mut();
        slots.all[index as usize].watched = None;
        slots.free.push(index);
    }

    /// Asks the kernel which sockets have become ready, and wakes their tasks. Gives the number of its answers.
    pub fn look(&self) -> io::Result<usize> {
        const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
        let events = &mut *self.events.borrow_mut();
        events.clear();
        match epoll::wait(&self.epoll, spare_capacity(events), Some(&AT_ONCE)) {
            Err(Errno::INTR) => return Ok(0),
            looked => looked?,
        };
        let slots = self.slots.borrow();
        for event in &*events {
            let data = event.data.u64();
            let slot = &slots.all[data as u32 as usize];
            if u64::from(slot.generation) == data >> 32
                && let Some(watched) = &slot.watched
            {
                watched.note(event.flags);
            }
        }
        Ok(events.len())
    }

    /// A second name for the set, which is ready to be read when a look would find something.
    pub fn descriptor(&self) -> io::Result<OwnedFd> {
        self.epoll.try_clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpListener, TcpStream};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    #[derive(Default)]
    struct CountedWakes(AtomicUsize);

    impl Wake for CountedWakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    struct Rig {
        readiness: Readiness,
        here: TcpStream,
        there: TcpStream,
        slot: u32,
        watched: Rc<Watched>,
        wakes: Arc<CountedWakes>,
    }

    fn rig() -> Rig {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let there = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (here, _) = listener.accept().unwrap();
        here.set_nonblocking(true).unwrap();
        let readiness = Readiness::new().unwrap();
        let (slot, watched) = readiness.add(&here).unwrap();
        Rig { readiness, here, there, slot, watched, wakes: Arc::default() }
    }

    impl Rig {
        fn can_read(&self) -> bool {
            let waker = Waker::from(self.wakes.clone());
            self.watched.can_read(&Context::from_waker(&waker))
        }

        fn can_write(&self) -> bool {
            let waker = Waker::from(self.wakes.clone());
            self.watched.can_write(&Context::from_waker(&waker))
        }

        fn wakes(&self) -> usize {
            self.wakes.0.load(Ordering::SeqCst)
        }

        /// Looks until a task has been woken so often.
        fn look_until(&self, wakes: usize) {
            while self.wakes() < wakes {
                self.readiness.look().unwrap();
            }
        }
    }

    #[test]
    fn a_task_is_woken_for_what_arrives_and_for_the_end() {
        let mut rig = rig();
        assert!(!rig.can_read() && rig.can_write());
        rig.there.write_all(b"hello").unwrap();
        rig.look_until(1);
        assert!(rig.can_read());
        assert_eq!(rig.here.read(&mut [0; 64]).unwrap(), 5);
        rig.watched.was_short();
        assert!(!rig.can_read());
        rig.there.shutdown(Shutdown::Write).unwrap();
        rig.look_until(2);
        rig.watched.was_short();
        assert!(rig.can_read(), "the end of the stream is behind every short read");
        assert_eq!(rig.here.read(&mut [0; 64]).unwrap(), 0);
    }

    #[test]
    fn a_task_that_was_refused_is_woken_when_the_socket_takes_more() {
        let mut rig = rig();
        // The kernel may find more room after it has refused.
        while rig.can_write() {
            while rig.here.write(&[0; 65_536]).is_ok() {}
            rig.watched.was_full();
            while rig.readiness.look().unwrap() > 0 {}
        }
        let woken = rig.wakes();
        let mut reading = rig.there.try_clone().unwrap();
        let reader = std::thread::spawn(move || while reading.read(&mut [0; 65_536]).unwrap() > 0 {});
        rig.look_until(woken + 1);
        assert!(rig.can_write());
        rig.here.shutdown(Shutdown::Both).unwrap();
        reader.join().unwrap();
    }

    #[test]
    fn a_socket_that_is_gone_wakes_nobody_and_its_slot_is_used_again() {
        let mut rig = rig();
        assert!(!rig.can_read());
        rig.readiness.remove(rig.slot, &rig.here);
        let (slot, watched) = rig.readiness.add(&rig.here).unwrap();
        assert_eq!(slot, rig.slot);
        rig.there.write_all(b"hello").unwrap();
        let waker = Waker::from(Arc::new(CountedWakes::default()));
        while !watched.can_read(&Context::from_waker(&waker)) {
            rig.readiness.look().unwrap();
        }
        assert_eq!(rig.wakes(), 0);
        assert!(!rig.can_read());
    }
}
