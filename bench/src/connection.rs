//! One connection under load: its socket, the requests in flight, and the bytes on their way out.
//!
//! It never blocks: what the socket doesn't take stays in the outgoing buffer, which is bounded by the window.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;

use rustix::net::sockopt;

use crate::frame;
use crate::generator::Generator;
use crate::handshake::Ready;
use crate::language::Encoder;
use crate::limits::{OUTGOING_BYTES_MAX, OUTGOING_COMPACT_BYTES, STUCK_RECEIVE_BYTES};
use crate::loss::Loss;
use crate::pushes::{Assembler, Event, Push};
use crate::redis::Replies;
use crate::replies::{Incoming, Reply, Walker};
use crate::stream::Stream;
use crate::target::Scheme;
use crate::window::{Request, Window};
use crate::workload::Mix;

/// A reply, with the request it answers if one waits for it.
#[derive(Debug)]
pub struct Answered {
    /// Nothing if no request has the reply's id.
    pub request: Option<Request>,
    /// The text of an error reply.
    pub error: Option<String>,
}

/// Something that came.
#[derive(Debug)]
pub enum Arrival<'bytes> {
    /// A reply.
    Answered(Answered),
    /// A subscription was made, or not: an error's text.
    Subscribed(Option<String>),
    /// What a subscription is told.
    Push(Push<'bytes>),
    /// The end of a subscription, and why.
    End(String),
}

/// What reads replies, and knows where in their stream it is.
#[derive(Debug)]
enum Reader {
    WebSocket(Walker),
    Redis(Replies),
    /// With subscriptions.
    Live(Assembler),
}

/// A connection that is ready for requests.
#[derive(Debug)]
pub struct Connection {
    stream: Stream,
    generator: Generator,
    window: Window,
    reader: Reader,
    /// Received bytes that the walker needs more of.
    rest: Vec<u8>,
    outgoing: Vec<u8>,
    sent_bytes: usize,
    is_lost: bool,
    /// Subscriptions whose making was not answered yet.
    unconfirmed: u32,
    /// Whether it only subscribes.
    is_subscriber: bool,
    is_stuck: bool,
}

impl Connection {
    /// Takes over after the handshake.
    pub fn new(ready: Ready, scheme: Scheme, generator: Generator, in_flight: u32) -> Self {
        let reader = match scheme {
            Scheme::WebSocket => Reader::WebSocket(Walker::default()),
            Scheme::Redis => Reader::Redis(Replies::default()),
        };
        Self {
            stream: ready.stream,
            generator,
            window: Window::new(in_flight),
            reader,
            rest: ready.rest,
            outgoing: Vec::new(),
            sent_bytes: 0,
            is_lost: false,
            unconfirmed: 0,
            is_subscriber: false,
            is_stuck: false,
        }
    }

    /// Makes it one that only subscribes, and writes nothing.
    pub fn into_subscriber(self) -> Self {
        Self { is_subscriber: true, ..self }
    }

    /// Whether it only subscribes.
    pub fn is_subscriber(&self) -> bool {
        self.is_subscriber
    }

    /// Puts requests that subscribe into the outgoing buffer, and reads whole messages from here on.
    pub fn subscribe(&mut self, requests: &[u8], subscriptions: u32) {
        self.reader = Reader::Live(Assembler::default());
        self.outgoing.extend_from_slice(requests);
        self.unconfirmed += subscriptions;
    }

    /// Subscriptions whose making was not answered yet.
    pub fn unconfirmed(&self) -> u32 {
        self.unconfirmed
    }

    /// From the next phase on nothing is read from it.
    pub fn get_stuck(&mut self) -> io::Result<()> {
        self.is_stuck = true;
        Ok(sockopt::set_socket_recv_buffer_size(self.stream.socket(), STUCK_RECEIVE_BYTES)?)
    }

    /// Whether nothing is read from it.
    pub fn is_stuck(&self) -> bool {
        self.is_stuck
    }

    /// From here on, times of records are this and the nanoseconds since the phase began.
    pub fn stamp_from(&mut self, base: u64) {
        self.generator.stamp_from(base);
    }

    /// Its number among all connections of the run.
    pub fn number(&self) -> u64 {
        self.generator.connection()
    }

    /// The socket, for waiting.
    pub fn stream(&self) -> &TcpStream {
        self.stream.socket()
    }

    /// The requests in flight.
    pub fn window(&self) -> &Window {
        &self.window
    }

    /// Whether it may still be used.
    pub fn is_open(&self) -> bool {
        !self.is_lost
    }

    /// Marks it as not to be used any more.
    pub fn lose(&mut self) {
        self.is_lost = true;
    }

    /// Whether bytes wait for the socket.
    pub fn has_outgoing(&self) -> bool {
        self.sent_bytes < self.outgoing.len()
    }

    /// Puts the next request of the mix into the outgoing buffer; false when the window is full.
    #[inline]
    pub fn queue(&mut self, mix: &Mix, encoder: &Encoder, since_ns: u64) -> bool {
        if !self.window.has_room() {
            return false;
        }
        let workload = mix.pick(self.generator.random());
        self.generator.set_now(since_ns);
        let records = encoder.records(workload);
        let Some(id) = self.window.open(Request { since_ns, workload, records }) else { return false };
        let replies = encoder.append(&mut self.generator, workload, id, &mut self.outgoing);
        if let Reader::Redis(waiting) = &mut self.reader {
            waiting.expect(id, replies);
        }
        true
    }

    /// Writes as much as the socket takes; returns the bytes written.
    pub fn flush(&mut self) -> Result<usize, Loss> {
        let mut written = 0;
        while self.has_outgoing() {
            match self.stream.write(&self.outgoing[self.sent_bytes..]) {
                Ok(0) => return Err(Loss::Ended),
                Ok(count) => {
                    self.sent_bytes += count;
                    written += count;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Loss::Socket(error)),
            }
        }
        self.drop_sent();
        Ok(written)
    }

    fn drop_sent(&mut self) {
        if self.sent_bytes == self.outgoing.len() {
            self.outgoing.clear();
            self.sent_bytes = 0;
        } else if self.sent_bytes >= OUTGOING_COMPACT_BYTES {
            self.outgoing.drain(..self.sent_bytes);
            self.sent_bytes = 0;
        }
    }

    /// Reads once into the buffer and hands out the replies; pongs go to the outgoing buffer. Returns the bytes read.
    pub fn receive<F: FnMut(Arrival<'_>)>(&mut self, buffer: &mut [u8], mut on: F) -> Result<usize, Loss> {
        let Self { stream, window, reader, rest, outgoing, unconfirmed, .. } = self;
        buffer[..rest.len()].copy_from_slice(rest);
        let count = match stream.read(&mut buffer[rest.len()..]) {
            Ok(count) => count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                return Ok(0);
            }
            Err(error) => return Err(Loss::Socket(error)),
        };
        let received = &buffer[..rest.len() + count];
        let mut closed = None;
        let mut answered = |id, error| on(Arrival::Answered(Answered { request: window.close(id), error }));
        let mut pong = |payload: &[u8]| {
            // Of pings that come while nothing can be sent, the protocol lets one leave some unanswered.
            if outgoing.len() < OUTGOING_BYTES_MAX {
                frame::push_client_frame(outgoing, frame::PONG, payload);
            }
        };
        let consumed = match reader {
            Reader::WebSocket(walker) => walker.walk(received, |incoming| match incoming {
                Incoming::Reply(Reply { id, error }) => answered(id, error),
                Incoming::Ping(payload) => pong(payload),
                Incoming::Close(payload) => closed = Some(Loss::closed(payload)),
            }),
            Reader::Redis(replies) => replies.walk(received, |id, error| answered(Some(id), error)),
            Reader::Live(assembler) => assembler.walk(received, |event| match event {
                Event::Reply(Reply { id, error }) => {
                    on(Arrival::Answered(Answered { request: window.close(id), error }));
                }
                Event::Subscribed(error) => {
                    *unconfirmed = unconfirmed.saturating_sub(1);
                    on(Arrival::Subscribed(error));
                }
                Event::Push(push) => on(Arrival::Push(push)),
                Event::End(why) => on(Arrival::End(why)),
                Event::Ping(payload) => pong(payload),
                Event::Close(payload) => closed = Some(Loss::closed(payload)),
            }),
        };
        let consumed = consumed.map_err(Loss::Protocol)?;
        rest.clear();
        rest.extend_from_slice(&received[consumed..]);
        match closed {
            Some(loss) => Err(loss),
            None if count == 0 => Err(Loss::Ended),
            None => Ok(count),
        }
    }

    /// Says goodbye, as far as the socket takes it at once.
    pub fn close(mut self) {
        const NORMAL: [u8; 2] = 1000_u16.to_be_bytes();
        if self.is_open() && !self.has_outgoing() && !matches!(self.reader, Reader::Redis(_)) {
            let mut goodbye = Vec::new();
            frame::push_client_frame(&mut goodbye, frame::CLOSE, &NORMAL);
            // The run is over and counted: a server that is gone by now loses nothing.
            let _ = self.stream.write(&goodbye);
        }
    }
}
