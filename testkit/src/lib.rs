//! Shared by the tests of several crates: directories that go away, the running server, clients and raw sockets
//! for it, a server that says what a test wants said, random programs with plain maps to check them against,
//! the conformance cases and the fixtures.
//!
//! A dev-dependency only. It builds on `engine` and `client`, which use it in their integration tests (not in unit
//! tests: there their types would be others); it may not build on `net`, `storage` or `cli`.

#![allow(clippy::unwrap_used, reason = "clippy.toml spares unit tests only, and all of this is tests")]

mod authority;
pub mod cases;
mod client;
mod files;
mod limits;
mod oracle;
pub mod peer;
mod program;
mod random;
pub mod raw;
mod server;
mod session;
mod watch;

pub use authority::Authority;
pub use client::Client;
pub use files::{TempDir, fixture};
pub use limits::PATIENCE;
pub use oracle::{Collection, Oracle};
pub use program::{Texts, request};
pub use random::Random;
pub use server::{KEY, KEY_QUERY, Server, command, health};
pub use session::Session;
pub use watch::{alone, alongside};
