//! The thread that seals chunks, for all cores. It ends when no core sends it anything any more.
//!
//! Where it has to share a CPU with a core, the core goes first; if it does not keep up then, cores seal a little themselves.

use crate::core::message::Message;
use crate::core::sealing::SealingSender;
use crate::core::state::Shared;
use crate::core::ticket::CoreIndex;
use crossbeam_channel::{Receiver, unbounded};
use fluxion_engine::SealingWork;
use fluxion_engine::sealed::Sealer;
use rustix::process::setpriority_process;
use rustix::thread::{CpuSet, sched_setaffinity};
use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use tracing::{debug, warn};

/// Its nice value: of a CPU that a core keeps busy it gets a tenth.
const NICE: i32 = 10;

/// Starts it, on these CPUs, or wherever the system puts it if there are none.
pub fn start(shared: Arc<Shared>, cpus: Vec<usize>) -> io::Result<(SealingSender, JoinHandle<()>)> {
    // What lies there is bounded by what the shards give out.
    let (sender, receiver) = unbounded();
    let thread = Builder::new().name("sealer".into()).spawn(move || {
        run_on(&cpus);
        give_way();
        seal(&shared, &receiver);
    })?;
    Ok((sender, thread))
}

fn seal(shared: &Shared, receiver: &Receiver<(CoreIndex, SealingWork)>) {
    let mut sealer = Sealer::default();
    for (core, work) in receiver {
        shared.send(core, Message::Sealed(work.run(&mut sealer)));
    }
}

/// Takes a tenth of a CPU at most from whoever else wants it.
fn give_way() {
    if let Err(error) = setpriority_process(None, NICE) {
        debug!(%error, "the thread that seals can't give way to others");
    }
}

fn run_on(cpus: &[usize]) {
    if cpus.is_empty() {
        return;
    }
    let mut set = CpuSet::new();
    cpus.iter().for_each(|cpu| set.set(*cpu));
    if let Err(error) = sched_setaffinity(None, &set) {
        warn!(?cpus, %error, "the thread that seals can't be moved to its CPUs");
    }
}
