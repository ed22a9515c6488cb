//! Changes of API keys. Core 0 decides each, applies it, sends it to every other core, and answers the
//! client when all have applied it: from then on it holds for every connection.

use crate::core::Core;
use crate::decode::KeyAction;
use crate::keys::{KeyChange, Scope};
use crate::message::{Message, Ticket};
use crate::requests::{error_reply, put_id};
use fluxion_engine::escape_json;
use hashbrown::HashMap;

struct Pending {
    ticket: Ticket,
    payload: Vec<u8>,
    missing: usize,
}

/// The changes that some cores have not applied yet; used on core 0 alone.
#[derive(Default)]
pub struct KeyChanges {
    next_number: u64,
    pending: HashMap<u64, Pending>,
}

impl KeyChanges {
    /// Carries out a `keys` request, on core 0.
    pub fn manage(core: &Core, ticket: Ticket, id: &str, action: KeyAction) {
        let decided = match &action {
            KeyAction::List => {
                let payload = list(core, id);
                return core.post(ticket.link.core, Message::Reply { ticket, payload, rest: None });
            }
            KeyAction::Add { key, scope } => core.keys.borrow_mut().add(key, scope),
            KeyAction::Remove { key } => core.keys.borrow().remove(key),
        };
        let change = match decided {
            Ok(change) => change,
            Err(wrong) => {
                let payload = error_reply(id, wrong);
                return core.post(ticket.link.core, Message::Reply { ticket, payload, rest: None });
            }
        };
        let payload = acknowledgement(id, &change);
        core.apply_key_change(&change);
        let mut changes = core.key_changes.borrow_mut();
        let number = changes.next_number;
        changes.next_number += 1;
        let missing = core.core_count() - 1;
        if missing == 0 {
            return core.post(ticket.link.core, Message::Reply { ticket, payload, rest: None });
        }
        changes.pending.insert(number, Pending { ticket, payload, missing });
        for other in 1..core.core_count() {
            core.post(other, Message::ApplyKeyChange { number, change: change.clone() });
        }
    }

    /// Counts that a core has applied a change; the last one has it answered.
    pub fn applied(core: &Core, number: u64) {
        let mut changes = core.key_changes.borrow_mut();
        let Some(pending) = changes.pending.get_mut(&number) else { return };
        pending.missing -= 1;
        if pending.missing == 0
            && let Some(Pending { ticket, payload, .. }) = changes.pending.remove(&number)
        {
            core.post(ticket.link.core, Message::Reply { ticket, payload, rest: None });
        }
    }
}

fn acknowledgement(id: &str, change: &KeyChange) -> Vec<u8> {
    let mut out = Vec::new();
    put_id(&mut out, id);
    out.extend_from_slice(b",\"status\":\"ok\"");
    if let KeyChange::Set(key) = change {
        out.extend_from_slice(b",\"scope\":\"");
        out.extend_from_slice(key.scope.name().as_bytes());
        out.push(b'"');
    }
    out.push(b'}');
    out
}

fn list(core: &Core, id: &str) -> Vec<u8> {
    let mut out = Vec::new();
    put_id(&mut out, id);
    out.extend_from_slice(b",\"status\":\"ok\",\"keys\":[");
    for (index, key) in core.keys.borrow().iter().enumerate() {
        out.extend_from_slice(if index == 0 { b"{\"key\":\"" } else { b",{\"key\":\"" });
        escape_json(&mut out, key.secret.as_bytes());
        out.extend_from_slice(b"\",\"scope\":\"");
        out.extend_from_slice(key.scope.name().as_bytes());
        let deletable: &[u8] =
            if key.scope == Scope::Master { b"\",\"deletable\":false}" } else { b"\",\"deletable\":true}" };
        out.extend_from_slice(deletable);
    }
    out.extend_from_slice(b"]}");
    out
}
