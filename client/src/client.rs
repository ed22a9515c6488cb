//! A connection with its requests in flight: sending, receiving, and connecting again.

use crate::backoff::Backoff;
use crate::error::Error;
use crate::frames::Frames;
use crate::handshake;
use crate::incoming::Incoming;
use crate::limits::IN_FLIGHT_MAX;
use crate::options::Options;
use crate::reply::{self, Reply};
use crate::request::Request;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::{Duration, Instant};

/// Names a request that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub(crate) u64);

/// A connection to a server. See the [crate's documentation](crate).
pub struct Client {
    options: Options,
    /// `None` once the connection has been lost.
    pub(crate) frames: Option<Frames>,
    last_id: u64,
    in_flight: BTreeSet<u64>,
    /// Replies that came while another was waited for.
    parked: BTreeMap<u64, Vec<u8>>,
    pub(crate) incoming: Incoming,
    data: Vec<u8>,
    message: Vec<u8>,
}

impl Client {
    /// Connects, and waits until the server is ready.
    pub fn connect(options: Options) -> Result<Client, Error> {
        let frames = open(&options)?;
        Ok(Client {
            options,
            frames: Some(frames),
            last_id: 0,
            in_flight: BTreeSet::new(),
            parked: BTreeMap::new(),
            incoming: Incoming::whole(Vec::new()),
            data: Vec::new(),
            message: Vec::new(),
        })
    }

    /// Makes a new connection in place of this one, with growing pauses between attempts. Requests in flight are
    /// forgotten: those that were not answered may or may not have taken effect.
    pub fn reconnect(&mut self) -> Result<(), Error> {
        self.disconnect();
        let mut backoff = Backoff::new();
        let mut attempt = 1;
        loop {
            match open(&self.options) {
                Ok(frames) => {
                    self.frames = Some(frames);
                    return Ok(());
                }
                Err(error) if attempt >= self.options.attempts || !error.is_passing() => return Err(error),
                Err(_) => std::thread::sleep(backoff.next()),
            }
            attempt += 1;
        }
    }

    /// Whether the connection has not been found lost.
    pub fn is_connected(&self) -> bool {
        self.frames.is_some()
    }

    /// How many requests wait for their replies.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Sends a request without waiting for its reply. It may be held back until `receive`, `wait` or `flush`.
    pub fn send(&mut self, request: &Request<'_>) -> Result<Ticket, Error> {
        let Some(frames) = &mut self.frames else { return Err(Error::NotConnected) };
        if self.in_flight.len() >= IN_FLIGHT_MAX {
            return Err(Error::TooManyInFlight);
        }
        self.last_id += 1;
        request.write(self.last_id, &mut self.data, &mut self.message);
        let pushed = frames.push_text(&self.message);
        self.lost_if_failed(pushed)?;
        self.in_flight.insert(self.last_id);
        Ok(Ticket(self.last_id))
    }

    /// Makes sure that everything sent is on its way.
    pub fn flush(&mut self) -> Result<(), Error> {
        let Some(frames) = &mut self.frames else { return Err(Error::NotConnected) };
        let flushed = frames.flush();
        self.lost_if_failed(flushed)
    }

    /// The next reply, of whichever request; `None` when nothing is in flight.
    pub fn receive(&mut self) -> Result<Option<Reply<'_>>, Error> {
        if let Some((id, text)) = self.parked.pop_first() {
            return self.take_parked(id, text).map(Some);
        }
        if self.in_flight.is_empty() {
            return Ok(None);
        }
        let received = self.next_message();
        let head = self.lost_if_failed(received)?;
        Ok(Some(Reply::new(self, Ticket(head.id), head.records)))
    }

    /// The reply to one request. Others that come before it are kept for later.
    pub fn wait(&mut self, ticket: Ticket) -> Result<Reply<'_>, Error> {
        if let Some(text) = self.parked.remove(&ticket.0) {
            return self.take_parked(ticket.0, text);
        }
        if !self.in_flight.contains(&ticket.0) {
            return Err(Error::NotConnected);
        }
        loop {
            let received = self.next_message();
            let head = self.lost_if_failed(received)?;
            if head.id == ticket.0 {
                return Ok(Reply::new(self, ticket, head.records));
            }
            let finished = self.finish();
            self.lost_if_failed(finished)?;
            self.parked.insert(head.id, std::mem::take(&mut self.incoming.text));
        }
    }

    /// Measures how long a ping takes to come back.
    pub fn ping(&mut self) -> Result<Duration, Error> {
        let pinged = self.try_ping();
        self.lost_if_failed(pinged)
    }

    fn try_ping(&mut self) -> Result<Duration, Error> {
        let Some(frames) = &mut self.frames else { return Err(Error::NotConnected) };
        if !self.in_flight.is_empty() {
            return Err(Error::TooManyInFlight);
        }
        self.incoming.skip(frames)?;
        self.last_id += 1;
        let payload = self.last_id.to_string();
        frames.push_ping(payload.as_bytes());
        let started = Instant::now();
        frames.flush()?;
        let mut ignored = Vec::new();
        loop {
            ignored.clear();
            frames.read_some(&mut ignored)?;
            if frames.take_pong().is_some_and(|pong| pong == payload.as_bytes()) {
                return Ok(started.elapsed());
            }
        }
    }

    /// Reads the start of the next message that answers a request.
    fn next_message(&mut self) -> Result<reply::Start, Error> {
        let Some(frames) = &mut self.frames else { return Err(Error::NotConnected) };
        frames.flush()?;
        self.incoming.skip(frames)?;
        loop {
            self.incoming.begin();
            let Some(start) = reply::read_start(&mut self.incoming, frames)? else { continue };
            if self.in_flight.remove(&start.id) {
                return Ok(start);
            }
            self.incoming.skip(frames)?;
        }
    }

    fn finish(&mut self) -> Result<(), Error> {
        let Some(frames) = &mut self.frames else { return Err(Error::NotConnected) };
        self.incoming.finish(frames)
    }

    fn take_parked(&mut self, id: u64, text: Vec<u8>) -> Result<Reply<'_>, Error> {
        if let Some(frames) = &mut self.frames {
            let skipped = self.incoming.skip(frames);
            self.lost_if_failed(skipped)?;
        }
        self.incoming = Incoming::whole(text);
        let records = self.incoming.head().and_then(|head| head.records);
        Ok(Reply::new(self, Ticket(id), records))
    }

    /// Passes a result on; a failure of the connection ends it.
    pub(crate) fn lost_if_failed<T>(&mut self, result: Result<T, Error>) -> Result<T, Error> {
        if result.as_ref().is_err_and(Error::is_disconnect) {
            self.disconnect();
        }
        result
    }

    fn disconnect(&mut self) {
        self.frames = None;
        self.in_flight.clear();
        self.parked.clear();
        self.incoming = Incoming::whole(Vec::new());
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if let Some(frames) = &mut self.frames {
            frames.close();
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Client")
            .field("options", &self.options)
            .field("connected", &self.is_connected())
            .field("in_flight", &self.in_flight.len())
            .finish()
    }
}

/// Connects and takes the ready message.
fn open(options: &Options) -> Result<Frames, Error> {
    let mut frames = Frames::new(handshake::connect(options)?, options.timeout);
    let mut incoming = Incoming::default();
    incoming.finish(&mut frames)?;
    match serde_json::from_slice::<serde_json::Value>(&incoming.text) {
        Ok(message) if message["type"] == "ready" => Ok(frames),
        _ => Err(Error::Protocol("it does not say that it is ready".into())),
    }
}
