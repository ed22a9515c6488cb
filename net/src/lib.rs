//! The network layer: one pinned thread a core, each with its own listener, connections, key table, mailbox
//! and shard. It may import the engine, and nothing of storage or of the binary.
//!
//! Its floors, from below; each may use those under it:
//! `wire` (bytes), `requests` (what is asked), `core` (the state of one core), `serve` (what acts on it),
//! `connection` (the life of one socket), `server` (start, dispatch and end).

mod connection;
mod core;
#[doc(hidden)]
pub mod inside;
mod limits;
mod options;
mod requests;
mod serve;
mod server;
mod wire;

pub use crate::core::certificates::{CertificateError, Certificates};
pub use crate::core::handover::StorageOptions;
pub use limits::{IO_MEMORY_BYTES, RING_DEPTH};
pub use options::{ServerOptions, TlsOptions};
pub use requests::scope::Scope;
pub use server::start::{
    LoadError, LoadedServer, Loader, Persistence, Renewer, Reporter, Server, ServerError, Stopper,
};
pub use wire::extension::Compression;
