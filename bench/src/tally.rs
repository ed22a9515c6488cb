//! The counts of a worker: numbers that only go up, latencies by kind, and the longest silence.
//!
//! Rates come from the difference of two snapshots of the counts, so nothing is reset while the load runs.

use std::sync::atomic::AtomicU64;

use anyhow::Result;
use hdrhistogram::Histogram;

use crate::clock::nanoseconds;
use crate::connection::Answered;
use crate::limits::{LATENCY_MAX, LATENCY_UNIT_NS};
use crate::push_tally::PushTally;
use crate::timeline::Timeline;
use crate::window::Request;
use crate::workload::Workload;

/// Numbers since the worker's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests put on their way.
    pub sent: u64,
    /// Replies, those with an error included.
    pub replies: u64,
    /// Replies with an error.
    pub errors: u64,
    /// Replies whose id no request had.
    pub unmatched: u64,
    /// Records whose insertion was answered without an error.
    pub records: u64,
    /// Bytes written to sockets.
    pub bytes_out: u64,
    /// Bytes read from sockets.
    pub bytes_in: u64,
    /// The thread's time on a CPU.
    pub ran_ns: u64,
    /// The thread's time ready to run but not running.
    pub waited_ns: u64,
}

impl Counts {
    /// The difference between an earlier snapshot and this one.
    pub fn since(self, earlier: Self) -> Self {
        self.combine(earlier, |now, then| now - then)
    }

    /// The sum of two workers' numbers.
    pub fn plus(self, other: Self) -> Self {
        self.combine(other, |one, two| one + two)
    }

    fn combine(self, other: Self, with: fn(u64, u64) -> u64) -> Self {
        Self {
            sent: with(self.sent, other.sent),
            replies: with(self.replies, other.replies),
            errors: with(self.errors, other.errors),
            unmatched: with(self.unmatched, other.unmatched),
            records: with(self.records, other.records),
            bytes_out: with(self.bytes_out, other.bytes_out),
            bytes_in: with(self.bytes_in, other.bytes_in),
            ran_ns: with(self.ran_ns, other.ran_ns),
            waited_ns: with(self.waited_ns, other.waited_ns),
        }
    }
}

/// Counts that another thread looks at now and then; apart from those of other workers, which write theirs as often.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct LiveCounts {
    /// As in `Counts`.
    pub replies: AtomicU64,
    /// As in `Counts`.
    pub errors: AtomicU64,
}

/// The longest time without any reply while at least one request waited.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silence {
    waiting_since_ns: Option<u64>,
    longest_ns: u64,
}

impl Silence {
    /// Requests went out.
    pub fn sent(&mut self, now_ns: u64) {
        self.waiting_since_ns.get_or_insert(now_ns);
    }

    /// Replies came; whether more are waited for.
    pub fn broken(&mut self, now_ns: u64, still_waiting: bool) {
        self.extend_to(now_ns);
        self.waiting_since_ns = still_waiting.then_some(now_ns);
    }

    /// The measurement begins: what was before doesn't count.
    pub fn restart(&mut self, now_ns: u64) {
        self.longest_ns = 0;
        self.waiting_since_ns = self.waiting_since_ns.map(|_| now_ns);
    }

    /// No more replies are expected.
    pub fn extend_to(&mut self, now_ns: u64) {
        if let Some(since) = self.waiting_since_ns {
            self.longest_ns = self.longest_ns.max(now_ns.saturating_sub(since));
        }
    }

    /// The longest so far.
    pub fn longest_ns(&self) -> u64 {
        self.longest_ns
    }
}

/// All that one worker found out in one phase.
#[derive(Debug)]
pub struct Tally {
    /// Everything since the phase began.
    pub counts: Counts,
    /// The longest silence of the measured stretch.
    pub silence: Silence,
    /// Latencies of the measured stretch in nanoseconds, by kind.
    pub latencies: Vec<Histogram<u64>>,
    /// In open loop, how long after they were due messages were sent, in nanoseconds.
    pub lateness: Histogram<u64>,
    /// What subscriptions were told.
    pub pushes: PushTally,
    /// The course of the measured stretch.
    pub timeline: Timeline,
    /// The first error reply's text.
    pub first_error: Option<String>,
    /// Why the first lost connection was lost.
    pub first_loss: Option<String>,
    /// The number of connections that were lost.
    pub connections_lost: u64,
    /// Requests that had no reply at the end.
    pub unanswered: u64,
    /// Messages that were due at a fixed rate but had no room in any window.
    pub unsent: u64,
    /// The counts within the measured stretch.
    pub measured: Counts,
    /// The length of the measured stretch.
    pub measured_ns: u64,
}

impl Tally {
    /// Nothing counted, and none of it over time.
    pub fn new() -> Result<Self> {
        Self::over(Timeline::empty())
    }

    /// Nothing counted yet; replies fall into the intervals of this timeline.
    pub fn over(timeline: Timeline) -> Result<Self> {
        let histogram = Histogram::new_with_bounds(LATENCY_UNIT_NS, nanoseconds(LATENCY_MAX), 3)?;
        Ok(Self {
            counts: Counts::default(),
            silence: Silence::default(),
            latencies: vec![histogram.clone(); Workload::ALL.len()],
            lateness: histogram,
            pushes: PushTally::new()?,
            timeline,
            first_error: None,
            first_loss: None,
            connections_lost: 0,
            unanswered: 0,
            unsent: 0,
            measured: Counts::default(),
            measured_ns: 0,
        })
    }

    /// One reply came.
    #[inline]
    pub fn answered(&mut self, answered: Answered, now_ns: u64) {
        self.counts.replies += 1;
        let is_error = answered.error.is_some();
        if let Some(error) = answered.error {
            self.counts.errors += 1;
            self.first_error.get_or_insert(error);
        }
        match answered.request {
            Some(request) => {
                self.counts.records += if is_error { 0 } else { u64::from(request.records) };
                let latency_ns = self.latency(&request, now_ns);
                self.timeline.reply(now_ns, latency_ns);
            }
            None => self.counts.unmatched += 1,
        }
    }

    /// A request went out this long after it was due.
    #[inline]
    pub fn sent_late(&mut self, by_ns: u64) {
        self.counts.sent += 1;
        self.lateness.saturating_record(by_ns);
    }

    /// A request got no reply: it took at least until now.
    pub fn gave_up(&mut self, request: &Request, now_ns: u64) {
        self.unanswered += 1;
        self.latency(request, now_ns);
    }

    #[inline]
    fn latency(&mut self, request: &Request, now_ns: u64) -> u64 {
        let latency_ns = now_ns.saturating_sub(request.since_ns);
        self.latencies[request.workload.index()].saturating_record(latency_ns);
        latency_ns
    }

    /// The measurement begins.
    pub fn restart(&mut self, now_ns: u64) {
        self.timeline.restart();
        self.silence.restart(now_ns);
        self.latencies.iter_mut().for_each(Histogram::reset);
        self.lateness.reset();
        self.pushes.restart();
    }

    /// Adds another worker's findings.
    pub fn absorb(&mut self, other: Self) -> Result<()> {
        self.counts = self.counts.plus(other.counts);
        self.measured = self.measured.plus(other.measured);
        self.measured_ns = self.measured_ns.max(other.measured_ns);
        self.silence.longest_ns = self.silence.longest_ns.max(other.silence.longest_ns);
        for (ours, theirs) in self.latencies.iter_mut().zip(&other.latencies) {
            ours.add(theirs)?;
        }
        self.lateness.add(&other.lateness)?;
        self.pushes.absorb(&other.pushes)?;
        self.timeline.absorb(&other.timeline);
        self.first_error = self.first_error.take().or(other.first_error);
        self.first_loss = self.first_loss.take().or(other.first_loss);
        self.connections_lost += other.connections_lost;
        self.unanswered += other.unanswered;
        self.unsent += other.unsent;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(records: u32, error: Option<&str>) -> Answered {
        let request = Some(Request { since_ns: 100, workload: Workload::Ins, records });
        Answered { request, error: error.map(str::to_owned) }
    }

    #[test]
    fn errors_store_no_records_and_the_first_text_is_kept() {
        let mut tally = Tally::new().unwrap();
        tally.answered(answer(3, None), 1_100);
        tally.answered(answer(3, Some("first")), 2_100);
        tally.answered(answer(3, Some("second")), 2_100);
        tally.answered(Answered { request: None, error: None }, 2_100);
        assert_eq!((tally.counts.replies, tally.counts.errors, tally.counts.unmatched), (4, 2, 1));
        assert_eq!((tally.counts.records, tally.first_error.as_deref()), (3, Some("first")));
        assert_eq!(tally.latencies[Workload::Ins.index()].len(), 3);
    }

    #[test]
    fn silence_counts_only_while_something_waits() {
        let mut silence = Silence::default();
        silence.extend_to(1_000);
        assert_eq!(silence.longest_ns(), 0);
        silence.sent(1_000);
        silence.sent(1_500);
        silence.broken(1_800, false);
        assert_eq!(silence.longest_ns(), 800);
        silence.sent(9_000);
        silence.broken(9_100, true);
        silence.extend_to(9_200);
        assert_eq!(silence.longest_ns(), 800);
        silence.restart(9_300);
        silence.extend_to(9_350);
        assert_eq!(silence.longest_ns(), 50);
    }

    #[test]
    fn two_workers_findings_add_up() {
        let mut one = Tally::new().unwrap();
        one.answered(answer(1, None), 1_000);
        let mut two = Tally::new().unwrap();
        two.answered(answer(2, Some("bad")), 5_000);
        two.measured_ns = 7;
        one.absorb(two).unwrap();
        assert_eq!((one.counts.replies, one.counts.records, one.measured_ns), (2, 1, 7));
        assert_eq!((one.latencies[0].len(), one.first_error.as_deref()), (2, Some("bad")));
    }
}
