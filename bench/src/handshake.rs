//! From an address to a connection that is ready for requests: TCP, TLS, the HTTP upgrade, the ready message; for Redis a
//! first command.
//!
//! Blocking, with a deadline for each step, since nothing is measured yet. The server's accept key is not checked: a
//! server that answers 101 and then speaks WebSocket is one.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use rustls::ClientConfig;

use crate::frame::{self, FrameHeader};
use crate::limits::{HANDSHAKE_BYTES_MAX, HANDSHAKE_TIMEOUT};
use crate::loss::Loss;
use crate::stream::Stream;
use crate::target::{Scheme, Target};

/// Any 16 bytes in base64 will do.
const KEY: &str = "Zmx1eGlvbmRiLWJlbmNoIQ==";

/// A socket after the ready message, and what the server sent behind it.
#[derive(Debug)]
pub struct Ready {
    /// Non-blocking, without Nagle's delay.
    pub stream: Stream,
    /// Bytes already read that belong to the frames after the ready message.
    pub rest: Vec<u8>,
}

/// What it takes to be let in.
pub struct Access {
    /// The API key.
    pub key: Option<String>,
    /// How TLS is spoken, if it is.
    pub tls: Option<Arc<ClientConfig>>,
}

/// Connects, and waits until the server says that it is ready.
pub fn connect(target: &Target, access: &Access) -> Result<Ready> {
    let key = access.key.as_deref();
    let socket = open(target).with_context(|| format!("cannot connect to {target}"))?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(HANDSHAKE_TIMEOUT))?;
    socket.set_write_timeout(Some(HANDSHAKE_TIMEOUT))?;
    let mut stream = match &access.tls {
        Some(config) => Stream::secure(socket, config.clone(), &target.host)
            .with_context(|| format!("no TLS with {target}"))?,
        None => Stream::Plain(socket),
    };
    let rest = match target.scheme {
        Scheme::WebSocket => upgrade(&mut stream, target, key)?,
        Scheme::Redis => greet_redis(&mut stream, key)?,
    };
    stream.socket().set_nonblocking(true)?;
    Ok(Ready { stream, rest })
}

/// Returns the bytes that came behind the ready message.
fn upgrade(stream: &mut Stream, target: &Target, key: Option<&str>) -> Result<Vec<u8>> {
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: {KEY}\r\n\r\n",
        target.path_with_key(key),
        target.authority()
    );
    stream.write_all(request.as_bytes()).context("cannot send the upgrade request")?;
    let mut received = Vec::new();
    read_upgrade(stream, &mut received)?;
    read_ready(stream, &mut received)?;
    Ok(received)
}

/// Finds out that commands are answered, with the key as password if there is one.
fn greet_redis(stream: &mut Stream, key: Option<&str>) -> Result<Vec<u8>> {
    let greeting = match key {
        Some(key) => format!("*2\r\n$4\r\nAUTH\r\n${}\r\n{key}\r\n", key.len()),
        None => "*1\r\n$4\r\nPING\r\n".to_owned(),
    };
    stream.write_all(greeting.as_bytes()).context("cannot send a command")?;
    let mut received = Vec::new();
    while !received.ends_with(b"\r\n") {
        ensure!(read_more(stream, &mut received)? > 0, "the server ended the connection");
    }
    let answer = String::from_utf8_lossy(&received);
    ensure!(answer.starts_with('+'), "the server refused the connection: {}", answer.trim());
    Ok(Vec::new())
}

fn open(target: &Target) -> Result<TcpStream> {
    let mut last_error = None;
    for address in (target.host.as_str(), target.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, HANDSHAKE_TIMEOUT) {
            Ok(stream) => return Ok(stream),
            Err(error) => last_error = Some(error),
        }
    }
    match last_error {
        Some(error) => Err(error.into()),
        None => bail!("the name has no address"),
    }
}

/// Reads up to the end of the response's head, and takes it off the front.
fn read_upgrade(stream: &mut Stream, received: &mut Vec<u8>) -> Result<()> {
    let head_bytes = loop {
        if let Some(at) = received.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        ensure!(read_more(stream, received)? > 0, "the server ended the connection during the upgrade");
    };
    let head = String::from_utf8_lossy(&received[..head_bytes]).into_owned();
    received.drain(..head_bytes);
    let status = head.lines().next().unwrap_or_default();
    let status = status.strip_prefix("HTTP/1.1 ").context("the server did not answer with HTTP/1.1")?;
    if status.starts_with("101") {
        return Ok(());
    }
    read_body(stream, received, &head);
    let body = String::from_utf8_lossy(received);
    bail!("the server refused the connection: {}: {}", status.trim(), body.trim());
}

/// Reads the body of a refusal as far as it comes; the refusal counts, not how it ends.
fn read_body(stream: &mut Stream, received: &mut Vec<u8>, head: &str) {
    let length = head.lines().filter_map(|line| line.split_once(':')).find_map(|(name, value)| {
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok()).flatten()
    });
    let length: usize = length.unwrap_or(usize::MAX);
    while received.len() < length && read_more(stream, received).is_ok_and(|count| count > 0) {}
    received.truncate(length);
}

/// Reads the first frame, which must be the ready message, and takes it off the front.
fn read_ready(stream: &mut Stream, received: &mut Vec<u8>) -> Result<()> {
    let (header, frame_bytes) = loop {
        if let Some(header) = FrameHeader::read(received) {
            ensure!(
                header.payload_bytes <= HANDSHAKE_BYTES_MAX as u64,
                "the server's ready message is too long"
            );
            let frame_bytes = header.header_bytes + header.payload_bytes as usize;
            if received.len() >= frame_bytes {
                break (header, frame_bytes);
            }
        }
        ensure!(read_more(stream, received)? > 0, "the server ended the connection before its ready message");
    };
    let payload = &received[header.header_bytes..frame_bytes];
    match header.opcode {
        frame::TEXT if says_ready(payload) => {}
        frame::CLOSE => bail!(Loss::closed(payload)),
        _ => bail!("instead of its ready message the server sent {:?}", String::from_utf8_lossy(payload)),
    }
    received.drain(..frame_bytes);
    Ok(())
}

fn says_ready(payload: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Value>(payload).is_ok_and(|message| message["type"] == "ready")
}

fn read_more(stream: &mut Stream, received: &mut Vec<u8>) -> Result<usize> {
    ensure!(received.len() < HANDSHAKE_BYTES_MAX, "the server's answer to the upgrade is too long");
    let mut piece = [0; 4096];
    let count = stream.read(&mut piece).map_err(|error| match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => {
            anyhow::anyhow!("the server was silent for {} s", HANDSHAKE_TIMEOUT.as_secs())
        }
        _ => error.into(),
    })?;
    received.extend_from_slice(&piece[..count]);
    Ok(count)
}
