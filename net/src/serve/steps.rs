//! Work that a core does in steps for its own shard, each sent to itself as a message, so that other messages and the
//! sockets have their turn between: changes of many records, and the freeing of what was deleted.

use crate::core::message::Message;
use crate::core::state::Core;
use crate::core::unfinished::UnfinishedChange;
use crate::serve::storage;

/// Begins a change that goes on in steps.
pub fn begin(core: &Core, change: UnfinishedChange) {
    if core.unfinished.borrow_mut().add(change) {
        core.post(core.index, Message::StepChanges);
    }
}

/// Takes the next step of one of the changes; answers it when that was the last.
pub fn step(core: &Core) {
    let done = core.unfinished.borrow_mut().step(&mut core.shard.borrow_mut());
    if let Some(UnfinishedChange { ticket, id, deletes, .. }) = done {
        if deletes {
            garbage_was_made(core);
        }
        storage::acknowledge(core, ticket, id);
    }
    if !core.unfinished.borrow().is_empty() {
        core.post(core.index, Message::StepChanges);
    }
}

/// Has deleted data freed in steps, if that is not going on already.
pub fn garbage_was_made(core: &Core) {
    if !core.collecting.replace(true) {
        core.post(core.index, Message::CollectGarbage);
    }
}

/// Frees some of what was deleted.
pub fn collect_garbage(core: &Core) {
    if core.shard.borrow_mut().collect_garbage() {
        core.post(core.index, Message::CollectGarbage);
    } else {
        core.collecting.set(false);
    }
}
