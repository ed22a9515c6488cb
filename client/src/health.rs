//! The health of a server, as it tells anyone who asks.

use crate::address::Address;
use crate::authorities::Authorities;
use crate::error::Error;
use crate::handshake;
use crate::limits::CONNECT_TIMEOUT;
use crate::patience::Patience;
use std::time::Duration;

const PAGE: &str = "/health";

/// Asks a server for its health, which takes no API key; `authorities` count for a `wss://` address. An error says what it complains of, or why it can't be asked.
/// It has `timeout`, of which at most ten seconds count, to take the connection, and as long again to answer.
///
/// ```no_run
/// # fn main() -> Result<(), fluxion_client::Error> {
/// use fluxion_client::{Authorities, check_health};
/// check_health("ws://localhost:8080", &Authorities::of_system(), std::time::Duration::from_secs(5))?;
/// # Ok(())
/// # }
/// ```
pub fn check_health(url: &str, authorities: &Authorities, timeout: Duration) -> Result<(), Error> {
    let address = Address::of_page(url, PAGE)?;
    let patience = Patience::new(timeout.clamp(Duration::from_millis(1), CONNECT_TIMEOUT));
    let mut stream = handshake::open(&address, authorities, &patience)?;
    let request = format!("GET {} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n", address.path);
    let patience = patience.again();
    let answer = handshake::ask(&mut stream, &request, &patience)?;
    match answer.status {
        200 => Ok(()),
        503 => Err(Error::Server(answer.reason(&mut stream, &patience))),
        status => Err(Error::Protocol(format!("it answers GET {} with status {status}", address.path))),
    }
}
