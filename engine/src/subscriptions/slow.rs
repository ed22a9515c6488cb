//! The watch over those who want all changes and don't take them.
//!
//! A subscription is too slow when more than its buffer waits for it and it has taken nothing for a while: a burst that is
//! larger than the buffer is no reason yet.

use super::changes::Matched;
use super::group::{Group, Names};
use super::history::{History, weight};
use super::hub::Subscriptions;
use super::member::{Member, Stage, Waits};
use super::pump::Push;
use super::render::Body;
use super::slab::Slab;
use super::terms::{Mode, Slow};
use super::tracked::Tracked;
use crate::limits::{
    FANOUT_MAX, HISTORY_BYTES_MAX, MEMBER_WORK, PUMP_WORK_MAX, PUSH_WORK_MAX, SLOW_CHECK_MS, SLOW_GRACE_MS,
    SNAPSHOT_GRACE_MS,
};

/// What is to become of a subscription.
enum Verdict {
    Fine,
    Ends,
}

impl Subscriptions {
    /// Looks at those who don't take what they are pushed, now and then.
    pub(crate) fn check_slow(&mut self, now_ms: u64, pushes: &mut Vec<Push>) {
        if now_ms < self.slow_checked_ms + SLOW_CHECK_MS || self.history_bytes == 0 {
            return;
        }
        self.slow_checked_ms = now_ms;
        self.trim_histories(now_ms);
        let mut ending = Vec::new();
        let Self { tracked, groups, members, slow_next, .. } = self;
        let (first, mut seen, mut work) = (*slow_next, 0, 0);
        for (_, tracked) in tracked.iter() {
            let Some(history) = &tracked.history.it else { continue };
            for index in tracked.groups.values() {
                let Some(group) = groups.get_mut(*index).filter(|group| group.mode == Mode::All) else {
                    continue;
                };
                let listed = std::mem::take(&mut group.members);
                for index in &listed {
                    seen += 1;
                    if seen <= first || work >= PUMP_WORK_MAX {
                        continue;
                    }
                    *slow_next = seen;
                    work += MEMBER_WORK;
                    if let Some(member) = members.get_mut(*index)
                        && is_stuck(member, now_ms)
                        && (holds_a_snapshot(member, now_ms)
                            || matches!(judge(member, group, history, &mut work), Verdict::Ends))
                    {
                        ending.push(*index);
                    }
                }
                group.members = listed;
            }
        }
        if work < PUMP_WORK_MAX {
            *slow_next = 0;
        }
        ending.into_iter().for_each(|member| self.end(member, now_ms, pushes));
    }

    /// Forgets what is beyond the bound of a history, as far as nobody is still taking it.
    fn trim_histories(&mut self, now_ms: u64) {
        let Self { tracked, groups, members, history_bytes, .. } = self;
        let is_large = |history: &History| history.bytes() > HISTORY_BYTES_MAX;
        let large: Vec<u32> = tracked
            .iter()
            .filter_map(|(index, tracked)| {
                tracked.history.it.as_ref().filter(|found| is_large(found)).map(|_| index)
            })
            .collect();
        for index in large {
            let Some(tracked) = tracked.get_mut(index) else { continue };
            let needed_from = needed_from(tracked, groups, members, now_ms);
            let Some(history) = &mut tracked.history.it else { continue };
            *history_bytes -= history.bytes();
            while is_large(history) && history.forget_block_before(needed_from) {}
            *history_bytes += history.bytes();
        }
    }
}

/// The number of the first change that somebody is still taking, if those are not too many to look at.
fn needed_from(tracked: &Tracked, groups: &Slab<Group>, members: &Slab<Member>, now_ms: u64) -> u64 {
    let groups = || {
        let all = tracked.groups.values().filter_map(|index| groups.get(*index));
        all.filter(|group| group.mode == Mode::All)
    };
    if groups().map(|group| group.members.len()).sum::<usize>() > FANOUT_MAX {
        return u64::MAX;
    }
    let of_group = |group: &Group| {
        let members = group.members.iter().filter_map(|index| members.get(*index));
        let taking = members.filter(|member| !is_stuck(member, now_ms)).map(|member| match member.waits {
            Waits::CaughtUp(_) => group.position.max(member.position),
            _ => member.position,
        });
        taking.min()
    };
    groups().filter_map(of_group).min().unwrap_or(u64::MAX)
}

/// Whether a member that takes nothing keeps what all records once were.
fn holds_a_snapshot(member: &Member, now_ms: u64) -> bool {
    matches!(member.stage, Stage::Records(_)) && now_ms >= member.sent_at_ms + SNAPSHOT_GRACE_MS
}

fn is_stuck(member: &Member, now_ms: u64) -> bool {
    match member.waits {
        Waits::Sent => now_ms >= member.sent_at_ms + SLOW_GRACE_MS,
        Waits::Until(_) => true,
        Waits::CaughtUp(_) | Waits::Behind(_) | Waits::Nowhere => false,
    }
}

/// Looks how much waits for a member; has the oldest dropped if that is what it asked for.
fn judge(member: &mut Member, group: &mut Group, history: &History, work: &mut usize) -> Verdict {
    let buffer = u64::from(member.buffer_bytes);
    if history.weight_from(member.position) <= buffer && member.position >= history.floor() {
        return Verdict::Fine;
    }
    if member.position < history.floor() && member.slow == Slow::Close {
        return Verdict::Ends;
    }
    let from = member.counted.0.max(member.position);
    let mut counted = if from == member.position { 0 } else { member.counted.1 };
    let mut end = from;
    counted += count(group, history, from, &mut end, work);
    member.counted = (end, counted);
    if counted == 0 {
        // None of it is for this one, so it needn't be remembered for its sake.
        member.move_to(end, history);
        return Verdict::Fine;
    }
    if counted <= buffer {
        return Verdict::Fine;
    }
    if member.slow == Slow::Close {
        return Verdict::Ends;
    }
    drop_oldest(member, group, history, counted - buffer, work);
    Verdict::Fine
}

/// The weight of the changes that a group wants, from a number on, as far as the work of one look goes.
fn count(group: &mut Group, history: &History, from: u64, end: &mut u64, work: &mut usize) -> u64 {
    if matches!(group.names, Names::All) && group.filter.is_empty() {
        *end = history.end().max(from);
        return history.weight_from(from);
    }
    let (mut matched, mut body, mut sum) = (Matched::default(), Body::new(), 0);
    for (number, change) in history.from(from) {
        if body.work() >= PUSH_WORK_MAX {
            break;
        }
        body.look();
        *end = number + 1;
        if matched.wants(group, &change, &mut body) {
            sum += weight(&change);
        }
    }
    *work += body.work();
    sum
}

/// Passes over changes that the group wants until so much weight is gone.
fn drop_oldest(member: &mut Member, group: &mut Group, history: &History, excess: u64, work: &mut usize) {
    let (end, counted) = member.counted;
    if member.position < history.floor() {
        member.skip_forgotten(history);
    }
    let (mut matched, mut body, mut gone) = (Matched::default(), Body::new(), 0);
    let mut position = member.position;
    for (number, change) in history.from(member.position) {
        if gone >= excess || body.work() >= PUSH_WORK_MAX {
            break;
        }
        body.look();
        position = number + 1;
        if matched.wants(group, &change, &mut body) {
            gone += weight(&change);
            member.skipped += 1;
        }
    }
    member.move_to(position, history);
    member.counted = (end, counted.saturating_sub(gone));
    *work += body.work();
}
