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

/// Pages in the write-ahead log after which a commit copies them into the file: 16 MiB, which takes tens of milliseconds.
/// With four times as many each took 300 ms, longer than a batch, and writers waited for it.
pub const CHECKPOINT_PAGES: u32 = 4_096;

/// Size to which the write-ahead log's file is cut after it has grown beyond it.
pub const WAL_BYTES_KEPT: u32 = 64 << 20;

/// Memory for the pages of one file, in KiB: the upper levels of the tree and the pages of a batch. Those of a larger
/// batch go to the write-ahead log before its commit, so this is the most that a transaction holds.
pub const CACHE_KIB: u32 = 16 << 10;

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

/// The sizes of what a file holds: those of the server by default, others for tests.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Packed changes in one row of the log, about; a batch of more is several rows.
    pub log_row_bytes: usize,
    /// Size of the log from which on it is brought into the tables: as much is held in memory then, and replayed after a
    /// crash. With less, chunks of documents that are rarely written to are written anew more often.
    pub log_bytes: usize,
    /// What one step of that writes and takes, about: some milliseconds, which the next batch waits at most.
    pub step_bytes: usize,
    /// Records in a stored chunk, as in one that is sealed in memory.
    pub chunk_records: usize,
    /// Text in a stored chunk, unless it is of one record.
    pub chunk_text_bytes: usize,
    /// New records that are merged into a document in one go.
    pub window_records: usize,
}

impl Default for Sizes {
    fn default() -> Sizes {
        Sizes {
            log_row_bytes: 1 << 20,
            log_bytes: 16 << 20,
            step_bytes: 1 << 20,
            chunk_records: 1024,
            chunk_text_bytes: 128 << 10,
            window_records: 8192,
        }
    }
}

/// A chunk that isn't full is put together with what is behind it if that has this part of its records: with a smaller one,
/// records are written anew more often; with a larger one, chunks stay small longer.
pub const JOIN_RATIO: i64 = 4;

/// Free pages that a clean stop gives back to the file system: more than the log had, and some that deletions have left.
pub const PAGES_GIVEN_BACK: u32 = 64 << 10;

/// Damaged parts of a file that an error names.
pub const DAMAGE_TOLD: usize = 3;

/// Damaged parts of a file that are listed; of further ones there is a count. A list of all could be as long as the file.
pub const DAMAGE_KEPT: usize = 10_000;

/// Damaged parts of a file that get a line in the server's log.
pub const DAMAGE_LOGGED: usize = 1_000;

/// Records of the log that are put into a shard in one go.
pub const REPLAYED_RECORDS: usize = 256;

/// So many times its usual size a log may come to while it can't be merged. Then batches fail for that reason.
pub const LOG_FULL: usize = 4;
