//! Gives memory that the server has freed back to the system.
//!
//! The allocator keeps what is freed for a second, in case it is wanted again, and returns it when it next takes or
//! frees a large piece: on a server that has become idle, never. So a thread of its own takes and frees such a piece now
//! and then. This also spares the cores the time that returning a GiB takes.

use crate::error::Error;
use std::hint::black_box;
use std::time::Duration;

const NAME: &str = "spare-memory";

/// Time between two occasions on which freed memory is given back.
const INTERVAL: Duration = Duration::from_millis(500);
/// Larger than what the allocator serves from memory that it shares between pieces of a kind. It is never written to,
/// so it costs none.
const PIECE_BYTES: usize = 4 << 20;

/// Starts the thread, which lives as long as the process.
pub fn give_back_regularly() -> Result<(), Error> {
    let run = || {
        loop {
            std::thread::sleep(INTERVAL);
            drop(black_box(Vec::<u8>::with_capacity(black_box(PIECE_BYTES))));
        }
    };
    let thread = std::thread::Builder::new().name(NAME.into()).spawn(run);
    thread.map(drop).map_err(|error| Error::Thread(NAME, error))
}
