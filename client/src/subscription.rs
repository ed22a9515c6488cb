//! Subscriptions that outlive their connections: each has one for itself, so that a reader who takes its time holds up
//! no replies, and nothing has to be kept for it here.
//!
//! Invariant: it resumes from the last push that was handed out, and inside a snapshot from nowhere, so that nothing is
//! missed and nothing comes twice.

use crate::backoff::Backoff;
use crate::client::Client;
use crate::error::Error;
use crate::limits::PAUSE_MAX;
use crate::link::Link;
use crate::options::Options;
use crate::push::{Event, Message, Push, Reset, Told};
use crate::request::{write_json, write_message};
use crate::subscription_query::SubscriptionQuery;
use std::fmt;
use std::time::{Duration, Instant};

/// As good as for ever.
const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// What a collection tells of its changes, as they come. See the [crate's documentation](crate#subscriptions).
///
/// As an iterator it waits for ever, and ends behind the first error.
pub struct Subscription {
    options: Options,
    query: SubscriptionQuery,
    state: State,
    last_id: u64,
    position: Position,
    /// What the first call gives, when it was to be resumed.
    first: Option<Event>,
    /// Whether a push has come since it was last made.
    is_proved: bool,
    /// Whether the server has ended it since the last push.
    has_ended: bool,
    made: Instant,
    attempt: u32,
    backoff: Backoff,
}

enum State {
    Live(Link),
    /// The server has ended the subscription; the connection goes on.
    Ended(Link, String),
    /// The connection is to be made again at that time.
    Lost(Instant),
    Over,
}

/// From where a subscription can be resumed.
#[derive(Clone, Debug, PartialEq)]
enum Position {
    At(String),
    /// In the middle of a snapshot: only a new one can follow.
    Torn,
}

impl Client {
    /// Subscribes over a connection of its own, to the same server and with the same key.
    pub fn subscribe(&self, query: SubscriptionQuery) -> Result<Subscription, Error> {
        Subscription::open(self.options().clone(), query)
    }
}

impl Subscription {
    /// Connects and subscribes. Like a client's first connection, it is tried once.
    pub fn open(options: Options, query: SubscriptionQuery) -> Result<Subscription, Error> {
        let position = match query.since.clone() {
            Some(cursor) => Position::At(cursor),
            None => Position::Torn,
        };
        let link = Link::open(&options)?;
        let mut subscription = Subscription {
            options,
            query,
            state: State::Over,
            last_id: 0,
            position,
            first: None,
            is_proved: false,
            has_ended: false,
            made: Instant::now(),
            attempt: 0,
            backoff: Backoff::new(),
        };
        subscription.begin(link)?;
        Ok(subscription)
    }

    /// Attempts to make in a row when its connection is made again, in place of the options'.
    pub fn attempts(mut self, attempts: u32) -> Subscription {
        self.options.attempts = attempts;
        self
    }

    /// Where it stands: behind the last push that it gave. Nothing inside a snapshot, from where nothing can be resumed.
    pub fn cursor(&self) -> Option<&str> {
        match &self.position {
            Position::At(cursor) => Some(cursor),
            Position::Torn => None,
        }
    }

    /// Waits for the next event, so long at the most; making a connection again may take longer. Behind an error that it
    /// gives nothing more comes.
    pub fn next_within(&mut self, time: Duration) -> Result<Option<Event>, Error> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        let until = Instant::now() + time.min(YEAR);
        // Whatever fails below without saying how to go on is the end.
        match std::mem::replace(&mut self.state, State::Over) {
            State::Live(link) => self.receive(link, until),
            State::Ended(link, cursor) => self.resume_ended(link, cursor),
            State::Lost(at) => self.reconnect(at, until),
            State::Over => Err(Error::NotConnected),
        }
    }

    /// Waits for the next push or other message.
    fn receive(&mut self, mut link: Link, until: Instant) -> Result<Option<Event>, Error> {
        loop {
            let told = match link.receive(until) {
                Ok(Some(text)) => Message::parse(text)?.about(&self.last_id.to_string())?,
                Ok(None) => {
                    self.state = State::Live(link);
                    return Ok(None);
                }
                Err(error) => return self.lose(error).map(Some),
            };
            match told {
                None => {}
                Some(Told::Push(push)) => {
                    self.state = State::Live(link);
                    return Ok(Some(Event::Push(self.accept(push))));
                }
                // To be resumed again and again would lead nowhere.
                Some(Told::End { reason, .. }) if self.has_ended => return Err(Error::Ended(reason)),
                Some(Told::End { reason, cursor }) => {
                    self.has_ended = true;
                    self.state = State::Ended(link, cursor);
                    return Ok(Some(Event::Ended(reason)));
                }
            }
        }
    }

    fn accept(&mut self, push: Push) -> Push {
        (self.is_proved, self.has_ended) = (true, false);
        self.position = match push.is_inside_snapshot() {
            true => Position::Torn,
            false => Position::At(push.cursor.clone()),
        };
        push
    }

    /// A lost connection: when to try again, unless that has led nowhere too often.
    fn lose(&mut self, error: Error) -> Result<Event, Error> {
        if self.is_proved || self.made.elapsed() >= PAUSE_MAX {
            (self.attempt, self.backoff) = (0, Backoff::new());
        }
        if !error.is_passing() || self.attempt >= self.options.attempts {
            return Err(error);
        }
        let pause = if self.attempt == 0 { Duration::ZERO } else { self.backoff.next() };
        self.state = State::Lost(Instant::now() + pause);
        Ok(Event::Lost(error))
    }

    /// Makes the connection again when it is time, and resumes.
    fn reconnect(&mut self, mut at: Instant, until: Instant) -> Result<Option<Event>, Error> {
        loop {
            if at > until {
                std::thread::sleep(until.saturating_duration_since(Instant::now()));
                self.state = State::Lost(at);
                return Ok(None);
            }
            std::thread::sleep(at.saturating_duration_since(Instant::now()));
            self.attempt += 1;
            match Link::open(&self.options).and_then(|link| self.begin(link)) {
                Ok(event) => return Ok(Some(event)),
                Err(error) if self.attempt >= self.options.attempts || !error.is_passing() => {
                    return Err(error);
                }
                Err(_) => at = Instant::now() + self.backoff.next(),
            }
        }
    }

    fn resume_ended(&mut self, link: Link, cursor: String) -> Result<Option<Event>, Error> {
        if self.position != Position::Torn {
            self.position = Position::At(cursor);
        }
        match self.begin(link) {
            Ok(event) => Ok(Some(event)),
            Err(error) => self.lose(error).map(Some),
        }
    }

    /// Subscribes from where it stands, and says what that has come to.
    fn begin(&mut self, mut link: Link) -> Result<Event, Error> {
        let is_first = self.last_id == 0;
        self.last_id += 1;
        (self.is_proved, self.made) = (false, Instant::now());
        link.send(&self.request(is_first))?;
        let mut reply = self.reply(&mut link)?;
        let cursor = reply.accepted()?;
        let event = match (reply.resumed, &self.position) {
            // The reply's cursor may be ahead of what is still to come.
            (Some(true), _) => Event::Resumed,
            (Some(false), _) => {
                self.position = Position::Torn;
                Event::Reset(reply.reset())
            }
            (None, _) if is_first && !self.query.wants_snapshot() => {
                self.position = Position::At(cursor);
                Event::Resumed
            }
            (None, Position::Torn) => Event::Reset(Reset::CutShort),
            (None, Position::At(_)) => {
                return Err(Error::Protocol("it does not say whether a subscription was resumed".into()));
            }
        };
        self.state = State::Live(link);
        if is_first && self.query.since.is_some() {
            self.first = Some(event);
            return Ok(Event::Resumed);
        }
        Ok(event)
    }

    fn request(&self, is_first: bool) -> Vec<u8> {
        let mut query = self.query.clone();
        match &self.position {
            Position::At(cursor) => query.since = Some(cursor.clone()),
            Position::Torn if is_first => {}
            Position::Torn => (query.since, query.snapshot) = (None, Some(true)),
        }
        let (mut data, mut message) = (Vec::new(), Vec::new());
        write_json(&mut data, &query);
        write_message(self.last_id, "sub", &data, &mut message);
        message
    }

    /// The reply to the request that was sent last.
    fn reply(&self, link: &mut Link) -> Result<Message, Error> {
        let name = self.last_id.to_string();
        let until = Instant::now() + self.options.timeout.min(self.options.reply_time_max).min(YEAR);
        while let Some(text) = link.receive(until)? {
            let message = Message::parse(text)?;
            if message.id.as_ref() == Some(&name) {
                return Ok(message);
            }
            if message.about(&name)?.is_some() {
                return Err(Error::Protocol("it pushes before it has replied".into()));
            }
        }
        Err(Error::Silent(self.options.timeout))
    }
}

impl Iterator for Subscription {
    type Item = Result<Event, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if matches!(self.state, State::Over) {
                return None;
            }
            if let Some(next) = self.next_within(YEAR).transpose() {
                return Some(next);
            }
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let State::Live(link) | State::Ended(link, _) = &mut self.state {
            link.close();
        }
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Subscription")
            .field("options", &self.options)
            .field("query", &self.query)
            .field("cursor", &self.cursor())
            .finish()
    }
}
