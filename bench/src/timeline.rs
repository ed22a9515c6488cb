//! The course of a run over time: replies, and the slowest of them, in intervals of equal length.
//!
//! Invariant: all workers of a phase cut its measured stretch at the same times, so their timelines add up slot by slot.

use crate::limits::TIMELINE_SLOTS_MAX;

/// Interval lengths that read well on an axis.
const INTERVALS_MS: [u64; 12] = [10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000];

/// One interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slot {
    /// Replies that came in it.
    pub replies: u64,
    /// The longest latency among them.
    pub slowest_ns: u64,
}

/// The intervals of a measured stretch.
#[derive(Clone, Debug)]
pub struct Timeline {
    from_ns: u64,
    interval_ns: u64,
    slots: Vec<Slot>,
    current: Slot,
    /// When the current interval ends, on the phase's clock.
    current_end_ns: u64,
}

impl Timeline {
    /// For a stretch of this length, with intervals that are few enough to be drawn.
    pub fn new(from_ns: u64, length_ns: u64) -> Self {
        let fits = |&interval_ms: &u64| length_ns / (interval_ms * 1_000_000) <= TIMELINE_SLOTS_MAX;
        let longest_ns = length_ns.div_ceil(TIMELINE_SLOTS_MAX);
        let interval_ns = INTERVALS_MS.into_iter().find(fits).map_or(longest_ns, |ms| ms * 1_000_000);
        Self {
            from_ns,
            interval_ns,
            slots: Vec::new(),
            current: Slot::default(),
            current_end_ns: from_ns + interval_ns,
        }
    }

    /// Nothing measured.
    pub fn empty() -> Self {
        Self::new(0, 0)
    }

    /// A reply came; times never go back.
    #[inline]
    pub fn reply(&mut self, now_ns: u64, latency_ns: u64) {
        if now_ns >= self.current_end_ns {
            self.advance(now_ns);
        }
        self.current.replies += 1;
        self.current.slowest_ns = self.current.slowest_ns.max(latency_ns);
    }

    /// The measurement begins: what was before doesn't count.
    pub fn restart(&mut self) {
        self.slots.clear();
        self.current = Slot::default();
        self.current_end_ns = self.from_ns + self.interval_ns;
    }

    /// The measurement ends: only whole intervals are kept, as half a one would look like a drop.
    pub fn finish(&mut self, now_ns: u64) {
        self.advance(now_ns);
        // Replies that come later belong to no interval.
        self.current_end_ns = u64::MAX;
    }

    #[cold]
    fn advance(&mut self, now_ns: u64) {
        while now_ns >= self.current_end_ns {
            self.slots.push(std::mem::take(&mut self.current));
            self.current_end_ns += self.interval_ns;
        }
    }

    /// Adds another worker's intervals.
    pub fn absorb(&mut self, other: &Self) {
        if self.slots.is_empty() {
            self.clone_from(other);
            return;
        }
        // A worker that lost its connections early has fewer.
        self.slots.resize(self.slots.len().max(other.slots.len()), Slot::default());
        for (ours, theirs) in self.slots.iter_mut().zip(&other.slots) {
            ours.replies += theirs.replies;
            ours.slowest_ns = ours.slowest_ns.max(theirs.slowest_ns);
        }
    }

    /// The length of an interval.
    pub fn interval_seconds(&self) -> f64 {
        self.interval_ns as f64 / 1e9
    }

    /// All whole intervals, the first one first.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn replies_fall_into_whole_intervals() {
        let mut timeline = Timeline::new(1_000 * MS, 1_000 * MS);
        assert!((timeline.interval_seconds() - 0.01).abs() < 1e-9);
        timeline.reply(900 * MS, 77);
        timeline.restart();
        timeline.reply(1_000 * MS, 5);
        timeline.reply(1_009 * MS, 3);
        timeline.reply(1_031 * MS, 9);
        timeline.reply(1_040 * MS, 99);
        timeline.finish(1_045 * MS);
        timeline.reply(1_090 * MS, 99);
        let slot = |replies, slowest_ns| Slot { replies, slowest_ns };
        assert_eq!(timeline.slots(), [slot(2, 5), slot(0, 0), slot(0, 0), slot(1, 9)]);
    }

    #[test]
    fn long_runs_have_longer_intervals() {
        for (seconds, interval) in [(1, 0.01), (3, 0.02), (60, 0.5), (86_400, 432.0)] {
            let timeline = Timeline::new(0, seconds * 1_000 * MS);
            assert!((timeline.interval_seconds() - interval).abs() < 1e-6, "{seconds}: {timeline:?}");
        }
        assert!(Timeline::new(0, u64::MAX / 2).interval_seconds() > 0.0);
    }

    #[test]
    fn two_workers_intervals_add_up() {
        let mut one = Timeline::new(0, 1_000 * MS);
        one.reply(MS, 5);
        one.finish(10 * MS);
        let mut two = Timeline::new(0, 1_000 * MS);
        two.reply(MS, 7);
        two.reply(12 * MS, 1);
        two.finish(20 * MS);
        let mut sum = Timeline::empty();
        sum.absorb(&one);
        sum.absorb(&two);
        assert_eq!(sum.slots(), [Slot { replies: 2, slowest_ns: 7 }, Slot { replies: 1, slowest_ns: 1 }]);
    }
}
