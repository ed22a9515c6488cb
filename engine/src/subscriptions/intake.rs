//! What the subscriptions of a shard learn of its changes, in their order: which documents' newest records changed, and, for
//! those who want all, the changes themselves.
//!
//! The data may be ahead of the feed here. That is sound: whatever the data is ahead by comes later in the feed, and marks
//! the document again.

use super::group::Group;
use super::history::History;
use super::hub::{Deleted, Subscriptions};
use super::slab::Slab;
use super::terms::Mode;
use super::tracked::Tracked;
use crate::collection::Collection;
use crate::collections::Collections;
use crate::feed::{ChangeRef, Feed, Visited};
use crate::limits::{
    HISTORIES_BYTES_MAX, HISTORY_BURST_BYTES_MAX, INTAKE_CHANGES, INTAKE_DELETED, INTAKE_WORK_MAX,
    ORDER_GONE_MAX,
};
use crate::table::Named;

/// The concern of a change: a document, up to a time.
enum Concern<'a> {
    /// One document, if this time is not before its newest record's.
    Document(&'a str, i64),
    /// All of them.
    Collection,
    /// No records.
    Nothing,
}

fn concern<'a>(change: &ChangeRef<'a>) -> (&'a str, Concern<'a>) {
    match *change {
        ChangeRef::Put { collection, document, ts, .. }
        | ChangeRef::DeleteRecord { collection, document, ts } => {
            (collection, Concern::Document(document, ts))
        }
        ChangeRef::DeleteRange { collection, document, to, .. } => {
            (collection, Concern::Document(document, to))
        }
        ChangeRef::DeleteDocument { collection, document } => {
            (collection, Concern::Document(document, i64::MAX))
        }
        ChangeRef::DeleteCollection { collection } => (collection, Concern::Collection),
        ChangeRef::SetValue { collection, .. } | ChangeRef::RemoveValue { collection, .. } => {
            (collection, Concern::Nothing)
        }
        ChangeRef::SetApiKey { .. } | ChangeRef::RemoveApiKey { .. } => ("", Concern::Nothing),
    }
}

impl Subscriptions {
    /// Keeps the documents of a collection that is about to be deleted by the change of this number, if anybody is to be
    /// told of them.
    pub(crate) fn keep_deleted(&mut self, name: &str, number: u64, collections: &Collections) {
        let Some(&collection) = self.by_name.get(name) else { return };
        let is_kept = self.tracked.get(collection).is_some_and(|tracked| tracked.order.it.is_some());
        let Some(found) = collections.get(name).filter(|_| is_kept) else { return };
        let count = found.documents.len();
        let pages = found.documents.pages();
        let documents = pages.snapshot(0..pages.end());
        self.deleted.push_back(Deleted { collection, number, documents, slot: 0, count });
    }

    /// Learns of the next changes; `More` if it has to be called again before it knows all.
    pub(crate) fn take_in(&mut self, feed: &mut Feed, collections: &Collections) -> Visited {
        if self.is_noting_deleted && !self.note_deleted(collections) {
            return Visited::More;
        }
        let mut work = 0;
        let visited = feed.visit(INTAKE_CHANGES, |number, change| {
            work += self.note(number, &change, collections);
            self.known = number + 1;
            !self.is_noting_deleted && work < INTAKE_WORK_MAX
        });
        if visited == Visited::All && !self.is_noting_deleted {
            self.deleted.clear();
        }
        self.bound_histories();
        if self.is_noting_deleted { Visited::More } else { visited }
    }

    /// Notes a change; gives the number of groups that it was held against.
    fn note(&mut self, number: u64, change: &ChangeRef<'_>, collections: &Collections) -> usize {
        let (name, concern) = concern(change);
        let Some(&index) = self.by_name.get(name) else { return 0 };
        let Some(tracked) = self.tracked.get_mut(index) else { return 0 };
        let work = tracked.groups.len();
        if !matches!(concern, Concern::Nothing) {
            tracked.changed = number + 1;
        }
        let Self { groups, dirty, history_bytes, .. } = self;
        let ordinal = tracked.history.it.as_ref().map_or(0, History::count);
        let mut mark = |group: u32, groups: &mut Slab<Group>| {
            if groups.get_mut(group).is_some_and(|found| found.mark(number, ordinal)) {
                dirty.push_back(group);
            }
        };
        if !matches!(concern, Concern::Nothing)
            && let Some(history) = tracked.history.it.as_mut().filter(|history| number >= history.floor())
        {
            *history_bytes -= history.bytes();
            history.push(number, *change);
            while history.bytes() > HISTORY_BURST_BYTES_MAX && history.forget_block() {}
            *history_bytes += history.bytes();
            mark_all(tracked, Mode::All, &concern, groups, &mut mark);
        }
        let Some(order) = tracked.order.it.as_mut().filter(|order| number >= order.floor()) else {
            return work;
        };
        match concern {
            Concern::Document(document, ts) => {
                let newest = newest(collections.get(name), document);
                if newest.is_none_or(|newest| ts >= newest) {
                    order.touch(document, number, newest.is_none());
                    mark_all(tracked, Mode::Latest, &concern, groups, &mut mark);
                }
            }
            Concern::Collection => {
                mark_all(tracked, Mode::Latest, &concern, groups, &mut mark);
                while self.deleted.pop_front_if(|deleted| deleted.number < number).is_some() {}
                self.is_noting_deleted = self.deleted.front().is_some_and(|deleted| deleted.number == number);
            }
            Concern::Nothing => {}
        }
        work
    }

    /// Notes the documents of a deleted collection; false if there are more.
    fn note_deleted(&mut self, collections: &Collections) -> bool {
        let Some(deleted) = self.deleted.front_mut() else { return true };
        let end = deleted.documents.end().min(deleted.slot + INTAKE_DELETED);
        let mut is_over = end == deleted.documents.end();
        if let Some(tracked) = self.tracked.get_mut(deleted.collection)
            && let Some(order) = &mut tracked.order.it
        {
            if deleted.count > ORDER_GONE_MAX {
                // They are too many to be told one by one: all begin anew.
                order.restart(deleted.number + 1);
                is_over = true;
            } else {
                let live = collections.get(&tracked.name);
                let names = (deleted.slot..end).filter_map(|slot| deleted.documents.get(slot));
                for name in names.map(|document| document.name()) {
                    if newest(live, name).is_none() {
                        order.touch(name, deleted.number, true);
                    }
                }
            }
        } else {
            is_over = true;
        }
        deleted.slot = end;
        if is_over {
            self.deleted.pop_front();
            self.is_noting_deleted = false;
        }
        is_over
    }

    /// Forgets what is oldest in the longest history, while all of them are too long.
    fn bound_histories(&mut self) {
        let Self { tracked, history_bytes, .. } = self;
        while *history_bytes > HISTORIES_BYTES_MAX {
            let histories = tracked.iter().filter_map(|(index, tracked)| {
                tracked.history.it.as_ref().map(|history| (history.bytes(), index))
            });
            let Some((bytes, index)) = histories.max() else { return };
            let history = tracked.get_mut(index).and_then(|tracked| tracked.history.it.as_mut());
            let Some(history) = history else { return };
            if !history.forget_block() {
                return;
            }
            *history_bytes -= bytes - history.bytes();
        }
    }
}

/// The time of a document's newest record.
pub(super) fn newest(collection: Option<&Collection>, document: &str) -> Option<i64> {
    let documents = &collection?.documents;
    documents.get(documents.find(document)?)?.newest().map(|(ts, _)| ts)
}

/// Marks the groups of a mode that a change may concern.
fn mark_all(
    tracked: &Tracked,
    mode: Mode,
    concern: &Concern<'_>,
    groups: &mut Slab<Group>,
    mark: &mut impl FnMut(u32, &mut Slab<Group>),
) {
    let literal = match concern {
        Concern::Document(document, _) => tracked.literals.get(*document).map_or(&[][..], |groups| groups),
        Concern::Collection => {
            tracked.literals.values().flatten().for_each(|group| mark_one(*group, mode, None, groups, mark));
            &[]
        }
        Concern::Nothing => &[],
    };
    let name = match concern {
        Concern::Document(document, _) => Some(*document),
        Concern::Collection | Concern::Nothing => None,
    };
    for group in literal.iter().chain(&tracked.others) {
        mark_one(*group, mode, name, groups, mark);
    }
}

fn mark_one(
    index: u32,
    mode: Mode,
    name: Option<&str>,
    groups: &mut Slab<Group>,
    mark: &mut impl FnMut(u32, &mut Slab<Group>),
) {
    let Some(group) = groups.get_mut(index) else { return };
    if group.mode == mode && name.is_none_or(|name| group.names.matches(name)) {
        mark(index, groups);
    }
}
