//! The effects of time on connections: silence, stalls, closes that nobody answers, the end of the server.

use crate::core::counters::Refusal;
use crate::core::peers::Peer;
use crate::core::state::Core;
use crate::limits::{CLOSE_STALL_TIMEOUT, CLOSE_TIMEOUT, HANDSHAKE_TIMEOUT, PACE, STOP_TIMEOUT};
use crate::serve::flush::flush;
use crate::serve::{memory, refusals, subscriptions};
use glommio::timer::Timer;
use std::future::poll_fn;
use std::task::Poll;
use std::time::{Duration, Instant};
use tracing::debug;

/// Looks after the clocks of all connections.
pub fn sweep(core: &Core, now: Instant) {
    let overdue = core.stopping_since.get().is_some_and(|since| now - since > STOP_TIMEOUT);
    for shared in core.peers.all() {
        let peer = &mut *shared.borrow_mut();
        if sweep_one(core, peer, now, overdue) {
            peer.wake();
        }
    }
    memory::check(core);
    subscriptions::expire(core);
    refusals::tell_rest(core, now);
    flush(core);
}

/// Ends every connection when it has been answered.
pub fn stop(core: &Core) {
    if core.is_stopping() {
        return;
    }
    core.stopping_since.set(Some(Instant::now()));
    for shared in core.peers.all() {
        shared.borrow_mut().outbox.close_after_replies(1001, "the server is stopping");
        core.wake_later(shared);
    }
}

/// Looks again and again, while this shard is behind, whether writers can be let in.
pub async fn pace(core: &Core) {
    loop {
        poll_fn(|context| {
            if core.storage.is_behind(core.index) {
                return Poll::Ready(());
            }
            *core.storage.pacer.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
        Timer::new(PACE).await;
        flush(core);
    }
}

/// Looks after one connection; true if its task has something to do.
fn sweep_one(core: &Core, peer: &mut Peer, now: Instant, overdue: bool) -> bool {
    if peer.signs_seen != peer.signs_of_life {
        peer.signs_seen = peer.signs_of_life;
        peer.active_at = now;
        peer.pinged = false;
    }
    let idle = core.options.idle_timeout;
    let silent = now.saturating_duration_since(peer.active_at);
    let age = now.saturating_duration_since(peer.identity.since);
    if overdue {
        peer.dead = true;
    } else if peer.outbox.is_closing() {
        let closing = now.saturating_duration_since(*peer.closing_since.get_or_insert(now));
        if !is_stuck(peer, closing.min(silent), closing) {
            return false;
        }
        debug!(ip = %peer.identity.ip, "dropped: it was to be closed, and takes nothing");
        peer.dead = true;
    } else if peer.writes && core.storage.holds_writers_back()
        || peer.outbox.in_flight() > 0 && !peer.outbox.admits()
    {
        // It is this core that doesn't listen.
        return false;
    } else if silent > idle {
        debug!(ip = %peer.identity.ip, "dropped: silent for too long");
        core.counters.refusal(Refusal::Silence);
        peer.dead = true;
    } else if peer.identity.key.is_none() && age > HANDSHAKE_TIMEOUT {
        core.abandon(peer.outbox.close_now(Some(1008), "no authentication message came"));
    } else if silent > idle / 2 && !peer.pinged {
        peer.pinged = true;
        peer.outbox.ping();
    } else {
        return false;
    }
    true
}

/// Whether a connection that is ending has had the time that it gets: since it last took something, or at all if it is
/// closed for the memory that it takes.
fn is_stuck(peer: &Peer, stalled: Duration, closing: Duration) -> bool {
    if peer.is_shed {
        return closing > CLOSE_TIMEOUT;
    }
    if peer.outbox.has_unsent() {
        return stalled > CLOSE_STALL_TIMEOUT;
    }
    peer.outbox.is_closed() && stalled > CLOSE_TIMEOUT
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::peers::{Identity, Peers};
    use crate::core::tally::{Tally, TallyLimits};
    use crate::requests::scope::Scope;
    use std::net::Ipv4Addr;
    use std::sync::Arc;

    #[test]
    fn who_takes_what_it_is_owed_is_not_cut_off() {
        let tally = Tally::new(TallyLimits { all: 1, per_key: None, per_address: None });
        let peers = Peers::new(0, Arc::new(tally));
        let ip = Ipv4Addr::LOCALHOST.into();
        let identity = Identity { ip, name: None, key: None, scope: Scope::Read, since: Instant::now() };
        let shared = peers.add(identity, Vec::new()).unwrap();
        let peer = &mut *shared.borrow_mut();
        let long = CLOSE_STALL_TIMEOUT * 10;
        peer.outbox.send(vec![b'x'; 1000]);
        peer.outbox.close_after_replies(1008, "");
        assert!(peer.outbox.is_closed() && peer.outbox.has_unsent());
        assert!(!is_stuck(peer, Duration::from_millis(10), long), "it takes some");
        assert!(is_stuck(peer, CLOSE_STALL_TIMEOUT * 2, long), "it takes nothing");
        peer.outbox.advance(peer.outbox.unsent().len());
        assert!(!is_stuck(peer, Duration::from_millis(10), long), "it has just had the last");
        assert!(is_stuck(peer, CLOSE_TIMEOUT * 2, long), "it does not answer");
        peer.is_shed = true;
        assert!(is_stuck(peer, Duration::ZERO, CLOSE_TIMEOUT * 2), "its memory is needed");
    }
}
