//! Answers in which every core tells of itself: its connections, its counters.

use crate::core::gather::Shape;
use crate::core::listing::{Item, Listing};
use crate::core::message::{Message, Question};
use crate::core::peers::Peer;
use crate::core::state::Core;
use crate::core::streams::Rest;
use crate::core::ticket::{PeerAddress, Ticket};
use crate::serve::{replies, streams};
use fluxion_engine::PIECE_BYTES;
use std::fmt::Write;
use std::time::Instant;

/// Asks every core on behalf of a connection. One such question of a connection is answered at a time, since the answer
/// may be large.
pub fn ask_all(core: &Core, peer: &mut Peer, id: &str, question: Question) {
    let core_count = core.core_count();
    let shape = match question {
        Question::Connections => Shape::List(",\"connections\":[".into(), "]}"),
        Question::Stats => {
            let uptime_ms = core.shared.started_at.elapsed().as_millis();
            Shape::List(format!(",\"stats\":{{\"uptime_ms\":{uptime_ms},\"cores\":[").into(), "]}}")
        }
    };
    let number = core.gatherings.borrow_mut().open(id, shape, core_count);
    for index in 0..core_count {
        let ticket = replies::begin(peer, None, Some(number), PIECE_BYTES, true);
        core.post(index, Message::Tell(ticket, question));
    }
}

/// Tells what was asked.
pub fn tell(core: &Core, ticket: Ticket, question: Question) {
    match question {
        Question::Connections => {
            let list = Rest::List(Listing::new(connections(core, ticket.peer)));
            let stream = core.streams.borrow_mut().open(list, Vec::new(), ticket, b"");
            streams::advance(core, stream);
        }
        Question::Stats => replies::post(core, ticket, stats(core).into_bytes()),
    }
}

fn connections(core: &Core, asking: PeerAddress) -> Vec<Item> {
    let now = Instant::now();
    let peers = core.peers.all().into_iter();
    let items = peers.filter_map(|peer| {
        let peer = peer.borrow();
        peer.identity.key?;
        Some(Item::Connection {
            ip: peer.identity.ip,
            since_ms: now.saturating_duration_since(peer.identity.since).as_millis(),
            name: peer.identity.name.clone(),
            is_self: peer.address == asking,
        })
    });
    items.collect()
}

/// This core's counters as a JSON object; the names in it need no escape.
fn stats(core: &Core) -> String {
    let counters = &core.counters;
    let shard = core.shard.borrow();
    let numbers = [
        ("core", core.index as u64),
        ("connections", core.peers.count() as u64),
        ("handshakes", core.handshakes.get() as u64),
        ("held_bytes", core.peers.held_bytes() as u64),
        ("mailbox", core.shared.mailboxes[core.index].waiting() as u64),
        ("collections", shard.collection_count() as u64),
        ("documents", shard.document_count() as u64),
        ("records", shard.record_count() as u64),
        ("data_bytes", shard.bytes() as u64),
        ("subscriptions", shard.subscription_count() as u64),
        ("subscription_bytes", shard.subscription_bytes() as u64),
        ("errors", counters.errors().map(|(_, count)| count).sum()),
        ("bytes_in", counters.bytes_in.get()),
        ("bytes_out", counters.bytes_out.get()),
    ];
    let mut text = String::from("{");
    put_numbers(&mut text, numbers);
    for (name, counts) in [
        ("requests", counters.requests().collect::<Vec<_>>()),
        ("refusals", counters.refusals().collect()),
        ("waits", counters.waits().collect()),
    ] {
        let _ = write!(text, ",\"{name}\":{{");
        put_numbers(&mut text, counts);
        text.push('}');
    }
    text.push('}');
    text
}

fn put_numbers(text: &mut String, numbers: impl IntoIterator<Item = (&'static str, u64)>) {
    for (index, (name, number)) in numbers.into_iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        let _ = write!(text, "{comma}\"{name}\":{number}");
    }
}
