//! From options to a socket that speaks WebSocket: TCP, TLS, and the HTTP upgrade.

use crate::address::Address;
use crate::authorities::Authorities;
use crate::error::Error;
use crate::limits::{CONNECT_TIMEOUT, HANDSHAKE_BYTES_MAX};
use crate::options::Options;
use crate::patience::Patience;
use crate::transport::Transport;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};
use tungstenite::handshake::{client::generate_key, derive_accept_key};

/// An upgraded socket, and what the server sent behind its answer.
pub(crate) struct Upgraded {
    pub(crate) stream: Transport,
    pub(crate) rest: Vec<u8>,
}

/// Connects and asks for the upgrade.
pub(crate) fn connect(options: &Options) -> Result<Upgraded, Error> {
    let address = Address::new(options)?;
    let patience = Patience::new(CONNECT_TIMEOUT);
    let mut stream = open(&address, &options.authorities, &patience)?;
    let key = generate_key();
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n",
        address.path
    );
    let patience = patience.again();
    let answer = ask(&mut stream, &request, &patience)?;
    let rest = upgraded(&mut stream, answer, &derive_accept_key(key.as_bytes()), &patience)?;
    let set = stream.set_read_timeout(Some(options.timeout));
    set.and_then(|()| stream.set_write_timeout(Some(options.timeout))).map_err(Error::Broken)?;
    Ok(Upgraded { stream, rest })
}

/// Connects to the first address that takes it, and shakes hands where TLS is spoken.
pub(crate) fn open(
    address: &Address,
    authorities: &Authorities,
    patience: &Patience,
) -> Result<Transport, Error> {
    let stream = connect_any(address, patience)
        .map_err(|source| Error::Unreachable { address: address.to_string(), source })?;
    prepare(&stream, patience.time).map_err(Error::Broken)?;
    Transport::begin(stream, address, authorities, &patience.again())
}

fn connect_any(address: &Address, patience: &Patience) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for socket_address in (address.host.as_str(), address.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&socket_address, patience.time) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn prepare(stream: &TcpStream, timeout: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))
}

/// The head of an answer, and what came behind it.
pub(crate) struct Answer {
    /// Status of the answer.
    pub(crate) status: u16,
    head: String,
    rest: Vec<u8>,
}

/// Sends a request, and reads the head of its answer.
pub(crate) fn ask(stream: &mut Transport, request: &str, patience: &Patience) -> Result<Answer, Error> {
    let sent = stream.write_all(request.as_bytes()).and_then(|()| stream.flush());
    sent.map_err(|error| patience.failed(error))?;
    let mut received = Vec::new();
    let head_bytes = loop {
        if let Some(at) = memchr::memmem::find(&received, b"\r\n\r\n") {
            break at + 4;
        }
        if read_more(stream, &mut received, patience)? == 0 {
            return Err(Error::Closed { code: None, reason: String::new() });
        }
    };
    let head = String::from_utf8_lossy(&received[..head_bytes]).into_owned();
    received.drain(..head_bytes);
    let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    match status {
        Some(status) => Ok(Answer { status, head, rest: received }),
        None => Err(Error::Protocol("it does not answer in HTTP/1.1".into())),
    }
}

/// What came behind the upgrade, if the answer agrees to it.
fn upgraded(
    stream: &mut Transport,
    answer: Answer,
    accept: &str,
    patience: &Patience,
) -> Result<Vec<u8>, Error> {
    match answer.status {
        101 if header(&answer.head, "sec-websocket-accept") == Some(accept) => Ok(answer.rest),
        101 => Err(Error::Protocol("its upgrade does not fit the request".into())),
        status => Err(Error::Refused { status, reason: answer.reason(stream, patience) }),
    }
}

impl Answer {
    /// The first line of the body, as far as it comes, or else the words beside the status.
    pub(crate) fn reason(self, stream: &mut Transport, patience: &Patience) -> String {
        let Answer { head, rest: mut body, .. } = self;
        let length = header(&head, "content-length").and_then(|text| text.parse().ok()).unwrap_or(usize::MAX);
        while body.len() < length && read_more(stream, &mut body, patience).is_ok_and(|count| count > 0) {}
        body.truncate(length);
        let text = String::from_utf8_lossy(&body);
        let line = text.lines().find(|line| !line.trim().is_empty()).map(str::trim);
        let phrase = head.lines().next().and_then(|line| line.get(13..)).unwrap_or_default();
        line.unwrap_or(phrase).to_owned()
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = head.lines().filter_map(|line| line.split_once(':'));
    pairs.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

fn read_more(stream: &mut Transport, received: &mut Vec<u8>, patience: &Patience) -> Result<usize, Error> {
    if received.len() >= HANDSHAKE_BYTES_MAX {
        return Err(Error::Protocol("its answer is too long".into()));
    }
    if Instant::now() >= patience.end {
        return Err(patience.over());
    }
    let mut piece = [0; 4096];
    let count = loop {
        match stream.read(&mut piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => break other.map_err(|error| patience.failed(error))?,
        }
    };
    received.extend_from_slice(&piece[..count]);
    Ok(count)
}
