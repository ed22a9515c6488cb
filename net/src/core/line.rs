//! The way to a connection's socket past its task: what comes when nothing waits to be sent is offered to the socket at once.
//! Whatever that doesn't take, and every failure, is left to the task.

use crate::core::readiness::Watched;
use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::rc::Rc;

/// A socket that can be sent to.
pub struct Line {
    stream: Rc<TcpStream>,
    watched: Rc<Watched>,
}

impl Line {
    /// The line to a socket.
    pub fn new(stream: Rc<TcpStream>, watched: Rc<Watched>) -> Line {
        Line { stream, watched }
    }

    /// Sends what the socket takes without waiting; gives how much that was.
    pub fn try_send(&self, bytes: &[u8]) -> usize {
        if !self.watched.is_writable() {
            return 0;
        }
        match (&*self.stream).write(bytes) {
            Ok(count) => count,
            Err(error) => {
                if error.kind() == ErrorKind::WouldBlock {
                    self.watched.was_full();
                }
                0
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::TcpListener;

    #[test]
    fn what_the_socket_does_not_take_is_left() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        stream.set_nonblocking(true).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        let watched = Rc::new(Watched::default());
        let line = Line::new(Rc::new(stream), watched.clone());
        assert_eq!(line.try_send(b"x"), 0, "it has not been said to be writable");
        watched.be_writable();
        let block = vec![7; 1 << 20];
        let sent: usize = std::iter::from_fn(|| Some(line.try_send(&block)).filter(|count| *count > 0)).sum();
        assert!(!watched.is_writable());
        drop(line);
        let mut got = Vec::new();
        assert!(peer.read_to_end(&mut got).is_ok() && got.len() == sent);
    }
}
