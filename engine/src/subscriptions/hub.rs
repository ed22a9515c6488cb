//! The subscriptions of one shard: their coming and going, and the list of those that have to be looked at.
//!
//! Invariants:
//! 1. A collection is tracked exactly while it has groups or something is kept of its changes; the feed is visited exactly
//!    while one is tracked.
//! 2. A member is in the list that `Waits` names, at that index, and in no other.
//! 3. A group with members that may be pushed something is in `dirty`, once.

use hashbrown::HashMap;
use std::cell::Cell;
use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;

use super::failing::{self, Failing};
use super::group::{self, Group, Names};
use super::history::History;
use super::member::{Member, Stage, Waits};
use super::place;
use super::slab::Slab;
use super::terms::{Accepted, Missed, Mode, Receiver, SubscriptionId, Terms};
use super::tracked::Tracked;
use crate::document::Document;
use crate::error::Error;
use crate::limits::{KEPT_MS, KEPT_NAME_BYTES_MAX, SUBSCRIPTION_PATTERNS_BYTES_MAX, TRACKED_KEPT_MAX};
use crate::pattern::{Filter, NameTest};
use crate::table::Pages;

/// The documents of a collection that was deleted, to be told of by name.
pub(super) struct Deleted {
    pub(super) collection: u32,
    pub(super) number: u64,
    pub(super) documents: Pages<Document>,
    /// The next to be told of.
    pub(super) slot: usize,
    pub(super) count: usize,
}

/// What cursors are told from those of other lives by.
#[derive(Clone, Copy, Default)]
struct Epoch {
    epoch: u64,
    /// That of the life before, and the number that it ended at.
    before: Option<(u64, u64)>,
}

/// The subscriptions of one shard.
#[derive(Default)]
pub(crate) struct Subscriptions {
    epoch: Option<Epoch>,
    /// The changes before this number are known.
    pub(super) known: u64,
    pub(super) tracked: Slab<Tracked>,
    pub(super) by_name: HashMap<Box<str>, u32>,
    pub(super) groups: Slab<Group>,
    pub(super) members: Slab<Member>,
    pub(super) dirty: VecDeque<u32>,
    /// The members that wait for a time.
    pub(super) timers: BTreeSet<(u64, u32)>,
    /// Collections that were deleted and whose turn in the feed has not come.
    pub(super) deleted: VecDeque<Deleted>,
    /// The first of those, while its documents are being noted.
    pub(super) is_noting_deleted: bool,
    /// The memory of all histories.
    pub(super) history_bytes: usize,
    pub(super) slow_checked_ms: u64,
    /// How many were looked at when the work of that look was used up.
    pub(super) slow_next: usize,
    /// Changes that members were told they had missed.
    pub(crate) skipped_told: u64,
    /// The memory of the patterns of all groups.
    pattern_bytes: usize,
    /// The documents that all groups know to be held back.
    failing: Rc<Cell<usize>>,
}

/// What a subscription is made of, beside its terms.
pub(crate) struct Asked<'a> {
    pub(crate) terms: &'a Terms<&'a str>,
    pub(crate) names: Option<NameTest<'a>>,
    pub(crate) filter: Filter<'static>,
    pub(crate) receiver: Receiver,
    /// The number that the shard's next change will have.
    pub(crate) next_number: u64,
    pub(crate) now_ms: u64,
}

impl Subscriptions {
    /// Sets what cursors are told from those of other lives by.
    pub(crate) fn set_epoch(&mut self, epoch: u64, before: Option<(u64, u64)>) {
        assert!(self.is_idle(), "cursors of the epoch before are out");
        self.epoch = Some(Epoch { epoch, before });
    }

    pub(crate) fn has_epoch(&self) -> bool {
        self.epoch.is_some()
    }

    /// The collections of which changes are known, each with the number from which on there were none.
    pub(crate) fn unchanged(&self) -> impl Iterator<Item = (&str, u64)> {
        self.tracked.iter().filter_map(|(_, tracked)| Some((&*tracked.name, tracked.unchanged_from()?)))
    }

    /// Notes that a collection has not changed from a number on, which is not after the next change's.
    pub(crate) fn note_unchanged(&mut self, name: &str, number: u64, next_number: u64) {
        if self.is_idle() {
            self.known = next_number;
        }
        let index = self.track(name);
        if let Some(tracked) = self.tracked.get_mut(index) {
            for mode in [Mode::Latest, Mode::All] {
                tracked.keep(mode, number);
                tracked.let_go(mode, 0);
            }
        }
    }

    /// Whether nothing has to be known of any change.
    pub(crate) fn is_idle(&self) -> bool {
        self.tracked.is_empty()
    }

    /// The number of subscriptions.
    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    /// The memory of what is kept of changes.
    pub(crate) fn bytes(&self) -> usize {
        let tracked: usize = self.tracked.iter().map(|(_, tracked)| tracked.bytes()).sum();
        tracked + failing::bytes(self.failing.get())
    }

    /// The number of members that have not been pushed everything, and by how many changes the last of them is behind.
    pub(crate) fn lag(&self, next_number: u64) -> (usize, u64) {
        let mut lag = (0, 0);
        for (_, member) in self.members.iter() {
            let behind = next_number.saturating_sub(member.position);
            if behind > 0 && !matches!(member.waits, Waits::CaughtUp(_)) {
                lag = (lag.0 + 1, behind.max(lag.1));
            }
        }
        lag
    }

    /// When a subscription next waits no longer, if one waits for a time.
    pub(crate) fn next_due_ms(&self) -> Option<u64> {
        self.timers.first().map(|(due, _)| *due)
    }

    /// Adds a subscription.
    pub(crate) fn add(&mut self, asked: Asked<'_>) -> Result<Accepted, Error> {
        let Asked { terms, receiver, next_number, now_ms, .. } = asked;
        let since = match terms.since {
            Some(text) => {
                let read = place::read(text).ok_or_else(|| Error::CursorInvalid { cursor: text.to_owned() });
                Some(read?)
            }
            None => None,
        };
        if self.is_idle() {
            self.known = next_number;
        }
        let collection = self.track(terms.collection);
        let group = self.join(collection, asked)?;
        let Some(tracked) = self.tracked.get(collection) else { unreachable!("it was tracked just now") };
        let epoch = self.epoch.unwrap_or_default();
        let resumed = since.map(|since| resume(tracked, terms.mode, since, epoch, next_number));
        let (mark, mode) = (tracked.mark, terms.mode);
        let position = match resumed {
            Some(Ok(number)) => number,
            _ => next_number,
        };
        let begins_with_snapshot = match resumed {
            Some(resumed) => resumed.is_err(),
            None => terms.snapshot,
        };
        let stage = match (begins_with_snapshot, mode) {
            (false, _) => Stage::Live,
            (true, Mode::Latest) => Stage::Slots(0, true),
            (true, Mode::All) => Stage::AllRecords,
        };
        let ordinal = tracked.history.it.as_ref().map_or(0, |history| history.ordinal(position));
        let index = self.members.insert(Member {
            group,
            receiver,
            index: 0,
            waits: Waits::Nowhere,
            stage,
            position,
            walk: (position, 0),
            every_ms: terms.every_ms,
            sent_at_ms: now_ms,
            slow: terms.slow,
            buffer_bytes: terms.buffer_bytes.min(u32::MAX as usize) as u32,
            skipped: 0,
            ordinal,
            counted: (position, 0),
        });
        if let (Some(group), Some(member)) = (self.groups.get_mut(group), self.members.get_mut(index)) {
            member.index = group.members.len() as u32;
            group.members.push(index);
            if position < next_number {
                // Nobody may have been there to be marked for what it missed.
                group.marked = group.marked.max(next_number);
            }
        }
        self.settle(index);
        let number = if begins_with_snapshot { place::UNUSABLE } else { position };
        let mut cursor = Vec::new();
        place::write(&mut cursor, mark, number);
        let cursor = String::from_utf8_lossy(&cursor).into_owned();
        let id = SubscriptionId { index, generation: self.members.generation(index).unwrap_or_default() };
        Ok(Accepted { id, cursor, resumed: resumed.map(|resumed| resumed.map(|_| ())) })
    }

    /// Removes a subscription, if it is there.
    pub(crate) fn remove(&mut self, id: SubscriptionId, now_ms: u64) {
        if self.members.generation(id.index) == Some(id.generation) {
            self.remove_member(id.index, now_ms);
        }
    }

    /// Notes that a subscription may be pushed more.
    pub(crate) fn take_credit(&mut self, id: SubscriptionId, now_ms: u64) {
        if self.members.generation(id.index) != Some(id.generation) {
            return;
        }
        let Some(member) = self.members.get_mut(id.index) else { return };
        if member.waits != Waits::Sent {
            return;
        }
        let due = member.sent_at_ms + u64::from(member.every_ms);
        if member.every_ms > 0 && due > now_ms {
            member.waits = Waits::Until(due);
            self.timers.insert((due, id.index));
        } else {
            self.settle(id.index);
        }
    }

    /// Lets those go on whose time has come.
    pub(super) fn wake_due(&mut self, now_ms: u64) {
        while let Some(&(due, index)) = self.timers.first()
            && due <= now_ms
        {
            self.timers.pop_first();
            self.settle(index);
        }
    }

    /// Puts a member that waits for nothing into the list that it belongs in.
    pub(super) fn settle(&mut self, index: u32) {
        let Some(member) = self.members.get_mut(index) else { return };
        let Some(group) = self.groups.get_mut(member.group) else { return };
        let is_caught_up = member.is_live() && member.skipped == 0 && member.position >= group.marked;
        // One that stands beyond what is known would be pushed what was before it.
        if is_caught_up && group.marked <= group.position && member.position <= self.known {
            member.waits = Waits::CaughtUp(group.caught_up.len() as u32);
            group.caught_up.push(index);
        } else {
            member.waits = Waits::Behind(group.behind.len() as u32);
            group.behind.push(index);
            if !std::mem::replace(&mut group.is_dirty, true) {
                self.dirty.push_back(member.group);
            }
        }
    }

    /// Forgets what has not been needed for long.
    pub(crate) fn expire(&mut self, now_ms: u64) {
        let before = now_ms.saturating_sub(KEPT_MS);
        let mut over = Vec::new();
        for (index, _) in self.tracked.iter() {
            over.push(index);
        }
        over.retain(|index| {
            let Some(tracked) = self.tracked.get_mut(*index) else { return false };
            let history = tracked.history.it.as_ref().map_or(0, |history| history.bytes());
            let is_over = tracked.order.expire(before) & tracked.history.expire(before);
            if tracked.history.it.is_none() {
                self.history_bytes -= history;
            }
            is_over
        });
        for index in over {
            if let Some(tracked) = self.tracked.remove(index) {
                self.by_name.remove(&tracked.name);
            }
        }
        if self.is_idle() {
            // What says who is who, and what was counted, outlives them.
            let (epoch, skipped_told) = (self.epoch, self.skipped_told);
            let members = std::mem::take(&mut self.members);
            *self = Self { epoch, skipped_told, members, ..Self::default() };
        }
    }

    /// The collection with this name, from now on tracked.
    fn track(&mut self, name: &str) -> u32 {
        if let Some(known) = self.by_name.get(name) {
            return *known;
        }
        let index =
            self.tracked.insert(Tracked::new(name, place::mark(self.epoch.unwrap_or_default().epoch, name)));
        self.by_name.insert(name.into(), index);
        index
    }

    /// The group of those who ask the same.
    fn join(&mut self, collection: u32, asked: Asked<'_>) -> Result<u32, Error> {
        let Asked { terms, names, filter, next_number, .. } = asked;
        let Some(tracked) = self.tracked.get_mut(collection) else { unreachable!("it is tracked") };
        let key = group::key(terms);
        if let Some(known) = tracked.groups.get(&key) {
            return Ok(*known);
        }
        let names = Names::new(names);
        let pattern_bytes = names.pattern_bytes() + filter.pattern_bytes();
        if self.pattern_bytes + pattern_bytes > SUBSCRIPTION_PATTERNS_BYTES_MAX && pattern_bytes > 0 {
            return Err(Error::SubscriptionPatternsTooBig);
        }
        self.pattern_bytes += pattern_bytes;
        tracked.keep(terms.mode, next_number);
        let literal = match &names {
            Names::Literal(name) => Some(name.clone()),
            Names::All | Names::Pattern(..) => None,
        };
        let group = self.groups.insert(Group {
            tracked: collection,
            key: key.clone(),
            mode: terms.mode,
            names,
            filter,
            pattern_bytes,
            failing: Failing::new(self.failing.clone()),
            members: Vec::new(),
            caught_up: Vec::new(),
            behind: Vec::new(),
            position: next_number,
            ordinal: tracked.history.it.as_ref().map_or(0, History::count),
            marked: next_number,
            is_dirty: false,
        });
        tracked.groups.insert(key, group);
        match literal {
            Some(name) => tracked.literals.entry(name).or_default().push(group),
            None => tracked.others.push(group),
        }
        Ok(group)
    }

    pub(super) fn remove_member(&mut self, index: u32, now_ms: u64) {
        let Some(member) = self.members.remove(index) else { return };
        let Some(group) = self.groups.get_mut(member.group) else { return };
        let Self { members, timers, .. } = self;
        group.members.swap_remove(member.index as usize);
        if let Some(moved) =
            group.members.get(member.index as usize).and_then(|moved| members.get_mut(*moved))
        {
            moved.index = member.index;
        }
        match member.waits {
            Waits::CaughtUp(at) => {
                group.caught_up.swap_remove(at as usize);
                let moved = group.caught_up.get(at as usize);
                if let Some(moved) = moved.and_then(|moved| members.get_mut(*moved)) {
                    moved.waits = member.waits;
                }
            }
            Waits::Behind(at) => {
                group.behind.swap_remove(at as usize);
                if let Some(moved) = group.behind.get(at as usize).and_then(|moved| members.get_mut(*moved)) {
                    moved.waits = member.waits;
                }
            }
            Waits::Until(due) => {
                timers.remove(&(due, index));
            }
            Waits::Sent | Waits::Nowhere => {}
        }
        if group.members.is_empty() {
            self.remove_group(member.group, now_ms);
        }
    }

    fn remove_group(&mut self, index: u32, now_ms: u64) {
        let Some(group) = self.groups.remove(index) else { return };
        self.pattern_bytes -= group.pattern_bytes;
        if group.is_dirty {
            self.dirty.retain(|dirty| *dirty != index);
        }
        let are_many = self.tracked.len() > TRACKED_KEPT_MAX;
        let Some(tracked) = self.tracked.get_mut(group.tracked) else { return };
        tracked.groups.remove(&group.key);
        match &group.names {
            Names::Literal(name) => {
                if let Some(groups) = tracked.literals.get_mut(name) {
                    groups.retain(|known| *known != index);
                    if groups.is_empty() {
                        tracked.literals.remove(name);
                    }
                }
            }
            Names::All | Names::Pattern(..) => tracked.others.retain(|known| *known != index),
        }
        let is_kept = !are_many && tracked.name.len() <= KEPT_NAME_BYTES_MAX;
        tracked.let_go(group.mode, if is_kept { now_ms } else { 0 });
    }
}

/// The number that a cursor stands at, if all that came after it is known.
fn resume(
    tracked: &Tracked,
    mode: Mode,
    (mark, number): (u64, u64),
    epoch: Epoch,
    next_number: u64,
) -> Result<u64, Missed> {
    let is_before = |before: &(u64, u64)| mark == place::mark(before.0, &tracked.name);
    let end = match epoch.before.filter(is_before) {
        _ if mark == tracked.mark => next_number,
        Some((_, end)) => end,
        None => return Err(Missed::Epoch),
    };
    if number > end {
        return Err(Missed::Epoch);
    }
    match tracked.floor(mode) {
        Some(floor) if number >= floor && number != place::UNUSABLE => Ok(number),
        _ => Err(Missed::History),
    }
}
