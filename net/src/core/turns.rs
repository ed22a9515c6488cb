//! The turns by which the tasks of a core share it. The executor looks at timers and at what other cores call only when no
//! task is ready to run, so a task with more to do must not simply be woken again: it ends its turn with `next`, which lets
//! the others run, the rest be looked at, and then itself go on.
//!
//! A turn ends by time. The more connections want one, the shorter each is, so that a round of all of them, after which
//! the core looks at its mailbox again, takes about as long with a thousand busy connections as with a hundred.

use crate::limits::{ROUND, TURN, TURN_MIN};
use glommio::timer::Timer;
use std::cell::Cell;
use std::time::{Duration, Instant};

/// Long enough that the timer has not expired when it is first looked at, which would not end the turn.
const NEXT: Duration = Duration::from_micros(1);

/// Work that is done between two looks at the clock, in the cost of a small request.
const COST_UNSEEN: usize = 8;

/// Ends this task's turn; it goes on when all others that are ready have had theirs.
pub async fn next() {
    Timer::new(NEXT).await;
}

/// One turn of a task.
pub struct Turn {
    ends: Instant,
    looked_at: Instant,
    cost: usize,
    over: bool,
}

impl Turn {
    /// A turn that begins now.
    pub fn begin(length: Duration) -> Turn {
        let now = Instant::now();
        Turn { ends: now + length, looked_at: now, cost: 0, over: false }
    }

    /// Counts work that was done, 1 for a small request; the clock is looked at only now and then.
    pub fn spend(&mut self, cost: usize) {
        self.cost += cost;
        if self.cost >= COST_UNSEEN {
            self.look();
        }
    }

    /// Looks at the clock, after work of unknown cost.
    pub fn look(&mut self) {
        self.cost = 0;
        self.looked_at = Instant::now();
        self.over = self.looked_at >= self.ends;
    }

    /// The time when the clock was last looked at.
    pub fn looked_at(&self) -> Instant {
        self.looked_at
    }

    /// Whether it has been long enough.
    pub fn is_over(&self) -> bool {
        self.over
    }
}

/// Counts the turns of connections, to know how many want one.
#[derive(Default)]
pub struct Turns {
    /// Tasks that have ended a turn and want another.
    awaiting: Cell<u32>,
    round: Cell<u64>,
    /// Turns in this round, and in the one before.
    count: Cell<u32>,
    count_before: Cell<u32>,
}

impl Turns {
    /// Ends a task's turn, as `next` does, and lets it be known that it wants another.
    pub async fn next(&self) {
        self.awaiting.set(self.awaiting.get() + 1);
        next().await;
        self.awaiting.set(self.awaiting.get() - 1);
    }

    /// Whether a task wants another turn.
    pub fn are_awaited(&self) -> bool {
        self.awaiting.get() > 0
    }

    /// Begins the turn of a connection, which remembers in `round` when it had its last. A round is over when one comes
    /// that had a turn in it already.
    pub fn begin(&self, round: &mut u64) -> Turn {
        if *round == self.round.get() {
            self.round.set(self.round.get() + 1);
            self.count_before.set(self.count.replace(0));
        }
        *round = self.round.get();
        self.count.set(self.count.get() + 1);
        Turn::begin(self.length())
    }

    fn length(&self) -> Duration {
        let busy = self.count_before.get().max(self.count.get()).max(1);
        (ROUND / busy).clamp(TURN_MIN, TURN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_are_busy_the_shorter_is_a_turn() {
        let turns = Turns::default();
        let mut rounds = vec![u64::MAX; 1000];
        for _ in 0..3 {
            turns.begin(&mut rounds[0]);
        }
        assert_eq!(turns.length(), TURN, "one alone");
        for _ in 0..3 {
            for round in &mut rounds {
                turns.begin(round);
            }
        }
        let all = turns.length() * 1000;
        assert!(all <= ROUND.max(TURN_MIN * 1000), "{all:?}");
        for _ in 0..3 {
            turns.begin(&mut rounds[0]);
        }
        assert_eq!(turns.length(), TURN, "the others have gone quiet");
    }

    #[test]
    fn a_turn_ends_by_time_and_looks_at_the_clock_only_for_work() {
        let mut turn = Turn::begin(Duration::ZERO);
        assert!(!turn.is_over());
        (0..COST_UNSEEN).for_each(|_| turn.spend(1));
        assert!(turn.is_over());
        let mut turn = Turn::begin(Duration::from_secs(3600));
        turn.spend(1_000_000);
        assert!(!turn.is_over());
    }
}
