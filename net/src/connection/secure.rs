//! The handshake of TLS, before that of the WebSocket.

use crate::core::counters::Refusal;
use crate::core::socket::Socket;
use crate::core::state::Core;
use crate::core::tls::HandshakeError;
use crate::serve::refusals;
use crate::wire::http::{Response, Status};
use futures_lite::future::poll_fn;
use glommio::timer::Timer;
use std::io::{self, Write};
use std::net::{IpAddr, Shutdown};
use std::time::Instant;

/// Shakes hands; false if the connection is over, and that is counted and told.
pub async fn shake_hands(core: &Core, socket: &Socket, ip: IpAddr) -> io::Result<bool> {
    let Some(tls) = core.tls.as_ref().filter(|_| socket.is_secure()) else { return Ok(true) };
    poll_fn(|context| socket.poll_said(context)).await;
    let wait = tls.wait(Instant::now());
    if !wait.is_zero() {
        Timer::new(wait).await;
    }
    match poll_fn(|context| socket.poll_handshake(context)).await {
        Ok(()) => return Ok(true),
        Err(HandshakeError::Socket(error)) => return Err(error),
        Err(HandshakeError::Plain(says_http)) => {
            refusals::note(core, Refusal::NotTls, ip);
            if says_http {
                let words = "this port speaks TLS: connect with wss://";
                let response = Response::text(Status::BadRequest, words).into_bytes();
                // It fits an empty socket.
                let _ = socket.stream().write(&response);
            }
        }
        Err(HandshakeError::Tls(error)) => {
            tracing::debug!(%ip, %error, "no TLS handshake");
            refusals::note(core, Refusal::Tls, ip);
        }
    }
    let _ = socket.stream().shutdown(Shutdown::Write);
    Ok(false)
}
