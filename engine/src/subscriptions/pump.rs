//! The making of pushes: one group after the other, a bounded part at a time. Members at the same place get the same bytes.

use std::cell::RefCell;
use std::sync::Arc;

use super::group::Group;
use super::history::History;
use super::hub::Subscriptions;
use super::member::{Member, Stage, Waits};
use super::place::UNUSABLE;
use super::records::RecordsWalk;
use super::render::{Body, Heading, Part, too_slow};
use super::terms::{Mode, Receiver, Slow, SubscriptionId};
use super::tracked::Tracked;
use super::{changes, latest};
use crate::chunk::Blocks;
use crate::collection::Collection;
use crate::collections::Collections;
use crate::limits::{FANOUT_MAX, GROUP_WORK, MEMBER_WORK, PUMP_WORK_MAX};
use crate::table::Pages;

/// Bytes for some subscriptions, which may not be pushed more before they say so.
pub struct Push {
    /// Who gets it.
    pub receivers: Vec<(Receiver, SubscriptionId)>,
    /// The message from behind the name of the subscription on.
    pub body: Arc<[u8]>,
    /// It is the last that this subscription is sent.
    pub is_end: bool,
}

/// The moment of a step.
#[derive(Clone, Copy)]
pub(crate) struct Now {
    /// The number that the shard's next change will have.
    pub(crate) number: u64,
    pub(crate) ms: u64,
}

/// The state of subscriptions behind what they were looked at for.
struct After {
    stage: Stage,
    position: u64,
    walk: (u64, u32),
    /// What stands around the body, if it is to be sent.
    heading: Option<Heading>,
}

impl Subscriptions {
    /// Makes some of the pushes that there is something for. Everything up to now must be known. Gives whether there is
    /// more to do.
    pub(crate) fn pump(&mut self, now: Now, collections: &Collections, pushes: &mut Vec<Push>) -> bool {
        self.wake_due(now.ms);
        let mut work = 0;
        while work < PUMP_WORK_MAX {
            let Some(index) = self.dirty.pop_front() else { return false };
            work += GROUP_WORK + self.pump_group(index, now, collections, pushes);
        }
        !self.dirty.is_empty()
    }

    fn pump_group(
        &mut self,
        index: u32,
        now: Now,
        collections: &Collections,
        pushes: &mut Vec<Push>,
    ) -> usize {
        let Some(group) = self.groups.get_mut(index) else { return 0 };
        group.is_dirty = false;
        let mut work = 0;
        if group.marked > group.position {
            let members = group.caught_up.split_off(group.caught_up.len().saturating_sub(FANOUT_MAX));
            let (position, ordinal) = (group.position, group.ordinal);
            if group.caught_up.is_empty() {
                let history = self.tracked.get(group.tracked).and_then(|tracked| tracked.history.it.as_ref());
                (group.position, group.ordinal) = (now.number, history.map_or(0, History::count));
            } else {
                group.is_dirty = true;
                self.dirty.push_back(index);
            }
            for member in &members {
                if let Some(member) = self.members.get_mut(*member) {
                    member.stand_at(position);
                    (member.ordinal, member.waits) = (ordinal, Waits::Nowhere);
                }
            }
            work += self.push_to(&members, now, collections, pushes);
        }
        let Some(group) = self.groups.get_mut(index) else { return work };
        let mut behind = std::mem::take(&mut group.behind);
        let standing = |member: &u32| self.members.get(*member).map(|found| found.standing(*member));
        behind.sort_by_cached_key(standing);
        for member in &behind {
            if let Some(member) = self.members.get_mut(*member) {
                member.waits = Waits::Nowhere;
            }
        }
        let standing: Vec<_> = behind
            .iter()
            .map(|member| self.members.get(*member).map(|found| found.standing(*member)))
            .collect();
        let mut first = 0;
        while first < behind.len() && work < PUMP_WORK_MAX {
            let same =
                standing[first..].iter().take(FANOUT_MAX).take_while(|other| **other == standing[first]);
            let end = first + same.count();
            work += self.push_to(&behind[first..end], now, collections, pushes);
            first = end;
        }
        behind[first..].iter().for_each(|member| self.settle(*member));
        work
    }

    /// Pushes to members of one group that stand at the same place; gives the work that it took.
    fn push_to(
        &mut self,
        members: &[u32],
        now: Now,
        collections: &Collections,
        pushes: &mut Vec<Push>,
    ) -> usize {
        let Self { members: all, groups, tracked, skipped_told, .. } = self;
        let Some(first) = members.first().and_then(|first| all.get_mut(*first)) else { return 0 };
        let Some(group) = groups.get_mut(first.group) else { return 0 };
        let Some(tracked) = tracked.get(group.tracked) else { return 0 };
        let live = collections.get(&tracked.name);
        let mut body = Body::new();
        let after = match group.mode {
            Mode::Latest => newest(first, group, tracked, live, now, &mut body),
            Mode::All => {
                match all_changes(first, group, tracked, (live, collections.blocks()), now, &mut body) {
                    Some(after) => after,
                    None => return self.end_all(members, now, pushes),
                }
            }
        };
        let ordinal = tracked.history.it.as_ref().map_or(0, |history| history.ordinal(after.position));
        let skipped = first.skipped;
        let mode = group.mode;
        let work = body.work() + members.len() * MEMBER_WORK;
        let After { stage, position, walk, heading } = after;
        let mut receivers = Vec::with_capacity(if heading.is_some() { members.len() } else { 0 });
        let mut own = Some(stage);
        for index in members {
            let generation = all.generation(*index).unwrap_or_default();
            let Some(member) = all.get_mut(*index) else { continue };
            // One that is in a stage of its own is alone.
            let next = own.as_ref().and_then(Stage::copy);
            member.stage = own.take().unwrap_or(Stage::Live);
            own = next;
            member.stand_at(position);
            (member.walk, member.ordinal, member.skipped) = (walk, ordinal, skipped);
            if heading.is_some() {
                (member.skipped, member.waits, member.sent_at_ms) = (0, Waits::Sent, now.ms);
                receivers.push((member.receiver, SubscriptionId { index: *index, generation }));
            }
        }
        match heading {
            Some(heading) => {
                *skipped_told += heading.skipped * receivers.len() as u64;
                let body = body.finish(mode, &heading).into();
                pushes.push(Push { receivers, body, is_end: false });
            }
            None => members.iter().for_each(|member| self.settle(*member)),
        }
        work
    }

    /// Ends subscriptions that have missed changes.
    fn end_all(&mut self, members: &[u32], now: Now, pushes: &mut Vec<Push>) -> usize {
        for member in members {
            self.end(*member, now.ms, pushes);
        }
        members.len() * MEMBER_WORK
    }

    /// Ends a subscription that is too slow.
    pub(super) fn end(&mut self, index: u32, now_ms: u64, pushes: &mut Vec<Push>) {
        let generation = self.members.generation(index).unwrap_or_default();
        let Some(member) = self.members.get(index) else { return };
        let tracked = self.groups.get(member.group).and_then(|group| self.tracked.get(group.tracked));
        let Some(tracked) = tracked else { return };
        let waiting = tracked.history.it.as_ref().map_or(0, |history| history.weight_from(member.position));
        let number = if member.is_live() { member.position } else { UNUSABLE };
        let body = too_slow(tracked.mark, number, waiting.max(u64::from(member.buffer_bytes))).into();
        let receivers = vec![(member.receiver, SubscriptionId { index, generation })];
        self.remove_member(index, now_ms);
        pushes.push(Push { receivers, body, is_end: true });
    }
}

/// The next push of what is newest.
fn newest(
    member: &mut Member,
    group: &mut Group,
    tracked: &Tracked,
    live: Option<&Collection>,
    now: Now,
    body: &mut Body,
) -> After {
    let Some(order) = &tracked.order.it else { unreachable!("it is kept while there are groups") };
    let heading =
        |number, part, is_reset| Some(Heading { mark: tracked.mark, number, is_reset, part, skipped: 0 });
    let mut stage = std::mem::replace(&mut member.stage, Stage::Live);
    if member.position < order.floor() && !matches!(stage, Stage::Slots(..)) {
        // What it has missed is not all known any more.
        stage = Stage::Slots(0, true);
    }
    let Stage::Slots(slot, is_first) = stage else {
        let is_completing = matches!(stage, Stage::CatchingUp);
        let rest = latest::changed(group, order, live, (member.walk, member.position), body);
        let (part, number) = match (is_completing, rest) {
            (false, None) => (Part::No, now.number),
            (false, Some(_)) => (Part::Unfinished, member.position),
            (true, None) => (Part::Last, now.number),
            (true, Some(_)) => (Part::More, UNUSABLE),
        };
        let is_sent = !body.is_empty() || part == Part::Last;
        let heading = heading(number, part, false).filter(|_| is_sent);
        return match rest {
            None => After { stage: Stage::Live, position: now.number, walk: (now.number, 0), heading },
            Some(walk) => After { stage, position: member.position, walk, heading },
        };
    };
    if slot == 0 {
        member.stand_at(now.number);
    }
    let (position, walk) = (member.position, member.walk);
    match latest::all(group, order, live, slot, body) {
        None if slot == 0 => {
            After { stage: Stage::Live, position, walk, heading: heading(position, Part::Last, is_first) }
        }
        None => After {
            stage: Stage::CatchingUp,
            position,
            walk,
            heading: heading(UNUSABLE, Part::More, is_first),
        },
        Some(slot) => {
            let is_sent = !body.is_empty();
            let heading = heading(UNUSABLE, Part::More, is_first).filter(|_| is_sent);
            After { stage: Stage::Slots(slot, is_first && !is_sent), position, walk, heading }
        }
    }
}

/// The next push of all changes; none if some of them are not known any more.
fn all_changes(
    member: &mut Member,
    group: &mut Group,
    tracked: &Tracked,
    (live, blocks): (Option<&Collection>, &RefCell<Blocks>),
    now: Now,
    body: &mut Body,
) -> Option<After> {
    let Some(history) = &tracked.history.it else { unreachable!("it is kept while there are groups") };
    let heading = |number, part, is_reset, skipped| {
        Some(Heading { mark: tracked.mark, number, is_reset, part, skipped })
    };
    let mut walk = match std::mem::replace(&mut member.stage, Stage::Live) {
        Stage::Records(walk) => walk,
        Stage::AllRecords => {
            member.stand_at(now.number);
            let pages = live.map(|live| live.documents.pages());
            let documents = pages.map_or_else(Pages::empty, |pages| pages.snapshot(0..pages.end()));
            Box::new(RecordsWalk::new(documents))
        }
        Stage::Live | Stage::Slots(..) | Stage::CatchingUp => {
            if member.position < history.floor() {
                match member.slow {
                    Slow::Close => return None,
                    Slow::Drop => member.skip_forgotten(history),
                }
            }
            let rest = changes::from(group, history, member.position, body);
            let position = rest.unwrap_or(now.number);
            // What was left out is told, also if nothing follows it.
            let is_sent = !body.is_empty() || rest.is_none() && member.skipped > 0;
            let heading = heading(position, Part::No, false, member.skipped).filter(|_| is_sent);
            return Some(After { stage: Stage::Live, position, walk: (position, 0), heading });
        }
    };
    let (position, place) = (member.position, member.walk);
    let is_first = walk.is_first;
    if !walk.step(group, &mut blocks.borrow_mut(), body) {
        let heading = heading(position, Part::Last, is_first, member.skipped);
        return Some(After { stage: Stage::Live, position, walk: place, heading });
    }
    let is_sent = !body.is_empty();
    walk.is_first &= !is_sent;
    let heading = heading(UNUSABLE, Part::More, is_first, member.skipped).filter(|_| is_sent);
    Some(After { stage: Stage::Records(walk), position, walk: place, heading })
}
