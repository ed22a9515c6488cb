//! Commands for the server itself: API keys, connections, counters, round trips.

pub mod keys;
pub mod ping;
pub mod stats;
