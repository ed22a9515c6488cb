//! TLS on one core: the certificate that new connections are shown, the pace of handshakes, and sessions, each between a
//! socket and its connection.
//!
//! Invariants of a session:
//! 1. What it has taken to send counts as sent when the socket has taken its ciphertext; until then it is offered again, and
//!    only looked at to know that something is to be sent. So what waits for the socket is what waits in the outbox, and
//!    the ciphertext beside it has a bound.
//! 2. Ciphertext is opened while the buffer of who asks has room, so that the library never holds more than a record's
//!    plaintext beside it; what was received and not opened is first the next time.

use crate::core::raw_socket::RawSocket;
use crate::limits::{
    SESSION_BYTES, TLS_EMPTY_READS_MAX, TLS_HANDSHAKE_GUESS, TLS_READ_BYTES_MAX, TLS_READ_BYTES_MIN,
    TLS_RECORD_BYTES_MAX, TLS_SEND_BYTES,
};
use rustls::{ServerConfig, ServerConnection};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

/// The first byte of a peer that speaks TLS: a record of its handshake.
const HANDSHAKE_RECORD: u8 = 22;

/// What the sessions of one core share.
pub struct Tls {
    config: RefCell<Arc<ServerConfig>>,
    /// Ciphertext on its way into a session.
    received: RefCell<Box<[u8]>>,
    pace: Pace,
}

impl Tls {
    /// With this certificate.
    pub fn new(config: Arc<ServerConfig>) -> Tls {
        Tls {
            config: RefCell::new(config),
            received: RefCell::new(vec![0; TLS_READ_BYTES_MAX].into_boxed_slice()),
            pace: Pace::default(),
        }
    }

    /// From now on new connections are shown this certificate.
    pub fn renew(&self, config: Arc<ServerConfig>) {
        *self.config.borrow_mut() = config;
    }

    /// A session that has not begun.
    pub fn session(self: &Rc<Tls>) -> Result<Session, rustls::Error> {
        let mut connection = ServerConnection::new(self.config.borrow().clone())?;
        // It is given little at a time.
        connection.set_buffer_limit(None);
        Ok(Session {
            connection,
            tls: self.clone(),
            taken: 0,
            left: Vec::new(),
            is_begun: false,
            is_ended: false,
        })
    }

    /// The time to wait before a handshake is begun.
    pub fn wait(&self, now: Instant) -> Duration {
        self.pace.wait(now)
    }
}

/// Spreads handshakes, each of which is hundreds of microseconds of arithmetic, so that there is one at a time between what
/// else the core has to do, however many come at once.
#[derive(Default)]
struct Pace {
    /// When the next may begin.
    next: Cell<Option<Instant>>,
    /// The time that one takes, as the last ones did.
    cost: Cell<Option<Duration>>,
}

impl Pace {
    fn wait(&self, now: Instant) -> Duration {
        let slot = self.next.get().map_or(now, |next| next.max(now));
        self.next.set(Some(slot + self.cost.get().unwrap_or(TLS_HANDSHAKE_GUESS)));
        slot - now
    }

    fn took(&self, time: Duration) {
        let before = self.cost.get().unwrap_or(time);
        self.cost.set(Some((before * 7 + time) / 8));
    }
}

/// Why hands could not be shaken.
#[derive(Debug)]
pub enum HandshakeError {
    /// The peer does not speak TLS; whether it seems to speak HTTP.
    Plain(bool),
    /// The peer and this server don't agree.
    Tls(rustls::Error),
    /// The socket failed, or was closed.
    Socket(io::Error),
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HandshakeError::Plain(_) => f.write_str("the peer does not speak TLS"),
            HandshakeError::Tls(error) => error.fmt(f),
            HandshakeError::Socket(error) => error.fmt(f),
        }
    }
}

impl From<HandshakeError> for io::Error {
    fn from(error: HandshakeError) -> io::Error {
        match error {
            HandshakeError::Socket(error) => error,
            error => io::Error::new(ErrorKind::InvalidData, error.to_string()),
        }
    }
}

impl From<io::Error> for HandshakeError {
    fn from(error: io::Error) -> HandshakeError {
        HandshakeError::Socket(error)
    }
}

/// The TLS of one connection.
pub struct Session {
    connection: ServerConnection,
    tls: Rc<Tls>,
    /// Bytes that were taken to be sent, and whose ciphertext the socket has not taken yet.
    taken: usize,
    /// Ciphertext that was received, and for which there was no room.
    left: Vec<u8>,
    /// The peer's first bytes have come.
    is_begun: bool,
    /// The peer says nothing further.
    is_ended: bool,
}

impl Session {
    /// Shakes hands as far as that goes now.
    pub fn poll_handshake(
        &mut self,
        raw: &RawSocket,
        context: &Context<'_>,
    ) -> Poll<Result<(), HandshakeError>> {
        loop {
            ready!(self.flush(raw, context))?;
            if !self.connection.is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            let tls = self.tls.clone();
            let received = &mut *tls.received.borrow_mut();
            let count = ready!(raw.receive(context, &mut received[..TLS_READ_BYTES_MIN]))?;
            let Some(first) = received[..count].first() else {
                return Poll::Ready(Err(io::Error::from(ErrorKind::UnexpectedEof).into()));
            };
            if !std::mem::replace(&mut self.is_begun, true) && *first != HANDSHAKE_RECORD {
                return Poll::Ready(Err(HandshakeError::Plain(first.is_ascii_uppercase())));
            }
            let began = Instant::now();
            let open = self.open(raw, &received[..count], &mut []);
            if self.connection.is_handshaking() && self.connection.wants_write() {
                tls.pace.took(began.elapsed());
            }
            if let Err(error) = open {
                return Poll::Ready(Err(error));
            }
        }
    }

    /// Receives what is there.
    pub fn receive(
        &mut self,
        raw: &RawSocket,
        context: &Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let count = self.take_plaintext(buffer)?;
        if count > 0 {
            return Poll::Ready(Ok(count));
        }
        if !self.left.is_empty() {
            let left = std::mem::take(&mut self.left);
            let count = self.open(raw, &left, buffer)?;
            if count > 0 {
                return Poll::Ready(Ok(count));
            }
        }
        let tls = self.tls.clone();
        let received = &mut *tls.received.borrow_mut();
        let room = buffer.len().saturating_sub(TLS_RECORD_BYTES_MAX);
        let room = room.clamp(TLS_READ_BYTES_MIN, received.len());
        for _ in 0..TLS_EMPTY_READS_MAX {
            if self.is_ended {
                return Poll::Ready(Ok(0));
            }
            let count = ready!(raw.receive(context, &mut received[..room]))?;
            if count == 0 {
                return Poll::Ready(Ok(0));
            }
            let count = self.open(raw, &received[..count], buffer)?;
            if count > 0 {
                return Poll::Ready(Ok(count));
            }
        }
        Poll::Ready(Err(io::Error::new(ErrorKind::InvalidData, "TLS records with nothing in them")))
    }

    /// Sends as much as the socket takes.
    pub fn send(&mut self, raw: &RawSocket, context: &Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.flush(raw, context))?;
        if self.taken == 0 {
            self.take(bytes)?;
            ready!(self.flush(raw, context))?;
        }
        Poll::Ready(Ok(std::mem::take(&mut self.taken)))
    }

    /// Sends as much as the socket takes now.
    pub fn send_once(&mut self, raw: &RawSocket, bytes: &[u8]) -> Option<io::Result<usize>> {
        if let Err(error) = self.flush_once(raw)? {
            return Some(Err(error));
        }
        if self.taken == 0 {
            if let Err(error) = self.take(bytes) {
                return Some(Err(error));
            }
            if let Err(error) = self.flush_once(raw)? {
                return Some(Err(error));
            }
        }
        Some(Ok(std::mem::take(&mut self.taken)))
    }

    /// Tells the peer that nothing follows, as far as the socket takes that at once.
    pub fn say_goodbye(&mut self, raw: &RawSocket) {
        self.connection.send_close_notify();
        let _ = self.flush_once(raw);
    }

    /// Memory that it takes.
    pub fn held_bytes(&self) -> usize {
        SESSION_BYTES + self.taken + self.left.capacity()
    }

    fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        let count = bytes.len().min(TLS_SEND_BYTES);
        self.taken = self.connection.writer().write(&bytes[..count])?;
        Ok(())
    }

    /// Sends the ciphertext that waits. Pending when the socket takes no more for now.
    fn flush(&mut self, raw: &RawSocket, context: &Context<'_>) -> Poll<io::Result<()>> {
        while self.connection.wants_write() {
            let sent = ready!(raw.send(context, |mut stream| self.connection.write_tls(&mut stream)))?;
            if sent == 0 {
                return Poll::Ready(Err(ErrorKind::WriteZero.into()));
            }
        }
        Poll::Ready(Ok(()))
    }

    /// The same; none if the socket does not take all of it at once.
    fn flush_once(&mut self, raw: &RawSocket) -> Option<io::Result<()>> {
        while self.connection.wants_write() {
            match raw.send_once(|mut stream| self.connection.write_tls(&mut stream))? {
                Ok(0) => return Some(Err(ErrorKind::WriteZero.into())),
                Ok(_) => {}
                Err(error) => return Some(Err(error)),
            }
        }
        Some(Ok(()))
    }

    /// Takes ciphertext in, and gives as much of what it says as there is room for.
    fn open(
        &mut self,
        raw: &RawSocket,
        mut ciphertext: &[u8],
        buffer: &mut [u8],
    ) -> Result<usize, HandshakeError> {
        let mut opened = 0;
        while !ciphertext.is_empty() {
            if opened == buffer.len() && !self.connection.is_handshaking() {
                self.left = ciphertext.to_vec();
                break;
            }
            let count = self.connection.read_tls(&mut ciphertext)?;
            let is_ended = match self.connection.process_new_packets() {
                Ok(state) => state.peer_has_closed(),
                Err(error) => {
                    // What went wrong is said to the peer too.
                    let _ = self.flush_once(raw);
                    return Err(HandshakeError::Tls(error));
                }
            };
            opened += self.take_plaintext(&mut buffer[opened..])?;
            self.is_ended = is_ended;
            // What comes behind the peer's goodbye is not looked at.
            if count == 0 || is_ended {
                break;
            }
        }
        Ok(opened)
    }

    fn take_plaintext(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut count = 0;
        while count < buffer.len() {
            match self.connection.reader().read(&mut buffer[count..]) {
                Ok(0) => break,
                Ok(more) => count += more,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(count)
    }
}

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;
