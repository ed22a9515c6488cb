//! How far the sealing of a document has come.

/// How far the sealing of a document has come.
#[derive(Clone)]
pub(super) struct SealingState {
    /// The time of the first record that has not yet been looked at for being sealed.
    pub(super) next_ts: i64,
    /// There may be chunks before that which are not sealed.
    pub(super) inside: Option<Box<Inside>>,
    /// How many records there were when the rounds last looked, cut to 32 bits.
    pub(super) count_seen: u32,
    /// Rounds since then.
    pub(super) idle_rounds: u8,
    /// How far back late records come: so many times twice the newest records stay open.
    pub(super) lateness: u8,
    /// The newest records have been left alone, and are to be sealed.
    pub(super) is_tail_due: bool,
    /// It waits for being looked at, or what was taken of it is being sealed.
    pub(super) is_queued: bool,
}

/// The looks at chunks that were filled long ago, some at a time.
#[derive(Clone)]
pub(super) struct Inside {
    /// Where the round goes on that notes which of them have been left alone; the beginning between two rounds.
    pub(super) round_ts: i64,
    /// Where the next that are to be sealed are looked for; none if there are none.
    pub(super) cold_ts: Option<i64>,
    /// Times of sealed chunks that have many patches.
    pub(super) patched: Vec<i64>,
    /// The round has found some that are open, or they have been changed since it began.
    pub(super) is_open: bool,
    /// It has found some to be sealed.
    pub(super) is_cold: bool,
}

impl Default for SealingState {
    fn default() -> Self {
        Self {
            next_ts: i64::MIN,
            inside: None,
            count_seen: 0,
            idle_rounds: 0,
            lateness: 0,
            is_tail_due: false,
            is_queued: false,
        }
    }
}

impl Default for Inside {
    fn default() -> Self {
        Self { round_ts: i64::MIN, cold_ts: None, patched: Vec::new(), is_open: true, is_cold: false }
    }
}

impl SealingState {
    /// Notes that chunks which may have been filled long ago are open.
    pub(super) fn note_change_inside(&mut self) -> &mut Inside {
        let inside = self.inside.get_or_insert_default();
        inside.is_open = true;
        inside
    }
}
