//! From a decoded message to its reply: permission, route, execution on the owning shard, encoding of the
//! envelope around what the engine writes.
//!
//! A request goes to this core's shard, to another's, or to all. One for several shards has been validated as
//! a whole by the decoder before any part is applied.

use crate::core::Core;
use crate::decode::{Envelope, Kind};
use crate::frame;
use crate::gather::Shape;
use crate::keys::Scope;
use crate::limits::SMALL_REPLY_BYTES;
use crate::link::Link;
use crate::message::{CoreIndex, LinkAddress, Message, Ticket};
use fluxion_engine::{
    Cursor, Error, Outcome, PIECE_BYTES, Packet, Progress, Request, ShardId, escape_json, shard_of,
};
use std::time::Instant;

/// Bytes left for the frame header before a reply is encoded behind it: its size is not known yet, only
/// what it is likely to be.
const SHORT_HEADER_BYTES: usize = 2;
const LONG_HEADER_BYTES: usize = 4;

/// Writes `{"id":"…"`.
pub fn put_id(out: &mut Vec<u8>, id: &str) {
    out.extend_from_slice(b"{\"id\":\"");
    escape_json(out, id.as_bytes());
    out.push(b'"');
}

/// What a client is told when nothing can be stored.
pub fn refused(why: &str) -> String {
    format!("writes are refused until changes can be stored again: {why}")
}

/// A whole reply that says what is wrong.
pub fn error_reply(id: &str, wrong: &str) -> Vec<u8> {
    let mut out = Vec::new();
    put_id(&mut out, id);
    out.extend_from_slice(b",\"error\":\"");
    escape_json(&mut out, wrong.as_bytes());
    out.extend_from_slice(b"\"}");
    out
}

/// The scope that a message needs.
fn needs(kind: Kind) -> Scope {
    match kind {
        Kind::Insert | Kind::SetValue => Scope::Write,
        Kind::DeleteDocument
        | Kind::DeleteCollection
        | Kind::DeleteRecord
        | Kind::DeleteRecords
        | Kind::DeleteRange
        | Kind::RemoveValue => Scope::Delete,
        Kind::ApiKeys => Scope::Master,
        _ => Scope::Read,
    }
}

/// Carries out the message in `buffer`, or sends it on; what can be answered now is answered in `link`.
pub fn carry_out(core: &Core, link: &mut Link, id: &str, envelope: Envelope, buffer: &mut [u8]) {
    if link.identity.scope < needs(envelope.kind) {
        let wrong = match envelope.kind {
            Kind::ApiKeys => "only the master key may manage API keys",
            _ => "permission denied",
        };
        return link.send(error_reply(id, wrong));
    }
    let wrong = match envelope.kind {
        Kind::Auth => "auth messages are not supported; use the api-key query parameter".into(),
        Kind::Unknown => "unknown message type".into(),
        Kind::Connections => return ask_all_for_connections(core, link, id),
        Kind::Collections => return route(core, link, id, Request::Collections),
        Kind::ApiKeys => match core.decoder.borrow_mut().key_action(buffer, envelope.data) {
            Ok(action) => {
                let ticket = begin(link, None, SMALL_REPLY_BYTES);
                return core.post(0, Message::ManageKeys { ticket, id: id.into(), action });
            }
            Err(wrong) => wrong,
        },
        kind => {
            let decoded = core.decoder.borrow_mut().request(kind, buffer, envelope.data);
            match decoded {
                Ok(request) => return route(core, link, id, request),
                Err(wrong) => wrong,
            }
        }
    };
    link.send(error_reply(id, &wrong));
}

fn begin(link: &mut Link, gather: Option<u32>, reserved_bytes: usize) -> Ticket {
    link.begin(reserved_bytes);
    Ticket { link: link.address, gather, reserved_bytes }
}

/// Where a request is to be carried out.
enum Route<'a> {
    One(CoreIndex),
    Each(Shape, Vec<(CoreIndex, Request<&'a str>)>),
}

fn route(core: &Core, link: &mut Link, id: &str, request: Request<&str>) {
    if request.changes() {
        link.writes = true;
        if let Some(why) = core.refuses_writes() {
            return link.send(error_reply(id, &refused(&why)));
        }
    }
    match find_route(core.core_count(), &request) {
        Route::One(index) if index == core.index => execute_here(core, link, id, &request),
        Route::One(index) => {
            let ticket = begin(link, None, reserve_for(&request));
            let packet = Packet::new(&request);
            core.post(index, Message::Execute { ticket, id: Some(id.into()), packet });
        }
        Route::Each(shape, parts) => {
            let number = core.gatherings.borrow_mut().open(id, shape, parts.len());
            for (index, part) in parts {
                let ticket = begin(link, Some(number), reserve_for(&part));
                if index == core.index {
                    // Not by mail: what comes next may be executed here at once, and must not overtake it.
                    execute_for(core, ticket, None, &part);
                } else {
                    let packet = Packet::new(&part);
                    core.post(index, Message::Execute { ticket, id: None, packet });
                }
            }
        }
    }
}

fn find_route<'a>(core_count: usize, request: &Request<&'a str>) -> Route<'a> {
    if core_count == 1 {
        if let Request::Collections = request {
            return Route::Each(Shape::List("collections"), vec![(0, Request::Collections)]);
        }
        return Route::One(0);
    }
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
            Route::Each(Shape::List("collections"), parts)
        }
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
    let Some(first) = items.first() else { return Route::One(0) };
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

/// What a request on another core may add to what this connection has to take.
fn reserve_for(request: &Request<&str>) -> usize {
    if request.changes() { SMALL_REPLY_BYTES } else { PIECE_BYTES }
}

/// Executes on this core's shard, for a connection of this core: the reply is encoded in its send buffer.
fn execute_here(core: &Core, link: &mut Link, id: &str, request: &Request<&str>) {
    if request.changes() && core.holds_replies() {
        let ticket = begin(link, None, SMALL_REPLY_BYTES);
        return execute_for(core, ticket, Some(id.into()), request);
    }
    let reserved = match request {
        Request::Insert(_) | Request::SetValue { .. } => SHORT_HEADER_BYTES,
        _ => LONG_HEADER_BYTES,
    };
    if !link.sends_directly() {
        let mut payload = Vec::new();
        if execute(core, link, id, request, &mut payload) {
            link.send(payload);
        }
        return;
    }
    let mut out = std::mem::take(&mut link.out);
    let start = out.len();
    out.resize(start + reserved, 0);
    if execute(core, link, id, request, &mut out) {
        frame::patch_text_header(&mut out, start, reserved);
    } else {
        out.truncate(start);
    }
    link.out = out;
}

/// Executes, with all steps of a change at once; gives the rest of a reply.
fn carry_out_whole(core: &Core, request: &Request<&str>, out: &mut Vec<u8>) -> Result<Option<Cursor>, Error> {
    let shard = &mut core.shard.borrow_mut();
    match shard.execute(request, out)? {
        Outcome::Done => Ok(None),
        Outcome::Reply(cursor) => Ok(Some(cursor)),
        Outcome::Change(mut work) => {
            while shard.step(&mut work) == Progress::More {}
            Ok(None)
        }
    }
}

/// Appends the reply to `out`. False if it is long: then a reading was opened that sends it.
fn execute(core: &Core, link: &mut Link, id: &str, request: &Request<&str>, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    put_id(out, id);
    let body = out.len();
    out.push(b',');
    let executed = carry_out_whole(core, request, out);
    if request.deletes() {
        core.garbage_was_made();
    }
    match executed {
        Ok(None) => {
            if out.len() == body + 1 {
                out.truncate(body);
            }
            out.push(b'}');
            true
        }
        Ok(Some(cursor)) => {
            let piece = out.split_off(start);
            let ticket = begin(link, None, PIECE_BYTES);
            let reading = core.readings.borrow_mut().open(cursor, piece, ticket, b"}");
            core.post(core.index, Message::Continue(reading));
            false
        }
        Err(wrong) => {
            out.truncate(start);
            out.extend_from_slice(&error_reply(id, &wrong.to_string()));
            true
        }
    }
}

/// Executes for a connection of another core, a part for one that gathers, or what is acknowledged later. Without an
/// id the answer is a part: of an acknowledgement nothing, or what is wrong.
pub fn execute_for(core: &Core, ticket: Ticket, id: Option<Box<str>>, request: &Request<&str>) {
    let executed = match core.refuses_writes().filter(|_| request.changes()) {
        Some(why) => Err(refused(&why)),
        None => execute_into(core, ticket, id.as_deref(), request),
    };
    let payload = match executed {
        Ok(None) => return,
        Ok(Some(_)) if request.changes() && core.holds_replies() => {
            return core.acknowledge_when_stored(ticket, id);
        }
        Ok(Some(payload)) => payload,
        Err(wrong) => id.map_or_else(|| wrong.clone().into_bytes(), |id| error_reply(&id, &wrong)),
    };
    core.post(ticket.link.core, Message::Reply { ticket, payload, rest: None });
}

/// Gives the reply; none if it is long, then a reading was opened that sends it.
fn execute_into(
    core: &Core,
    ticket: Ticket,
    id: Option<&str>,
    request: &Request<&str>,
) -> Result<Option<Vec<u8>>, String> {
    let mut payload = Vec::new();
    let mut body = 0;
    if let Some(id) = id {
        put_id(&mut payload, id);
        body = payload.len();
        payload.push(b',');
    }
    let executed = carry_out_whole(core, request, &mut payload);
    if request.deletes() {
        core.garbage_was_made();
    }
    let suffix: &'static [u8] = if id.is_some() { b"}" } else { b"" };
    if let Some(cursor) = executed.map_err(|wrong| wrong.to_string())? {
        let reading = core.readings.borrow_mut().open(cursor, payload, ticket, suffix);
        core.advance(reading);
        return Ok(None);
    }
    if id.is_some() && payload.len() == body + 1 {
        payload.truncate(body);
    }
    payload.extend_from_slice(suffix);
    Ok(Some(payload))
}

fn ask_all_for_connections(core: &Core, link: &mut Link, id: &str) {
    let core_count = core.core_count();
    let number = core.gatherings.borrow_mut().open(id, Shape::List("connections"), core_count);
    for index in 0..core_count {
        let ticket = begin(link, Some(number), SMALL_REPLY_BYTES);
        core.post(index, Message::ListConnections(ticket));
    }
}

/// This core's connections as the items of a JSON list.
pub fn list_connections(core: &Core, asking: LinkAddress) -> Vec<u8> {
    let now = Instant::now();
    let mut out = Vec::new();
    for link in core.links() {
        let link = link.borrow();
        if link.identity.key.is_none() {
            continue;
        }
        let since = now.saturating_duration_since(link.identity.since).as_millis();
        out.extend_from_slice(if out.is_empty() { b"{\"ip\":\"" } else { b",{\"ip\":\"" });
        out.extend_from_slice(link.identity.ip.to_string().as_bytes());
        out.extend_from_slice(b"\",\"since\":");
        out.extend_from_slice(itoa::Buffer::new().format(since).as_bytes());
        out.extend_from_slice(b",\"name\":");
        match &link.identity.name {
            None => out.extend_from_slice(b"null"),
            Some(name) => {
                out.push(b'"');
                escape_json(&mut out, name.as_bytes());
                out.push(b'"');
            }
        }
        let self_member: &[u8] =
            if link.address == asking { b",\"self\":true}" } else { b",\"self\":false}" };
        out.extend_from_slice(self_member);
    }
    out
}
