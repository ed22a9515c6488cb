//! A connection's socket: bytes in, bytes out, without waiting. Its task is woken through the core's `Readiness`.

use crate::core::readiness::{Readiness, Watched};
use futures_lite::io::{AsyncRead, AsyncWrite};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// A socket that its core watches.
pub struct Socket {
    stream: TcpStream,
    readiness: Rc<Readiness>,
    slot: u32,
    watched: Rc<Watched>,
}

impl Socket {
    /// Takes an accepted socket.
    pub fn new(stream: TcpStream, readiness: Rc<Readiness>) -> io::Result<Socket> {
        stream.set_nonblocking(true)?;
        let (slot, watched) = readiness.add(&stream)?;
        Ok(Socket { stream, readiness, slot, watched })
    }

    /// The socket itself, for its options.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Receives what is there.
    pub fn receive(&self, context: &Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        while self.watched.can_read(context) {
            match (&self.stream).read(buffer) {
                Ok(count) => {
                    if count < buffer.len() {
                        self.watched.was_short();
                    }
                    return Poll::Ready(Ok(count));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.watched.was_empty(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Pending
    }

    /// Sends as much as the socket takes.
    pub fn send(&self, context: &Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        while self.watched.can_write(context) {
            if let Some(sent) = self.send_once(bytes) {
                return Poll::Ready(sent);
            }
        }
        Poll::Pending
    }

    /// Sends as much as the socket takes now; none if it is full, or the call was interrupted.
    pub fn send_once(&self, bytes: &[u8]) -> Option<io::Result<usize>> {
        if !self.watched.is_writable() {
            return None;
        }
        match (&self.stream).write(bytes) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.watched.was_full();
                None
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => None,
            sent => Some(sent),
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.readiness.remove(self.slot, &self.stream);
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
        Poll::Ready(self.stream.shutdown(Shutdown::Write))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn what_a_socket_does_not_take_at_once_is_left() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        let socket = Socket::new(stream, Rc::new(Readiness::new().unwrap())).unwrap();
        let block = vec![7; 1 << 20];
        let sent: usize = std::iter::from_fn(|| socket.send_once(&block)).map(Result::unwrap).sum();
        assert!(sent > 0 && !socket.watched.is_writable());
        drop(socket);
        let mut got = Vec::new();
        assert!(peer.read_to_end(&mut got).is_ok() && got.len() == sent);
    }
}
