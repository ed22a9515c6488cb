//! Micro-benchmarks of what every request goes through.
//!
//! `cargo bench --package fluxiondb-bench` measures, also only those whose path holds a given word; `cargo test` runs
//! each body once. What they leave out: sockets, io_uring, several cores, and caches that other work has filled.

// In a benchmark a panic is the report.
#![allow(clippy::unwrap_used)]

mod decode;
mod frame;
mod json;
mod mailbox;
mod sealed;
mod shard;
mod storage;

/// The server's own, as several of these allocate.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    divan::main();
}
