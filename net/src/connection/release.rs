//! The end of a round over the sockets: what connections have held back is sent.

use crate::core::peers::SharedPeer;
use crate::core::state::Core;
use crate::serve::flush::flush;
use crate::serve::pushes;

/// Sends what connections have held back, as far as their sockets take it at once; the rest is for their tasks.
pub fn release(core: &Core, is_over: bool) {
    let senders = core.held.take(is_over);
    if senders.is_empty() {
        return;
    }
    senders.iter().for_each(|peer| send(core, peer));
    flush(core);
}

fn send(core: &Core, peer: &SharedPeer) {
    let peer = &mut *peer.borrow_mut();
    // Its task may have sent it by itself in the meantime.
    if peer.outbox.has_unsent() {
        core.counters.bytes_out.add(peer.send_at_once() as u64);
    }
    pushes::settle(core, peer);
    core.peers.settle(peer);
    if peer.outbox.is_backlogged() {
        peer.wake();
    }
}
