//! A collection that has subscriptions, or had some lately: what is known of its changes, and who wants to know.
//!
//! It is apart from the collection's data, which may go and come again meanwhile.

use hashbrown::HashMap;

use super::history::History;
use super::order::Order;
use super::terms::Mode;

/// What is kept of a collection's changes for one mode.
pub(super) struct Kept<T> {
    pub(super) it: Option<T>,
    /// The groups that need it.
    pub(super) groups: usize,
    /// Since when there are none.
    pub(super) unused_since_ms: u64,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { it: None, groups: 0, unused_since_ms: 0 }
    }
}

impl<T> Kept<T> {
    /// Lets go of what has not been needed since a time; true if nothing is kept.
    pub(super) fn expire(&mut self, before_ms: u64) -> bool {
        if self.groups == 0 && self.unused_since_ms <= before_ms {
            self.it = None;
        }
        self.it.is_none()
    }
}

/// A collection with subscriptions.
pub(super) struct Tracked {
    pub(super) name: Box<str>,
    pub(super) mark: u64,
    /// One past its last change that concerned records; nothing is known of those before its floors.
    pub(super) changed: u64,
    pub(super) order: Kept<Order>,
    pub(super) history: Kept<History>,
    pub(super) groups: HashMap<Box<str>, u32>,
    /// The groups that ask for one document.
    pub(super) literals: HashMap<Box<str>, Vec<u32>>,
    /// The others.
    pub(super) others: Vec<u32>,
}

impl Tracked {
    pub(super) fn new(name: &str, mark: u64) -> Self {
        Self {
            name: name.into(),
            mark,
            changed: 0,
            order: Kept::default(),
            history: Kept::default(),
            groups: HashMap::new(),
            literals: HashMap::new(),
            others: Vec::new(),
        }
    }

    /// The change from which on everything is known, for a mode.
    pub(super) fn floor(&self, mode: Mode) -> Option<u64> {
        match mode {
            Mode::Latest => self.order.it.as_ref().map(Order::floor),
            Mode::All => self.history.it.as_ref().map(History::floor),
        }
    }

    /// Begins to keep what a mode needs, if that is not kept.
    pub(super) fn keep(&mut self, mode: Mode, from: u64) {
        match mode {
            Mode::Latest => {
                self.order.groups += 1;
                self.order.it.get_or_insert_with(|| Order::new(from));
            }
            Mode::All => {
                self.history.groups += 1;
                self.history.it.get_or_insert_with(|| History::new(from));
            }
        }
    }

    /// The number from which on nothing has changed, as far as is known.
    pub(super) fn unchanged_from(&self) -> Option<u64> {
        let floors = [self.floor(Mode::Latest), self.floor(Mode::All)];
        Some(floors.into_iter().flatten().min()?.max(self.changed))
    }

    /// Notes that a group is gone.
    pub(super) fn let_go(&mut self, mode: Mode, now_ms: u64) {
        let (groups, since) = match mode {
            Mode::Latest => (&mut self.order.groups, &mut self.order.unused_since_ms),
            Mode::All => (&mut self.history.groups, &mut self.history.unused_since_ms),
        };
        *groups -= 1;
        *since = now_ms;
    }

    /// The memory of what is kept, and of its name, which stands in a table too.
    pub(super) fn bytes(&self) -> usize {
        2 * self.name.len()
            + self.order.it.as_ref().map_or(0, Order::bytes)
            + self.history.it.as_ref().map_or(0, History::bytes)
    }
}
