//! Carries requests out on this core's shard, the one way for all of them; where the reply is written and when it leaves
//! is all that differs.

use crate::core::message::Message;
use crate::core::peers::Peer;
use crate::core::state::Core;
use crate::core::storage::refused;
use crate::core::streams::Rest;
use crate::core::ticket::Ticket;
use crate::core::unfinished::UnfinishedChange;
use crate::limits::SMALL_REPLY_BYTES;
use crate::requests::kind::Kind;
use crate::serve::{replies, steps, storage, streams};
use crate::wire::reply;
use fluxion_engine::{Cursor, Error, Outcome, PIECE_BYTES, Packet, Request, Shard, Work};

/// The state of a reply when its request has been executed.
enum Executed {
    /// It is all there.
    Whole,
    /// It says what is wrong, in place of the reply.
    Failed,
    /// Its beginning is there.
    Long(Cursor),
    /// Nothing is there: the change goes on in steps.
    Unfinished(Work),
}

/// Closes a reply behind what the engine wrote.
const REPLY_END: &[u8] = b"}";

/// Carries out a request of a connection of this core: a short reply is written where it is sent from.
pub fn for_own(core: &Core, peer: &mut Peer, id: &str, request: &Request<&str>) {
    let (kind, collection) = (peer.asked.kind, request.collection().copied());
    if request.changes() && core.storage.acknowledges_later() {
        let bytes = SMALL_REPLY_BYTES + 2 * id.len();
        let ticket = replies::begin(peer, collection, None, bytes, request.may_take_steps());
        let mut out = Vec::new();
        let executed =
            run(core, kind, Some(id), &mut out, request.deletes(), |shard, out| shard.execute(request, out));
        return settle(core, ticket, Some(id.into()), executed, out, request.changes(), request.deletes());
    }
    let Some(mut draft) = peer.outbox.draft(!request.changes()) else {
        let mut out = Vec::new();
        let executed =
            run(core, kind, Some(id), &mut out, request.deletes(), |shard, out| shard.execute(request, out));
        return match executed {
            Executed::Whole | Executed::Failed => peer.outbox.send(out),
            Executed::Long(_) | Executed::Unfinished(_) => {
                let ticket = replies::begin(peer, collection, None, PIECE_BYTES, request.may_take_steps());
                settle(core, ticket, Some(id.into()), executed, out, request.changes(), request.deletes());
            }
        };
    };
    let deletes = request.deletes();
    match run(core, kind, Some(id), &mut draft.bytes, deletes, |shard, out| shard.execute(request, out)) {
        Executed::Whole | Executed::Failed => peer.outbox.send_draft(draft),
        Executed::Long(cursor) => {
            let piece = draft.bytes.split_off(draft.payload_start());
            peer.outbox.drop_draft(draft);
            let ticket = replies::begin(peer, collection, None, PIECE_BYTES, false);
            let stream =
                core.streams.borrow_mut().open(Rest::Data(Box::new(cursor)), piece, ticket, REPLY_END);
            core.post(core.index, Message::Continue(stream));
        }
        Executed::Unfinished(work) => {
            peer.outbox.drop_draft(draft);
            let bytes = request.bytes() + SMALL_REPLY_BYTES;
            let ticket = replies::begin(peer, collection, None, bytes, true);
            steps::begin(core, UnfinishedChange { work, ticket, id: Some(id.into()), deletes });
        }
    }
}

/// Carries out a request of a connection of another core, or a part of one. Without an id the answer is a part: of an
/// acknowledgement nothing, or what is wrong.
pub fn for_ticket(core: &Core, mut ticket: Ticket, id: Option<Box<str>>, packet: Packet) {
    ticket.asked.waited = core.durations.clock().saturating_duration_since(ticket.asked.at);
    let request = packet.request();
    let (changes, deletes) = (request.changes(), request.deletes());
    let mut out = Vec::new();
    let executed = match core.storage.refusal().filter(|_| changes) {
        Some(why) => {
            put_wrong(&mut out, id.as_deref(), &refused(&why));
            Executed::Failed
        }
        None => run(core, ticket.asked.kind, id.as_deref(), &mut out, deletes, |shard, out| {
            shard.execute_packet(packet, out)
        }),
    };
    settle(core, ticket, id, executed, out, changes, deletes);
}

/// Executes, and writes the reply behind what is in `out`.
fn run(
    core: &Core,
    kind: Kind,
    id: Option<&str>,
    out: &mut Vec<u8>,
    deletes: bool,
    execute: impl FnOnce(&mut Shard, &mut Vec<u8>) -> Result<Outcome, Error>,
) -> Executed {
    let start = out.len();
    if let Some(id) = id {
        reply::put_id(out, id);
        out.push(b',');
    }
    let body = out.len();
    let outcome = execute(&mut core.shard.borrow_mut(), out);
    if deletes {
        steps::garbage_was_made(core);
    }
    match outcome {
        Ok(Outcome::Done) => {
            if id.is_some() {
                if out.len() == body {
                    out.pop();
                }
                out.extend_from_slice(REPLY_END);
            }
            Executed::Whole
        }
        Ok(Outcome::Reply(cursor)) => Executed::Long(cursor),
        Ok(Outcome::Change(work)) => {
            out.truncate(start);
            Executed::Unfinished(work)
        }
        Err(wrong) => {
            out.truncate(start);
            core.counters.error(kind);
            put_wrong(out, id, &wrong.to_string());
            Executed::Failed
        }
    }
}

fn put_wrong(out: &mut Vec<u8>, id: Option<&str>, wrong: &str) {
    match id {
        Some(id) => out.extend_from_slice(&reply::error(id, wrong)),
        None => out.extend_from_slice(wrong.as_bytes()),
    }
}

/// Sends what was executed on its way to the connection that asked.
fn settle(
    core: &Core,
    ticket: Ticket,
    id: Option<Box<str>>,
    executed: Executed,
    out: Vec<u8>,
    changes: bool,
    deletes: bool,
) {
    match executed {
        Executed::Whole if changes => storage::acknowledge(core, ticket, id),
        Executed::Whole | Executed::Failed => replies::post(core, ticket, out),
        Executed::Long(cursor) => {
            let suffix = if id.is_some() { REPLY_END } else { b"" };
            let stream = core.streams.borrow_mut().open(Rest::Data(Box::new(cursor)), out, ticket, suffix);
            streams::advance(core, stream);
        }
        Executed::Unfinished(work) => steps::begin(core, UnfinishedChange { work, ticket, id, deletes }),
    }
}
