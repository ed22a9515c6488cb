//! Changes of API keys. Core 0 decides each, applies it, sends it to every other core, and answers the client when all
//! have applied it and it is stored: from then on it holds for every connection, and after a crash.
//!
//! A core confirms a change when the requests that the key's connections have under way are answered, so that nothing
//! that the change forbids takes effect after its reply, on whatever core.

use crate::core::counters::Refusal;
use crate::core::key_changes::Pending;
use crate::core::keys::{Key, KeyChange, KeyId};
use crate::core::listing::{Item, Listing};
use crate::core::message::Message;
use crate::core::peers::SharedPeer;
use crate::core::state::Core;
use crate::core::storage::refused;
use crate::core::streams::Rest;
use crate::core::ticket::Ticket;
use crate::requests::keys::KeyAction;
use crate::serve::{replies, storage, streams};
use crate::wire::reply;
use fluxion_engine::Change;
use tracing::info;

/// Carries out a `keys` request, on core 0.
pub fn manage(core: &Core, ticket: Ticket, id: &str, action: KeyAction) {
    let decided = match &action {
        KeyAction::List => return list(core, ticket, id),
        KeyAction::Add { key, scope } => core.keys.borrow_mut().add(key, scope),
        KeyAction::Remove { key } => core.keys.borrow().remove(key),
    };
    let decided = decided.map_err(str::to_owned).and_then(|change| match core.storage.refusal() {
        None => Ok(change),
        Some(why) => {
            core.counters.refusal(Refusal::Storage);
            Err(refused(&why))
        }
    });
    match decided {
        Ok(change) => begin(core, ticket, id, &action, change),
        Err(wrong) => {
            core.counters.error(ticket.asked.kind);
            replies::post(core, ticket, reply::error(id, &wrong));
        }
    }
}

fn begin(core: &Core, ticket: Ticket, id: &str, action: &KeyAction, change: KeyChange) {
    let payload = acknowledgement(id, &change);
    // The cores, and the storage.
    let missing = core.core_count() + 1;
    let number = core.key_changes.borrow_mut().begin(ticket, id, payload, missing);
    for to in 1..core.core_count() {
        core.post(to, Message::ApplyKeyChange { number, change: change.clone() });
    }
    apply(core, number, &change);
    let stored = match (action, &change) {
        (_, KeyChange::Set(key)) => Change::SetApiKey { key: &*key.secret, scope: key.scope.name() },
        (KeyAction::Remove { key } | KeyAction::Add { key, .. }, KeyChange::Removed(_)) => {
            Change::RemoveApiKey { key: key.as_str() }
        }
        (KeyAction::List, KeyChange::Removed(_)) => return,
    };
    let (KeyChange::Set(Key { id: KeyId(key), .. }) | KeyChange::Removed(KeyId(key))) = &change;
    info!(key, change = stored_name(&change), "API keys changed");
    storage::store_key_change(core, number, stored);
}

fn stored_name(change: &KeyChange) -> &'static str {
    match change {
        KeyChange::Set(key) => key.scope.name(),
        KeyChange::Removed(_) => "removed",
    }
}

/// Applies a change to this core's table and to its open connections, and confirms it as soon as it holds.
pub fn apply(core: &Core, number: u64, change: &KeyChange) {
    core.keys.borrow_mut().apply(change);
    let mut under_way = Vec::new();
    for shared in core.peers.all() {
        let is_meant = match change {
            KeyChange::Set(key) => shared.borrow().identity.key == Some(key.id),
            KeyChange::Removed(id) => shared.borrow().identity.key == Some(*id),
        };
        if is_meant {
            apply_to(core, &shared, change);
            let peer = &mut *shared.borrow_mut();
            if peer.outbox.in_flight() > 0 {
                // It goes on when all that it was allowed before is done.
                peer.outbox.be_alone();
                under_way.push(peer.address);
            }
        }
    }
    if !core.key_barriers.borrow_mut().add(number, under_way) {
        core.post(0, Message::KeyChangeApplied(number));
    }
}

fn apply_to(core: &Core, shared: &SharedPeer, change: &KeyChange) {
    let peer = &mut *shared.borrow_mut();
    match change {
        KeyChange::Set(key) => peer.identity.scope = key.scope,
        KeyChange::Removed(_) => {
            core.abandon(peer.outbox.close_now(Some(1008), "the API key was removed"));
            core.wake_later(shared.clone());
        }
    }
}

/// Counts on core 0 that a core has applied a change, or that it is stored; the last one has it answered.
pub fn applied(core: &Core, number: u64) {
    if let Some(Pending { ticket, payload, .. }) = core.key_changes.borrow_mut().confirm(number) {
        replies::post(core, ticket, payload);
    }
}

/// Answers on core 0 that a change, which holds by now, could not be stored.
pub fn not_stored(core: &Core, number: u64, wrong: &str) {
    if let Some(Pending { ticket, id, .. }) = core.key_changes.borrow_mut().fail(number) {
        core.counters.error(ticket.asked.kind);
        replies::post(core, ticket, reply::error(&id, wrong));
    }
}

fn acknowledgement(id: &str, change: &KeyChange) -> Vec<u8> {
    let mut out = Vec::new();
    reply::put_id(&mut out, id);
    out.extend_from_slice(b",\"status\":\"ok\"");
    if let KeyChange::Set(key) = change {
        out.extend_from_slice(b",\"scope\":\"");
        out.extend_from_slice(key.scope.name().as_bytes());
        out.push(b'"');
    }
    out.push(b'}');
    out
}

fn list(core: &Core, ticket: Ticket, id: &str) {
    let mut head = Vec::new();
    reply::put_id(&mut head, id);
    head.extend_from_slice(b",\"status\":\"ok\",\"keys\":[");
    let item = |key: &Key| Item::Key { secret: key.secret.clone(), scope: key.scope };
    let items = core.keys.borrow().iter().map(item).collect();
    let rest = Rest::List(Listing::new(items));
    let stream = core.streams.borrow_mut().open(rest, head, ticket, b"]}");
    streams::advance(core, stream);
}
