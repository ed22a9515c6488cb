//! How tasks of a core share it. The executor looks at sockets only when no task is ready to run, so a task
//! with more to do must not simply be woken again: it waits for a timer that is about to expire, which lets
//! the others run, the sockets be looked at, and then itself go on.

use crate::limits::TURN;
use glommio::timer::Timer;
use std::time::{Duration, Instant};

/// Long enough that the timer has not expired when it is first looked at, which would not end the turn.
const NEXT: Duration = Duration::from_micros(1);

/// Ends this task's turn; it goes on when all others that are ready have had theirs.
pub async fn next() {
    Timer::new(NEXT).await;
}

/// Watches the length of a turn.
pub struct Turn {
    began: Instant,
}

impl Turn {
    /// A turn that begins now.
    pub fn begin() -> Turn {
        Turn { began: Instant::now() }
    }

    /// Whether it has been long enough.
    pub fn is_over(&self) -> bool {
        self.began.elapsed() >= TURN
    }
}
