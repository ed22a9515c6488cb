//! A socket as the kernel has it: bytes in, bytes out, without waiting. Its task is woken through the core's `Readiness`.

use crate::core::readiness::{Readiness, Watched};
use std::io::{self, ErrorKind, Read};
use std::net::TcpStream;
use std::rc::Rc;
use std::task::{Context, Poll};

/// A socket that its core watches.
pub struct RawSocket {
    stream: TcpStream,
    readiness: Rc<Readiness>,
    slot: u32,
    watched: Rc<Watched>,
}

impl RawSocket {
    /// Takes an accepted socket.
    pub fn new(stream: TcpStream, readiness: Rc<Readiness>) -> io::Result<RawSocket> {
        stream.set_nonblocking(true)?;
        let (slot, watched) = readiness.add(&stream)?;
        Ok(RawSocket { stream, readiness, slot, watched })
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

    /// Whether something may be received. If not, the task is woken when it may.
    pub fn can_read(&self, context: &Context<'_>) -> bool {
        self.watched.can_read(context)
    }

    /// Sends what `write` writes, as much as the socket takes.
    pub fn send(
        &self,
        context: &Context<'_>,
        mut write: impl FnMut(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        while self.watched.can_write(context) {
            if let Some(sent) = self.send_once(&mut write) {
                return Poll::Ready(sent);
            }
        }
        Poll::Pending
    }

    /// Sends as much of it as the socket takes now; none if it is full, or the call was interrupted.
    pub fn send_once(
        &self,
        write: impl FnOnce(&TcpStream) -> io::Result<usize>,
    ) -> Option<io::Result<usize>> {
        if !self.watched.is_writable() {
            return None;
        }
        match write(&self.stream) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.watched.was_full();
                None
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => None,
            sent => Some(sent),
        }
    }
}

impl Drop for RawSocket {
    fn drop(&mut self) {
        self.readiness.remove(self.slot, &self.stream);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::TcpListener;

    #[test]
    fn what_a_socket_does_not_take_at_once_is_left() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        let socket = RawSocket::new(stream, Rc::new(Readiness::new().unwrap())).unwrap();
        let block = vec![7; 1 << 20];
        let sent: usize = std::iter::from_fn(|| socket.send_once(|mut stream| stream.write(&block)))
            .map(Result::unwrap)
            .sum();
        assert!(sent > 0 && !socket.watched.is_writable());
        drop(socket);
        let mut got = Vec::new();
        assert!(peer.read_to_end(&mut got).is_ok() && got.len() == sent);
    }
}
