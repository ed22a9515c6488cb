//! A connection with its requests in flight: sending them, and finding the replies that belong to them.

use crate::error::Error;
use crate::frames::Frames;
use crate::handshake;
use crate::incoming::Incoming;
use crate::limits::IN_FLIGHT_MAX;
use crate::options::Options;
use crate::request::Request;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::{Duration, Instant};

/// Names a request that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(u64);

/// A connection, which may have been lost.
pub(crate) struct Connection {
    /// `None` once it has been lost.
    frames: Option<Frames>,
    last_id: u64,
    in_flight: BTreeSet<u64>,
    /// Replies that came while another was waited for.
    parked: BTreeMap<u64, Vec<u8>>,
    pub(crate) incoming: Incoming,
    data: Vec<u8>,
    message: Vec<u8>,
}

/// The beginning of a reply.
pub(crate) struct Start {
    pub(crate) ticket: Ticket,
    /// Where its records begin, if they can be read one by one.
    pub(crate) records: Option<usize>,
}

impl Connection {
    /// Connects, and takes the ready message.
    pub(crate) fn open(options: &Options) -> Result<Connection, Error> {
        let mut connection = Connection {
            frames: None,
            last_id: 0,
            in_flight: BTreeSet::new(),
            parked: BTreeMap::new(),
            incoming: Incoming::whole(Vec::new()),
            data: Vec::new(),
            message: Vec::new(),
        };
        connection.reopen(options)?;
        Ok(connection)
    }

    /// Makes a new one in its place.
    pub(crate) fn reopen(&mut self, options: &Options) -> Result<(), Error> {
        self.forget();
        self.frames = Some(greet(options)?);
        Ok(())
    }

    /// Whether it has not been found lost.
    pub(crate) fn is_open(&self) -> bool {
        self.frames.is_some()
    }

    /// The number of requests that wait for their replies.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Sends a request; it may be held back until `flush`.
    pub(crate) fn send(&mut self, request: &Request<'_>) -> Result<Ticket, Error> {
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
    pub(crate) fn flush(&mut self) -> Result<(), Error> {
        self.with_frames(|frames, _| frames.flush())
    }

    /// The next reply, of whichever request; `None` when nothing is in flight.
    pub(crate) fn next_reply(&mut self) -> Result<Option<Start>, Error> {
        if let Some((id, text)) = self.parked.pop_first() {
            return self.take_parked(id, text).map(Some);
        }
        if self.in_flight.is_empty() {
            return Ok(None);
        }
        self.next_message().map(Some)
    }

    /// The reply to one request. Others that come before it are kept for later.
    pub(crate) fn reply_to(&mut self, ticket: Ticket) -> Result<Start, Error> {
        if let Some(text) = self.parked.remove(&ticket.0) {
            return self.take_parked(ticket.0, text);
        }
        if !self.in_flight.contains(&ticket.0) {
            return Err(Error::NotConnected);
        }
        loop {
            let start = self.next_message()?;
            if start.ticket == ticket {
                return Ok(start);
            }
            self.finish()?;
            let text = std::mem::take(&mut self.incoming.text);
            if let Some(frames) = &mut self.frames {
                frames.hold(text.len());
            }
            self.parked.insert(start.ticket.0, text);
        }
    }

    /// Measures how long a ping takes to come back.
    pub(crate) fn ping(&mut self) -> Result<Duration, Error> {
        if self.is_open() && !self.in_flight.is_empty() {
            return Err(Error::TooManyInFlight);
        }
        self.last_id += 1;
        let payload = self.last_id.to_string();
        self.with_frames(|frames, incoming| {
            frames.begin_wait();
            incoming.skip(frames)?;
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
        })
    }

    /// Reads the reply up to its end.
    pub(crate) fn finish(&mut self) -> Result<(), Error> {
        if self.incoming.complete {
            return Ok(());
        }
        self.with_frames(|frames, incoming| incoming.finish(frames))
    }

    /// The range of the reply's next element in its text; `None` behind the last one.
    pub(crate) fn next_element(&mut self) -> Result<Option<Range<usize>>, Error> {
        let found = self.incoming.next_element(&mut self.frames);
        self.lost_if_failed(found)
    }

    /// Says goodbye, as far as that goes without waiting.
    pub(crate) fn close(&mut self) {
        if let Some(frames) = &mut self.frames {
            frames.close();
        }
    }

    /// Reads the start of the next message that answers a request.
    fn next_message(&mut self) -> Result<Start, Error> {
        let in_flight = &mut self.in_flight;
        let Some(frames) = &mut self.frames else { return Err(Error::NotConnected) };
        let found = next_answer(frames, &mut self.incoming, in_flight);
        self.lost_if_failed(found)
    }

    fn take_parked(&mut self, id: u64, text: Vec<u8>) -> Result<Start, Error> {
        if let Some(frames) = &mut self.frames {
            frames.let_go(text.len());
            frames.begin_wait();
            let skipped = self.incoming.skip(frames);
            self.lost_if_failed(skipped)?;
        }
        self.incoming = Incoming::whole(text);
        let records = self.incoming.head().and_then(|head| head.records);
        Ok(Start { ticket: Ticket(id), records })
    }

    fn with_frames<T>(
        &mut self,
        act: impl FnOnce(&mut Frames, &mut Incoming) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let Some(frames) = &mut self.frames else { return Err(Error::NotConnected) };
        let acted = act(frames, &mut self.incoming);
        self.lost_if_failed(acted)
    }

    /// Passes a result on; a failure of the connection ends it.
    fn lost_if_failed<T>(&mut self, result: Result<T, Error>) -> Result<T, Error> {
        if result.as_ref().is_err_and(Error::is_disconnect) {
            self.forget();
        }
        result
    }

    /// Lets go of it, and of what was in flight.
    pub(crate) fn forget(&mut self) {
        self.frames = None;
        self.in_flight.clear();
        self.parked.clear();
        self.incoming = Incoming::whole(Vec::new());
    }
}

/// Connects, and takes the ready message.
pub(crate) fn greet(options: &Options) -> Result<Frames, Error> {
    let mut frames = Frames::new(handshake::connect(options)?, options);
    let mut incoming = Incoming::default();
    incoming.finish(&mut frames)?;
    match serde_json::from_slice::<serde_json::Value>(&incoming.text) {
        Ok(message) if message["type"] == "ready" => Ok(frames),
        _ => Err(Error::Protocol("it does not say that it is ready".into())),
    }
}

fn next_answer(
    frames: &mut Frames,
    incoming: &mut Incoming,
    in_flight: &mut BTreeSet<u64>,
) -> Result<Start, Error> {
    frames.flush()?;
    frames.begin_wait();
    incoming.skip(frames)?;
    loop {
        incoming.begin();
        let Some((id, records)) = read_start(incoming, frames)? else { continue };
        if in_flight.remove(&id) {
            return Ok(Start { ticket: Ticket(id), records });
        }
        incoming.skip(frames)?;
    }
}

/// Reads as far as it takes to know which request a message answers, and where its records begin; nothing if it answers
/// none.
fn read_start(incoming: &mut Incoming, frames: &mut Frames) -> Result<Option<(u64, Option<usize>)>, Error> {
    #[derive(Deserialize)]
    struct Envelope {
        #[serde(default)]
        id: String,
    }
    loop {
        if let Some(head) = incoming.head() {
            return Ok(Some((head.id, head.records)));
        }
        if incoming.complete {
            break;
        }
        incoming.complete = frames.read_some(&mut incoming.text)?;
    }
    // Another layout than the server's: it is read as a whole.
    let envelope: Envelope =
        serde_json::from_slice(&incoming.text).map_err(|error| Error::unreadable(&error))?;
    Ok(envelope.id.parse().ok().map(|id| (id, None)))
}
