//! One message of a client: what it is, whether it is allowed, and who carries it out.

use crate::core::counters::Refusal;
use crate::core::message::{Message, Question};
use crate::core::peers::Peer;
use crate::core::state::Core;
use crate::core::turns::Turn;
use crate::limits::{LONG_DATA_BYTES, SMALL_REPLY_BYTES};
use crate::requests::decode::Misread;
use crate::requests::envelope::Envelope;
use crate::requests::kind::{Facts, Kind, Target};
use crate::requests::long::{LongRecords, read_long, read_long_object};
use crate::requests::read::read_key_action;
use crate::requests::subscription::{read_name, read_terms};
use crate::requests::wrong::Wrong;
use crate::serve::{lines, replies, route, subscriptions, tell};
use crate::wire::reply;
use fluxion_engine::{Request, ShardId, shard_of};

const NOT_A_REQUEST: &str = "not a request: an object with id, type and data is expected";

/// A message whose data is being read in steps.
pub struct LongMessage {
    /// The request's id.
    pub id: Box<str>,
    /// Its kind.
    pub kind: Kind,
    /// Its data.
    pub records: LongRecords,
}

/// Carries a message out, or sends it on; answers at once what can be. Gives the message back where it is to be read in
/// steps.
pub fn take(core: &Core, peer: &mut Peer, message: &[u8], turn: &mut Turn) -> Option<LongMessage> {
    let began = turn.looked_at();
    core.durations.begin(began);
    peer.asked.begin(began, message.len());
    let long = carry_out(core, peer, message, turn);
    if long.is_none() && !peer.asked.is_later {
        core.durations.done(peer.asked.kind);
        // Of what may take long the end has been looked at.
        lines::slow(core, peer, &peer.asked, turn.looked_at().saturating_duration_since(began), None);
    }
    long
}

fn carry_out(core: &Core, peer: &mut Peer, message: &[u8], turn: &mut Turn) -> Option<LongMessage> {
    let envelope = core.decoder.borrow_mut().envelope(message);
    let Ok(envelope) = envelope else {
        refuse(core, peer);
        return None;
    };
    core.counters.request(envelope.kind);
    peer.traffic.requests += 1;
    peer.asked.kind = envelope.kind;
    if peer.identity.key.is_none() {
        authenticate(core, peer, &envelope);
        return None;
    }
    let facts = envelope.kind.facts();
    if !is_allowed(core, peer, &envelope.id, &facts) {
        return None;
    }
    let taken = match facts.target {
        Target::Shards => {
            let long = take_request(core, peer, message, &envelope);
            if facts.cost_varies {
                turn.look();
            }
            return long;
        }
        Target::EveryCore => {
            let question = if envelope.kind == Kind::Stats { Question::Stats } else { Question::Connections };
            tell::ask_all(core, peer, &envelope.id, question);
            Ok(())
        }
        Target::KeyOwner => manage_keys(core, peer, message, &envelope),
        Target::Subscriptions => {
            let taken = take_subscription(core, peer, message, &envelope);
            turn.look();
            taken
        }
        Target::Nobody if envelope.kind == Kind::Auth => Err(Misread::Wrong(Wrong::AuthMessage)),
        Target::Nobody => Err(Misread::Wrong(Wrong::UnknownType)),
    };
    answer_misread(core, peer, &envelope.id, taken);
    None
}

/// Whether the connection may ask this; answers the request if not.
fn is_allowed(core: &Core, peer: &mut Peer, id: &str, facts: &Facts) -> bool {
    if peer.identity.scope >= facts.needs {
        return true;
    }
    core.counters.refusal(Refusal::Permission);
    let wrong = match facts.target {
        Target::KeyOwner => "only the master key may manage API keys",
        Target::Shards | Target::EveryCore | Target::Subscriptions | Target::Nobody => "permission denied",
    };
    replies::refuse(core, peer, id, wrong);
    false
}

/// Carries out a message that has been read in steps.
pub fn take_long(core: &Core, peer: &mut Peer, long: LongMessage, read: Result<route::Packets, Misread>) {
    // Its key may have lost the scope in between.
    if !is_allowed(core, peer, &long.id, &long.kind.facts()) {
        return;
    }
    match read {
        Ok(packets) => route::send_packets(core, peer, &long.id, packets),
        Err(misread) => answer_misread(core, peer, &long.id, Err(misread)),
    }
    if !peer.asked.is_later {
        let took = peer.asked.at.elapsed();
        core.durations.add(long.kind, took);
        lines::slow(core, peer, &peer.asked, took, None);
    }
}

fn take_request(
    core: &Core,
    peer: &mut Peer,
    message: &[u8],
    envelope: &Envelope<'_>,
) -> Option<LongMessage> {
    let Envelope { id, kind, data } = envelope;
    if *kind == Kind::Collections {
        // Its data is not looked at.
        route::send(core, peer, id, &Request::Collections);
        return None;
    }
    if message.len() <= LONG_DATA_BYTES {
        let mut decoder = core.decoder.borrow_mut();
        let read = decoder.request(message, envelope);
        let taken = read.map(|request| route::send(core, peer, id, &request));
        answer_misread(core, peer, id, taken);
        return None;
    }
    if matches!(kind, Kind::Insert | Kind::DeleteRecords) {
        // A copy of its own, so that the buffer that the message came in is free.
        let raw = message[data.range.clone()].to_vec();
        let records = LongRecords::new(*kind, raw, core.core_count(), |name, count| {
            let ShardId(index) = shard_of(name, count);
            index
        });
        return Some(LongMessage { id: id.as_ref().into(), kind: *kind, records });
    }
    let mut texts = Vec::new();
    let read = read_long_object(*kind, message, data, &mut texts);
    let taken = read.map(|request| route::send(core, peer, id, &request));
    answer_misread(core, peer, id, taken);
    None
}

fn manage_keys(core: &Core, peer: &mut Peer, message: &[u8], envelope: &Envelope<'_>) -> Result<(), Misread> {
    let action = if message.len() > LONG_DATA_BYTES {
        read_long(message, &envelope.data, &mut Vec::new(), read_key_action)?
    } else {
        core.decoder.borrow_mut().key_action(message, envelope)?
    };
    let ticket = replies::begin(peer, None, None, SMALL_REPLY_BYTES + message.len(), true);
    core.post(0, Message::ManageKeys { ticket, id: envelope.id.as_ref().into(), action });
    Ok(())
}

fn take_subscription(
    core: &Core,
    peer: &mut Peer,
    message: &[u8],
    envelope: &Envelope<'_>,
) -> Result<(), Misread> {
    let is_long = message.len() > LONG_DATA_BYTES;
    if envelope.kind == Kind::Subscribe {
        let terms = if is_long {
            read_long(message, &envelope.data, &mut Vec::new(), read_terms)?
        } else {
            core.decoder.borrow_mut().subscription(message, envelope)?
        };
        subscriptions::subscribe(core, peer, &envelope.id, terms);
    } else {
        let name = if is_long {
            read_long(message, &envelope.data, &mut Vec::new(), read_name)?
        } else {
            core.decoder.borrow_mut().subscription_name(message, envelope)?
        };
        subscriptions::unsubscribe(core, peer, &envelope.id, &name);
    }
    Ok(())
}

fn answer_misread(core: &Core, peer: &mut Peer, id: &str, taken: Result<(), Misread>) {
    match taken {
        Ok(()) => {}
        Err(Misread::NotARequest) => refuse(core, peer),
        Err(Misread::Wrong(wrong)) => replies::refuse(core, peer, id, &wrong.to_string()),
    }
}

fn refuse(core: &Core, peer: &mut Peer) {
    core.counters.refusal(Refusal::NotARequest);
    peer.outbox.close_after_replies(1008, NOT_A_REQUEST);
}

/// The first message under `--legacy-auth`.
fn authenticate(core: &Core, peer: &mut Peer, envelope: &Envelope<'_>) {
    let decoder = core.decoder.borrow();
    let secret = decoder.text();
    let keys = core.keys.borrow();
    match keys.find(secret) {
        Some(key) if envelope.kind == Kind::Auth => {
            if core.shared.tally.enter_key(key.id).is_err() {
                core.counters.refusal(Refusal::KeyConnections);
                return peer.outbox.close_after_replies(1008, "too many connections with this API key");
            }
            peer.identity.key = Some(key.id);
            peer.identity.scope = key.scope;
            peer.outbox.send(reply::done(&envelope.id));
        }
        _ => {
            core.counters.refusal(Refusal::Key);
            peer.outbox.close_after_replies(1008, "the first message must carry a known API key");
        }
    }
}
