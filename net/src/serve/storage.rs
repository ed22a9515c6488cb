//! When a core hands changes over to its writer, how it takes the writer's answers, and what that means for replies and
//! for connections that write. Changes are refused on every core while any shard can't store its own.

use crate::core::handover::{Held, Hold, StorageState};
use crate::core::message::Message;
use crate::core::state::Core;
use crate::core::ticket::{CoreIndex, Ticket};
use crate::serve::{replies, subscriptions};
use crate::wire::reply;
use fluxion_engine::ChangeRef;
use std::sync::Arc;
use std::time::Instant;
use tracing::{info, warn};

/// Acknowledges a change: at once, or when it and all before it are stored.
pub fn acknowledge(core: &Core, ticket: Ticket, id: Option<Box<str>>) {
    let held = Held::Acknowledgement { ticket, id };
    if core.storage.acknowledges_later() { hold(core, held) } else { release(core, held) }
}

/// Notes a change of API keys in the feed; it is counted as applied once more when it is stored.
pub fn store_key_change(core: &Core, number: u64, change: ChangeRef<'_>) {
    if let Some(handover) = core.storage.handover.borrow_mut().as_mut() {
        core.shard.borrow_mut().note(change);
        handover.hurry();
    }
    hold(core, Held::KeyChange(number));
}

fn hold(core: &Core, held: Held) {
    let hold = match core.storage.handover.borrow_mut().as_mut() {
        Some(handover) if handover.writer_is_gone() => Hold::InVain(held),
        Some(handover) => handover.hold(held, &core.shard.borrow()),
        None => Hold::NotNeeded(held),
    };
    match hold {
        Hold::Kept => {}
        Hold::NotNeeded(held) => release(core, held),
        Hold::InVain(held) => fail(core, held, WRITER_GONE),
    }
}

const WRITER_GONE: &str = "the writer thread has ended; restart the server";

/// Answers that a change could not be stored.
fn fail(core: &Core, held: Held, why: &str) {
    let wrong = format!("not stored yet: {why}; it is kept in memory and will be tried again");
    match held {
        Held::Acknowledgement { ticket, id } => {
            core.counters.error(ticket.asked.kind);
            let payload = match id {
                Some(id) => reply::error(&id, &wrong),
                None => wrong.into_bytes(),
            };
            replies::post(core, ticket, payload);
        }
        Held::KeyChange(number) => core.post(0, Message::KeyChangeNotStored(number, wrong.into())),
    }
}

fn release(core: &Core, held: Held) {
    match held {
        Held::Acknowledgement { ticket, id } => {
            replies::post(core, ticket, id.map_or_else(Vec::new, |id| reply::done(&id)));
        }
        Held::KeyChange(number) => core.post(0, Message::KeyChangeApplied(number)),
    }
}

/// Hands changes over when it is time to, and watches how many wait. Once after each burst of work.
pub fn tend(core: &Core) {
    let mut handover = core.storage.handover.borrow_mut();
    let Some(handover) = handover.as_mut() else { return };
    let shard = &mut core.shard.borrow_mut();
    let now = Instant::now();
    if handover.tend(shard, now).is_err() {
        core.post(core.index, Message::CommitFailed(WRITER_GONE.into()));
    }
    let behind = handover.is_behind(shard, now);
    if behind != core.storage.is_behind(core.index) {
        announce(core, StorageState { behind, ..core.storage.state(core.index) });
    }
}

/// The writer has stored the batch.
pub fn committed(core: &Core) {
    let now = Instant::now();
    let held = core.storage.handover.borrow_mut().as_mut().map(|handover| {
        if let Some((bytes, since)) = handover.under_way() {
            core.counters.commits.add(now.saturating_duration_since(since));
            core.counters.committed_bytes.add(bytes as u64);
        }
        handover.committed(now)
    });
    held.into_iter().flatten().for_each(|held| release(core, held));
    // Behind the replies.
    subscriptions::release(core);
    let state = core.storage.state(core.index);
    if state.failing.is_some() {
        let failed_ms = core
            .storage
            .failing_since
            .take()
            .map(|since| now.saturating_duration_since(since).as_millis() as u64);
        info!(shard = core.index, failed_ms, "storing works again");
        announce(core, StorageState { failing: None, ..state });
    }
}

/// The writer could not store the batch, and keeps it.
pub fn commit_failed(core: &Core, why: Arc<str>) {
    core.counters.commit_failures.add(1);
    let state = core.storage.state(core.index);
    if state.failing.is_none() {
        core.storage.failing_since.set(Some(Instant::now()));
        warn!(shard = core.index, why = &*why, "changes can't be stored; writes are refused until they are");
    }
    let held = core.storage.handover.borrow_mut().as_mut().map(|handover| handover.failed());
    held.into_iter().flatten().for_each(|held| fail(core, held, &why));
    announce(core, StorageState { failing: Some(why), ..state });
    core.storage.last_flush_failed.set(true);
}

/// Tells all cores of this shard's storage, if there is news.
fn announce(core: &Core, state: StorageState) {
    if core.storage.is(core.index, &state) {
        return;
    }
    for to in (0..core.core_count()).filter(|to| *to != core.index) {
        core.post(to, Message::Storage { core: core.index, state: state.clone() });
    }
    if state.behind
        && let Some(pacer) = core.storage.pacer.take()
    {
        pacer.wake();
    }
    note(core, core.index, state);
}

/// Notes the state of a shard's storage.
pub fn note(core: &Core, of: CoreIndex, state: StorageState) {
    if core.storage.note(of, state) {
        // They were not listened to, so their silence so far says nothing.
        for peer in core.peers.all() {
            peer.borrow_mut().signs_of_life += 1;
            core.wake_later(peer);
        }
    }
}

/// Has everything stored that is left, at the end of the server.
pub fn begin_last_flush(core: &Core) {
    if let Some(handover) = core.storage.handover.borrow_mut().as_mut() {
        handover.hurry();
    }
    core.storage.last_flush_failed.set(false);
}

/// Whether there is nothing more to wait for: all is stored, or a further attempt was in vain.
pub fn last_flush_is_over(core: &Core) -> bool {
    let handover = core.storage.handover.borrow();
    let Some(handover) = handover.as_ref() else { return true };
    handover.is_clean(&core.shard.borrow())
        || handover.writer_is_gone()
        || core.storage.last_flush_failed.get()
}

/// Ends the writer, which is given all that is left. What it can't store makes the server's end a failure.
pub fn close(core: &Core) {
    if let Some(handover) = core.storage.handover.take() {
        handover.close(&mut core.shard.borrow_mut());
    }
}
