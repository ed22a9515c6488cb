//! One document: its records in chunks in order of time.
//!
//! Appending in order touches the newest chunk only; anything else is a binary search and an edit of one chunk. Chunks are
//! shared: a reader's snapshot holds them, and a writer copies the one it must change. Those with the newest records can be
//! changed; older ones are sealed, and opened again where a change must be made (`seal.rs`).
//! Invariant: no chunk is empty, the times of a chunk are all before those of the next, and the newest is not sealed.

mod load;
mod seal;
#[cfg(test)]
mod seal_tests;
mod series;
mod state;
#[cfg(test)]
mod tests;
mod units;

pub(crate) use seal::Looked;
pub(crate) use series::Document;
