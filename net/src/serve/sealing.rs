//! Has chunks sealed by the thread that does so, and puts them in place; `fluxion_engine` says which and how.

use crate::core::state::Core;
use crate::limits::{COOL_PAUSE, COOL_STEP_PAUSE};
use fluxion_engine::SealedWork;
use glommio::timer::Timer;

/// Sends what is to be sealed, at the end of a burst.
pub fn tend(core: &Core) {
    if !core.sealing.is_open() || !core.shard.borrow().has_sealing_work() {
        return;
    }
    let mut shard = core.shard.borrow_mut();
    while let Some(work) = shard.take_sealing_work() {
        core.sealing.send(core.index, work);
    }
    // A little at each burst, so that what waits stays bounded where the thread gets too little of a CPU.
    if let Some(work) = shard.take_sealing_step() {
        shard.put_sealed(core.sealing.run(work));
    }
}

/// Puts in place what has been sealed; the end of the burst sends more.
pub fn take(core: &Core, work: SealedWork) {
    core.shard.borrow_mut().put_sealed(work);
}

/// Looks for what has been left alone, round after round over all documents, some at a time. `flush` ends a burst.
pub async fn keep_cool(core: &Core, flush: impl Fn(&Core)) {
    loop {
        Timer::new(COOL_PAUSE).await;
        let mut is_over = false;
        while !is_over {
            Timer::new(COOL_STEP_PAUSE).await;
            is_over = core.shard.borrow_mut().cool();
            flush(core);
        }
    }
}
