//! The putting together of neighbouring chunks to what becomes one sealed chunk.

use crate::chunk::{ChunkSizes, OpenChunk};
use crate::limits::{SEALING_RECORDS_MIN, SEALING_WORK_TEXT};
use crate::sealing::{Part, Unit};

/// Chunks that are put together to units.
#[derive(Default)]
pub(super) struct Units {
    whole: Vec<Unit>,
    unit: Unit,
    records: usize,
    text_bytes: usize,
    /// The work of all whole units, in records; much text counts as more of them.
    work: usize,
}

impl Units {
    pub(super) fn is_empty(&self) -> bool {
        self.unit.is_empty()
    }

    /// Whether a chunk of so many records and so much text still goes into the unit.
    pub(super) fn has_room(&self, records: usize, text_bytes: usize, sizes: &ChunkSizes) -> bool {
        self.records + records <= sizes.sealed_records + sizes.sealed_records / 4
            && self.text_bytes + text_bytes <= sizes.sealed_text_bytes
    }

    pub(super) fn fits(&self, chunk: &OpenChunk, sizes: &ChunkSizes) -> bool {
        self.has_room(chunk.len(), chunk.text_bytes(), sizes)
    }

    pub(super) fn is_nearly_full(&self, sizes: &ChunkSizes) -> bool {
        self.records >= sizes.sealed_records / 4 * 3 || self.text_bytes >= sizes.sealed_text_bytes / 4 * 3
    }

    /// Whether the whole units are as much as is given out at a time.
    pub(super) fn are_enough(&self, sizes: &ChunkSizes) -> bool {
        self.work >= sizes.work_records
    }

    pub(super) fn push(&mut self, part: Part) {
        self.records += part.len();
        self.text_bytes += part.text_bytes();
        self.unit.push(part);
    }

    /// Ends a unit; one of few records stays as it is.
    pub(super) fn close(&mut self, sizes: &ChunkSizes) {
        let (records, text_bytes) = (self.records, self.text_bytes);
        let unit = self.forget();
        let is_sealed = matches!(unit[..], [Part::Sealed(_)]);
        if records >= SEALING_RECORDS_MIN.min(sizes.sealed_records) && !is_sealed {
            self.work += records.max(text_bytes / SEALING_WORK_TEXT);
            self.whole.push(unit);
        }
    }

    /// Leaves a unit that has been begun as it is.
    pub(super) fn forget(&mut self) -> Unit {
        (self.records, self.text_bytes) = (0, 0);
        std::mem::take(&mut self.unit)
    }

    pub(super) fn into_whole(self) -> Vec<Unit> {
        self.whole
    }
}
