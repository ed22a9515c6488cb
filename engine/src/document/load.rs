//! Filling a document with chunks as they were stored.

use super::series::Document;
use crate::chunk::{Chunk, ChunkSizes};
use crate::limits::SEALING_RECORDS_MIN;
use crate::sealed::Sealed;

impl Document {
    /// Appends a chunk whose records are later than all that are there. It stays sealed, unless it is too small to gain by it;
    /// that the last one is open is left to `end_loading`.
    pub(crate) fn append_sealed(&mut self, sealed: Sealed, sizes: &ChunkSizes) {
        self.sealing.next_ts = sealed.first_ts();
        let is_small = sealed.len() < SEALING_RECORDS_MIN.min(sizes.sealed_records);
        self.add_sealed(sealed);
        if is_small {
            self.open_newest(sizes);
        }
    }

    /// Makes the document one that can be written to.
    pub(crate) fn end_loading(&mut self, sizes: &ChunkSizes) {
        if self.chunks.newest().is_some_and(|last| matches!(last, Chunk::Sealed(_))) {
            self.open_newest(sizes);
        }
    }
}
