//! The network layer: one pinned thread a core, each with its own listener, connections, key table, mailbox
//! and shard. It may import the engine, and nothing of storage or of the binary.
//! `server` starts it; `core` is what one thread owns; `connection` is the life of one socket.

pub mod decode;
pub mod frame;
pub mod handshake;
pub mod journal;
pub mod keys;
pub mod limits;
pub mod mailbox;
pub mod server;

mod connection;
mod core;
mod gather;
mod key_changes;
mod link;
mod message;
mod readings;
mod requests;
mod storing;
mod turn;
