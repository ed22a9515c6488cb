//! Where a request is carried out: on this core's shard, on another's, or on several. One for several has been read and
//! validated as a whole before any part of it is applied.

use crate::core::counters::Refusal;
use crate::core::gather::Shape;
use crate::core::message::Message;
use crate::core::peers::Peer;
use crate::core::state::Core;
use crate::core::storage::refused;
use crate::core::ticket::CoreIndex;
use crate::limits::SMALL_REPLY_BYTES;
use crate::serve::{execute, lines, replies};
use crate::wire::reply;
use fluxion_engine::{PIECE_BYTES, Packet, Request, ShardId, shard_of};

/// Packets for several cores.
pub type Packets = Vec<(CoreIndex, Packet)>;

enum Route<'a> {
    One(CoreIndex),
    Each(Shape, Vec<(CoreIndex, Request<&'a str>)>),
}

/// Carries out a request of a connection of this core, or sends it to those that do.
pub fn send(core: &Core, peer: &mut Peer, id: &str, request: &Request<&str>) {
    if request.changes() && !may_change(core, peer, id) {
        return;
    }
    let collection = request.collection().copied();
    if peer.asked.kind.facts().cost_varies {
        // It may be told in the log also when it is carried out at once.
        peer.asked.name(collection);
    }
    if matches!(request, Request::DeleteCollection { .. }) {
        lines::collection_deleted(core, peer);
    }
    match find(core.core_count(), request) {
        Route::One(index) if index == core.index => execute::for_own(core, peer, id, request),
        Route::One(index) => {
            let bytes = cost(request) + 2 * id.len();
            let ticket = replies::begin(peer, collection, None, bytes, request.may_take_steps());
            let packet = Packet::new(request);
            core.post(index, Message::Execute { ticket, id: Some(id.into()), packet });
        }
        Route::Each(shape, parts) => {
            let number = core.gatherings.borrow_mut().open(id, shape, parts.len());
            if request.changes() {
                peer.subscriptions.begin_gathered(number);
            }
            for (index, part) in parts {
                let collection = part.collection().copied();
                let alone = part.may_take_steps();
                let ticket = replies::begin(peer, collection, Some(number), cost(&part), alone);
                if index == core.index {
                    // Not by mail: what comes next may be executed here at once, and must not overtake it.
                    execute::for_ticket(core, ticket, None, Packet::new(&part));
                } else {
                    core.post(index, Message::Execute { ticket, id: None, packet: Packet::new(&part) });
                }
            }
        }
    }
}

/// Sends the parts of a long change to the cores that they are for.
pub fn send_packets(core: &Core, peer: &mut Peer, id: &str, packets: Packets) {
    if !may_change(core, peer, id) {
        return;
    }
    if packets.is_empty() {
        return peer.outbox.send(reply::done(id));
    }
    let number = core.gatherings.borrow_mut().open(id, Shape::Acknowledgement, packets.len());
    peer.subscriptions.begin_gathered(number);
    for (index, packet) in packets {
        let bytes = packet.bytes() + SMALL_REPLY_BYTES;
        let ticket = replies::begin(peer, packet.collection(), Some(number), bytes, true);
        if index == core.index {
            execute::for_ticket(core, ticket, None, packet);
        } else {
            core.post(index, Message::Execute { ticket, id: None, packet });
        }
    }
}

/// Whether changes are accepted; answers the request if not.
fn may_change(core: &Core, peer: &mut Peer, id: &str) -> bool {
    peer.writes = true;
    let Some(why) = core.storage.refusal() else { return true };
    core.counters.refusal(Refusal::Storage);
    replies::refuse(core, peer, id, &refused(&why));
    false
}

/// The bytes that a request on another core, and its reply, may make the server hold.
fn cost(request: &Request<&str>) -> usize {
    request.bytes() + if request.changes() { SMALL_REPLY_BYTES } else { PIECE_BYTES }
}

fn find<'a>(core_count: usize, request: &Request<&'a str>) -> Route<'a> {
    let core_of = |collection: &str| {
        let ShardId(index) = shard_of(collection, core_count);
        index
    };
    match request {
        Request::Insert(records) => split(core_count, records, |r| core_of(r.collection), Request::Insert),
        Request::DeleteRecords(keys) => {
            split(core_count, keys, |k| core_of(k.collection), Request::DeleteRecords)
        }
        Request::Collections => {
            let parts = (0..core_count).map(|index| (index, Request::Collections)).collect();
            Route::Each(Shape::List(",\"collections\":[".into(), "]}"), parts)
        }
        Request::DeleteDocument { collection: None, .. } if core_count == 1 => Route::One(0),
        Request::DeleteDocument { document, collection: None } => {
            let part = || Request::DeleteDocument { document: *document, collection: None };
            Route::Each(Shape::Acknowledgement, (0..core_count).map(|index| (index, part())).collect())
        }
        Request::DeleteDocument { collection: Some(collection), .. }
        | Request::Latest { collection, .. }
        | Request::History { collection, .. }
        | Request::DeleteCollection { collection }
        | Request::DeleteRange { collection, .. }
        | Request::SetValue { collection, .. }
        | Request::GetValue { collection, .. }
        | Request::MatchValues { collection, .. }
        | Request::AllValues { collection }
        | Request::Keys { collection }
        | Request::RemoveValue { collection, .. } => Route::One(core_of(collection)),
    }
}

/// Sends each item to its owner; the common case, that all have the same one, copies nothing.
fn split<'a, T: Copy>(
    core_count: usize,
    items: &[T],
    core_of: impl Fn(&T) -> CoreIndex,
    wrap: impl Fn(Vec<T>) -> Request<&'a str>,
) -> Route<'a> {
    let Some(first) = items.first().filter(|_| core_count > 1) else { return Route::One(0) };
    let owner = core_of(first);
    if items.iter().all(|item| core_of(item) == owner) {
        return Route::One(owner);
    }
    let mut parts: Vec<Vec<T>> = vec![Vec::new(); core_count];
    for item in items {
        parts[core_of(item)].push(*item);
    }
    let parts = parts.into_iter().enumerate().filter(|(_, items)| !items.is_empty());
    Route::Each(Shape::Acknowledgement, parts.map(|(index, items)| (index, wrap(items))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use fluxion_engine::Record;

    const CORES: usize = 4;

    fn cores(route: Route<'_>) -> Vec<CoreIndex> {
        match route {
            Route::One(index) => vec![index],
            Route::Each(_, parts) => parts.into_iter().map(|(index, _)| index).collect(),
        }
    }

    fn collection_of(core: CoreIndex) -> String {
        let names = (0..).map(|number: u32| format!("c{number}"));
        names.into_iter().find(|name| shard_of(name, CORES) == ShardId(core)).unwrap_or_default()
    }

    #[test]
    fn records_go_to_their_owners_in_their_order() {
        let names: Vec<String> = (0..CORES).map(collection_of).collect();
        let record =
            |core: usize, ts| Record { collection: names[core].as_str(), document: "d", ts, data: "" };
        let one = Request::Insert(vec![record(2, 1), record(2, 2)]);
        assert_eq!(cores(find(CORES, &one)), [2]);
        assert_eq!(cores(find(CORES, &Request::Insert(Vec::new()))), [0]);
        let several = Request::Insert(vec![record(3, 1), record(1, 2), record(3, 3)]);
        let Route::Each(Shape::Acknowledgement, parts) = find(CORES, &several) else { panic!("two owners") };
        let expected = [(1, vec![record(1, 2)]), (3, vec![record(3, 1), record(3, 3)])];
        assert_eq!(parts, expected.map(|(core, records)| (core, Request::Insert(records))));
        assert_eq!(cores(find(1, &several)), [0]);
    }

    #[test]
    fn a_document_without_collection_is_everywhere() {
        let everywhere = Request::DeleteDocument { document: "d", collection: None };
        assert_eq!(cores(find(CORES, &everywhere)), [0, 1, 2, 3]);
        assert_eq!(cores(find(CORES, &Request::Collections)), [0, 1, 2, 3]);
        let name = collection_of(3);
        let there = Request::DeleteDocument { document: "d", collection: Some(name.as_str()) };
        assert_eq!(cores(find(CORES, &there)), [3]);
    }

    #[test]
    fn a_request_costs_what_it_holds() {
        let value = "x".repeat(1 << 20);
        let set = Request::SetValue { collection: "c", key: "k", value: &value };
        assert!(cost(&set) > 1 << 20 && cost(&set) < (1 << 20) + 4096);
        assert!(cost(&Request::AllValues { collection: "c" }) > PIECE_BYTES);
    }
}
