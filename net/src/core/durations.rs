//! The time that requests take, from when they are taken up until their answer, or its first piece, is ready.
//!
//! The clock is not read for each request. One that is carried out at once counts as long as the slice of work that it was
//! part of, from one look at the clock to the next: of a burst of small requests that is a few microseconds. One that is
//! answered later counts to the look at the clock that was last when its answer came.

use crate::core::histogram::{Distribution, Histogram, Placed};
use crate::core::ticket::Asked;
use crate::limits::SLICE_REQUESTS_MAX;
use crate::requests::kind::Kind;
use std::cell::Cell;
use std::time::{Duration, Instant};

/// The durations of requests on one core.
pub struct Durations {
    by_kind: [Histogram; Kind::COUNT],
    /// When the slice of work under way began.
    slice_began: Cell<Instant>,
    /// The requests in it that have been carried out.
    slice: [Cell<Kind>; SLICE_REQUESTS_MAX],
    slice_len: Cell<usize>,
    /// The last look at the clock by whoever carries out messages of other cores.
    mail_clock: Cell<Instant>,
}

impl Durations {
    /// None yet.
    pub fn new() -> Durations {
        let now = Instant::now();
        Durations {
            by_kind: std::array::from_fn(|_| Histogram::default()),
            slice_began: Cell::new(now),
            slice: std::array::from_fn(|_| Cell::new(Kind::Unknown)),
            slice_len: Cell::new(0),
            mail_clock: Cell::new(now),
        }
    }

    /// A request is taken up; the clock was last looked at then.
    pub fn begin(&self, looked_at: Instant) {
        if self.slice_began.get() != looked_at {
            self.end_slice(looked_at);
            self.slice_began.set(looked_at);
        }
    }

    /// A request of this slice has been carried out.
    pub fn done(&self, kind: Kind) {
        let len = self.slice_len.get();
        self.slice[len].set(kind);
        self.slice_len.set(len + 1);
        if len + 1 == SLICE_REQUESTS_MAX {
            self.end_slice(Instant::now());
        }
    }

    /// Whether requests wait for the end of their slice.
    pub fn has_slice(&self) -> bool {
        self.slice_len.get() > 0
    }

    /// Counts the requests of the slice, which ends now.
    pub fn end_slice(&self, now: Instant) {
        let len = self.slice_len.replace(0);
        if len > 0 {
            let placed = Placed::new(now.saturating_duration_since(self.slice_began.get()));
            self.slice[..len].iter().for_each(|kind| self.by_kind[kind.get() as usize].add_placed(placed, 1));
        }
    }

    /// Notes a look at the clock while messages of other cores are carried out.
    pub fn set_mail_clock(&self, now: Instant) {
        self.mail_clock.set(now);
    }

    /// The last look at the clock.
    pub fn clock(&self) -> Instant {
        self.mail_clock.get().max(self.slice_began.get())
    }

    /// Counts a request that has been answered by mail; gives the time that it took.
    pub fn answered(&self, asked: &Asked) -> Duration {
        let took = self.mail_clock.get().saturating_duration_since(asked.at);
        self.by_kind[asked.kind as usize].add(took);
        took
    }

    /// Counts a request that took so long.
    pub fn add(&self, kind: Kind, took: Duration) {
        self.by_kind[kind as usize].add(took);
    }

    /// What there is of each kind, in order.
    pub fn get(&self) -> Vec<Distribution> {
        self.by_kind.iter().map(Histogram::get).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_count_as_long_as_their_slice() {
        let durations = Durations::new();
        let start = Instant::now();
        let later = |us| start + Duration::from_micros(us);
        let counts = |kind: Kind| durations.get()[kind as usize];
        durations.begin(later(0));
        durations.done(Kind::Insert);
        durations.begin(later(0));
        durations.done(Kind::GetValue);
        assert!(durations.has_slice() && counts(Kind::Insert).sum_ns == 0);
        durations.begin(later(20));
        assert_eq!((counts(Kind::Insert).counts[1], counts(Kind::Insert).sum_ns), (1, 20_000));
        durations.done(Kind::GetValue);
        durations.end_slice(later(23));
        assert_eq!(
            (counts(Kind::GetValue).counts[..2].to_vec(), counts(Kind::GetValue).sum_ns),
            (vec![1, 1], 23_000)
        );
        assert!(!durations.has_slice());
    }

    #[test]
    fn a_slice_holds_only_so_many_requests() {
        let durations = Durations::new();
        durations.begin(Instant::now());
        (0..3 * SLICE_REQUESTS_MAX).for_each(|_| durations.done(Kind::Insert));
        let counted: u64 = durations.get()[Kind::Insert as usize].counts.iter().sum();
        assert_eq!(counted, 3 * SLICE_REQUESTS_MAX as u64);
    }
}
