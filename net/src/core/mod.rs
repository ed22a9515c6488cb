//! The floor of state: all that one core owns, and the messages that cores exchange. What is here keeps its own
//! invariants and does nothing by itself; `serve` acts on it.

pub mod certificates;
pub mod compression;
pub mod counters;
pub mod durations;
pub mod gather;
pub mod handover;
pub mod held;
pub mod histogram;
pub mod key_changes;
pub mod keys;
pub mod listing;
pub mod mailbox;
pub mod measures;
pub mod message;
pub mod outbox;
pub mod peers;
pub mod raw_socket;
pub mod readiness;
pub mod scrapes;
pub mod sealing;
pub mod socket;
pub mod state;
pub mod storage;
pub mod streams;
pub mod subscriptions;
pub mod tally;
pub mod throttle;
pub mod ticket;
pub mod tls;
pub mod turns;
pub mod unfinished;
