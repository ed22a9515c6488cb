//! What the log says at the start: what was started, where it listens, and plainly what its setting does not protect from.

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

/// Clients may connect.
pub fn listening(address: SocketAddr, pages: Option<SocketAddr>, data: Option<&str>) {
    match pages {
        Some(metrics) => info!(%address, %metrics, "listening"),
        None => info!(%address, "listening"),
    }
    if data.is_none() {
        warn!("data is kept in memory only, and is gone when the server stops: --data DIR keeps it");
    }
    if address.ip().is_unspecified() {
        warn!("listening on all addresses of this machine: --bind 127.0.0.1 keeps to itself");
    }
    if !address.ip().to_canonical().is_loopback() {
        warn!(%address, "connections to this address are not encrypted: keys and data can be read on their way");
    }
    if let Some(metrics) = pages.filter(|metrics| !metrics.ip().to_canonical().is_loopback()) {
        warn!(%metrics, "metrics are told to everybody who reaches this address");
    }
}
