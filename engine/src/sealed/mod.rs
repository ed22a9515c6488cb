//! Sealed chunks: records that don't change any more, in a tenth of the bytes, the same in memory and on disk.
//!
//! A `Sealed` is a value: immutable, cheap to clone, sent to any thread. `docs/format.md` defines its bytes. In its life:
//!
//! 1. A `Sealer` makes it of the records of a full chunk, on whatever thread: `sealer.seal(records, None)`. It returns
//!    `None` only for what no chunk should be (no records, more than 65,536, or more than 4 MiB of text in several), so that
//!    the chunk stays as it is.
//! 2. It is stored: `chunk.bytes()` are its bytes, and a clone of the `Arc` costs no copy.
//! 3. It is loaded: `Sealed::from_bytes` takes the bytes as they are, unless they are damaged. From then on reading can't
//!    fail, panic, or take more memory than a few MiB beyond the length of the bytes, whoever made them.
//! 4. It is found by time: `first_ts`, `last_ts`, `count_before` and `count_through` decode one block of times at most, and
//!    need no buffer.
//! 5. It is read: `decoder.open(&chunk)` costs some tens of nanoseconds a column, `reader.block(n)` decodes 128 records into
//!    buffers of the decoder, in any order of blocks, and `reader.record(index)` writes out only one. A cursor keeps a
//!    clone of the chunk and an index; the decoder is the core's.
//! 6. A late record opens it: its blocks are pushed into an open chunk, `block.records()` one after the other, and that is
//!    sealed again some day. A deletion that covers `first_ts..=last_ts` needs no look into it, and a copy of what is
//!    outside of a range is the same as opening, `count_before` and `count_through` being its ends.
//!
//! Searches ask `reader.may_contain(literal)` first, and aggregates `reader.number_columns()`, which have statistics.
//!
//! Chunks of few records are mostly templates. So the owner of many small documents makes a `TemplateTable` of
//! `own_templates` of some of them and seals the rest with it; each chunk holds an `Arc` of its table, which may be dropped,
//! and deleted where it is stored, when nobody else has one.

mod bits;
mod check;
mod contain;
mod cut;
mod decimal;
mod dictionary;
mod field;
mod format;
mod ints;
mod layout;
mod numbers;
mod own;
mod read;
mod seal;
mod stats;
mod template;
#[cfg(test)]
mod tests;
mod texts;
mod value;

pub use decimal::Decimal;
pub use format::{BLOCK_RECORDS, Damaged};
pub use read::{Block, Decoder, NumberColumn, Reader};
pub use seal::Sealer;
pub use stats::NumberStats;
pub use template::TemplateTable;
pub use value::Sealed;
