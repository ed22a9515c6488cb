//! Where the fields of a sealed chunk's head lie.

pub(super) const VERSION: usize = 4;
pub(super) const FLAGS: usize = 6;
pub(super) const LENGTH: usize = 8;
pub(super) const COUNT: usize = 12;
pub(super) const TEXT_BYTES: usize = 16;
pub(super) const SHORTEST: usize = 20;
pub(super) const LONGEST: usize = 24;
pub(super) const COLUMNS_AT: usize = 28;
pub(super) const BLOCKS_AT: usize = 32;
pub(super) const FIRST_TS: usize = 36;
pub(super) const LAST_TS: usize = 44;
