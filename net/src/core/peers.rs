//! The connections of a core, as others on it see them: who each is, what it is to be sent, when it was last heard of.
//! The socket belongs to the connection's task, which is woken through here.
//!
//! A connection whose socket is gone stays in the list until all that it asked for has been answered, so that what it
//! makes other cores hold stays counted, and what its key allowed is known to be over when the list says so.

use crate::core::keys::KeyId;
use crate::core::outbox::Outbox;
use crate::core::socket::Socket;
use crate::core::subscriptions::PeerSubscriptions;
use crate::core::tally::{Full, Tally};
use crate::core::ticket::{Asked, CoreIndex, PeerAddress, StreamAddress};
use crate::requests::kind::Kind;
use crate::requests::scope::Scope;
use crate::wire::extension::Agreement;
use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

/// Who a connection is.
pub struct Identity {
    /// The peer's address.
    pub ip: IpAddr,
    /// The label it gave itself.
    pub name: Option<Rc<str>>,
    /// The key it came with; none before a first message under `--legacy-auth`.
    pub key: Option<KeyId>,
    /// The scope of that key.
    pub scope: Scope,
    /// When it came.
    pub since: Instant,
}

/// The work that a connection has brought.
#[derive(Default)]
pub struct Traffic {
    /// Its requests.
    pub requests: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
}

/// The state of a connection that its task shares with its core.
pub struct Peer {
    /// Its address for other cores.
    pub address: PeerAddress,
    /// Who it is.
    pub identity: Identity,
    /// Holds what it is to be sent.
    pub outbox: Outbox,
    /// What it has sent and been sent so far.
    pub traffic: Traffic,
    /// The request that is being carried out, or was last.
    pub asked: Asked,
    /// It has sent a change: it is not read while a shard has fallen behind.
    pub writes: bool,
    /// Signs of life: bytes that came, or that it took while more waited.
    pub signs_of_life: u64,
    /// The number of them that there was when its clocks were last looked at.
    pub signs_seen: u64,
    /// When there was a new one.
    pub active_at: Instant,
    /// A ping is out since then.
    pub pinged: bool,
    /// When its end was first seen to have begun.
    pub closing_since: Option<Instant>,
    /// The task is to drop the socket now.
    pub dead: bool,
    /// It is closed because connections hold too much: its memory is needed.
    pub is_shed: bool,
    /// The peer has sent its close frame: once ours is out, the socket is to be closed.
    pub peer_closed: bool,
    /// Bytes of unfinished messages that its task keeps.
    pub input_bytes: usize,
    /// Bytes of it that the core's sum contains.
    counted_bytes: usize,
    /// The socket is closed, and the task has ended.
    gone: bool,
    waker: Option<Waker>,
    /// Its socket, while that is open: what comes when nothing waits is offered to it past the task.
    pub socket: Option<Rc<Socket>>,
    /// Its subscriptions.
    pub subscriptions: PeerSubscriptions,
    /// How messages are compressed, if they are.
    pub deflate: Option<Agreement>,
}

impl Peer {
    fn new(address: PeerAddress, identity: Identity, opening: Vec<u8>) -> Peer {
        Peer {
            address,
            active_at: identity.since,
            traffic: Traffic::default(),
            asked: Asked::new(Kind::Unknown, identity.since, 0),
            identity,
            outbox: Outbox::new(opening),
            writes: false,
            signs_of_life: 0,
            signs_seen: 0,
            pinged: false,
            closing_since: None,
            dead: false,
            is_shed: false,
            peer_closed: false,
            input_bytes: 0,
            counted_bytes: 0,
            gone: false,
            waker: None,
            socket: None,
            subscriptions: PeerSubscriptions::default(),
            deflate: None,
        }
    }

    /// Remembers how to wake the connection's task.
    pub fn set_waker(&mut self, waker: &Waker) {
        match &mut self.waker {
            Some(known) => known.clone_from(waker),
            None => self.waker = Some(waker.clone()),
        }
    }

    /// Lets the connection's task look again.
    pub fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }

    /// Sends what waits at once, as far as the socket takes it; gives how much that was.
    pub fn send_at_once(&mut self) -> usize {
        let is_open = !self.peer_closed && !self.outbox.is_closing();
        let Some(socket) = self.socket.as_ref().filter(|_| is_open) else { return 0 };
        // A failure is the task's to meet.
        let Some(Ok(sent)) = socket.send_once(self.outbox.unsent()) else { return 0 };
        self.traffic.bytes_out += sent as u64;
        self.outbox.advance(sent);
        sent
    }

    /// Bytes that this connection makes the server hold.
    pub fn held_bytes(&self) -> usize {
        let socket_bytes = self.socket.as_ref().map_or(0, |socket| socket.held_bytes());
        self.outbox.held_bytes() + self.input_bytes + self.subscriptions.waiting_bytes() + socket_bytes
    }
}

/// A connection, shared by its task and its core.
pub type SharedPeer = Rc<RefCell<Peer>>;

#[derive(Default)]
struct Slot {
    generation: u32,
    peer: Option<SharedPeer>,
}

/// The connections of one core.
pub struct Peers {
    core: CoreIndex,
    slots: RefCell<Vec<Slot>>,
    free_slots: RefCell<Vec<u32>>,
    count: Cell<usize>,
    /// The connections of all cores.
    tally: Arc<Tally>,
    held_bytes: Cell<usize>,
}

impl Peers {
    /// None yet; they are counted in `tally` too.
    pub fn new(core: CoreIndex, tally: Arc<Tally>) -> Peers {
        Peers {
            core,
            tally,
            slots: RefCell::default(),
            free_slots: RefCell::default(),
            count: Cell::new(0),
            held_bytes: Cell::new(0),
        }
    }

    /// Enters a new connection, which is to be sent these bytes first; or says which limit is in the way.
    pub fn add(&self, identity: Identity, opening: Vec<u8>) -> Result<SharedPeer, Full> {
        self.tally.enter(identity.ip, identity.key)?;
        let mut slots = self.slots.borrow_mut();
        let slot = self.free_slots.borrow_mut().pop().unwrap_or_else(|| {
            slots.push(Slot::default());
            slots.len() as u32 - 1
        });
        let entry = &mut slots[slot as usize];
        entry.generation = entry.generation.wrapping_add(1);
        let address = PeerAddress { core: self.core, slot, generation: entry.generation };
        let peer = Rc::new(RefCell::new(Peer::new(address, identity, opening)));
        entry.peer = Some(peer.clone());
        self.count.set(self.count.get() + 1);
        Ok(peer)
    }

    /// Notes that a connection's socket is closed. Gives back the streams to abandon.
    pub fn leave(&self, peer: &mut Peer) -> Vec<StreamAddress> {
        let abandoned = peer.outbox.drop_all();
        peer.input_bytes = 0;
        peer.gone = true;
        peer.socket = None;
        self.settle(peer);
        abandoned
    }

    /// Brings the sum of held bytes up to date, and forgets the connection if it is gone and nothing of it is under way.
    pub fn settle(&self, peer: &mut Peer) {
        let held = peer.held_bytes();
        self.held_bytes.set(self.held_bytes.get() + held - peer.counted_bytes);
        peer.counted_bytes = held;
        let slot = peer.address.slot;
        if peer.gone
            && peer.outbox.in_flight() == 0
            && self.slots.borrow_mut()[slot as usize].peer.take().is_some()
        {
            self.held_bytes.set(self.held_bytes.get() - held);
            self.free_slots.borrow_mut().push(slot);
            self.count.set(self.count.get() - 1);
            self.tally.leave(peer.identity.ip, peer.identity.key);
        }
    }

    /// The connection at an address, if it is still there.
    pub fn get(&self, address: PeerAddress) -> Option<SharedPeer> {
        let slots = self.slots.borrow();
        let slot = slots.get(address.slot as usize)?;
        if slot.generation == address.generation { slot.peer.clone() } else { None }
    }

    /// All connections.
    pub fn all(&self) -> Vec<SharedPeer> {
        self.slots.borrow().iter().filter_map(|slot| slot.peer.clone()).collect()
    }

    /// The number of them.
    pub fn count(&self) -> usize {
        self.count.get()
    }

    /// Bytes that all of them make the server hold.
    pub fn held_bytes(&self) -> usize {
        self.held_bytes.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::tally::TallyLimits;
    use crate::core::ticket::Reservation;
    use std::net::Ipv4Addr;

    fn identity() -> Identity {
        let ip = Ipv4Addr::LOCALHOST.into();
        Identity { ip, name: None, key: None, scope: Scope::Read, since: Instant::now() }
    }

    #[test]
    fn a_connection_is_forgotten_when_it_is_gone_and_answered() {
        let tally = Arc::new(Tally::new(TallyLimits { all: 1, per_key: None, per_address: None }));
        let peers = Peers::new(3, tally);
        let add = |opening: &[u8]| peers.add(identity(), opening.to_vec());
        let peer = add(b"hello").unwrap();
        assert_eq!(add(b"").err(), Some(Full::All), "there are enough");
        let address = peer.borrow().address;
        let reservation = Reservation { bytes: 1000, alone: false };
        peer.borrow_mut().outbox.begin(reservation);
        peer.borrow_mut().input_bytes = 50;
        peers.settle(&mut peer.borrow_mut());
        assert!(peers.held_bytes() >= 1055);
        assert!(peers.leave(&mut peer.borrow_mut()).is_empty());
        assert_eq!((peers.count(), peers.held_bytes()), (1, 1000), "its request is still under way");
        assert!(peers.get(address).is_some());
        peer.borrow_mut().outbox.end(reservation);
        peers.settle(&mut peer.borrow_mut());
        assert_eq!((peers.count(), peers.held_bytes()), (0, 0));
        assert!(peers.get(address).is_none());
        peers.settle(&mut peer.borrow_mut());
        let next = add(b"").unwrap();
        assert_eq!(next.borrow().address.slot, address.slot, "a slot is used again");
        assert!(peers.get(address).is_none(), "but not for the old address");
    }
}
