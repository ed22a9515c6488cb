//! The reading of chunks: all of an open one, a block of a sealed one, decoded into buffers that are reused.

use super::any::Chunk;
use super::patched::{Merged, Patched, Source};
use super::records::Records;
use crate::sealed::{BLOCK_RECORDS, Decoder, Sealed};

/// What reads chunks; a shard has one.
#[derive(Default)]
pub(crate) struct Blocks {
    decoder: Decoder,
    merged: Merged,
}

impl Blocks {
    /// The records around a place: as many as cost little more than this one alone.
    pub(crate) fn around<'a>(&'a mut self, chunk: &'a Chunk, index: usize) -> Records<'a> {
        match chunk {
            Chunk::Open(open) => open.records(),
            Chunk::Full(full) => full.records(),
            Chunk::Sealed(sealed) => {
                let block = index / BLOCK_RECORDS;
                Records::of(block * BLOCK_RECORDS, self.decoder.open(sealed).into_block(block))
            }
            Chunk::Patched(patched) => self.merge(patched, index),
        }
    }

    /// The record at a place, perhaps with others.
    #[inline]
    pub(crate) fn one<'a>(&'a mut self, chunk: &'a Chunk, index: usize) -> Records<'a> {
        match chunk {
            Chunk::Open(open) => open.records(),
            Chunk::Full(full) => full.records(),
            Chunk::Sealed(sealed) => Records::of(index, self.decoder.open(sealed).into_record(index)),
            Chunk::Patched(patched) => match patched.source(index) {
                Source::Sealed(there) => {
                    Records::of(index, self.decoder.open(patched.sealed()).into_record(there))
                }
                Source::Late => self.merge(patched, index),
            },
        }
    }

    fn merge<'a>(&'a mut self, patched: &'a Patched, index: usize) -> Records<'a> {
        let first = patched.merge(patched.block_with(index), &mut self.decoder, &mut self.merged);
        self.merged.records(first)
    }

    /// Whether a text of a sealed chunk may hold a literal.
    pub(crate) fn may_contain(&mut self, sealed: &Sealed, literal: &str) -> bool {
        self.decoder.open(sealed).may_contain(literal)
    }
}
