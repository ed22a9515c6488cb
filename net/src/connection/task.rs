//! The task of one connection: a loop of send, carry out what has been received, receive. Others reach it through its
//! `Peer`, whose waker makes the loop run again.

use crate::connection::greet::greet;
use crate::connection::input::{Input, Progress};
use crate::connection::release::release;
use crate::connection::secure::shake_hands;
use crate::core::counters::{Refusal, Wait};
use crate::core::message::Message;
use crate::core::peers::SharedPeer;
use crate::core::socket::Socket;
use crate::core::state::Core;
use crate::core::tls::Tls;
use crate::core::turns::Turn;
use crate::limits::{HANDSHAKE_TIMEOUT, READ_BYTES};
use crate::serve::flush::flush;
use crate::serve::pages::Door;
use crate::serve::{lines, pushes, refusals, subscriptions};
use crate::wire::http::{Response, Status};
use futures_lite::FutureExt;
use futures_lite::io::AsyncWriteExt;
use glommio::timer::Timer;
use socket2::SockRef;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Shutdown, TcpStream};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;
use tracing::debug;

/// Cost of a read from the socket, beside that of what it brings.
const READ_COST: usize = 4;

/// Serves one accepted socket until it is closed.
pub async fn serve(core: Rc<Core>, stream: TcpStream, ip: IpAddr, door: Door) {
    let mut stream = match open(&core, stream, door) {
        Ok(stream) => stream,
        Err(error) => {
            debug!(%ip, %error, "can't watch a connection");
            return refusals::note(&core, Refusal::Connections, ip);
        }
    };
    if core.handshakes.get() >= core.options.handshakes_max {
        return refuse(&core, stream, Refusal::Handshakes, ip).await;
    }
    core.handshakes.set(core.handshakes.get() + 1);
    let greeted = async {
        match shake_hands(&core, &stream, ip).await? {
            true => greet(&core, &mut stream, ip, door).await,
            false => Ok(None),
        }
    };
    let late = async {
        Timer::new(HANDSHAKE_TIMEOUT).await;
        Ok(None)
    };
    // Boxed, so that the memory it takes is not part of every connection for as long as that lives.
    let greeted = Box::pin(greeted.or(late)).await;
    core.handshakes.set(core.handshakes.get() - 1);
    match greeted {
        Ok(Some((peer, received))) => {
            let stream = Rc::new(stream);
            peer.borrow_mut().socket = Some(stream.clone());
            let deflate = peer.borrow().deflate;
            let connection = Connection {
                core,
                stream,
                peer,
                input: Input::new(received, deflate),
                round: 0,
                is_corked: false,
            };
            connection.run(ip).await;
        }
        Ok(None) => {}
        Err(error) => debug!(%ip, %error, "connection lost in its handshake"),
    }
}

fn open(core: &Core, stream: TcpStream, door: Door) -> io::Result<Socket> {
    let tls = core.tls.as_ref().filter(|_| door == Door::Secure);
    let session = tls.map(Tls::session).transpose().map_err(io::Error::other)?;
    Socket::new(stream, core.readiness.clone(), session)
}

/// Refuses a socket without having read anything.
async fn refuse(core: &Core, mut stream: Socket, reason: Refusal, ip: IpAddr) {
    refusals::note(core, reason, ip);
    if stream.is_secure() {
        // To say why would take the handshake.
        return;
    }
    let response = Response::text(Status::Unavailable, "too many connections");
    let _ = stream.write_all(&response.into_bytes()).await;
    let _ = stream.close().await;
}

struct Connection {
    core: Rc<Core>,
    stream: Rc<Socket>,
    peer: SharedPeer,
    input: Input,
    /// The round of the core in which it had its last turn.
    round: u64,
    /// The close frame is to leave together with the end of the stream.
    is_corked: bool,
}

/// The state of a connection after a turn.
enum Turned {
    /// There may be more to do.
    Again,
    /// The connection is over.
    Over,
}

impl Connection {
    async fn run(mut self, ip: IpAddr) {
        loop {
            match poll_fn(|context| self.poll(context)).await {
                Ok(Turned::Again) => self.core.turns.next().await,
                Ok(Turned::Over) => break,
                Err(error) => {
                    debug!(%ip, %error, "connection lost");
                    break;
                }
            }
        }
        let _ = self.stream.end(Shutdown::Both);
        lines::closed(&self.core, &self.peer.borrow());
        let abandoned = self.core.peers.leave(&mut self.peer.borrow_mut());
        self.core.abandon(abandoned);
        subscriptions::leave(&self.core, &mut self.peer.borrow_mut());
        flush(&self.core);
    }

    /// One turn: ready when it has been long enough, or the connection is over.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Turned>> {
        self.peer.borrow_mut().set_waker(context.waker());
        let mut turn = self.core.turns.begin(&mut self.round);
        let turned = self.take_turn(context, &mut turn);
        if self.core.durations.has_slice() {
            self.core.durations.end_slice(Instant::now());
        }
        self.settle();
        flush(&self.core);
        turned
    }

    fn take_turn(&mut self, context: &mut Context<'_>, turn: &mut Turn) -> Poll<io::Result<Turned>> {
        let mut is_held = false;
        loop {
            if self.peer.borrow().dead {
                return Poll::Ready(Ok(Turned::Over));
            }
            let written = if is_held { Poll::Ready(()) } else { self.write(context)? };
            if self.peer.borrow().peer_closed && !self.has_output() {
                return Poll::Ready(Ok(Turned::Over));
            }
            let progress = self.input.go_on(&self.core, &self.peer, turn);
            if written.is_ready() && !is_held && self.has_output() {
                // Replies that were made just now have not been offered to the socket yet. What `progress` said was
                // before that: where the window was full it may have room now, and nobody would wake this task.
                turn.spend(1);
                if !turn.is_over() {
                    continue;
                }
                let _ = self.write(context)?;
                return self.end_turn();
            }
            match progress {
                Progress::TurnOver => return self.end_turn(),
                // Room comes with the socket, or with another core's answer: both wake this task.
                Progress::Full if !is_held => return Poll::Pending,
                Progress::Full => {
                    is_held = false;
                    continue;
                }
                Progress::Drained if turn.is_over() => return self.end_turn(),
                Progress::Drained => {}
            }
            match self.read(context, turn)? {
                Poll::Ready(0) => {
                    // What was held back is not sent any more when the round is over.
                    let _ = self.write(context)?;
                    return Poll::Ready(Ok(Turned::Over));
                }
                Poll::Ready(_) => is_held = self.hold_back(),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn end_turn(&self) -> Poll<io::Result<Turned>> {
        self.core.counters.wait(Wait::Turn);
        Poll::Ready(Ok(Turned::Again))
    }

    /// Counts what this connection holds; nothing more than it must, when it is ending.
    fn settle(&mut self) {
        let peer = &mut *self.peer.borrow_mut();
        if peer.outbox.is_closed() {
            self.input.shrink();
        }
        peer.input_bytes = self.input.bytes();
        pushes::settle(&self.core, peer);
        self.core.peers.settle(peer);
    }

    fn has_output(&self) -> bool {
        self.peer.borrow().outbox.has_unsent()
    }

    /// Has what is to be sent wait for the end of the round, if that is all right.
    fn hold_back(&self) -> bool {
        let peer = self.peer.borrow();
        let bytes = peer.outbox.unsent().len();
        if bytes == 0 || !peer.outbox.is_plain() || !self.core.held.admits(bytes) {
            return false;
        }
        drop(peer);
        if self.core.held.add(self.peer.clone(), bytes) {
            release(&self.core, false);
        }
        true
    }

    /// Sends what is ready. Pending when the socket takes no more for now.
    fn write(&mut self, context: &mut Context<'_>) -> io::Result<Poll<()>> {
        let peer = &mut *self.peer.borrow_mut();
        loop {
            if let Some((core, stream)) = peer.outbox.pump() {
                self.core.post(core, Message::Pull(stream));
            }
            if !peer.outbox.has_unsent() {
                return Ok(Poll::Ready(()));
            }
            if peer.peer_closed && !self.is_corked {
                // Some clients take the time between the two for a failure.
                self.is_corked = true;
                let _ = SockRef::from(self.stream.stream()).set_cork(true);
            }
            match self.stream.send(context, peer.outbox.unsent()) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(count)) => {
                    self.core.counters.bytes_out.add(count as u64);
                    peer.traffic.bytes_out += count as u64;
                    peer.outbox.advance(count);
                    if peer.outbox.is_backlogged() || peer.outbox.is_closing() {
                        peer.signs_of_life += 1;
                    }
                }
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => return Ok(Poll::Pending),
            }
        }
    }

    /// Receives once, and carries out what has become complete. Gives the number of bytes received.
    fn read(&mut self, context: &mut Context<'_>, turn: &mut Turn) -> io::Result<Poll<usize>> {
        let mut buffer = std::mem::take(&mut *self.core.receive_buffer.borrow_mut());
        let result = self.stream.receive(context, &mut buffer[..READ_BYTES]);
        if let Poll::Ready(Ok(count)) = result {
            self.core.counters.bytes_in.add(count as u64);
            turn.spend(READ_COST);
            {
                let peer = &mut *self.peer.borrow_mut();
                peer.traffic.bytes_in += count as u64;
                // One that is to go does not stay for what it says.
                peer.signs_of_life += u64::from(!peer.outbox.is_closing());
            }
            self.input.receive(&self.core, &self.peer, &mut buffer, count, turn);
        }
        *self.core.receive_buffer.borrow_mut() = buffer;
        match result {
            Poll::Ready(result) => result.map(Poll::Ready),
            Poll::Pending => Ok(Poll::Pending),
        }
    }
}
