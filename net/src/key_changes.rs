//! Changes of API keys. Core 0 decides each, applies it, sends it to every other core, and answers the
//! client when all have applied it and it is stored: from then on it holds for every connection, and after a crash.

use crate::core::Core;
use crate::decode::KeyAction;
use crate::keys::{KeyChange, Scope};
use crate::message::{Message, Ticket};
use crate::requests::{self, error_reply, put_id};
use fluxion_engine::{Change, escape_json};
use hashbrown::HashMap;

struct Pending {
    ticket: Ticket,
    id: Box<str>,
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
        let answer = |payload| core.post(ticket.link.core, Message::Reply { ticket, payload, rest: None });
        let refused = core.refuses_writes().map(|why| requests::refused(&why));
        let decided = match (&action, refused) {
            (KeyAction::List, _) => return answer(list(core, id)),
            (_, Some(wrong)) => return answer(error_reply(id, &wrong)),
            (KeyAction::Add { key, scope }, None) => core.keys.borrow_mut().add(key, scope),
            (KeyAction::Remove { key }, None) => core.keys.borrow().remove(key),
        };
        match decided {
            Ok(change) => begin(core, ticket, id, &action, change),
            Err(wrong) => answer(error_reply(id, wrong)),
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

    /// Answers that a change, which holds by now, could not be stored.
    pub fn failed(core: &Core, number: u64, wrong: &str) {
        if let Some(Pending { ticket, id, .. }) = core.key_changes.borrow_mut().pending.remove(&number) {
            let payload = error_reply(&id, wrong);
            core.post(ticket.link.core, Message::Reply { ticket, payload, rest: None });
        }
    }
}

fn begin(core: &Core, ticket: Ticket, id: &str, action: &KeyAction, change: KeyChange) {
    let number = {
        let mut changes = core.key_changes.borrow_mut();
        let number = changes.next_number;
        changes.next_number += 1;
        // The other cores, and the storage.
        let pending = Pending {
            ticket,
            payload: acknowledgement(id, &change),
            id: id.into(),
            missing: core.core_count(),
        };
        changes.pending.insert(number, pending);
        number
    };
    core.apply_key_change(&change);
    for to in 1..core.core_count() {
        core.post(to, Message::ApplyKeyChange { number, change: change.clone() });
    }
    let stored = match (action, &change) {
        (KeyAction::Remove { key }, _) => core.store_key_change(number, Change::RemoveApiKey { key }),
        (_, KeyChange::Set(key)) => {
            let scope = key.scope.name();
            core.store_key_change(number, Change::SetApiKey { key: &key.secret, scope })
        }
        _ => unreachable!("an action is to list, to add or to remove"),
    };
    if !stored {
        KeyChanges::applied(core, number);
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
