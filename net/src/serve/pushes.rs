//! Pushes on their way to the connections of this core, and the credit that they are given for.

use crate::core::counters::End;
use crate::core::message::Message;
use crate::core::peers::Peer;
use crate::core::state::Core;
use crate::core::subscriptions::{Parcel, address};
use crate::limits::PUSHED_AT_ONCE_MAX;
use fluxion_engine::{Push, escape_json};

/// Takes a push for connections of this core.
pub fn take(core: &Core, push: &Push) {
    let are_few = push.receivers.len() <= PUSHED_AT_ONCE_MAX;
    for (receiver, id) in &push.receivers {
        let (peer, key) = address(*receiver);
        let Some(shared) = core.peer(peer) else { continue };
        let peer = &mut *shared.borrow_mut();
        let is_idle = !peer.outbox.is_backlogged();
        let parcel = Parcel { key, id: *id, body: push.body.clone(), is_end: push.is_end };
        // One without a body is about a request that failed, whose reply does not wait either.
        let parcel = if parcel.body.is_empty() { Some(parcel) } else { peer.subscriptions.hold(parcel) };
        if let Some(parcel) = parcel {
            send(core, peer, &parcel);
        }
        if are_few && is_idle && peer.outbox.has_unsent() {
            core.counters.bytes_out.add(peer.send_at_once() as u64);
        }
        core.peers.settle(peer);
        if peer.outbox.is_backlogged() || !peer.subscriptions.owed.is_empty() {
            core.wake_later(shared.clone());
        }
    }
    core.compression.forget_push();
}

/// Sends what has waited for an answer that has been given now.
pub fn release(core: &Core, peer: &mut Peer) {
    while let Some(parcel) = peer.subscriptions.released() {
        send(core, peer, &parcel);
    }
}

/// Gives credit for pushes that a connection has taken by now.
pub fn settle(core: &Core, peer: &mut Peer) {
    if !peer.subscriptions.owed.is_empty() && peer.outbox.has_room_for_pushes() {
        for (owner, id) in peer.subscriptions.owed.drain(..) {
            core.subscriptions.give_credit(owner, id);
        }
    }
}

/// Sends credit to the cores that it is for; that of this core's own shard is given at once.
pub fn send_credits(core: &Core) {
    if !core.subscriptions.has_credits.replace(false) {
        return;
    }
    for (owner, ids) in core.subscriptions.credits.borrow_mut().iter_mut().enumerate() {
        if ids.is_empty() {
            continue;
        }
        let ids = std::mem::take(ids);
        if owner == core.index {
            take_credit(core, &ids);
        } else {
            core.post(owner, Message::Credit(ids));
        }
    }
}

/// Takes credit for subscriptions of this core's shard.
pub fn take_credit(core: &Core, ids: &[fluxion_engine::SubscriptionId]) {
    let now_ms = core.now_ms();
    let mut shard = core.shard.borrow_mut();
    ids.iter().for_each(|id| shard.give_credit(*id, now_ms));
}

fn send(core: &Core, peer: &mut Peer, parcel: &Parcel) {
    let Some(place) = peer.subscriptions.find(parcel.key) else { return };
    let entry = &peer.subscriptions.entries[place];
    let owner = entry.owner;
    if !parcel.body.is_empty() && !peer.outbox.is_closing() {
        let kind: &[u8] =
            if parcel.is_end { b"{\"type\":\"end\",\"sub\":\"" } else { b"{\"type\":\"push\",\"sub\":\"" };
        let mut head = Vec::with_capacity(kind.len() + entry.name.len() + 8);
        head.extend_from_slice(kind);
        escape_json(&mut head, entry.name.as_bytes());
        head.push(b'"');
        peer.outbox.send_shared(&head, &parcel.body);
        core.counters.pushes.add(1);
    }
    if parcel.is_end {
        if !parcel.body.is_empty() {
            core.counters.end(End::Slow);
        }
        peer.subscriptions.take(place);
        core.shared.subscription_ended();
    } else if peer.outbox.has_room_for_pushes() {
        core.subscriptions.give_credit(owner, parcel.id);
    } else {
        peer.subscriptions.owed.push((owner, parcel.id));
    }
}
