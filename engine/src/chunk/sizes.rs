//! The sizes of chunks, and which are sealed.

use crate::limits::{
    CHUNK_RECORDS, CHUNK_TEXT_BYTES, SEALING_CHUNK_RECORDS, SEALING_CHUNK_TEXT_BYTES, SEALING_OPEN_RECORDS,
    SEALING_WORK_RECORDS,
};

/// The sizes of chunks: those of the server by default, others for tests.
#[derive(Clone, Copy, Debug)]
pub struct ChunkSizes {
    /// Records in a chunk that can be changed; at least one.
    pub records: usize,
    /// Text in such a chunk, unless a single record is longer.
    pub text_bytes: usize,
    /// Records that a sealed chunk is made of.
    pub sealed_records: usize,
    /// Text that a sealed chunk is made of; a chunk with more is never sealed.
    pub sealed_text_bytes: usize,
    /// The newest records of a document, which are not sealed; the last chunk never is.
    pub open_records: usize,
    /// Records that are given to be sealed at a time, about.
    pub work_records: usize,
    /// Chunks are sealed: there is someone who takes the work.
    pub seals: bool,
}

impl Default for ChunkSizes {
    fn default() -> Self {
        Self {
            records: CHUNK_RECORDS,
            text_bytes: CHUNK_TEXT_BYTES,
            sealed_records: SEALING_CHUNK_RECORDS,
            sealed_text_bytes: SEALING_CHUNK_TEXT_BYTES,
            open_records: SEALING_OPEN_RECORDS,
            work_records: SEALING_WORK_RECORDS,
            seals: false,
        }
    }
}
