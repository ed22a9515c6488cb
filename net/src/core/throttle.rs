//! Lines of the log that clients can cause at will: one an interval is written, those between are counted.

use crate::limits::REFUSAL_LOG_INTERVAL;
use std::cell::Cell;
use std::time::Instant;

/// One kind of line.
#[derive(Default)]
pub struct Throttle {
    last: Cell<Option<Instant>>,
    unwritten: Cell<u64>,
}

impl Throttle {
    /// Whether the line is to be written now; then the number of those before it that were not.
    pub fn pass(&self, now: Instant) -> Option<u64> {
        if self.last.get().is_some_and(|last| now.saturating_duration_since(last) < REFUSAL_LOG_INTERVAL) {
            self.unwritten.set(self.unwritten.get() + 1);
            return None;
        }
        self.last.set(Some(now));
        Some(self.unwritten.replace(0))
    }

    /// The number of those that were not written, when there are any and a line may be written again.
    pub fn overdue(&self, now: Instant) -> Option<u64> {
        if self.unwritten.get() == 0 { None } else { self.pass(now).map(|unwritten| unwritten.max(1)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_an_interval_with_the_number_of_the_others() {
        let throttle = Throttle::default();
        let start = Instant::now();
        assert_eq!(throttle.pass(start), Some(0));
        (0..5).for_each(|_| assert_eq!(throttle.pass(start + REFUSAL_LOG_INTERVAL / 2), None));
        assert_eq!(throttle.pass(start + REFUSAL_LOG_INTERVAL), Some(5));
        assert_eq!(throttle.pass(start + REFUSAL_LOG_INTERVAL * 3), Some(0));
        assert_eq!(throttle.overdue(start + REFUSAL_LOG_INTERVAL * 9), None, "there is nothing to tell");
        assert_eq!(throttle.pass(start + REFUSAL_LOG_INTERVAL * 3), None);
    }
}
