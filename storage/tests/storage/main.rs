//! The promises of storage, through its public interface: files that can't be used, failing writers, imports, space.

#![allow(clippy::unwrap_used, reason = "clippy.toml spares unit tests only, and all of this is tests")]

mod files;
mod import;
mod salvage;
mod support;
mod unusable;
mod writer;
