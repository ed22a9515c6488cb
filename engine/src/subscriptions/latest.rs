//! The pushes of what is newest: what changed since a place in the order, and the snapshot that a subscription begins with.

use super::group::{Group, Names};
use super::order::{Entry, Order, Place};
use super::render::Body;
use crate::collection::Collection;
use crate::document::Document;
use crate::table::Named;

/// Writes what changed from a place on for those who have been pushed everything before `position`. Gives the place to go on
/// from, if that was not all.
pub(super) fn changed(
    group: &mut Group,
    order: &Order,
    live: Option<&Collection>,
    (place, position): (Place, u64),
    body: &mut Body,
) -> Option<Place> {
    if let Names::Literal(name) = &group.names {
        if let Some((found, entry)) = order.get(name).filter(|(found, _)| *found >= place) {
            write(group, (found, entry), live, position, body);
        }
        return None;
    }
    for (found, entry) in order.from(place) {
        if body.is_full() {
            return Some(found);
        }
        body.look();
        if group.names.matches(&entry.name) {
            write(group, (found, entry), live, position, body);
        }
    }
    None
}

/// Writes a document's newest record, or that there is none that the group is to see.
fn write(
    group: &mut Group,
    ((number, slot), entry): (Place, &Entry),
    live: Option<&Collection>,
    position: u64,
    body: &mut Body,
) {
    let found = live.and_then(|live| live.documents.get(live.documents.find(&entry.name)?));
    let Some((ts, data)) = found.and_then(Document::newest) else {
        group.failing.remove(slot);
        return body.record(&entry.name, None);
    };
    if body.passes(&group.filter, data) {
        group.failing.remove(slot);
        return body.record(&entry.name, Some((ts, data)));
    }
    // Who has been told that it is held back, and has not been told otherwise since, needn't be told again.
    if position <= group.failing.since(slot, entry.born, number) {
        body.record(&entry.name, None);
    }
}

/// Writes the newest records of a collection from a slot on; gives the slot to go on from, if that were not all.
pub(super) fn all(
    group: &mut Group,
    order: &Order,
    live: Option<&Collection>,
    slot: usize,
    body: &mut Body,
) -> Option<usize> {
    let documents = &live?.documents;
    let slots = match &group.names {
        Names::Literal(name) => documents.find(name).map_or(0..0, |slot| slot..slot + 1),
        Names::All | Names::Pattern(..) => slot..documents.pages().end(),
    };
    for slot in slots {
        if body.is_full() {
            return Some(slot);
        }
        body.look();
        let Some(document) = documents.get(slot) else { continue };
        if !group.names.matches(document.name()) {
            continue;
        }
        let Some((ts, data)) = document.newest() else { continue };
        if body.passes(&group.filter, data) {
            if !group.failing.is_empty()
                && let Some(((_, slot), _)) = order.get(document.name())
            {
                group.failing.remove(slot);
            }
            body.record(document.name(), Some((ts, data)));
        }
    }
    None
}
