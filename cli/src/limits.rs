//! Every cap of the server's half of the binary, each with its reason.

use std::time::Duration;

/// Most cores of one server; far above what one machine makes good use of.
pub const CORES_MAX: usize = 1024;

/// Log lines that wait to be written, in bytes: several thousand of them. Further ones are dropped and counted.
pub const LOG_BYTES_MAX: usize = 1 << 20;

/// A waiting log line's share of that besides its text, so that short ones have a cap too.
pub const LOG_LINE_BYTES: usize = 64;

/// Time that the end of the process waits for the log to be written: nobody may be reading it.
pub const LOG_FINISH_PATIENCE: Duration = Duration::from_secs(1);

/// A shard's least share of the changes that may wait: a few large messages.
pub const SHARD_DIRTY_BYTES_MIN: usize = 4 << 20;

/// Batches that may wait at a time: a batch is at most this part of what may wait, so that the next one collects while
/// it is stored.
pub const BATCHES_WAITING: usize = 8;
