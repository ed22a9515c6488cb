//! The handing over of a shard's changes to its writer, and the replies that wait until they are stored.
//!
//! The protocol between a core and its writer:
//! 1. Changes collect in the shard's feed. The core hands them over as one batch; until that is answered it hands
//!    over no other, so what arrives meanwhile is the next batch (group commit).
//! 2. The writer answers each batch once with `Committed`, and before that with `CommitFailed` as often as it tried
//!    in vain. A failed batch stays with the writer; writes are refused until it is stored.
//! 3. More waiting bytes than the cap make the shard fall behind: then no core reads from connections that write.
//!    A batch under way counts less the longer it takes, at the speed of those before it, so that writers are let in
//!    again little by little, and not all at once when it is stored.
//! 4. At the end the core hands over what is left and waits for the answer. If that is a failure, changes made meanwhile
//!    are sent behind the failed batch as the last one. Then the sender is dropped, which ends the writer.

use crate::core::ticket::Ticket;
use crossbeam_channel::Sender;
use fluxion_engine::{Batch, ReaderId, Shard, SyncMode};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::error;

/// Bytes a writer is taken to store in a second, before it has shown it.
const BYTES_PER_SECOND_GUESS: f64 = 32e6;
/// A smaller batch says little of the writer's speed.
const BYTES_TO_JUDGE_BY: usize = 256 << 10;
/// The newest batch's share in that speed.
const NEWEST_SHARE: f64 = 0.3;

/// When changes are stored, and how many may wait.
#[derive(Clone, Copy, Debug)]
pub struct StorageOptions {
    /// Whether replies to changes leave before or after these have been stored.
    pub sync: SyncMode,
    /// The longest that a change waits before it is handed over.
    pub flush_interval: Duration,
    /// Bytes of changes that are handed over before the interval has passed.
    pub batch_bytes: usize,
    /// Bytes of changes above which a shard has fallen behind.
    pub waiting_bytes_max: usize,
}

/// Something that waits until changes are stored.
pub enum Held {
    /// The acknowledgement of a change; without an id it is a part of a gathered one.
    Acknowledgement {
        /// Whom to answer.
        ticket: Ticket,
        /// The request's id.
        id: Option<Box<str>>,
    },
    /// A change of API keys, on core 0.
    KeyChange(u64),
}

/// The outcome of holding.
pub enum Hold {
    /// It is kept until its changes are stored.
    Kept,
    /// Everything is stored already.
    NotNeeded(Held),
    /// Nothing can be stored any more.
    InVain(Held),
}

struct InFlight {
    bytes: usize,
    held: Vec<Held>,
    since: Instant,
    /// About when the oldest of its changes was made.
    oldest: Instant,
}

/// The changes that one core hands to its writer.
pub struct Handover {
    options: StorageOptions,
    sender: Sender<Batch>,
    /// The writer's place in the feed.
    reader: ReaderId,
    in_flight: Option<InFlight>,
    /// Waits for changes that are still in the feed, each with the number that the next change then had.
    held: VecDeque<(u64, Held)>,
    /// About when the oldest change in the feed was made.
    oldest: Option<Instant>,
    /// The time that the last batch took.
    commit_time: Duration,
    /// Bytes a second that the writer stores, by its last batches.
    bytes_per_second: f64,
    /// Hand over without waiting for the interval.
    urgent: bool,
    /// The writer's thread has ended.
    gone: bool,
}

impl Handover {
    /// Hands over what changes from now on.
    pub fn new(options: StorageOptions, sender: Sender<Batch>, shard: &mut Shard) -> Handover {
        Handover {
            options,
            sender,
            reader: shard.feed_mut().open_reader(),
            in_flight: None,
            held: VecDeque::new(),
            oldest: None,
            commit_time: Duration::ZERO,
            bytes_per_second: BYTES_PER_SECOND_GUESS,
            urgent: false,
            gone: false,
        }
    }

    /// Whether acknowledgements wait until what they say is stored.
    pub fn holds_replies(&self) -> bool {
        self.options.sync == SyncMode::Always
    }

    /// The longest that a change waits.
    pub fn flush_interval(&self) -> Duration {
        self.options.flush_interval
    }

    /// Has the changes handed over at the next opportunity.
    pub fn hurry(&mut self) {
        self.urgent = true;
    }

    /// Keeps something until all changes made so far are stored.
    pub fn hold(&mut self, held: Held, shard: &Shard) -> Hold {
        if !self.is_handed_over(shard) {
            self.held.push_back((shard.feed().next_number(), held));
        } else if let Some(in_flight) = &mut self.in_flight {
            in_flight.held.push(held);
        } else {
            return Hold::NotNeeded(held);
        }
        Hold::Kept
    }

    /// Whether the writer has been given every change.
    pub fn is_handed_over(&self, shard: &Shard) -> bool {
        shard.feed().is_caught_up(self.reader)
    }

    /// Bytes of changes that are not stored yet.
    pub fn waiting_bytes(&self, shard: &Shard) -> usize {
        shard.feed().waiting_bytes(self.reader) + self.in_flight.as_ref().map_or(0, |batch| batch.bytes)
    }

    /// About how long the oldest change has waited that is not stored.
    pub fn waiting_time(&self, now: Instant) -> Duration {
        let oldest = self.in_flight.as_ref().map(|batch| batch.oldest).or(self.oldest);
        oldest.map_or(Duration::ZERO, |oldest| now.saturating_duration_since(oldest))
    }

    /// The batch under way, if one is: its bytes, and when it was handed over.
    pub fn under_way(&self) -> Option<(usize, Instant)> {
        self.in_flight.as_ref().map(|batch| (batch.bytes, batch.since))
    }

    /// Whether everything is stored.
    pub fn is_clean(&self, shard: &Shard) -> bool {
        self.in_flight.is_none() && self.is_handed_over(shard)
    }

    /// Whether the shard has fallen behind. The batch under way may exceed the mark, so that is kept clear of the cap.
    pub fn is_behind(&self, shard: &Shard, now: Instant) -> bool {
        let mark = self.options.waiting_bytes_max.saturating_sub(self.options.batch_bytes);
        let stored = self.in_flight.as_ref().map_or(0, |batch| {
            // Ever slower towards its end, so that a batch that takes longer than expected stops nobody altogether.
            let expected = batch.bytes as f64 / self.bytes_per_second;
            let elapsed = now.saturating_duration_since(batch.since).as_secs_f64();
            (batch.bytes as f64 * (1.0 - (-elapsed / expected.max(1e-9)).exp())) as usize
        });
        self.waiting_bytes(shard) - stored > mark
    }

    /// Hands changes over if it is time to. An error if the writer is gone: then they can't be stored any more.
    pub fn tend(&mut self, shard: &mut Shard, now: Instant) -> Result<(), WriterGone> {
        if self.is_handed_over(shard) {
            self.oldest = None;
            return Ok(());
        }
        let oldest = *self.oldest.get_or_insert(now);
        if self.in_flight.is_some() || !self.is_due(shard, now.saturating_duration_since(oldest)) {
            return Ok(());
        }
        let all = self.holds_replies() || self.urgent;
        let bytes = if all { usize::MAX } else { self.options.batch_bytes };
        // A change that goes on in steps may have to end first.
        let Some(batch) = shard.feed_mut().take(self.reader, bytes) else { return Ok(()) };
        let end = batch.first_number() + batch.len() as u64;
        let stored_with_it = self.held.partition_point(|(number, _)| *number <= end);
        let held = self.held.drain(..stored_with_it).map(|(_, held)| held).collect();
        self.in_flight = Some(InFlight { bytes: batch.bytes(), held, since: now, oldest });
        // What is left is not older than this.
        let rest = !self.is_handed_over(shard);
        self.oldest = rest.then_some(oldest);
        self.urgent &= rest;
        self.sender.send(batch).map_err(|_| {
            self.gone = true;
            WriterGone
        })
    }

    /// Sends what is left as the last batch, behind one that may have failed, and ends the writer.
    pub fn close(self, shard: &mut Shard) {
        let rest = shard.feed_mut().take(self.reader, usize::MAX);
        let (unchanged, has_changes) = (shard.unchanged(), rest.is_some());
        if !has_changes && unchanged.is_empty() {
            return;
        }
        let mut last = rest.unwrap_or_else(|| shard.feed().empty_batch());
        last.set_unchanged(unchanged);
        if self.sender.send(last).is_err() && has_changes {
            error!("changes are lost: the writer thread has ended");
        }
    }

    /// Whether nothing can be stored any more.
    pub fn writer_is_gone(&self) -> bool {
        self.gone
    }

    /// A crash is to cost no more than the interval, so the time that storing takes is kept clear of it.
    fn is_due(&self, shard: &Shard, age: Duration) -> bool {
        let interval = self.options.flush_interval;
        let reserve = (self.commit_time * 2).min(interval * 3 / 4);
        self.holds_replies()
            || self.urgent
            || shard.feed().waiting_bytes(self.reader) >= self.options.batch_bytes
            || age >= interval - reserve
    }

    /// The batch is stored: gives what waited for it.
    pub fn committed(&mut self, now: Instant) -> Vec<Held> {
        let Some(in_flight) = self.in_flight.take() else { return Vec::new() };
        self.commit_time = now.saturating_duration_since(in_flight.since);
        if in_flight.bytes >= BYTES_TO_JUDGE_BY {
            let speed = in_flight.bytes as f64 / self.commit_time.as_secs_f64().max(1e-6);
            self.bytes_per_second += (speed - self.bytes_per_second) * NEWEST_SHARE;
        }
        in_flight.held
    }

    /// The batch could not be stored for now: gives all that waits, to be told so.
    pub fn failed(&mut self) -> Vec<Held> {
        let mut held =
            self.in_flight.as_mut().map(|batch| std::mem::take(&mut batch.held)).unwrap_or_default();
        held.extend(self.held.drain(..).map(|(_, held)| held));
        held
    }
}

/// The writer's thread has ended.
pub struct WriterGone;

/// The state of a shard's storage, as every core knows it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct StorageState {
    /// More is waiting than may.
    pub behind: bool,
    /// Why nothing can be stored.
    pub failing: Option<Arc<str>>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::ticket::{Asked, PeerAddress, Reservation};
    use crate::requests::kind::Kind;
    use crossbeam_channel::{Receiver, unbounded};
    use fluxion_engine::Request;

    const INTERVAL: Duration = Duration::from_secs(15);

    struct Rig {
        handover: Handover,
        batches: Receiver<Batch>,
        shard: Shard,
    }

    fn rig(sync: SyncMode) -> Rig {
        let (sender, batches) = unbounded();
        let options =
            StorageOptions { sync, flush_interval: INTERVAL, batch_bytes: 1000, waiting_bytes_max: 4000 };
        let mut shard = Shard::new();
        Rig { handover: Handover::new(options, sender, &mut shard), batches, shard }
    }

    impl Rig {
        fn write(&mut self, value: &str) {
            let request = Request::SetValue { collection: "c", key: "k", value };
            self.shard.execute(&request, &mut Vec::new()).unwrap();
        }

        fn tend(&mut self, now: Instant) -> Option<usize> {
            assert!(self.handover.tend(&mut self.shard, now).is_ok());
            self.batches.try_recv().ok().map(|batch| batch.len())
        }

        fn hold(&mut self) -> bool {
            let peer = PeerAddress { core: 0, slot: 0, generation: 0 };
            let reservation = Reservation { bytes: 0, alone: false };
            let asked = Asked::new(Kind::Insert, Instant::now(), 0);
            let ticket = Ticket { peer, gather: None, reservation, asked };
            let held = Held::Acknowledgement { ticket, id: None };
            matches!(self.handover.hold(held, &self.shard), Hold::Kept)
        }
    }

    #[test]
    fn a_batch_goes_when_the_interval_has_passed_or_enough_is_there() {
        let mut rig = rig(SyncMode::Interval);
        let start = Instant::now();
        rig.write("x");
        assert_eq!(rig.tend(start), None);
        rig.write("x");
        assert_eq!(rig.tend(start + INTERVAL - Duration::from_millis(1)), None);
        assert_eq!(rig.tend(start + INTERVAL), Some(2));
        rig.write(&"x".repeat(1000));
        assert_eq!(rig.tend(start + INTERVAL), None, "one batch at a time");
        rig.handover.committed(start + INTERVAL + Duration::from_secs(2));
        assert_eq!(rig.tend(start + INTERVAL), Some(1));
        rig.handover.committed(start + INTERVAL + Duration::from_secs(2));
        rig.write("x");
        let now = start + 2 * INTERVAL;
        assert_eq!(rig.tend(now), None);
        assert_eq!(rig.tend(now + INTERVAL - Duration::from_secs(4)), Some(1), "the last commits took 2 s");
    }

    #[test]
    fn replies_wait_for_the_batch_that_holds_their_changes() {
        let mut rig = rig(SyncMode::Always);
        let now = Instant::now();
        assert!(!rig.hold(), "nothing was changed");
        rig.write("x");
        assert!(rig.hold());
        assert_eq!(rig.tend(now), Some(1));
        assert!(rig.hold(), "a mutation without effect waits for the one that made it so");
        rig.write("y");
        assert!(rig.hold());
        assert_eq!(rig.tend(now), None);
        assert_eq!(rig.handover.committed(now).len(), 2);
        assert_eq!(rig.tend(now), Some(1));
        rig.write("z");
        assert!(rig.hold());
        assert_eq!(rig.handover.failed().len(), 2, "all are told that it can't be stored");
        assert_eq!(rig.handover.committed(now).len(), 0);
        assert!(!rig.handover.is_clean(&rig.shard));
    }

    #[test]
    fn a_shard_is_behind_until_enough_must_have_been_stored() {
        let mut rig = rig(SyncMode::Interval);
        let now = Instant::now();
        rig.write(&"x".repeat(1200));
        assert_eq!(rig.tend(now), Some(1));
        rig.write(&"x".repeat(1600));
        assert!(!rig.handover.is_behind(&rig.shard, now));
        rig.write(&"x".repeat(400));
        assert!(rig.handover.is_behind(&rig.shard, now));
        let soon = now + Duration::from_secs_f64(3000.0 / BYTES_PER_SECOND_GUESS);
        assert!(!rig.handover.is_behind(&rig.shard, soon));
        rig.write(&"x".repeat(1200));
        assert!(rig.handover.is_behind(&rig.shard, soon + INTERVAL), "a batch is not stored twice");
        rig.handover.committed(soon);
        assert_eq!(rig.tend(soon), Some(3));
        assert!(!rig.handover.is_behind(&rig.shard, soon + INTERVAL));
    }

    #[test]
    fn a_writer_that_is_gone_is_noticed() {
        let mut rig = rig(SyncMode::Always);
        rig.write("x");
        drop(rig.batches);
        assert!(rig.handover.tend(&mut rig.shard, Instant::now()).is_err());
    }
}
