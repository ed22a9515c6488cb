//! The commands of the real binary against a real server.

#![allow(clippy::unwrap_used, reason = "clippy.toml spares unit tests only, and all of this is tests")]

mod entries;
mod exchange;
mod failures;
mod health;
mod keys;
mod large;
mod library;
mod peers;
mod records;
mod shell;
mod stopped;
mod tail;
mod tools;

use fluxion_testkit as support;
