//! A core's way to the thread that seals chunks.
//!
//! The engine bounds how much of a shard is under way, so neither the way there nor the way back grows without bound.

use crate::core::ticket::CoreIndex;
use crossbeam_channel::Sender;
use fluxion_engine::sealed::Sealer;
use fluxion_engine::{SealedWork, SealingWork};
use std::cell::RefCell;

/// The way to the thread that seals chunks, for all cores.
pub type SealingSender = Sender<(CoreIndex, SealingWork)>;

/// The sealing of one core's shard.
pub struct Sealing {
    sender: RefCell<Option<SealingSender>>,
    /// For what the core seals itself.
    sealer: RefCell<Sealer>,
}

impl Sealing {
    /// Sends work there.
    pub fn new(sender: SealingSender) -> Sealing {
        Sealing { sender: RefCell::new(Some(sender)), sealer: RefCell::default() }
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

    /// Seals on the spot.
    pub fn run(&self, work: SealingWork) -> SealedWork {
        work.run(&mut self.sealer.borrow_mut())
    }

    /// Sends no more, so that the thread can end.
    pub fn close(&self) {
        self.sender.replace(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_sent_to_a_thread_that_has_ended() {
        let (sender, receiver) = crossbeam_channel::unbounded();
        let sealing = Sealing::new(sender);
        assert!(sealing.is_open());
        drop(receiver);
        let mut shard = fluxion_engine::Shard::with_sizes(fluxion_engine::ChunkSizes {
            seals: true,
            ..fluxion_engine::ChunkSizes::default()
        });
        {
            let mut loader = shard.load_document("c", "d");
            (0..4000).for_each(|ts| loader.put(ts, "{\"value\":21.5}"));
        }
        sealing.send(0, shard.take_sealing_work().unwrap());
        assert!(!sealing.is_open());
    }
}
