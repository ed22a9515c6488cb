//! The options of a connection: the address, the key, and how patient to be.

use crate::authorities::Authorities;
use crate::limits::{ATTEMPTS, REPLY_BYTES_MAX, REPLY_TIME_MAX, TIMEOUT};
use std::fmt;
use std::time::Duration;

/// Where a client connects to and how it behaves.
///
/// ```
/// use fluxion_client::Options;
/// use std::time::Duration;
///
/// let options = Options::new("ws://localhost:8080", "dev")
///     .name("nightly export")
///     .timeout(Duration::from_secs(5))
///     .attempts(3);
/// // The key shows nowhere
/// assert!(!format!("{options:?}").contains("dev"));
/// ```
#[derive(Clone)]
pub struct Options {
    pub(crate) url: String,
    pub(crate) key: String,
    pub(crate) name: Option<String>,
    pub(crate) authorities: Authorities,
    pub(crate) timeout: Duration,
    pub(crate) attempts: u32,
    pub(crate) reply_bytes_max: usize,
    pub(crate) reply_time_max: Duration,
}

impl Options {
    /// A server's address, such as `ws://localhost:8080`, or `wss://` for TLS, and an API key that it knows.
    pub fn new(url: impl Into<String>, key: impl Into<String>) -> Options {
        Options {
            url: url.into(),
            key: key.into(),
            name: None,
            authorities: Authorities::of_system(),
            timeout: TIMEOUT,
            attempts: ATTEMPTS,
            reply_bytes_max: REPLY_BYTES_MAX,
            reply_time_max: REPLY_TIME_MAX,
        }
    }

    /// The name of this connection in the server's list of them.
    pub fn name(mut self, name: impl Into<String>) -> Options {
        self.name = Some(name.into());
        self
    }

    /// Whom the certificate of a `wss://` server may be from; unless it is said otherwise, those whom this machine trusts.
    pub fn authorities(mut self, authorities: Authorities) -> Options {
        self.authorities = authorities;
        self
    }

    /// Time for which the server may be silent while something is expected of it; at least a millisecond.
    pub fn timeout(mut self, timeout: Duration) -> Options {
        self.timeout = timeout.max(Duration::from_millis(1));
        self
    }

    /// Attempts to make when a connection that was there is made again; 0 never does. The first connection is
    /// tried once, so that a wrong address is told at once.
    pub fn attempts(mut self, attempts: u32) -> Options {
        self.attempts = attempts;
        self
    }

    /// The bytes of replies that may be held at a time, 1 GiB unless it is said otherwise. Records that are read one by one
    /// are held one by one.
    pub fn reply_bytes_max(mut self, bytes: usize) -> Options {
        self.reply_bytes_max = bytes;
        self
    }

    /// The time within which a reply must end, an hour unless it is said otherwise; at least a millisecond. With records
    /// that are read one by one, it is also the time to read them.
    pub fn reply_time_max(mut self, time: Duration) -> Options {
        self.reply_time_max = time.max(Duration::from_millis(1));
        self
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The address may hold a key in its query.
        let url = self.url.split(['?', '#']).next().unwrap_or_default();
        formatter
            .debug_struct("Options")
            .field("url", &url)
            .field("key", &"hidden")
            .field("name", &self.name)
            .field("authorities", &self.authorities)
            .field("timeout", &self.timeout)
            .field("attempts", &self.attempts)
            .field("reply_bytes_max", &self.reply_bytes_max)
            .field("reply_time_max", &self.reply_time_max)
            .finish()
    }
}
