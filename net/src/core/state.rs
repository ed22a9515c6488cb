//! One core: its shard, connections, copy of the keys, mailbox and the work in progress.
//!
//! Rules of borrowing, which hold because one thread runs all of it:
//! 1. No borrow of a cell lives across an await.
//! 2. A connection's task holds its own `Peer`, and the `Decoder` that the request's texts lie in, while a message of it is
//!    carried out; so nothing on that way borrows either. What goes through all peers (`serve::keys`, `clock`, `memory`,
//!    `storage`) is called from the mailbox, a timer or `serve::flush`, when no message is being carried out.
//! 3. The shard is borrowed for one call into the engine.

use crate::core::certificates::Certificates;
use crate::core::compression::Compression;
use crate::core::counters::Counters;
use crate::core::durations::Durations;
use crate::core::gather::Gatherings;
use crate::core::handover::{Handover, StorageOptions};
use crate::core::held::Held;
use crate::core::key_changes::{KeyBarriers, KeyChanges};
use crate::core::keys::KeyTable;
use crate::core::mailbox::Mailbox;
use crate::core::message::Message;
use crate::core::peers::{Peers, SharedPeer};
use crate::core::readiness::Readiness;
use crate::core::scrapes::Scrapes;
use crate::core::sealing::{Sealing, SealingSender};
use crate::core::storage::Storage;
use crate::core::streams::Streams;
use crate::core::subscriptions::Subscriptions;
use crate::core::tally::{Tally, TallyLimits};
use crate::core::throttle::Throttle;
use crate::core::ticket::{CoreIndex, PeerAddress, StreamAddress};
use crate::core::tls::Tls;
use crate::core::turns::Turns;
use crate::core::unfinished::Unfinished;
use crate::limits::{PADDING_BYTES, READ_BYTES, SUBSCRIPTIONS_MAX};
use crate::options::ServerOptions;
use crate::requests::decode::Decoder;
use crate::requests::scope::Scope;
use crossbeam_channel::Sender;
use fluxion_engine::{Batch, Shard};
use std::cell::{Cell, RefCell};
use std::hash::{BuildHasher, RandomState};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A number on a cache line of its own, which one core writes and others read now and then.
#[derive(Default)]
#[repr(align(128))]
pub struct Published(AtomicUsize);

impl Published {
    /// Publishes a new value.
    pub fn set(&self, value: usize) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The value, as of a moment ago.
    pub fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// All that cores can reach of each other: their mailboxes, and counters that are touched seldom.
pub struct Shared {
    /// One a core.
    pub mailboxes: Vec<Mailbox<Message>>,
    /// Connections of all cores.
    pub tally: Arc<Tally>,
    /// Cores that still have connections to end.
    pub active_cores: AtomicUsize,
    /// Subscriptions of all connections.
    pub subscription_count: AtomicUsize,
    /// Bytes that the connections of each core make the server hold.
    pub held_bytes: Vec<Published>,
    /// When the server began.
    pub started_at: Instant,
}

impl Shared {
    /// For so many cores.
    pub fn new(core_count: usize, limits: TallyLimits) -> Shared {
        Shared {
            mailboxes: (0..core_count).map(|_| Mailbox::default()).collect(),
            tally: Arc::new(Tally::new(limits)),
            active_cores: AtomicUsize::new(core_count),
            subscription_count: AtomicUsize::new(0),
            held_bytes: (0..core_count).map(|_| Published::default()).collect(),
            started_at: Instant::now(),
        }
    }

    /// Leaves a message for a core and wakes it, from any thread.
    pub fn send(&self, to: CoreIndex, message: Message) {
        self.leave(to, message);
        self.mailboxes[to].kick();
    }

    /// Counts a subscription; false if there are as many as may be.
    pub fn subscription_begins(&self) -> bool {
        let is_one_too_many = self.subscription_count.fetch_add(1, Ordering::Relaxed) >= SUBSCRIPTIONS_MAX;
        if is_one_too_many {
            self.subscription_ended();
        }
        !is_one_too_many
    }

    /// Counts the end of one.
    pub fn subscription_ended(&self) {
        self.subscription_count.fetch_sub(1, Ordering::Relaxed);
    }

    fn leave(&self, to: CoreIndex, message: Message) {
        if message.is_urgent() {
            self.mailboxes[to].push_urgent(message);
        } else {
            self.mailboxes[to].push(message);
        }
    }
}

/// All that a core serves from its first moment on.
pub struct Start {
    /// The shard, filled.
    pub shard: Shard,
    /// When its changes are stored, and by whom.
    pub writer: Option<(StorageOptions, Sender<Batch>)>,
    /// The API keys besides the master key.
    pub api_keys: Arc<[(String, Scope)]>,
    /// The way to the thread that seals chunks.
    pub sealing: SealingSender,
    /// Its sockets: none yet but the one that it listens on.
    pub readiness: Rc<Readiness>,
}

/// One core.
pub struct Core {
    /// Its index, which is also its shard's.
    pub index: CoreIndex,
    /// The server's options.
    pub options: Arc<ServerOptions>,
    /// Shared with the other cores.
    pub shared: Arc<Shared>,
    /// Its data.
    pub shard: RefCell<Shard>,
    /// The storing of that.
    pub storage: Storage,
    /// Its sockets.
    pub readiness: Rc<Readiness>,
    /// Its connections.
    pub peers: Peers,
    /// What those hold back to the end of a round.
    pub held: Held,
    /// What compresses its connections' messages.
    pub compression: Rc<Compression>,
    /// What its TLS sessions share, if it speaks TLS.
    pub tls: Option<Rc<Tls>>,
    /// Handshakes under way.
    pub handshakes: Cell<usize>,
    /// Its copy of the API keys.
    pub keys: RefCell<KeyTable>,
    /// On core 0: changes of keys that not everybody has applied.
    pub key_changes: RefCell<KeyChanges>,
    /// Changes of keys that wait for requests under way.
    pub key_barriers: RefCell<KeyBarriers>,
    /// Replies whose parts are coming in.
    pub gatherings: RefCell<Gatherings>,
    /// Replies that are being made in pieces.
    pub streams: RefCell<Streams>,
    /// The subscriptions of its shard.
    pub subscriptions: Subscriptions,
    /// Changes that go on in steps.
    pub unfinished: RefCell<Unfinished>,
    /// The sealing of its shard.
    pub sealing: Sealing,
    /// Deleted data is being freed.
    pub collecting: Cell<bool>,
    /// Reads messages.
    pub decoder: RefCell<Decoder>,
    /// The receive buffer that all its connections share.
    pub receive_buffer: RefCell<Vec<u8>>,
    /// The turns of its connections.
    pub turns: Turns,
    /// Bursts of work so far.
    pub bursts: Cell<u64>,
    /// The time that requests take.
    pub durations: Durations,
    /// The answers to `GET /metrics` that are being made.
    pub scrapes: Scrapes,
    /// Counts what it does.
    pub counters: Counters,
    /// Keeps the lines about refused connections few.
    pub refusal_lines: Throttle,
    /// The same about deleted collections.
    pub deletion_lines: Throttle,
    /// The same about slow requests.
    pub slow_lines: Throttle,
    /// The same about large replies.
    pub large_reply_lines: Throttle,
    /// When it was told to end.
    pub stopping_since: Cell<Option<Instant>>,
    to_kick: Vec<Cell<bool>>,
    to_wake: RefCell<Vec<SharedPeer>>,
}

impl Core {
    /// A core without connections.
    pub fn new(index: CoreIndex, options: Arc<ServerOptions>, shared: Arc<Shared>, start: Start) -> Core {
        let core_count = shared.mailboxes.len();
        let mut keys = KeyTable::new(&options.master_key);
        start.api_keys.iter().for_each(|(secret, scope)| keys.restore(secret, *scope));
        let mut shard = start.shard;
        if !shard.has_epoch() {
            shard.set_epoch(RandomState::new().hash_one(index), None);
        }
        let is_subscribed = shard.has_subscriptions();
        let handover = start.writer.map(|(options, sender)| Handover::new(options, sender, &mut shard));
        Core {
            index,
            shard: RefCell::new(shard),
            storage: Storage::new(core_count, handover),
            readiness: start.readiness,
            held: Held::default(),
            compression: Rc::default(),
            tls: options.tls.as_ref().map(|tls| Rc::new(Tls::new(tls.certificates.config()))),
            peers: Peers::new(index, shared.tally.clone()),
            handshakes: Cell::new(0),
            keys: RefCell::new(keys),
            key_changes: RefCell::default(),
            key_barriers: RefCell::default(),
            gatherings: RefCell::default(),
            streams: RefCell::new(Streams::new(index)),
            subscriptions: Subscriptions::new(core_count, is_subscribed),
            unfinished: RefCell::default(),
            sealing: Sealing::new(start.sealing),
            collecting: Cell::new(false),
            decoder: RefCell::default(),
            receive_buffer: RefCell::new(vec![0; READ_BYTES + PADDING_BYTES]),
            turns: Turns::default(),
            bursts: Cell::new(0),
            durations: Durations::new(),
            scrapes: Scrapes::default(),
            counters: Counters::default(),
            refusal_lines: Throttle::default(),
            deletion_lines: Throttle::default(),
            slow_lines: Throttle::default(),
            large_reply_lines: Throttle::default(),
            stopping_since: Cell::new(None),
            to_kick: vec![Cell::new(false); core_count],
            to_wake: RefCell::default(),
            options,
            shared,
        }
    }

    /// Milliseconds since the server began, for what the shard does at times.
    pub fn now_ms(&self) -> u64 {
        self.shared.started_at.elapsed().as_millis() as u64
    }

    /// Shows new connections this certificate from now on.
    pub fn renew(&self, certificates: &Certificates) {
        if let Some(tls) = &self.tls {
            tls.renew(certificates.config());
        }
    }

    /// The number of cores, and so of shards.
    pub fn core_count(&self) -> usize {
        self.shared.mailboxes.len()
    }

    /// The time for which it looks for work before it sleeps; one that shares its CPU with others sleeps at once.
    pub fn spin(&self) -> Duration {
        if self.options.cpus[self.index].is_some() { self.options.spin } else { Duration::ZERO }
    }

    /// Whether the server is ending.
    pub fn is_stopping(&self) -> bool {
        self.stopping_since.get().is_some()
    }

    /// Whether the server is ending and no core has a connection any more.
    pub fn is_finished(&self) -> bool {
        self.is_stopping() && self.shared.active_cores.load(Ordering::SeqCst) == 0
    }

    /// Leaves a message for a core, which `deliver` wakes.
    pub fn post(&self, to: CoreIndex, message: Message) {
        self.shared.leave(to, message);
        self.to_kick[to].set(true);
    }

    /// Tells the owners of these streams that nobody waits for them.
    pub fn abandon(&self, streams: impl IntoIterator<Item = StreamAddress>) {
        for (core, stream) in streams {
            self.post(core, Message::Abandon(stream));
        }
    }

    /// The connection at an address, if it is still there.
    pub fn peer(&self, address: PeerAddress) -> Option<SharedPeer> {
        self.peers.get(address)
    }

    /// Has a connection woken by `deliver`.
    pub fn wake_later(&self, peer: SharedPeer) {
        let mut to_wake = self.to_wake.borrow_mut();
        if !to_wake.last().is_some_and(|last| Rc::ptr_eq(last, &peer)) {
            to_wake.push(peer);
        }
    }

    /// Wakes the cores and connections that something was left for.
    pub fn deliver(&self) {
        for (mailbox, kick) in self.shared.mailboxes.iter().zip(&self.to_kick) {
            if kick.replace(false) {
                mailbox.kick();
            }
        }
        for peer in self.to_wake.borrow_mut().drain(..) {
            peer.borrow().wake();
        }
    }
}
