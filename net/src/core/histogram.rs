//! Counts durations in fixed buckets, about three for each power of ten: plain cells that only their own core's thread touches.

use std::cell::Cell;
use std::time::Duration;

/// The upper bounds of the buckets, in nanoseconds and as they are told; above the last is one more.
pub const BOUNDS: [(u64, &str); 19] = [
    (10_000, "0.00001"),
    (25_000, "0.000025"),
    (50_000, "0.00005"),
    (100_000, "0.0001"),
    (250_000, "0.00025"),
    (500_000, "0.0005"),
    (1_000_000, "0.001"),
    (2_500_000, "0.0025"),
    (5_000_000, "0.005"),
    (10_000_000, "0.01"),
    (25_000_000, "0.025"),
    (50_000_000, "0.05"),
    (100_000_000, "0.1"),
    (250_000_000, "0.25"),
    (500_000_000, "0.5"),
    (1_000_000_000, "1"),
    (2_500_000_000, "2.5"),
    (5_000_000_000, "5"),
    (10_000_000_000, "10"),
];

/// The number of buckets.
pub const BUCKETS: usize = BOUNDS.len() + 1;

/// The durations that a core has seen of one thing.
#[derive(Default)]
pub struct Histogram {
    counts: [Cell<u64>; BUCKETS],
    sum_ns: Cell<u64>,
}

/// What a histogram held at some time, or several together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Distribution {
    /// The durations in each bucket.
    pub counts: [u64; BUCKETS],
    /// The sum of all, in nanoseconds.
    pub sum_ns: u64,
}

/// A duration whose bucket has been found.
#[derive(Clone, Copy)]
pub struct Placed {
    bucket: usize,
    ns: u64,
}

impl Placed {
    /// Finds the bucket of a duration.
    pub fn new(duration: Duration) -> Placed {
        let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Placed { bucket: BOUNDS.partition_point(|(bound, _)| *bound < ns), ns }
    }
}

impl Histogram {
    /// Counts a duration.
    pub fn add(&self, duration: Duration) {
        self.add_placed(Placed::new(duration), 1);
    }

    /// Counts so many durations that are equal.
    pub fn add_placed(&self, Placed { bucket, ns }: Placed, times: u64) {
        let count = &self.counts[bucket];
        count.set(count.get() + times);
        self.sum_ns.set(self.sum_ns.get().saturating_add(ns.saturating_mul(times)));
    }

    /// What it holds.
    pub fn get(&self) -> Distribution {
        Distribution {
            counts: std::array::from_fn(|index| self.counts[index].get()),
            sum_ns: self.sum_ns.get(),
        }
    }
}

impl Distribution {
    /// Adds another to it.
    pub fn add(&mut self, other: &Distribution) {
        self.counts.iter_mut().zip(other.counts).for_each(|(count, more)| *count += more);
        self.sum_ns = self.sum_ns.saturating_add(other.sum_ns);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_the_bucket_below_it() {
        let histogram = Histogram::default();
        for ns in [0, 10_000, 10_001, 10_000_000_000, 10_000_000_001] {
            histogram.add(Duration::from_nanos(ns));
        }
        histogram.add_placed(Placed::new(Duration::from_nanos(20_000)), 3);
        let mut got = histogram.get();
        assert_eq!((got.counts[0], got.counts[1]), (2, 4));
        assert_eq!((got.counts[BUCKETS - 2], got.counts[BUCKETS - 1]), (1, 1));
        assert_eq!(got.sum_ns, 20_000_080_002);
        got.add(&got.clone());
        assert_eq!((got.counts.iter().sum::<u64>(), got.sum_ns), (16, 40_000_160_004));
    }

    #[test]
    fn bounds_ascend_and_are_told_in_seconds() {
        assert!(BOUNDS.is_sorted_by(|one, next| one.0 < next.0));
        for (ns, text) in BOUNDS {
            assert_eq!(text.parse::<f64>().map(|seconds| (seconds * 1e9).round() as u64), Ok(ns));
        }
    }
}
