//! Has chunks sealed by the thread that does so, and puts them in place; `fluxion_engine` says which and how.

use crate::core::state::Core;
use crate::limits::{COOL_PAUSE, COOL_STEPS};
use fluxion_engine::SealedWork;
use std::time::Instant;

/// Sends what is to be sealed, at the end of a burst.
pub fn tend(core: &Core) {
    if !core.sealing.is_open() || !core.shard.borrow().has_sealing_work() {
        return;
    }
    let mut shard = core.shard.borrow_mut();
    while let Some(work) = shard.take_sealing_work() {
        core.sealing.send(core.index, work);
    }
}

/// Puts in place what has been sealed; the end of the burst sends more.
pub fn take(core: &Core, work: SealedWork) {
    core.shard.borrow_mut().put_sealed(work);
}

/// Looks now and then for chunks that have been left alone, some documents at a time.
pub fn cool(core: &Core, now: Instant) {
    if !core.sealing.round_is_due(now, COOL_PAUSE) {
        return;
    }
    let mut shard = core.shard.borrow_mut();
    if (0..COOL_STEPS).any(|_| shard.cool()) {
        core.sealing.end_round();
    }
}
