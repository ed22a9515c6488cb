//! The listening socket of a core: all cores share a port, and the kernel shares out who comes.

use crate::core::readiness::{Readiness, Watched};
use crate::limits::BACKLOG;
use socket2::{Domain, Protocol, Socket, Type};
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::task::{Context, Poll};

/// Listens on a port, which several may do.
pub struct Listener {
    listener: TcpListener,
    readiness: Rc<Readiness>,
    slot: u32,
    watched: Rc<Watched>,
}

impl Listener {
    /// Begins to listen.
    pub fn bind(address: SocketAddr, readiness: Rc<Readiness>) -> io::Result<Listener> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_port(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        let listener = TcpListener::from(socket);
        let (slot, watched) = readiness.add(&listener)?;
        Ok(Listener { listener, readiness, slot, watched })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Waits for the next connection.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        poll_fn(|context| self.poll_accept(context)).await
    }

    fn poll_accept(&self, context: &Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        while self.watched.can_read(context) {
            match self.listener.accept() {
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.watched.was_empty(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                accepted => return Poll::Ready(accepted),
            }
        }
        Poll::Pending
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.readiness.remove(self.slot, &self.listener);
    }
}
