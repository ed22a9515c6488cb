//! The bound on what all connections together make the server hold. Each core publishes its own sum; the one that holds
//! most closes its largest connections when the sum of all is too much.

use crate::core::counters::Refusal;
use crate::core::state::Core;
use crate::limits::{HELD_BYTES_RELIEF, HELD_BYTES_STEP, SHED_BYTES_MIN};
use fluxion_engine::PIECE_BYTES;
use tracing::warn;

/// Publishes this core's sum when it has changed by much, and sees to it that the sum of all is not too large.
pub fn watch(core: &Core) {
    let held = core.peers.held_bytes();
    let published = &core.shared.held_bytes[core.index];
    let known = published.get();
    if held.abs_diff(known) >= HELD_BYTES_STEP {
        published.set(held);
        if held > known {
            check(core);
        }
    }
}

/// Closes the connections that hold most, if all connections hold too much and none holds more than this core's.
pub fn check(core: &Core) {
    let limit = core.options.connection_bytes_max;
    let sums: Vec<usize> = core.shared.held_bytes.iter().map(|sum| sum.get()).collect();
    let all: usize = sums.iter().sum();
    let own = core.peers.held_bytes();
    if all > limit && sums.iter().all(|sum| *sum <= own) {
        shed(core, all - (limit - limit / HELD_BYTES_RELIEF));
    }
}

/// Closes connections, largest first, until so many bytes are, or will be, held no longer. What connections hold that
/// are closed already goes when what they asked for is answered; and small ones are not to blame.
fn shed(core: &Core, excess: usize) {
    let (ending, mut peers): (Vec<_>, Vec<_>) =
        core.peers.all().into_iter().partition(|peer| peer.borrow().outbox.is_closed());
    let mut freed: usize = ending.iter().map(|peer| peer.borrow().held_bytes()).sum();
    peers.sort_by_cached_key(|peer| std::cmp::Reverse(peer.borrow().held_bytes()));
    for shared in peers {
        let peer = &mut *shared.borrow_mut();
        let held = peer.held_bytes();
        if freed >= excess || held < SHED_BYTES_MIN {
            break;
        }
        // One request on another core counts as a piece of its reply, however short that is.
        if peer.outbox.in_flight() == 1 && held < PIECE_BYTES + SHED_BYTES_MIN {
            continue;
        }
        freed += held;
        warn!(ip = %peer.identity.ip, held, "closed: connections hold more memory than they may");
        core.counters.refusal(Refusal::Memory);
        core.abandon(
            peer.outbox.close_now(Some(1013), "the server is out of memory for connections: read faster"),
        );
        peer.is_shed = true;
        core.peers.settle(peer);
        core.wake_later(shared.clone());
    }
}
