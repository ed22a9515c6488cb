//! Every cap of storage, each with its reason.

use std::time::Duration;

/// Data of one transaction while collections are moved or imported: as much is done again after a crash, and is added
/// to the write-ahead log at a time. Tests need many transactions of little data.
pub const TRANSACTION_BYTES: usize = if cfg!(test) { 1_000 } else { 16 << 20 };

/// Longest text, or texts of one row, that a file is asked to hold. SQLite takes no row of more than 1,000,000,000 bytes;
/// a change that holds one could never be stored, nor anything after it.
pub const TEXT_BYTES_MAX: usize = 512 << 20;

/// A row's share of a transaction besides its text: its key, and its part of the tree.
pub const ROW_BYTES: usize = 32;

/// Records that one transaction deletes where a collection has been moved away: pages that become free are hardly
/// written, so this bounds what is done again, not the log.
pub const RECORDS_DELETED: usize = if cfg!(test) { 10 } else { 100_000 };

/// Pages in the write-ahead log after which a commit copies them into the file: 16 MiB, which takes tens of milliseconds.
/// With four times as many each took 300 ms, longer than a batch, and writers waited for it.
pub const CHECKPOINT_PAGES: u32 = 4_096;

/// Size to which the write-ahead log's file is cut after it has grown beyond it.
pub const WAL_BYTES_KEPT: u32 = 64 << 20;

/// Memory for the pages of one file, in KiB: the upper levels of the tree and the pages of a batch. Those of a larger
/// batch go to the write-ahead log before its commit, so this is the most that a transaction holds.
pub const CACHE_KIB: u32 = 64 << 10;

/// Time to wait for other programs that hold the file locked, such as `sqlite3`.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Batches in the channel to a writer: the one outstanding, and the last one behind it. So a core never waits for room.
pub const BATCHES_SENT_MAX: usize = 2;

/// Pause after the first attempt to store that failed; it doubles.
pub const RETRY_FIRST: Duration = Duration::from_millis(100);

/// The longest pause between two attempts.
pub const RETRY_LONGEST: Duration = Duration::from_secs(1);

/// Time without work after which the write-ahead log is emptied.
pub const IDLE: Duration = Duration::from_secs(1);

/// Time between two lines of the log that say how far a long start is.
pub const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// Files of one directory: as many as a server may have cores.
pub const SHARDS_MAX: usize = 1024;

/// Collections of which it is stored from when on they have not changed, at the end of a server's life: those that somebody
/// has subscribed to lately.
pub(crate) const UNCHANGED_MAX: usize = 10_000;
