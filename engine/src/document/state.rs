//! How far the sealing of a document has come.

/// How far the sealing of a document has come.
#[derive(Clone)]
pub(super) struct SealingState {
    /// The time of the first record that has not yet been looked at for being sealed.
    pub(super) next_ts: i64,
    /// There may be chunks before that which are not sealed.
    pub(super) is_open_inside: bool,
    /// Some of them have been left alone, and are to be sealed.
    pub(super) is_cold: bool,
    /// It waits for being looked at, or what was taken of it is being sealed.
    pub(super) is_queued: bool,
}

impl Default for SealingState {
    fn default() -> Self {
        Self { next_ts: i64::MIN, is_open_inside: false, is_cold: false, is_queued: false }
    }
}
