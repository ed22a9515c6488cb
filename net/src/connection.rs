//! The life of one socket: handshake, then a loop of send, execute what has been received, receive.
//! One task a connection; others reach it through its `Link`, whose waker makes the loop run again.
//!
//! Bytes are received into a buffer that all connections of the core share. What is left of it after the
//! complete messages, the beginning of another, is kept in the connection's own buffer until the rest is there.
//! A connection whose window is full executes and receives nothing until it has room again.

use crate::core::Core;
use crate::decode::Kind;
use crate::frame::{self, Event, FrameLimits, FrameReader, Step};
use crate::handshake::{self, Handshake, Outcome};
use crate::keys::Scope;
use crate::limits::{HANDSHAKE_TIMEOUT, IDLE_BUFFER_BYTES, PADDING_BYTES, READ_BYTES, READS_PER_TURN};
use crate::link::{Closing, Identity, Link};
use crate::requests;
use crate::turn;
use futures_lite::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use futures_lite::{AsyncReadExt, FutureExt};
use glommio::net::TcpStream;
use glommio::timer::Timer;
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;
use tracing::debug;

const READY: &[u8] = br#"{"message":"Authentication successful","type":"ready"}"#;

/// Serves one accepted socket until it is closed.
pub async fn serve(core: Rc<Core>, mut stream: TcpStream, ip: IpAddr) {
    let greeted = async { greet(&core, &mut stream, ip).await };
    let late = async {
        Timer::new(HANDSHAKE_TIMEOUT).await;
        Ok(None)
    };
    // Boxed, so that the memory it takes is not part of every connection for as long as that lives.
    match Box::pin(greeted.or(late)).await {
        Ok(Some((link, received))) => {
            let mut connection = Connection {
                core: core.clone(),
                stream,
                link,
                reader: FrameReader::default(),
                received,
                failed: false,
            };
            loop {
                match poll_fn(|context| connection.poll(context)).await {
                    Ok(Turned::Again) => turn::next().await,
                    Ok(Turned::Over) => break,
                    Err(error) => {
                        debug!(%ip, %error, "connection lost");
                        break;
                    }
                }
            }
            core.remove_link(&connection.link);
            core.flush();
        }
        Ok(None) => {}
        Err(error) => debug!(%ip, %error, "connection lost in its handshake"),
    }
}

type Greeted = Option<(Rc<RefCell<Link>>, Vec<u8>)>;

/// Reads the handshake and answers it. Gives the new connection and what was received behind the handshake.
async fn greet(core: &Rc<Core>, stream: &mut TcpStream, ip: IpAddr) -> io::Result<Greeted> {
    let mut received = Vec::new();
    let (used, handshake) = loop {
        let refusal = match handshake::read_request(&received) {
            Ok(Some((used, Outcome::Upgrade(handshake)))) => break (used, handshake),
            Ok(Some((_, Outcome::Health))) => match core.refuses_writes() {
                None => handshake::refusal(200, "ok"),
                Some(why) => handshake::refusal(503, &requests::refused(&why)),
            },
            Ok(None) => {
                let mut chunk = [0; 2048];
                let count = stream.read(&mut chunk).await?;
                if count == 0 {
                    return Ok(None);
                }
                received.extend_from_slice(&chunk[..count]);
                continue;
            }
            Err(refusal) => refusal.response,
        };
        return refuse(stream, &refusal).await;
    };
    let identity = match identify(core, &handshake, ip) {
        Ok(identity) => identity,
        Err(why) => return refuse(stream, &handshake::refusal(401, why)).await,
    };
    if core.stopping() {
        return refuse(stream, &handshake::refusal(503, "the server is stopping")).await;
    }
    let received = received.split_off(used);
    let ready = identity.key.is_some();
    let link = core.add_link(identity);
    {
        let mut link = link.borrow_mut();
        link.out = handshake.response;
        if ready {
            frame::put_text(&mut link.out, READY);
        }
    }
    Ok(Some((link, received)))
}

async fn refuse(stream: &mut TcpStream, response: &[u8]) -> io::Result<Greeted> {
    stream.write_all(response).await?;
    stream.close().await?;
    Ok(None)
}

/// Who a handshake's key makes a connection, or why it may not come in.
fn identify(core: &Core, handshake: &Handshake, ip: IpAddr) -> Result<Identity, &'static str> {
    let name = handshake.name.clone();
    let since = Instant::now();
    match &handshake.api_key {
        Some(secret) => match core.keys.borrow().find(secret) {
            Some(key) => Ok(Identity { ip, name, key: Some(key.id), scope: key.scope, since }),
            None => Err("Unknown API key"),
        },
        None if core.options.legacy_auth => Ok(Identity { ip, name, key: None, scope: Scope::Read, since }),
        None => Err("Missing API key parameter"),
    }
}

struct Connection {
    core: Rc<Core>,
    stream: TcpStream,
    link: Rc<RefCell<Link>>,
    reader: FrameReader,
    /// Bytes that were received and not yet used, with no padding behind.
    received: Vec<u8>,
    /// The peer broke the protocol: what else it sends is not looked at.
    failed: bool,
}

/// What a turn of a connection came to.
enum Turned {
    /// There may be more to do.
    Again,
    /// The connection is over.
    Over,
}

/// What a run over received bytes came to.
enum Progress {
    /// All complete messages were executed.
    Drained,
    /// The window is full; the rest waits.
    Full,
}

impl Connection {
    /// One turn: ready when it has been long enough, or the connection is over.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Turned>> {
        self.link.borrow_mut().set_waker(context.waker());
        for _ in 0..READS_PER_TURN {
            if self.link.borrow().dead {
                return Poll::Ready(Ok(Turned::Over));
            }
            let written = self.write(context)?;
            if self.link.borrow().peer_closed && !self.has_output() {
                return Poll::Ready(Ok(Turned::Over));
            }
            let full = self.use_received();
            if matches!(full, Progress::Full) {
                // Room comes with the socket, or with another core's answer: both wake this task. Replies
                // that were made just now have not been offered to the socket yet.
                if written.is_ready() && self.has_output() {
                    continue;
                }
                self.core.flush();
                return Poll::Pending;
            }
            if written.is_ready() && self.has_output() {
                continue;
            }
            match self.read(context)? {
                Poll::Ready(0) => return Poll::Ready(Ok(Turned::Over)),
                Poll::Ready(_) => {}
                Poll::Pending => {
                    self.core.flush();
                    return Poll::Pending;
                }
            }
        }
        self.core.flush();
        Poll::Ready(Ok(Turned::Again))
    }

    fn has_output(&self) -> bool {
        self.link.borrow().unsent() > 0
    }

    /// Sends what is ready. Pending when the socket takes no more for now.
    fn write(&mut self, context: &mut Context<'_>) -> io::Result<Poll<()>> {
        let mut link = self.link.borrow_mut();
        loop {
            if let Some((core, reading)) = link.pump() {
                self.core.post(core, crate::message::Message::Pull(reading));
            }
            if link.unsent() == 0 {
                return Ok(Poll::Ready(()));
            }
            match Pin::new(&mut self.stream).poll_write(context, &link.out[link.sent..]) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(count)) => link.advance(count),
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => return Ok(Poll::Pending),
            }
        }
    }

    /// Receives once, and executes what has become complete. Gives the number of bytes received.
    fn read(&mut self, context: &mut Context<'_>) -> io::Result<Poll<usize>> {
        let mut buffer = std::mem::take(&mut *self.core.receive_buffer.borrow_mut());
        let result = Pin::new(&mut self.stream).poll_read(context, &mut buffer[..READ_BYTES]);
        if let Poll::Ready(Ok(count)) = result {
            {
                let mut link = self.link.borrow_mut();
                link.received_at = Instant::now();
                link.pinged = false;
            }
            if self.received.is_empty() {
                let (used, _) = self.use_bytes(&mut buffer, count);
                self.received.extend_from_slice(&buffer[used..count]);
            } else {
                self.received.extend_from_slice(&buffer[..count]);
            }
        }
        *self.core.receive_buffer.borrow_mut() = buffer;
        match result {
            Poll::Ready(result) => result.map(Poll::Ready),
            Poll::Pending => Ok(Poll::Pending),
        }
    }

    /// Executes the complete messages in the connection's own buffer.
    fn use_received(&mut self) -> Progress {
        if self.received.is_empty() {
            return if self.admits() || self.closing() { Progress::Drained } else { Progress::Full };
        }
        let mut buffer = std::mem::take(&mut self.received);
        let count = buffer.len();
        buffer.resize(count + PADDING_BYTES, 0);
        let (used, progress) = self.use_bytes(&mut buffer, count);
        buffer.truncate(count);
        // While a long message comes in nothing is used, and its buffer is left to grow by doubling.
        if used > 0 {
            buffer.drain(..used);
            buffer.shrink_to(if buffer.is_empty() { 0 } else { IDLE_BUFFER_BYTES });
        }
        self.received = buffer;
        progress
    }

    /// Whether a further message may be read and executed.
    fn admits(&self) -> bool {
        let link = self.link.borrow();
        link.admits() && !(link.writes && self.core.holds_writers_back())
    }

    fn closing(&self) -> bool {
        self.link.borrow().closing != Closing::No
    }

    /// Executes the messages in `buffer[..count]`, which has padding behind. Gives how many bytes are done with.
    fn use_bytes(&mut self, buffer: &mut [u8], count: usize) -> (usize, Progress) {
        let limits = FrameLimits { message_bytes_max: self.core.options.message_bytes_max };
        if self.failed {
            return (count, Progress::Drained);
        }
        let mut used = 0;
        while used < count {
            if !self.closing() && !self.admits() {
                return (used, Progress::Full);
            }
            match self.reader.next(&mut buffer[used..count], &limits) {
                Ok(Step::NeedMore { .. }) => break,
                Ok(Step::Frame { consumed, event }) => {
                    self.take_event(event, &mut buffer[used..]);
                    used += consumed;
                }
                Err(error) => {
                    self.failed = true;
                    let code = u16::from(error.close_code());
                    self.core.abandon(self.link.borrow_mut().close_now(Some(code), &error.to_string()));
                    return (count, Progress::Drained);
                }
            }
            if self.link.borrow().dead {
                return (count, Progress::Drained);
            }
        }
        (used, Progress::Drained)
    }

    /// Takes one event; `buffer` begins where the frame did.
    fn take_event(&mut self, event: Event, buffer: &mut [u8]) {
        match event {
            Event::Text(range) => {
                let len = range.len();
                self.take_message(&mut buffer[range.start..], len);
            }
            Event::Assembled => {
                let mut message = self.reader.take_message();
                let len = message.len();
                message.resize(len + PADDING_BYTES, 0);
                self.take_message(&mut message, len);
            }
            Event::Binary(_) | Event::AssembledBinary => {
                drop(self.reader.take_message());
                self.link.borrow_mut().close_after_replies(1003, "only text messages are taken");
            }
            Event::Ping(range) => {
                let mut link = self.link.borrow_mut();
                if link.closing != Closing::Sent {
                    frame::put_pong(&mut link.out, &buffer[range]);
                }
            }
            Event::Pong(_) | Event::Continue => {}
            Event::Close(code, _) => {
                let mut link = self.link.borrow_mut();
                link.peer_closed = true;
                self.core.abandon(link.close_now(code.map(u16::from), ""));
            }
        }
    }

    /// Takes the message in `buffer[..len]`.
    fn take_message(&mut self, buffer: &mut [u8], len: usize) {
        let mut link = self.link.borrow_mut();
        if link.closing != Closing::No {
            return;
        }
        let envelope = self.core.decoder.borrow_mut().envelope(buffer, len);
        let Ok(envelope) = envelope else {
            return link
                .close_after_replies(1008, "not a request: an object with id, type and data is expected");
        };
        let id = std::mem::take(&mut self.core.decoder.borrow_mut().id);
        if link.identity.key.is_some() {
            requests::carry_out(&self.core, &mut link, &id, envelope, buffer);
        } else {
            let secret = std::str::from_utf8(&buffer[envelope.data]).unwrap_or_default();
            let keys = self.core.keys.borrow();
            match keys.find(secret) {
                Some(key) if envelope.kind == Kind::Auth => {
                    link.identity.key = Some(key.id);
                    link.identity.scope = key.scope;
                    let mut reply = Vec::new();
                    requests::put_id(&mut reply, &id);
                    reply.push(b'}');
                    link.send(reply);
                }
                _ => link.close_after_replies(1008, "the first message must carry a known API key"),
            }
        }
        self.core.decoder.borrow_mut().id = id;
    }
}
