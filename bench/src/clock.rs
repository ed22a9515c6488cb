//! Time as nanoseconds since the run began, so that it fits a register and a slot of the window.

use std::time::{Duration, Instant};

/// A point to count from; copies count from the same point.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    epoch: Instant,
}

impl Clock {
    /// A clock that is at 0 now.
    pub fn start() -> Self {
        Self { epoch: Instant::now() }
    }

    /// Nanoseconds since the start.
    pub fn now_ns(self) -> u64 {
        nanoseconds(self.epoch.elapsed())
    }
}

/// A duration in the clock's unit.
pub fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
