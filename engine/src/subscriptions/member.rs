//! One subscription: where it stands, and what it waits for.

use super::history::History;
use super::order;
use super::records::RecordsWalk;
use super::terms::{Receiver, Slow};

/// Where a subscription waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waits {
    /// In the list of those that are caught up, at this index.
    CaughtUp(u32),
    /// In the list of those that may be behind, at this index.
    Behind(u32),
    /// Until what it was pushed is taken.
    Sent,
    /// Until a time, for the sake of `every`.
    Until(u64),
    /// Nowhere: it is being looked at.
    Nowhere,
}

/// The part of its life that a subscription is in.
pub(super) enum Stage {
    /// It gets what changes.
    Live,
    /// It gets the newest records, from this slot on; `true` while it has got none.
    Slots(usize, bool),
    /// It gets what changed since its snapshot was begun, which completes that.
    CatchingUp,
    /// It is about to get all records.
    AllRecords,
    /// It gets all records.
    Records(Box<RecordsWalk>),
}

/// One subscription.
pub(super) struct Member {
    pub(super) group: u32,
    pub(super) receiver: Receiver,
    /// Its index among the group's members.
    pub(super) index: u32,
    pub(super) waits: Waits,
    pub(super) stage: Stage,
    /// It has been pushed everything before the change of this number.
    pub(super) position: u64,
    /// Its place in the order, in the middle of what is too large for one push.
    pub(super) walk: order::Place,
    pub(super) every_ms: u32,
    pub(super) sent_at_ms: u64,
    pub(super) slow: Slow,
    pub(super) buffer_bytes: u32,
    /// Changes that were left out, to be told with the next push.
    pub(super) skipped: u64,
    /// The changes of the collection before its position, for one that lets changes go.
    pub(super) ordinal: u64,
    /// The weight of what it wants from its position to this number.
    pub(super) counted: (u64, u64),
}

impl Stage {
    /// The same stage, unless it is one's own.
    pub(super) fn copy(&self) -> Option<Self> {
        match *self {
            Self::Live => Some(Self::Live),
            Self::Slots(slot, is_first) => Some(Self::Slots(slot, is_first)),
            Self::CatchingUp => Some(Self::CatchingUp),
            Self::AllRecords => Some(Self::AllRecords),
            Self::Records(_) => None,
        }
    }
}

impl Member {
    /// Stands at a position, with everything before it pushed.
    pub(super) fn stand_at(&mut self, position: u64) {
        self.position = position;
        self.walk = (position, 0);
        self.counted = (position, 0);
    }

    /// The same, in a history.
    pub(super) fn move_to(&mut self, position: u64, history: &History) {
        self.stand_at(position);
        self.ordinal = history.ordinal(position);
    }

    /// Passes over changes that are not known any more.
    pub(super) fn skip_forgotten(&mut self, history: &History) {
        self.skipped += history.forgotten().saturating_sub(self.ordinal);
        self.move_to(history.floor(), history);
    }

    /// Whether it gets what changes, and is not in the middle of a push in parts.
    pub(super) fn is_live(&self) -> bool {
        matches!(self.stage, Stage::Live) && self.walk == (self.position, 0)
    }

    /// The same for members that can be pushed the same bytes; none for one that stands alone.
    pub(super) fn standing(&self, index: u32) -> (u8, usize, order::Place, u64, u64, u32) {
        let (kind, slot, alone) = match self.stage {
            Stage::Live => (0, 0, 0),
            Stage::Slots(slot, is_first) => (1 + u8::from(is_first), slot, 0),
            Stage::CatchingUp => (3, 0, 0),
            Stage::AllRecords | Stage::Records(_) => (4, 0, index),
        };
        (kind, slot, self.walk, self.position, self.skipped, alone)
    }
}
