//! A core's way to the thread that seals chunks, and when it last looked for those that have been left alone.
//!
//! The engine bounds how much of a shard is under way, so neither the way there nor the way back grows without bound.

use crate::core::ticket::CoreIndex;
use crossbeam_channel::Sender;
use fluxion_engine::SealingWork;
use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

/// The way to the thread that seals chunks, for all cores.
pub type SealingSender = Sender<(CoreIndex, SealingWork)>;

/// The sealing of one core's shard.
pub struct Sealing {
    sender: RefCell<Option<SealingSender>>,
    /// When the last round over all documents began.
    round_began: Cell<Instant>,
    /// It is not over.
    in_round: Cell<bool>,
}

impl Sealing {
    /// Sends work there.
    pub fn new(sender: SealingSender) -> Sealing {
        Sealing {
            sender: RefCell::new(Some(sender)),
            round_began: Cell::new(Instant::now()),
            in_round: Cell::new(false),
        }
    }

    /// Whether there is anyone who seals.
    pub fn is_open(&self) -> bool {
        self.sender.borrow().is_some()
    }

    /// Sends work to be sealed; if that thread has ended, no more is sent.
    pub fn send(&self, core: CoreIndex, work: SealingWork) {
        let sent = self.sender.borrow().as_ref().map(|sender| sender.send((core, work)));
        if sent.is_some_and(|sent| sent.is_err()) {
            self.close();
        }
    }

    /// Sends no more, so that the thread can end.
    pub fn close(&self) {
        self.sender.replace(None);
    }

    /// Whether a step of a round is due: one goes on, or the last began so long ago.
    pub fn round_is_due(&self, now: Instant, pause: Duration) -> bool {
        if !self.in_round.get() && now.saturating_duration_since(self.round_began.get()) >= pause {
            self.round_began.set(now);
            self.in_round.set(true);
        }
        self.in_round.get()
    }

    /// Notes that the round is over.
    pub fn end_round(&self) {
        self.in_round.set(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_begins_some_time_after_the_last_began() {
        let sealing = Sealing::new(crossbeam_channel::unbounded().0);
        let (pause, begun) = (Duration::from_secs(10), Instant::now());
        assert!(!sealing.round_is_due(begun, pause));
        let later = begun + 2 * pause;
        assert!(sealing.round_is_due(later, pause) && sealing.round_is_due(later, pause));
        sealing.end_round();
        assert!(
            !sealing.round_is_due(later + pause / 2, pause) && sealing.round_is_due(later + pause, pause)
        );
        assert!(sealing.is_open());
        sealing.close();
        assert!(!sealing.is_open());
    }
}
