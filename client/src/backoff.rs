//! The pauses between attempts to connect: each twice as long as the last, up to a cap, and up to a quarter
//! shorter by chance, so that the clients of a server that restarts do not all come at once.

use crate::limits::{PAUSE_FIRST, PAUSE_MAX};
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// The pauses of one series of attempts.
pub(crate) struct Backoff {
    pause: Duration,
    chance: RandomState,
}

impl Backoff {
    /// Before the first attempt.
    pub(crate) fn new() -> Backoff {
        Backoff { pause: PAUSE_FIRST, chance: RandomState::new() }
    }

    /// Time to wait before the next attempt.
    pub(crate) fn next(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(PAUSE_MAX);
        let sixteenths = self.chance.hash_one(pause) % 5;
        pause - pause * sixteenths as u32 / 16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_cap() {
        let mut backoff = Backoff::new();
        let pauses: Vec<Duration> = (0..20).map(|_| backoff.next()).collect();
        assert!(pauses[0] <= PAUSE_FIRST && pauses[0] >= PAUSE_FIRST * 3 / 4);
        assert!(pauses[3] > PAUSE_FIRST * 4);
        assert!(pauses.iter().all(|pause| *pause <= PAUSE_MAX));
        assert!(pauses[19] >= PAUSE_MAX * 3 / 4);
    }
}
