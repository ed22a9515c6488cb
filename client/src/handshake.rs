//! From options to a socket that speaks WebSocket: TCP and the HTTP upgrade.

use crate::address::Address;
use crate::error::Error;
use crate::limits::{CONNECT_TIMEOUT, HANDSHAKE_BYTES_MAX};
use crate::options::Options;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Instant;
use tungstenite::handshake::{client::generate_key, derive_accept_key};

/// An upgraded socket, and what the server sent behind its answer.
pub(crate) struct Upgraded {
    pub(crate) stream: TcpStream,
    pub(crate) rest: Vec<u8>,
}

/// Connects and asks for the upgrade.
pub(crate) fn connect(options: &Options) -> Result<Upgraded, Error> {
    let address = Address::new(options)?;
    let mut stream =
        open(&address).map_err(|source| Error::Unreachable { address: address.to_string(), source })?;
    prepare(&stream).map_err(Error::Broken)?;
    let key = generate_key();
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n",
        address.path
    );
    stream.write_all(request.as_bytes()).map_err(|error| Error::from_socket(error, CONNECT_TIMEOUT))?;
    let rest =
        read_answer(&mut stream, &derive_accept_key(key.as_bytes()), Instant::now() + CONNECT_TIMEOUT)?;
    let set = stream.set_read_timeout(Some(options.timeout));
    set.and_then(|()| stream.set_write_timeout(Some(options.timeout))).map_err(Error::Broken)?;
    Ok(Upgraded { stream, rest })
}

fn open(address: &Address) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for socket_address in (address.host.as_str(), address.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&socket_address, CONNECT_TIMEOUT) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(CONNECT_TIMEOUT))?;
    stream.set_write_timeout(Some(CONNECT_TIMEOUT))
}

/// Reads the answer's head, and returns what came behind it.
fn read_answer(stream: &mut TcpStream, accept: &str, deadline: Instant) -> Result<Vec<u8>, Error> {
    let mut received = Vec::new();
    let head_bytes = loop {
        if let Some(at) = memchr::memmem::find(&received, b"\r\n\r\n") {
            break at + 4;
        }
        if read_more(stream, &mut received, deadline)? == 0 {
            return Err(Error::Closed { code: None, reason: String::new() });
        }
    };
    let head = String::from_utf8_lossy(&received[..head_bytes]).into_owned();
    received.drain(..head_bytes);
    let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse::<u16>().ok());
    match status {
        Some(101) if header(&head, "sec-websocket-accept") == Some(accept) => Ok(received),
        Some(101) => Err(Error::Protocol("its upgrade does not fit the request".into())),
        Some(status) => Err(refused(stream, received, &head, status, deadline)),
        None => Err(Error::Protocol("it does not answer in HTTP/1.1".into())),
    }
}

/// The error of a refusal, with the body as far as it comes.
fn refused(stream: &mut TcpStream, mut body: Vec<u8>, head: &str, status: u16, deadline: Instant) -> Error {
    let length = header(head, "content-length").and_then(|text| text.parse().ok()).unwrap_or(usize::MAX);
    while body.len() < length && read_more(stream, &mut body, deadline).is_ok_and(|count| count > 0) {}
    body.truncate(length);
    let text = String::from_utf8_lossy(&body);
    let line = text.lines().find(|line| !line.trim().is_empty()).map(str::trim);
    let phrase = head.lines().next().and_then(|line| line.get(13..)).unwrap_or_default();
    Error::Refused { status, reason: line.unwrap_or(phrase).to_owned() }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = head.lines().filter_map(|line| line.split_once(':'));
    pairs.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

fn read_more(stream: &mut TcpStream, received: &mut Vec<u8>, deadline: Instant) -> Result<usize, Error> {
    if received.len() >= HANDSHAKE_BYTES_MAX {
        return Err(Error::Protocol("its answer to the upgrade is too long".into()));
    }
    if Instant::now() >= deadline {
        return Err(Error::Silent(CONNECT_TIMEOUT));
    }
    let mut piece = [0; 4096];
    let count = loop {
        match stream.read(&mut piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => break other.map_err(|error| Error::from_socket(error, CONNECT_TIMEOUT))?,
        }
    };
    received.extend_from_slice(&piece[..count]);
    Ok(count)
}
