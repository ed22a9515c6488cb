//! Commands for what a database holds: collections, documents, records, their changes, and key-value entries.

pub mod entries;
pub mod fetch;
pub mod tail;
mod tail_output;
pub mod write;
