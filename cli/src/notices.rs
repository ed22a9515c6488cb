//! What the log says at the start: what was started, where it listens, and plainly what its setting does not protect from.

use fluxion_net::Server;
use std::net::SocketAddr;
use tracing::{info, warn};

/// The server has found what it needs, and begins to load.
pub fn starting(cores: usize, data: Option<&str>) {
    let version = env!("CARGO_PKG_VERSION");
    match data {
        Some(data) => info!(version, data, cores, "starting"),
        None => info!(version, cores, "starting"),
    }
}

/// Where the server listens.
pub struct Addresses {
    /// For clients.
    pub main: SocketAddr,
    /// For clients that speak TLS.
    pub tls: Tls,
    /// For health and metrics, if that is an address of their own.
    pub pages: Option<SocketAddr>,
}

/// Where TLS is spoken.
#[derive(Clone, Copy)]
pub enum Tls {
    /// Nowhere.
    None,
    /// At the main address.
    Main,
    /// At this one, beside the main address, which is plain.
    Beside(SocketAddr),
}

impl Addresses {
    /// Those of a server.
    pub fn new(server: &Server, speaks_tls: bool) -> Addresses {
        let tls = match server.secure_address() {
            Some(address) => Tls::Beside(address),
            None if speaks_tls => Tls::Main,
            None => Tls::None,
        };
        Addresses { main: server.address(), tls, pages: server.pages_address() }
    }
}

/// Clients may connect.
pub fn listening(addresses: &Addresses, data: Option<&str>) {
    let address = addresses.main;
    let tls = match addresses.tls {
        Tls::None => None,
        Tls::Main => Some(address),
        Tls::Beside(tls) => Some(tls),
    };
    let (tls, metrics) = (tls.map(tracing::field::display), addresses.pages.map(tracing::field::display));
    info!(%address, tls, metrics, "listening");
    if data.is_none() {
        warn!("data is kept in memory only, and is gone when the server stops: --data DIR keeps it");
    }
    if address.ip().is_unspecified() {
        warn!("listening on all addresses of this machine: --bind 127.0.0.1 keeps to itself");
    }
    if !matches!(addresses.tls, Tls::Main) && !address.ip().to_canonical().is_loopback() {
        warn!(%address, "connections to this address are not encrypted: keys and data can be read on their way");
    }
    if let Some(metrics) = addresses.pages.filter(|metrics| !metrics.ip().to_canonical().is_loopback()) {
        warn!(%metrics, "metrics are told to everybody who reaches this address");
    }
}
