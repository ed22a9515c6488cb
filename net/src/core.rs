//! What one core owns: its shard, connections, copy of the keys, mailbox and the work in progress. One
//! thread touches it, so it holds `RefCell`s and no locks; no borrow lives across an await.
//!
//! Messages of one connection to one shard travel in one channel and are carried out as they come, which is
//! what makes each request see the effects of the ones before it.

use crate::decode::Decoder;
use crate::gather::{Answer, Gatherings, Part};
use crate::journal::JournalOptions;
use crate::key_changes::KeyChanges;
use crate::keys::Scope;
use crate::keys::{KeyChange, KeyTable};
use crate::limits::{CLOSE_TIMEOUT, HANDSHAKE_TIMEOUT, MAILBOX_BATCH, READ_BYTES, STOP_TIMEOUT};
use crate::link::{Identity, Link};
use crate::mailbox::Mailbox;
use crate::message::{CoreIndex, LinkAddress, Message, ReadingId, Ticket};
use crate::readings::Readings;
use crate::requests;
use crate::server::ServerOptions;
use crate::storing::Storing;
use crate::turn::{self, Turn};
use crossbeam_channel::Sender;
use fluxion_engine::{Batch, Shard};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use tracing::debug;

/// What all cores can reach: their mailboxes and two counters that are touched when a connection comes or
/// goes and when the server stops.
pub struct Shared {
    /// One a core.
    pub mailboxes: Vec<Mailbox<Message>>,
    /// Connections of all cores.
    pub connection_count: AtomicUsize,
    /// Cores that still have connections to end.
    pub active_cores: AtomicUsize,
}

/// What a core begins with.
pub struct Stored {
    /// The shard, filled.
    pub shard: Shard,
    /// Where its changes go.
    pub journal: Option<(JournalOptions, Sender<Batch>)>,
    /// The API keys besides the master key.
    pub api_keys: Arc<[(String, Scope)]>,
}

/// A slot of the connection list.
#[derive(Default)]
struct Slot {
    generation: u32,
    link: Option<Rc<RefCell<Link>>>,
}

/// One core.
pub struct Core {
    pub(crate) index: CoreIndex,
    pub(crate) options: Arc<ServerOptions>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) shard: RefCell<Shard>,
    pub(crate) storing: Storing,
    pub(crate) decoder: RefCell<Decoder>,
    pub(crate) keys: RefCell<KeyTable>,
    pub(crate) key_changes: RefCell<KeyChanges>,
    pub(crate) gatherings: RefCell<Gatherings>,
    pub(crate) readings: RefCell<Readings>,
    /// The receive buffer that all connections of this core share.
    pub(crate) receive_buffer: RefCell<Vec<u8>>,
    slots: RefCell<Vec<Slot>>,
    free_slots: RefCell<Vec<u32>>,
    to_kick: Vec<Cell<bool>>,
    to_wake: RefCell<Vec<Rc<RefCell<Link>>>>,
    stopping_since: Cell<Option<Instant>>,
    collecting: Cell<bool>,
}

impl Core {
    /// A core without connections.
    pub fn new(
        index: CoreIndex,
        options: Arc<ServerOptions>,
        shared: Arc<Shared>,
        mut stored: Stored,
    ) -> Core {
        let core_count = shared.mailboxes.len();
        let mut keys = KeyTable::new(&options.master_key);
        stored.api_keys.iter().for_each(|(secret, scope)| keys.restore(secret, *scope));
        Core {
            index,
            keys: RefCell::new(keys),
            key_changes: RefCell::default(),
            storing: Storing::new(core_count, stored.journal, &mut stored.shard),
            shard: RefCell::new(stored.shard),
            decoder: RefCell::default(),
            gatherings: RefCell::default(),
            readings: RefCell::new(Readings::new(index)),
            receive_buffer: RefCell::new(vec![0; READ_BYTES + crate::limits::PADDING_BYTES]),
            slots: RefCell::default(),
            free_slots: RefCell::default(),
            to_kick: vec![Cell::new(false); core_count],
            to_wake: RefCell::default(),
            stopping_since: Cell::new(None),
            collecting: Cell::new(false),
            options,
            shared,
        }
    }

    /// How many cores, and so shards, there are.
    pub fn core_count(&self) -> usize {
        self.shared.mailboxes.len()
    }

    /// Whether the server is ending.
    pub fn stopping(&self) -> bool {
        self.stopping_since.get().is_some()
    }

    /// Leaves a message for a core; `flush` wakes it.
    pub fn post(&self, to: CoreIndex, message: Message) {
        self.shared.mailboxes[to].push(message);
        self.to_kick[to].set(true);
    }

    /// Hands changes over, and wakes the cores and connections that something was left for. Once after each burst of work.
    pub fn flush(&self) {
        self.tend_journal();
        for (mailbox, kick) in self.shared.mailboxes.iter().zip(&self.to_kick) {
            if kick.replace(false) {
                mailbox.kick();
            }
        }
        for link in self.to_wake.borrow_mut().drain(..) {
            link.borrow().wake();
        }
    }

    /// Tells the owners of these readings that nobody waits for them.
    pub fn abandon(&self, readings: impl IntoIterator<Item = (CoreIndex, ReadingId)>) {
        for (core, reading) in readings {
            self.post(core, Message::Abandon(reading));
        }
    }

    /// Enters a new connection.
    pub fn add_link(&self, identity: Identity) -> Rc<RefCell<Link>> {
        let mut slots = self.slots.borrow_mut();
        let slot = self.free_slots.borrow_mut().pop().unwrap_or_else(|| {
            slots.push(Slot::default());
            slots.len() as u32 - 1
        });
        let entry = &mut slots[slot as usize];
        entry.generation = entry.generation.wrapping_add(1);
        let address = LinkAddress { core: self.index, slot, generation: entry.generation };
        let link = Rc::new(RefCell::new(Link::new(address, identity)));
        entry.link = Some(link.clone());
        link
    }

    /// Forgets a connection whose socket is closed.
    pub fn remove_link(&self, link: &RefCell<Link>) {
        let mut link = link.borrow_mut();
        self.abandon(link.drop_queue());
        self.slots.borrow_mut()[link.address.slot as usize].link = None;
        self.free_slots.borrow_mut().push(link.address.slot);
    }

    /// The connection at an address, if it is still there.
    pub fn link(&self, address: LinkAddress) -> Option<Rc<RefCell<Link>>> {
        let slots = self.slots.borrow();
        let slot = slots.get(address.slot as usize)?;
        if slot.generation == address.generation { slot.link.clone() } else { None }
    }

    /// All connections.
    pub fn links(&self) -> Vec<Rc<RefCell<Link>>> {
        self.slots.borrow().iter().filter_map(|slot| slot.link.clone()).collect()
    }

    /// Carries out messages until it has done so once more with `enough` being true.
    pub async fn carry_out_messages(&self, enough: impl Fn(&Core) -> bool) {
        let mut batch = Vec::with_capacity(MAILBOX_BATCH);
        // Not begun anew with each batch: this task and a connection's can keep each other ready to run, a
        // piece of a large reply after the other, and no socket would be looked at.
        let mut turn = Turn::begin();
        while !enough(self) {
            self.shared.mailboxes[self.index].receive(&mut batch, MAILBOX_BATCH).await;
            for message in batch.drain(..) {
                self.handle(message);
                if turn.is_over() {
                    self.flush();
                    turn::next().await;
                    turn = Turn::begin();
                }
            }
            self.flush();
        }
    }

    /// Whether the server is ending and no core has a connection any more.
    pub fn finished(&self) -> bool {
        self.stopping() && self.shared.active_cores.load(Ordering::SeqCst) == 0
    }

    /// Whether any connection is open.
    pub fn has_links(&self) -> bool {
        self.slots.borrow().iter().any(|slot| slot.link.is_some())
    }

    fn handle(&self, message: Message) {
        match message {
            Message::Execute { ticket, id, packet } => {
                requests::execute_for(self, ticket, id, &packet.request())
            }
            Message::Reply { ticket, payload, rest } => self.take_reply(ticket, payload, rest),
            Message::Pull(reading) | Message::Continue(reading) => self.advance(reading),
            Message::Piece { link, reading, payload, last } => self.take_piece(link, reading, payload, last),
            Message::Abandon(reading) => self.readings.borrow_mut().abandon(reading),
            Message::CollectGarbage => self.collect_garbage(),
            Message::ListConnections(ticket) => {
                let payload = requests::list_connections(self, ticket.link);
                self.post(ticket.link.core, Message::Reply { ticket, payload, rest: None });
            }
            Message::ManageKeys { ticket, id, action } => KeyChanges::manage(self, ticket, &id, action),
            Message::ApplyKeyChange { number, change } => {
                self.apply_key_change(&change);
                self.post(0, Message::KeyChangeApplied(number));
            }
            Message::KeyChangeApplied(number) => KeyChanges::applied(self, number),
            Message::Committed => self.committed(),
            Message::CommitFailed(why) => self.commit_failed(why),
            Message::Storage { core, state } => self.storage_is(core, state),
            Message::Stop => self.stop(),
            Message::CoreDone => {}
        }
    }

    /// Takes one step of a reading.
    pub fn advance(&self, reading: ReadingId) {
        let next = self.readings.borrow_mut().advance(reading);
        if let Some((core, message)) = next {
            self.post(core, message);
        }
    }

    fn take_reply(&self, ticket: Ticket, payload: Vec<u8>, rest: Option<(CoreIndex, ReadingId)>) {
        let link = self.link(ticket.link);
        if let Some(link) = &link {
            link.borrow_mut().end(ticket.reserved_bytes);
        }
        let answer = match ticket.gather {
            None if rest.is_none() => Answer::Whole(payload),
            None => {
                let source = crate::link::Source { ready: Some(payload), rest, pulled: false };
                Answer::Pieces([source].into(), b"")
            }
            Some(number) => {
                let done = self.gatherings.borrow_mut().add(number, Part { payload, rest });
                match done {
                    Some(gathering) if link.is_none() => return self.abandon(gathering.rests()),
                    Some(gathering) => gathering.answer(),
                    None => return self.wake_later(link),
                }
            }
        };
        match (&link, answer) {
            (None, _) => self.abandon(rest),
            (Some(link), Answer::Whole(payload)) => link.borrow_mut().send(payload),
            (Some(link), Answer::Pieces(sources, suffix)) => {
                let abandoned = link.borrow_mut().send_pieces(sources, suffix);
                self.abandon(abandoned);
            }
        }
        self.wake_later(link);
    }

    fn take_piece(&self, address: LinkAddress, reading: ReadingId, payload: Vec<u8>, last: bool) {
        if let Some(link) = self.link(address) {
            link.borrow_mut().take_piece(reading, payload, last);
            self.wake_later(Some(link));
        }
    }

    /// Wakes a connection with the next flush.
    pub fn wake_later(&self, link: Option<Rc<RefCell<Link>>>) {
        let mut to_wake = self.to_wake.borrow_mut();
        if let Some(link) = link
            && !to_wake.last().is_some_and(|last| Rc::ptr_eq(last, &link))
        {
            to_wake.push(link);
        }
    }

    /// Has deleted data freed in steps, if that is not going on already.
    pub fn garbage_was_made(&self) {
        if !self.collecting.replace(true) {
            self.post(self.index, Message::CollectGarbage);
        }
    }

    fn collect_garbage(&self) {
        if self.shard.borrow_mut().collect_garbage() {
            self.post(self.index, Message::CollectGarbage);
        } else {
            self.collecting.set(false);
        }
    }

    /// Applies a change of keys to the table and to the open connections.
    pub fn apply_key_change(&self, change: &KeyChange) {
        self.keys.borrow_mut().apply(change);
        for link in self.links() {
            let key = link.borrow().identity.key;
            match change {
                KeyChange::Set(changed) if key == Some(changed.id) => {
                    link.borrow_mut().identity.scope = changed.scope;
                }
                KeyChange::Removed(removed) if key == Some(*removed) => {
                    let abandoned = link.borrow_mut().close_now(Some(1008), "the API key was removed");
                    self.abandon(abandoned);
                    self.wake_later(Some(link));
                }
                _ => {}
            }
        }
    }

    fn stop(&self) {
        if self.stopping() {
            return;
        }
        self.stopping_since.set(Some(Instant::now()));
        for link in self.links() {
            link.borrow_mut().close_after_replies(1001, "the server is stopping");
            self.wake_later(Some(link));
        }
    }

    /// Looks after the clocks of all connections: silence, unanswered closes, the end of the server.
    pub fn sweep(&self, now: Instant) {
        let idle = self.options.idle_timeout;
        let overdue = self.stopping_since.get().is_some_and(|since| now - since > STOP_TIMEOUT);
        for shared_link in self.links() {
            let mut link = shared_link.borrow_mut();
            let silent = now.saturating_duration_since(link.received_at);
            let unanswered_close =
                link.closed_at.is_some_and(|at| now.saturating_duration_since(at) > CLOSE_TIMEOUT);
            let age = now.saturating_duration_since(link.identity.since);
            if overdue || unanswered_close {
                link.dead = true;
            } else if link.writes && self.holds_writers_back() {
                // It is this core that doesn't listen.
                continue;
            } else if silent > idle {
                debug!(ip = %link.identity.ip, "dropped: silent for too long");
                link.dead = true;
            } else if link.identity.key.is_none() && age > HANDSHAKE_TIMEOUT {
                self.abandon(link.close_now(Some(1008), "no authentication message came"));
            } else if silent > idle / 2 && !link.pinged && link.closed_at.is_none() {
                link.pinged = true;
                crate::frame::put_ping(&mut link.out, b"");
            } else {
                continue;
            }
            link.wake();
        }
        self.flush();
    }
}
