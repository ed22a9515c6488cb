//! The two promises that a reply to a change can make about the disk. The flags, the network layer, which holds replies
//! back, and storage, which syncs, all go by this one type.

/// When a change that has been acknowledged is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncMode {
    /// Within the flush interval. A commit survives a crash of the server; one of the system once that has written it.
    Interval,
    /// Before it is acknowledged. A commit survives a power failure.
    Always,
}
