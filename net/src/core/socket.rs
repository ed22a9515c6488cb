//! A connection's socket: the one place where bytes go between a connection and its peer, as they are or through TLS.

use crate::core::raw_socket::RawSocket;
use crate::core::readiness::Readiness;
use crate::core::tls::{HandshakeError, Session};
use futures_lite::io::{AsyncRead, AsyncWrite};
use std::cell::RefCell;
use std::io::{self, Write};
use std::net::{Shutdown, TcpStream};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// A socket, and what is spoken on it below the WebSocket.
pub struct Socket {
    raw: RawSocket,
    session: Option<Box<RefCell<Session>>>,
}

impl Socket {
    /// Takes an accepted socket; with a session, it is ready when that has shaken hands.
    pub fn new(stream: TcpStream, readiness: Rc<Readiness>, session: Option<Session>) -> io::Result<Socket> {
        let session = session.map(|session| Box::new(RefCell::new(session)));
        Ok(Socket { raw: RawSocket::new(stream, readiness)?, session })
    }

    /// The socket itself, for its options.
    pub fn stream(&self) -> &TcpStream {
        self.raw.stream()
    }

    /// Whether TLS is spoken on it.
    pub fn is_secure(&self) -> bool {
        self.session.is_some()
    }

    /// Waits until the peer has said something.
    pub fn poll_said(&self, context: &Context<'_>) -> Poll<()> {
        if self.raw.can_read(context) { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Shakes hands, where TLS is spoken.
    pub fn poll_handshake(&self, context: &Context<'_>) -> Poll<Result<(), HandshakeError>> {
        match &self.session {
            None => Poll::Ready(Ok(())),
            Some(session) => session.borrow_mut().poll_handshake(&self.raw, context),
        }
    }

    /// Receives what is there.
    pub fn receive(&self, context: &Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        match &self.session {
            None => self.raw.receive(context, buffer),
            Some(session) => session.borrow_mut().receive(&self.raw, context, buffer),
        }
    }

    /// Sends as much as the socket takes. When it has said that it takes no more for now, it is to be offered the same
    /// bytes again, and behind them others.
    pub fn send(&self, context: &Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &self.session {
            None => self.raw.send(context, |mut stream| stream.write(bytes)),
            Some(session) => session.borrow_mut().send(&self.raw, context, bytes),
        }
    }

    /// Sends as much as the socket takes now; none if it is full, or the call was interrupted. The same bytes are to be
    /// offered again then.
    pub fn send_once(&self, bytes: &[u8]) -> Option<io::Result<usize>> {
        match &self.session {
            None => self.raw.send_once(|mut stream| stream.write(bytes)),
            Some(session) => session.borrow_mut().send_once(&self.raw, bytes),
        }
    }

    /// Ends it, with TLS' own goodbye before, as far as the socket takes that at once.
    pub fn end(&self, how: Shutdown) -> io::Result<()> {
        if let Some(session) = &self.session {
            session.borrow_mut().say_goodbye(&self.raw);
        }
        self.raw.stream().shutdown(how)
    }

    /// Memory that it takes beside the kernel's.
    pub fn held_bytes(&self) -> usize {
        self.session.as_ref().map_or(0, |session| session.borrow().held_bytes())
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().receive(context, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().send(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.end(Shutdown::Write))
    }
}
