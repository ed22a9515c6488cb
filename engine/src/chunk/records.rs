//! Records of a chunk as they are read, wherever they lie.

use std::ops::Range;

use crate::sealed::Block;
use crate::vectors::prefetch;

/// Records that follow each other in a chunk, with their places in it.
#[derive(Clone, Copy)]
pub(crate) struct Records<'a> {
    first: usize,
    times: &'a [i64],
    ends: &'a [u32],
    text: &'a str,
}

impl<'a> Records<'a> {
    pub(crate) fn new(first: usize, times: &'a [i64], ends: &'a [u32], text: &'a str) -> Self {
        Self { first, times, ends, text }
    }

    pub(crate) fn of(first: usize, block: Block<'a>) -> Self {
        Self::new(first, block.times(), block.ends(), block.text())
    }

    /// The places that they have in the chunk.
    pub(crate) fn range(&self) -> Range<usize> {
        self.first..self.first + self.times.len()
    }

    pub(crate) fn ts(&self, index: usize) -> i64 {
        self.times[index - self.first]
    }

    pub(crate) fn data(&self, index: usize) -> &'a str {
        &self.text[self.span(index)]
    }

    /// The same as bytes, to be written out.
    pub(crate) fn bytes(&self, index: usize) -> &'a [u8] {
        &self.text.as_bytes()[self.span(index)]
    }

    /// Has the CPU fetch the text of a record, which is to be written soon.
    #[inline]
    pub(crate) fn prefetch_text(&self, index: usize) {
        if let Some(end) = self.ends.get(index.wrapping_sub(self.first)) {
            prefetch(self.text.as_ptr().wrapping_add(*end as usize));
        }
    }

    /// Each with its time, in order.
    pub(crate) fn each(self) -> impl Iterator<Item = (i64, &'a str)> + Clone {
        self.range().map(move |index| (self.ts(index), self.data(index)))
    }

    fn span(&self, index: usize) -> Range<usize> {
        let at = index - self.first;
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        start as usize..self.ends[at] as usize
    }
}
