//! What one core tells of itself when metrics are asked for: plain numbers, to be sent to the core that was asked.

use crate::core::histogram::Distribution;
use std::time::Duration;

/// Numbers with names, in an order that is the same on every core.
pub type Named = Vec<(&'static str, u64)>;

/// The state of one core.
#[derive(Debug, Default)]
pub struct Measures {
    /// Its index.
    pub core: usize,
    /// Connections that are open, and that were ever entered.
    pub connections: u64,
    /// Connections that were ever entered.
    pub connections_entered: u64,
    /// Handshakes under way.
    pub handshakes: u64,
    /// Connections that do not take what they are owed.
    pub slow_readers: u64,
    /// Requests, by type.
    pub requests: Named,
    /// Requests answered with an error, by type.
    pub errors: Named,
    /// The time that requests took, by type.
    pub durations: Vec<Distribution>,
    /// Refusals, by reason.
    pub refusals: Named,
    /// Pauses in reading a socket, by reason.
    pub waits: Named,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// Collections.
    pub collections: u64,
    /// Documents.
    pub documents: u64,
    /// Records.
    pub records: u64,
    /// Key-value entries.
    pub entries: u64,
    /// Memory, by what it is for.
    pub memory: Named,
    /// CPU time of the core's thread, in nanoseconds, less that in which it looked for work and found none.
    pub busy_ns: u64,
    /// That time.
    pub spin_ns: u64,
    /// Messages from cores and writers that it has carried out.
    pub messages: u64,
    /// Messages that wait.
    pub queue: u64,
    /// The shard can't store its changes.
    pub storage_failing: bool,
    /// The shard has more changes to store than may wait.
    pub storage_behind: bool,
    /// The age of the oldest change that is not stored, in nanoseconds.
    pub unstored_ns: u64,
    /// Attempts to store a batch that failed.
    pub commit_failures: u64,
    /// Bytes of changes stored.
    pub committed_bytes: u64,
    /// The time that storing a batch took.
    pub commits: Distribution,
    /// Subscriptions to collections of its shard.
    pub subscriptions: u64,
    /// Those that were not pushed everything yet.
    pub subscriptions_behind: u64,
    /// By how many changes the last of them is behind.
    pub subscription_lag: u64,
    /// Messages of subscriptions sent.
    pub pushes: u64,
    /// The time from a change to its push.
    pub push_lag: Distribution,
    /// Changes that subscribers were told they had missed.
    pub skipped: u64,
    /// Ends of subscriptions, by reason.
    pub ends: Named,
}

/// What is known of the process as a whole.
pub struct Process {
    /// When the server began, in seconds since 1970.
    pub started_at: f64,
    /// CPU time of all its threads.
    pub cpu: Duration,
    /// Memory that it takes, if the system says so.
    pub resident_bytes: Option<u64>,
}
