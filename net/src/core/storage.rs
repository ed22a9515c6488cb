//! A core's knowledge of storage: what it hands to its own writer, if data is stored at all, and the state of every shard.

use crate::core::handover::{Handover, StorageState};
use crate::core::ticket::CoreIndex;
use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

/// The storage of one core's shard, and what it has heard of the others'.
pub struct Storage {
    /// Hands changes to the writer.
    pub handover: RefCell<Option<Handover>>,
    /// Since when its own changes can't be stored, if they can't.
    pub failing_since: Cell<Option<Instant>>,
    /// At the end of the server: an attempt to store what is left was in vain.
    pub last_flush_failed: Cell<bool>,
    /// Wakes the task that looks again soon while this shard is behind.
    pub pacer: RefCell<Option<Waker>>,
    states: RefCell<Vec<StorageState>>,
    refusing: Cell<bool>,
    holding_writers_back: Cell<bool>,
    acknowledges_later: bool,
    flush_interval: Option<Duration>,
}

impl Storage {
    /// All is well.
    pub fn new(core_count: usize, handover: Option<Handover>) -> Storage {
        Storage {
            acknowledges_later: handover.as_ref().is_some_and(Handover::holds_replies),
            flush_interval: handover.as_ref().map(Handover::flush_interval),
            handover: RefCell::new(handover),
            failing_since: Cell::new(None),
            last_flush_failed: Cell::new(false),
            pacer: RefCell::default(),
            states: RefCell::new(vec![StorageState::default(); core_count]),
            refusing: Cell::new(false),
            holding_writers_back: Cell::new(false),
        }
    }

    /// The longest that a change waits before it is handed over, if any is.
    pub fn flush_interval(&self) -> Option<Duration> {
        self.flush_interval
    }

    /// Whether acknowledgements wait until what they say is stored.
    pub fn acknowledges_later(&self) -> bool {
        self.acknowledges_later
    }

    /// Why changes are refused, if they are.
    pub fn refusal(&self) -> Option<Arc<str>> {
        if !self.refusing.get() {
            return None;
        }
        self.states.borrow().iter().find_map(|state| state.failing.clone())
    }

    /// Whether connections that write are not to be read for now.
    pub fn holds_writers_back(&self) -> bool {
        self.holding_writers_back.get()
    }

    /// The state of a shard's storage.
    pub fn state(&self, core: CoreIndex) -> StorageState {
        self.states.borrow()[core].clone()
    }

    /// Whether the state of a shard's storage is this.
    pub fn is(&self, core: CoreIndex, state: &StorageState) -> bool {
        self.states.borrow()[core] == *state
    }

    /// Whether a shard's storage has fallen behind.
    pub fn is_behind(&self, core: CoreIndex) -> bool {
        self.states.borrow()[core].behind
    }

    /// Notes the state of a shard's storage; true if writers may be read again.
    pub fn note(&self, core: CoreIndex, state: StorageState) -> bool {
        let mut states = self.states.borrow_mut();
        states[core] = state;
        let failing = states.iter().any(|state| state.failing.is_some());
        // While changes are refused, those who send them are to hear it.
        let hold_back = !failing && states.iter().any(|state| state.behind);
        self.refusing.set(failing);
        self.holding_writers_back.replace(hold_back) && !hold_back
    }
}

/// The words for a client when nothing can be stored.
pub fn refused(why: &str) -> String {
    format!("writes are refused until changes can be stored again: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_shard_that_fails_or_lags_concerns_all() {
        let storage = Storage::new(2, None);
        let behind = StorageState { behind: true, failing: None };
        let failing = StorageState { behind: true, failing: Some("disk full".into()) };
        assert!(!storage.note(1, behind.clone()));
        assert!(storage.holds_writers_back() && storage.refusal().is_none() && storage.is_behind(1));
        assert!(storage.note(0, failing), "who writes is to hear that it fails");
        assert_eq!(storage.refusal().as_deref(), Some("disk full"));
        assert!(!storage.note(0, StorageState::default()));
        assert!(storage.holds_writers_back() && storage.is(1, &behind));
        assert!(storage.note(1, StorageState::default()));
        assert!(storage.refusal().is_none() && !storage.holds_writers_back());
    }
}
