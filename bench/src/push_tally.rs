//! The counts of what subscriptions are told, and how long it took from an insertion to a push.

use anyhow::Result;
use hdrhistogram::Histogram;

use crate::clock::nanoseconds;
use crate::limits::{LATENCY_MAX, LATENCY_UNIT_NS};
use crate::pushes::Push;

/// Numbers of the measured stretch and of what came after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PushCounts {
    /// Messages.
    pub pushes: u64,
    /// Records in them.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Changes that the server says it left out.
    pub skipped: u64,
    /// Records that were there before the subscription.
    pub snapshot_records: u64,
}

impl PushCounts {
    fn plus(self, other: Self) -> Self {
        Self {
            pushes: self.pushes + other.pushes,
            records: self.records + other.records,
            bytes: self.bytes + other.bytes,
            skipped: self.skipped + other.skipped,
            snapshot_records: self.snapshot_records + other.snapshot_records,
        }
    }
}

/// All that one worker's subscriptions were told.
#[derive(Debug)]
pub struct PushTally {
    /// Since the measured stretch began.
    pub counts: PushCounts,
    /// Within it.
    pub measured: PushCounts,
    /// From when a record was sent, or due, to when it was pushed, in nanoseconds; only records of the measured stretch.
    pub latency: Histogram<u64>,
    /// Subscriptions that ended.
    pub ends: u64,
    /// Why the first of them did.
    pub first_end: Option<String>,
}

impl PushTally {
    /// Nothing told.
    pub fn new() -> Result<Self> {
        Ok(Self {
            counts: PushCounts::default(),
            measured: PushCounts::default(),
            latency: Histogram::new_with_bounds(LATENCY_UNIT_NS, nanoseconds(LATENCY_MAX), 3)?,
            ends: 0,
            first_end: None,
        })
    }

    /// A push came. The times of records made by this phase are counted from `stamps_from`; others are older.
    pub fn count(&mut self, push: Push<'_>, stamps_from: Option<u64>, now_ns: u64) {
        self.counts.pushes += 1;
        self.counts.bytes += push.bytes() as u64;
        self.counts.skipped += push.skipped();
        let is_snapshot = push.is_snapshot();
        for time in push.times() {
            if is_snapshot {
                self.counts.snapshot_records += 1;
                continue;
            }
            self.counts.records += 1;
            if let Some(sent_ns) = stamps_from.and_then(|from| time.checked_sub(from)) {
                self.latency.saturating_record(now_ns.saturating_sub(sent_ns));
            }
        }
    }

    /// A subscription ended.
    pub fn end(&mut self, why: String) {
        self.ends += 1;
        self.first_end.get_or_insert(why);
    }

    /// The measurement begins: what was told before doesn't count, but an end does.
    pub fn restart(&mut self) {
        self.counts = PushCounts::default();
        self.latency.reset();
    }

    /// The measurement ends.
    pub fn stop(&mut self) {
        self.measured = self.counts;
    }

    /// Adds another worker's findings.
    pub fn absorb(&mut self, other: &Self) -> Result<()> {
        self.counts = self.counts.plus(other.counts);
        self.measured = self.measured.plus(other.measured);
        self.latency.add(&other.latency)?;
        self.ends += other.ends;
        self.first_end = self.first_end.take().or_else(|| other.first_end.clone());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_those_of_new_records_only() {
        let mut tally = PushTally::new().unwrap();
        let old = br#"{"type":"push","records":{"a":{"ts":99,"data":""}}}"#;
        let new =
            br#"{"type":"push","records":{"a":{"ts":1100,"data":""},"b":{"ts":1200,"data":""}},"skipped":2}"#;
        let snapshot = br#"{"type":"push","snapshot":"done","records":{"a":{"ts":1100,"data":""}}}"#;
        for bytes in [&old[..], new, snapshot] {
            tally.count(Push::of(bytes), Some(1_000), 1_000_000);
        }
        let bytes = (old.len() + new.len() + snapshot.len()) as u64;
        let counts = PushCounts { pushes: 3, records: 3, bytes, skipped: 2, snapshot_records: 1 };
        assert_eq!((tally.counts, tally.latency.len()), (counts, 2));
        assert!(tally.latency.max() >= 999_000);
        tally.stop();
        tally.restart();
        assert_eq!((tally.measured, tally.counts, tally.latency.len()), (counts, PushCounts::default(), 0));
    }

    #[test]
    fn two_workers_pushes_add_up_and_the_first_end_is_kept() {
        let (mut one, mut two) = (PushTally::new().unwrap(), PushTally::new().unwrap());
        two.end("too slow".to_owned());
        two.counts.records = 5;
        one.absorb(&two).unwrap();
        one.end("later".to_owned());
        assert_eq!((one.ends, one.first_end.as_deref(), one.counts.records), (2, Some("too slow"), 5));
    }
}
