//! Every cap of the client, each with its reason.

use std::time::Duration;

/// Requests that may be waiting for their replies: more would fill the sockets' buffers with requests that the
/// server does not read before its replies have been taken, and neither side could go on.
pub const IN_FLIGHT_MAX: usize = 1024;

/// Bytes read from the socket at a time; also what a stream of records holds, beside one record.
pub(crate) const RECEIVE_BYTES: usize = 128 * 1024;

/// Bytes of requests that are collected before they are written.
pub(crate) const SEND_BYTES: usize = 64 * 1024;

/// Buffers above this size are given back when the message that needed them is done.
pub(crate) const IDLE_BUFFER_BYTES: usize = 1024 * 1024;

/// The longest answer to the upgrade that is read; the server's are a few hundred bytes.
pub(crate) const HANDSHAKE_BYTES_MAX: usize = 64 * 1024;

/// The longest file of certificate authorities: all those of a system are a quarter of a MiB.
pub(crate) const AUTHORITIES_BYTES_MAX: u64 = 16 << 20;

/// Time that one address has to take the connection and to answer the upgrade.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Time for which the server may be silent while a reply is waited for, unless the user says otherwise. A search
/// through a large history may find nothing to send for a while.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

/// Attempts to connect again, unless the user says otherwise: with the pauses below about ten seconds, which a
/// server's restart takes.
pub(crate) const ATTEMPTS: u32 = 8;

/// The pause after the first failed attempt; each further one is twice as long.
pub(crate) const PAUSE_FIRST: Duration = Duration::from_millis(100);

/// The longest pause between two attempts.
pub(crate) const PAUSE_MAX: Duration = Duration::from_secs(3);

/// Bytes of a reply that are held at a time, with those that wait to be taken, unless the user says otherwise: no server
/// takes, and so holds, a longer record.
pub(crate) const REPLY_BYTES_MAX: usize = 1 << 30;

/// Time within which a reply must end, unless the user says otherwise. A history of a TiB takes that long on a fast
/// network.
pub(crate) const REPLY_TIME_MAX: Duration = Duration::from_secs(3600);
