//! Subscriptions: how a connection makes and ends them, on the core it is on, and how the core that owns the data carries
//! that out and makes pushes.

use crate::core::counters::End;
use crate::core::histogram::Placed;
use crate::core::message::Message;
use crate::core::peers::Peer;
use crate::core::state::Core;
use crate::core::subscriptions::receiver;
use crate::core::ticket::{CoreIndex, Ticket};
use crate::limits::{
    SMALL_REPLY_BYTES, SUBSCRIPTION_TICK, SUBSCRIPTIONS_MAX, SUBSCRIPTIONS_PER_CONNECTION_MAX,
};
use crate::serve::{pushes, replies};
use crate::wire::reply;
use fluxion_engine::{Accepted, Push, Receiver, ShardId, Terms, shard_of};
use glommio::timer::Timer;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

/// Makes a subscription of a connection of this core.
pub fn subscribe(core: &Core, peer: &mut Peer, id: &str, terms: Terms<Box<str>>) {
    let subscriptions = &peer.subscriptions;
    if subscriptions.entries.iter().any(|entry| *entry.name == *id) {
        return replies::refuse(core, peer, id, &format!("there is a subscription \"{id}\" already"));
    }
    let (count, allowed) = (subscriptions.entries.len(), SUBSCRIPTIONS_PER_CONNECTION_MAX);
    if count >= allowed {
        let wrong = format!("too many subscriptions: this connection has {count}, and {allowed} are allowed");
        return replies::refuse(core, peer, id, &wrong);
    }
    if !core.shared.subscription_begins() {
        let wrong = format!(
            "too many subscriptions: this server has {SUBSCRIPTIONS_MAX}, and {SUBSCRIPTIONS_MAX} are allowed"
        );
        return replies::refuse(core, peer, id, &wrong);
    }
    let ShardId(owner) = shard_of(&terms.collection, core.core_count());
    let key = peer.subscriptions.add(id, owner);
    let cost = SMALL_REPLY_BYTES + 2 * id.len() + bytes(&terms);
    let ticket = replies::begin(peer, Some(&terms.collection), None, cost, false);
    if owner == core.index {
        // Not by mail: what comes next may be executed here at once, and must not overtake it.
        begin(core, ticket, id, key, &terms);
    } else {
        core.post(owner, Message::Subscribe { ticket, id: id.into(), key, terms: Box::new(terms) });
    }
}

/// Ends a subscription of a connection of this core.
pub fn unsubscribe(core: &Core, peer: &mut Peer, id: &str, name: &str) {
    match peer.subscriptions.entries.iter().position(|entry| *entry.name == *name) {
        Some(place) => {
            core.counters.end(End::Unsubscribed);
            end_one(core, peer, place);
            peer.outbox.send(reply::done(id));
        }
        None => replies::refuse(core, peer, id, &format!("there is no subscription \"{name}\"")),
    }
}

/// Ends all subscriptions of a connection that is gone.
pub fn leave(core: &Core, peer: &mut Peer) {
    while !peer.subscriptions.entries.is_empty() {
        core.counters.end(End::Connection);
        end_one(core, peer, peer.subscriptions.entries.len() - 1);
    }
}

fn end_one(core: &Core, peer: &mut Peer, place: usize) {
    let entry = peer.subscriptions.take(place);
    core.shared.subscription_ended();
    let receiver = receiver(peer.address, entry.key);
    if entry.owner == core.index {
        end(core, receiver);
    } else {
        core.post(entry.owner, Message::Unsubscribe(receiver));
    }
}

/// Begins a subscription to a collection of this core's shard.
pub fn begin(core: &Core, ticket: Ticket, id: &str, key: u32, terms: &Terms<Box<str>>) {
    let receiver = receiver(ticket.peer, key);
    let begun = core.shard.borrow_mut().subscribe(&terms.map(|text| &**text), receiver, core.now_ms());
    match begun {
        Ok(accepted) => {
            core.subscriptions.by_receiver.borrow_mut().insert(receiver.0, accepted.id);
            core.subscriptions.is_active.set(true);
            replies::post(core, ticket, acknowledgement(id, &accepted));
        }
        Err(wrong) => {
            core.counters.error(ticket.asked.kind);
            let nothing = Push { receivers: Vec::new(), body: Arc::from(&[][..]), is_end: true };
            // Its id is not looked at, for it is gone.
            post(core, ticket.peer.core, Push { receivers: vec![(receiver, Default::default())], ..nothing });
            replies::post(core, ticket, reply::error(id, &wrong.to_string()));
        }
    }
}

/// Ends a subscription to a collection of this core's shard.
pub fn end(core: &Core, receiver: Receiver) {
    if let Some(id) = core.subscriptions.by_receiver.borrow_mut().remove(&receiver.0) {
        core.shard.borrow_mut().unsubscribe(id, core.now_ms());
    }
}

/// Makes pushes of what has changed, as many as a step allows. Once after each burst of work.
pub fn tend(core: &Core) {
    pushes::send_credits(core);
    if !core.subscriptions.is_active.get() {
        return;
    }
    let may_push = may_push(core);
    let mut made = Vec::new();
    let goes_on = match may_push {
        Some(_) => core.shard.borrow_mut().pump(core.now_ms(), &mut made),
        // So that little is left to learn when pushes may be made.
        None => core.shard.borrow_mut().learn_changes(),
    };
    let since = core.subscriptions.unpushed_since.get().unwrap_or_else(|| core.durations.clock());
    core.subscriptions.unpushed_since.set((goes_on || may_push.is_none()).then_some(since));
    if may_push == Some(true) {
        send_all(core, since, made);
    } else {
        core.subscriptions.held.borrow_mut().extend(made.into_iter().map(|push| (since, push)));
    }
    if goes_on && !core.subscriptions.is_pumping.replace(true) {
        core.post(core.index, Message::PumpSubscriptions);
    }
    if core.shard.borrow().subscriptions_due_ms().is_some()
        && let Some(timer) = core.subscriptions.timer.take()
    {
        timer.wake();
    }
}

/// Whether pushes may be made now, and then whether they may leave at once or when what is being stored is.
fn may_push(core: &Core) -> Option<bool> {
    if !core.storage.acknowledges_later() {
        return Some(true);
    }
    let handover = core.storage.handover.borrow();
    let Some(handover) = handover.as_ref() else { return Some(true) };
    let shard = &core.shard.borrow();
    if handover.is_clean(shard) {
        return Some(true);
    }
    // The data is what will be stored when the batch under way is.
    handover.is_handed_over(shard).then_some(false)
}

/// Sends what waited to be stored.
pub fn release(core: &Core) {
    let held = std::mem::take(&mut *core.subscriptions.held.borrow_mut());
    for (since, push) in held {
        send_all(core, since, vec![push]);
    }
}

/// Sends pushes of what has changed since then.
fn send_all(core: &Core, since: Instant, made: Vec<Push>) {
    if made.is_empty() {
        return;
    }
    let lag = Placed::new(since.elapsed());
    for push in made {
        core.counters.push_lag.add_placed(lag, push.receivers.len() as u64);
        send(core, push);
    }
}

/// Forgets what nobody has needed for long.
pub fn expire(core: &Core) {
    if core.subscriptions.is_active.get() {
        let mut shard = core.shard.borrow_mut();
        shard.expire_subscriptions(core.now_ms());
        core.subscriptions.is_active.set(shard.has_subscriptions());
    }
}

/// Looks again when the time of a subscription has come that gets pushes only so often.
pub async fn keep_time(core: &Core, flush: impl Fn(&Core)) {
    loop {
        poll_fn(|context| {
            if core.shard.borrow().subscriptions_due_ms().is_some() {
                return Poll::Ready(());
            }
            *core.subscriptions.timer.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
        Timer::new(SUBSCRIPTION_TICK).await;
        flush(core);
    }
}

/// Sends a push to the cores of those who get it.
fn send(core: &Core, push: Push) {
    if push.is_end {
        let mut known = core.subscriptions.by_receiver.borrow_mut();
        for (receiver, _) in &push.receivers {
            known.remove(&receiver.0);
        }
    }
    let home = |receiver: &Receiver| receiver.0[0] as CoreIndex;
    let Some(first) = push.receivers.first().map(|(receiver, _)| home(receiver)) else { return };
    if push.receivers.iter().all(|(receiver, _)| home(receiver) == first) {
        return post(core, first, push);
    }
    for to in 0..core.core_count() {
        let receivers: Vec<_> =
            push.receivers.iter().filter(|(receiver, _)| home(receiver) == to).copied().collect();
        if !receivers.is_empty() {
            post(core, to, Push { receivers, body: push.body.clone(), is_end: push.is_end });
        }
    }
}

fn post(core: &Core, to: CoreIndex, push: Push) {
    core.post(to, Message::Push(push));
}

fn acknowledgement(id: &str, accepted: &Accepted) -> Vec<u8> {
    let mut out = Vec::new();
    reply::put_id(&mut out, id);
    out.extend_from_slice(b",\"cursor\":\"");
    out.extend_from_slice(accepted.cursor.as_bytes());
    out.push(b'"');
    match accepted.resumed {
        None => {}
        Some(Ok(())) => out.extend_from_slice(b",\"resumed\":true"),
        Some(Err(missed)) => {
            out.extend_from_slice(format!(",\"resumed\":false,\"why\":\"{}\"", missed.name()).as_bytes());
        }
    }
    out.push(b'}');
    out
}

fn bytes(terms: &Terms<Box<str>>) -> usize {
    let texts = [&terms.document, &terms.contains, &terms.excludes, &terms.since];
    terms.collection.len() + texts.into_iter().flatten().map(|text| text.len()).sum::<usize>()
}
