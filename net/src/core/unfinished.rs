//! Changes that go on in steps on this core's shard: one step of each in turn, and other work between any two steps. The
//! connection that asked has no further request carried out meanwhile, so its order holds.

use crate::core::ticket::Ticket;
use fluxion_engine::{Progress, Shard, Work};
use std::collections::VecDeque;

/// A change under way.
pub struct UnfinishedChange {
    /// The rest of it.
    pub work: Work,
    /// Whom to answer.
    pub ticket: Ticket,
    /// The request's id; none for a part of a gathered one.
    pub id: Option<Box<str>>,
    /// There may be something to free when it is done.
    pub deletes: bool,
}

/// The changes under way.
#[derive(Default)]
pub struct Unfinished(VecDeque<UnfinishedChange>);

impl Unfinished {
    /// Adds a change; true if there was none.
    pub fn add(&mut self, change: UnfinishedChange) -> bool {
        self.0.push_back(change);
        self.0.len() == 1
    }

    /// Whether there are any.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes a step of the next one; gives the change if that was its last.
    pub fn step(&mut self, shard: &mut Shard) -> Option<UnfinishedChange> {
        let mut change = self.0.pop_front()?;
        match shard.step(&mut change.work) {
            Progress::Done => Some(change),
            Progress::More => {
                self.0.push_back(change);
                None
            }
        }
    }
}
