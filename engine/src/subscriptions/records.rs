//! A walk over all records of a collection, as they were when it began: what a subscription to all changes begins with.

use super::group::Group;
use super::render::Body;
use crate::chunk::{Blocks, ChunkPlace, Records};
use crate::document::Document;
use crate::feed::Change;
use crate::table::{Named, Pages};

/// A walk that may be cut between two records.
pub(super) struct RecordsWalk {
    documents: Pages<Document>,
    slot: usize,
    /// The next record of that document: its chunk, and its index there.
    chunk: ChunkPlace,
    index: usize,
    /// Nothing of it has been given out.
    pub(super) is_first: bool,
}

impl RecordsWalk {
    pub(super) fn new(documents: Pages<Document>) -> Self {
        Self { documents, slot: 0, chunk: ChunkPlace::default(), index: 0, is_first: true }
    }

    /// Writes the next records that the group wants; false when that were all.
    pub(super) fn step(&mut self, group: &mut Group, blocks: &mut Blocks, body: &mut Body) -> bool {
        let end = self.documents.end();
        while self.slot < end {
            if body.is_full() {
                return true;
            }
            body.look();
            if let Some(document) = self.documents.get(self.slot)
                && group.names.matches(document.name())
            {
                while let Some(chunk) = document.chunks().get(self.chunk) {
                    while self.index < chunk.len() {
                        if body.is_full() {
                            return true;
                        }
                        let records = blocks.around(chunk, self.index);
                        self.index = write(document.name(), &records, self.index, group, body);
                    }
                    (self.chunk, self.index) = (document.chunks().after(self.chunk), 0);
                }
            }
            (self.slot, self.chunk, self.index) = (self.slot + 1, ChunkPlace::default(), 0);
        }
        false
    }
}

/// Writes those of these records that the group wants, as far as there is room; returns the place of the next.
fn write(
    document: &str,
    records: &Records<'_>,
    mut index: usize,
    group: &mut Group,
    body: &mut Body,
) -> usize {
    while index < records.range().end && !body.is_full() {
        let (ts, data) = (records.ts(index), records.data(index));
        index += 1;
        if body.passes(&group.filter, data) {
            body.change(&Change::Put { collection: "", document, ts, data });
        }
    }
    index
}
