//! Commands for the server itself: API keys, connections, counters, health, round trips.

pub mod health;
pub mod keys;
pub mod ping;
pub mod stats;
