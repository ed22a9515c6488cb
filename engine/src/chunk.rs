//! A run of records of one document in order of time: open, full or sealed.
//!
//! An open chunk is changed in place. One that is given to be sealed is full: shared with the thread that seals it, and open
//! again, as another one, when it is changed, so that being the same says that nothing has changed. A sealed one never
//! changes; few changes are noted beside it, as patches, and for more it is taken apart into open ones. All are cheap to
//! clone, which is what a snapshot is made of.

mod any;
mod blocks;
mod list;
mod open;
mod patched;
mod records;
mod sizes;

pub(crate) use any::{Chunk, open, opened};
pub(crate) use blocks::Blocks;
pub(crate) use list::{ChunkPlace, Chunks};
pub(crate) use open::{OpenChunk, RECORD_BYTES};
pub(crate) use patched::Patched;
pub(crate) use records::Records;
pub use sizes::ChunkSizes;
