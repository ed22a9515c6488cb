//! The way of a reply to its connection: what is counted while a request is under way, and what is sent when it is over.

use crate::core::gather::{Answer, Part};
use crate::core::message::Message;
use crate::core::outbox::Source;
use crate::core::peers::{Peer, SharedPeer};
use crate::core::state::Core;
use crate::core::ticket::{PeerAddress, Reservation, StreamAddress, StreamId, Ticket};
use crate::serve::{lines, pushes};
use crate::wire::reply;

/// Counts a request of a connection that is answered later.
pub fn begin(
    peer: &mut Peer,
    collection: Option<&str>,
    gather: Option<u32>,
    bytes: usize,
    alone: bool,
) -> Ticket {
    let reservation = Reservation { bytes, alone };
    peer.outbox.begin(reservation);
    peer.asked.is_later = true;
    peer.asked.name(collection);
    Ticket { peer: peer.address, gather, reservation, asked: peer.asked }
}

/// Answers a request of a connection of this core with what is wrong.
pub fn refuse(core: &Core, peer: &mut Peer, id: &str, wrong: &str) {
    core.counters.error(peer.asked.kind);
    peer.outbox.send(reply::error(id, wrong));
}

/// Sends a whole reply, or a part, to the core that the connection is on.
pub fn post(core: &Core, ticket: Ticket, payload: Vec<u8>) {
    core.post(ticket.peer.core, Message::Reply { ticket, payload, rest: None });
}

/// Takes a reply, a part of one, or the first piece of either, for a connection of this core.
pub fn take(core: &Core, ticket: Ticket, payload: Vec<u8>, rest: Option<StreamAddress>) {
    // It is there until its last request is answered, also when its socket is gone.
    let Some(shared) = core.peer(ticket.peer) else { return core.abandon(rest) };
    let peer = &mut *shared.borrow_mut();
    let answer = match ticket.gather {
        None => {
            peer.outbox.end(ticket.reservation);
            match rest {
                None => Answer::Whole(payload),
                Some(_) => Answer::Pieces([Source { ready: Some(payload), rest, pulled: false }].into(), b""),
            }
        }
        Some(number) => {
            let part = Part { payload, rest, reservation: ticket.reservation };
            let Some(gathering) = core.gatherings.borrow_mut().add(number, part) else { return };
            peer.subscriptions.end_gathered(number);
            gathering.reservations().for_each(|reservation| peer.outbox.end(reservation));
            gathering.answer()
        }
    };
    let took = core.durations.answered(&ticket.asked);
    let reply_bytes = match &answer {
        Answer::Whole(payload) => Some(payload.len()),
        Answer::Pieces(..) => None,
    };
    lines::slow(core, peer, &ticket.asked, took, reply_bytes);
    match answer {
        Answer::Whole(payload) => peer.outbox.send(payload),
        Answer::Pieces(sources, suffix) => {
            let abandoned = peer.outbox.send_pieces(sources, suffix);
            core.abandon(abandoned);
        }
    }
    if ticket.gather.is_some() {
        pushes::release(core, peer);
    }
    look_after(core, peer, &shared);
}

/// Takes the next piece of a reply for a connection of this core.
pub fn take_piece(core: &Core, address: PeerAddress, stream: StreamId, payload: Vec<u8>, last: bool) {
    if let Some(shared) = core.peer(address) {
        let peer = &mut *shared.borrow_mut();
        peer.outbox.take_piece(stream, payload, last);
        look_after(core, peer, &shared);
    }
}

/// Brings what is known of a connection up to date, and has its task woken.
fn look_after(core: &Core, peer: &mut Peer, shared: &SharedPeer) {
    core.peers.settle(peer);
    if peer.outbox.in_flight() == 0 && !core.key_barriers.borrow().is_empty() {
        for number in core.key_barriers.borrow_mut().answered(peer.address) {
            core.post(0, Message::KeyChangeApplied(number));
        }
    }
    core.wake_later(shared.clone());
}
