//! How a core keeps its journal: when it hands changes over, what it does with the writer's answers, and what it
//! knows of the storage of all shards. Writes are refused on every core while any shard can't store its own.

use crate::core::Core;
use crate::journal::{Held, Hold, Journal, JournalOptions, StorageState};
use crate::key_changes::KeyChanges;
use crate::limits::PACE;
use crate::message::{CoreIndex, Message, Ticket};
use crate::requests;
use crossbeam_channel::Sender;
use fluxion_engine::{Batch, Change, Shard};
use glommio::timer::Timer;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};
use tracing::{error, info, warn};

/// What a core knows of storage: its own journal, if data is stored at all, and the state of every shard.
pub struct Storing {
    journal: RefCell<Option<Journal>>,
    states: RefCell<Vec<StorageState>>,
    refusing: Cell<bool>,
    holding_writers_back: Cell<bool>,
    /// At the end of the server: an attempt to store what is left was in vain.
    last_flush_failed: Cell<bool>,
    /// Wakes the task that looks again soon while this shard is behind.
    pacer: RefCell<Option<Waker>>,
}

impl Storing {
    /// All is well.
    pub fn new(
        core_count: usize,
        journal: Option<(JournalOptions, Sender<Batch>)>,
        shard: &mut Shard,
    ) -> Storing {
        let open = |(options, sender)| Journal::new(options, sender, shard.feed_mut().open_reader());
        Storing {
            journal: RefCell::new(journal.map(open)),
            states: RefCell::new(vec![StorageState::default(); core_count]),
            refusing: Cell::new(false),
            holding_writers_back: Cell::new(false),
            last_flush_failed: Cell::new(false),
            pacer: RefCell::default(),
        }
    }
}

impl Core {
    /// The longest that a change waits before it is handed over, if any is.
    pub fn flush_interval(&self) -> Option<Duration> {
        self.storing.journal.borrow().as_ref().map(Journal::flush_interval)
    }

    /// Why mutations are refused, if they are.
    pub fn refuses_writes(&self) -> Option<Arc<str>> {
        if !self.storing.refusing.get() {
            return None;
        }
        self.storing.states.borrow().iter().find_map(|state| state.failing.clone())
    }

    /// Whether connections that write are not to be read for now.
    pub fn holds_writers_back(&self) -> bool {
        self.storing.holding_writers_back.get()
    }

    /// Whether acknowledgements wait until what they say is stored.
    pub fn holds_replies(&self) -> bool {
        self.storing.journal.borrow().as_ref().is_some_and(Journal::holds_replies)
    }

    /// Acknowledges a mutation when it and all before it are stored.
    pub fn acknowledge_when_stored(&self, ticket: Ticket, id: Option<Box<str>>) {
        self.hold(Held::Acknowledgement { ticket, id });
    }

    /// Notes a change of API keys; the key change is counted as applied once more when it is stored.
    /// False if nothing is stored here.
    pub fn store_key_change(&self, number: u64, change: Change<&str>) -> bool {
        {
            let mut journal = self.storing.journal.borrow_mut();
            let Some(journal) = journal.as_mut() else { return false };
            self.shard.borrow_mut().note(change);
            journal.hurry();
        }
        self.hold(Held::KeyChange(number));
        true
    }

    fn hold(&self, held: Held) {
        let hold = match self.storing.journal.borrow_mut().as_mut() {
            Some(journal) => journal.hold(held, &self.shard.borrow()),
            None => Hold::NotNeeded(held),
        };
        if let Hold::NotNeeded(held) = hold {
            self.release(held);
        }
    }

    fn release(&self, held: Held) {
        match held {
            Held::Acknowledgement { ticket, id } => {
                let mut payload = Vec::new();
                if let Some(id) = id {
                    requests::put_id(&mut payload, &id);
                    payload.push(b'}');
                }
                self.post(ticket.link.core, Message::Reply { ticket, payload, rest: None });
            }
            Held::KeyChange(number) => self.post(0, Message::KeyChangeApplied(number)),
        }
    }

    /// Hands changes over when it is time to, and watches how many wait. Once after each burst of work.
    pub fn tend_journal(&self) {
        let mut journal = self.storing.journal.borrow_mut();
        let Some(journal) = journal.as_mut() else { return };
        let shard = &mut self.shard.borrow_mut();
        let mut state = self.storing.states.borrow()[self.index].clone();
        let now = Instant::now();
        if journal.tend(shard, now).is_err() {
            let why = "the writer thread has ended; restart the server";
            self.post(self.index, Message::CommitFailed(why.into()));
        }
        state.behind = journal.is_behind(shard, now);
        self.announce(state);
    }

    /// The writer has stored the batch.
    pub fn committed(&self) {
        let held =
            self.storing.journal.borrow_mut().as_mut().map(|journal| journal.committed(Instant::now()));
        held.into_iter().flatten().for_each(|held| self.release(held));
        let state = self.storing.states.borrow()[self.index].clone();
        if state.failing.is_some() {
            info!(shard = self.index, "storing works again");
            self.announce(StorageState { failing: None, ..state });
        }
    }

    /// The writer could not store the batch, and keeps it.
    pub fn commit_failed(&self, why: Arc<str>) {
        let state = self.storing.states.borrow()[self.index].clone();
        if state.failing.is_none() {
            warn!(
                shard = self.index,
                why = &*why,
                "changes can't be stored; writes are refused until they are"
            );
        }
        let held = self.storing.journal.borrow_mut().as_mut().map(Journal::failed);
        for held in held.into_iter().flatten() {
            let wrong = format!("not stored yet: {why}; it is kept in memory and will be tried again");
            match held {
                Held::Acknowledgement { ticket, id } => {
                    let payload = match id {
                        Some(id) => requests::error_reply(&id, &wrong),
                        None => wrong.into_bytes(),
                    };
                    self.post(ticket.link.core, Message::Reply { ticket, payload, rest: None });
                }
                Held::KeyChange(number) => KeyChanges::failed(self, number, &wrong),
            }
        }
        self.announce(StorageState { failing: Some(why), ..state });
        self.storing.last_flush_failed.set(true);
    }

    /// Looks again and again, while this shard is behind, whether writers can be let in.
    pub async fn pace(&self) {
        loop {
            poll_fn(|context| {
                if self.storing.states.borrow()[self.index].behind {
                    return Poll::Ready(());
                }
                *self.storing.pacer.borrow_mut() = Some(context.waker().clone());
                Poll::Pending
            })
            .await;
            Timer::new(PACE).await;
            self.flush();
        }
    }

    /// Tells all cores how this shard's storage is doing, if that is new.
    fn announce(&self, state: StorageState) {
        if self.storing.states.borrow()[self.index] == state {
            return;
        }
        for to in (0..self.core_count()).filter(|to| *to != self.index) {
            self.post(to, Message::Storage { core: self.index, state: state.clone() });
        }
        if state.behind
            && let Some(pacer) = self.storing.pacer.take()
        {
            pacer.wake();
        }
        self.storage_is(self.index, state);
    }

    /// Notes how the storage of a shard is doing.
    pub fn storage_is(&self, core: CoreIndex, state: StorageState) {
        let mut states = self.storing.states.borrow_mut();
        states[core] = state;
        let failing = states.iter().any(|state| state.failing.is_some());
        // While writes are refused, those who write are to hear it.
        let hold_back = !failing && states.iter().any(|state| state.behind);
        self.storing.refusing.set(failing);
        if self.storing.holding_writers_back.replace(hold_back) && !hold_back {
            let now = Instant::now();
            for link in self.links() {
                link.borrow_mut().received_at = now;
                self.wake_later(Some(link));
            }
        }
    }

    /// Has everything stored that is left, at the end of the server.
    pub fn begin_last_flush(&self) {
        if let Some(journal) = self.storing.journal.borrow_mut().as_mut() {
            journal.hurry();
        }
        self.storing.last_flush_failed.set(false);
        self.flush();
    }

    /// Whether there is nothing more to wait for: all is stored, or a further attempt was in vain.
    pub fn last_flush_is_over(&self) -> bool {
        let journal = self.storing.journal.borrow();
        let Some(journal) = journal.as_ref() else { return true };
        let shard = self.shard.borrow();
        journal.is_clean(&shard) || journal.writer_is_gone() || self.storing.last_flush_failed.get()
    }

    /// Ends the writer, which stores its batch if it still has one.
    pub fn close_journal(&self) {
        let shard = &mut self.shard.borrow_mut();
        let changes = self.storing.journal.take().map_or(0, |journal| journal.drain(shard));
        if changes > 0 {
            error!(shard = self.index, changes, "changes are lost: they could not be stored");
        }
    }
}
