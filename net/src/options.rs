//! The options of a server.

use crate::core::certificates::Certificates;
use crate::wire::extension::Compression;
use std::net::SocketAddr;
use std::time::Duration;

/// The options of a server.
pub struct ServerOptions {
    /// Where to listen; port 0 takes any free one.
    pub address: SocketAddr,
    /// Where health and metrics are served without a key, instead of at that address with one; port 0 takes any free one.
    pub pages_address: Option<SocketAddr>,
    /// TLS, if it is spoken at all.
    pub tls: Option<TlsOptions>,
    /// One core each, pinned to the CPU or not pinned.
    pub cpus: Vec<Option<usize>>,
    /// The time that an idle core looks for work before it sleeps; only for pinned cores.
    pub spin: Duration,
    /// The key that may do everything.
    pub master_key: String,
    /// How messages are compressed for clients that offer it.
    pub compression: Compression,
    /// Longest message taken from a client.
    pub message_bytes_max: usize,
    /// Most connections at a time, over all cores.
    pub connections_max: usize,
    /// Most connections with one key, if there is such a limit.
    pub connections_per_key_max: Option<usize>,
    /// Most connections from one address, likewise.
    pub connections_per_address_max: Option<usize>,
    /// Most handshakes under way on a core: they cost little, but are open to everybody.
    pub handshakes_max: usize,
    /// Most bytes that all connections together may make the server hold: replies that wait, requests under way,
    /// unfinished messages.
    pub connection_bytes_max: usize,
    /// Silence after which a connection is dropped; at half of it, it is pinged.
    pub idle_timeout: Duration,
    /// Requests that take longer are logged.
    pub slow: Option<Duration>,
    /// The CPUs of the thread that seals chunks; none leaves it to the system.
    pub sealing_cpus: Vec<usize>,
    /// Take LTDB's authentication by first message.
    pub legacy_auth: bool,
}

/// The options of TLS.
pub struct TlsOptions {
    /// Shown to those who connect.
    pub certificates: Certificates,
    /// Where TLS is spoken beside the main address, which then stays plain; otherwise it is spoken at that. Port 0 takes any
    /// free one.
    pub address: Option<SocketAddr>,
}
