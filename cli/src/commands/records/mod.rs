//! Commands for what a database holds: collections, documents, records, and key-value entries.

pub mod entries;
pub mod fetch;
pub mod write;
