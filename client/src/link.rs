//! A connection that a subscription has for itself: whole messages, whenever they come. One on which nothing comes is
//! pinged, so that a dead one is noticed although the server has nothing to say.

use crate::connection::greet;
use crate::error::Error;
use crate::frames::Frames;
use crate::incoming::Incoming;
use crate::options::Options;
use std::time::{Duration, Instant};

/// Messages in and out.
pub(crate) struct Link {
    frames: Frames,
    /// The message that is coming; empty between two.
    incoming: Incoming,
    began: Instant,
    heard: Instant,
    pinged: Option<Instant>,
    timeout: Duration,
    message_time_max: Duration,
}

impl Link {
    /// Connects, and takes the ready message.
    pub(crate) fn open(options: &Options) -> Result<Link, Error> {
        let frames = greet(options)?;
        let now = Instant::now();
        Ok(Link {
            frames,
            incoming: Incoming::whole(Vec::new()),
            began: now,
            heard: now,
            pinged: None,
            timeout: options.timeout,
            message_time_max: options.reply_time_max,
        })
    }

    /// Sends a message.
    pub(crate) fn send(&mut self, message: &[u8]) -> Result<(), Error> {
        self.frames.push_text(message)?;
        self.frames.flush()
    }

    /// The text of the next message, if one is there in time. One that is there only in part is gone on with the next
    /// time.
    pub(crate) fn receive(&mut self, until: Instant) -> Result<Option<&[u8]>, Error> {
        if self.incoming.complete {
            self.incoming.begin();
        }
        while !self.incoming.complete {
            let now = Instant::now();
            if now >= until {
                return Ok(None);
            }
            let silent_until = self.pinged.unwrap_or(self.heard) + self.timeout;
            self.frames.wait_until(until.min(silent_until));
            match self.frames.read_some(&mut self.incoming.text) {
                Ok(complete) => self.heard_something(complete)?,
                Err(Error::Silent(_) | Error::Endless(_)) => self.heard_nothing()?,
                Err(error) => return Err(error),
            }
        }
        Ok(Some(&self.incoming.text))
    }

    /// Says goodbye, as far as that goes without waiting.
    pub(crate) fn close(&mut self) {
        self.frames.close();
    }

    fn heard_something(&mut self, complete: bool) -> Result<(), Error> {
        let now = Instant::now();
        self.frames.take_pong();
        self.incoming.complete = complete;
        (self.heard, self.pinged) = (now, None);
        match complete || self.incoming.text.is_empty() {
            true => self.began = now,
            false if now - self.began > self.message_time_max => {
                return Err(Error::Endless(self.message_time_max));
            }
            false => {}
        }
        Ok(())
    }

    fn heard_nothing(&mut self) -> Result<(), Error> {
        match self.pinged {
            Some(pinged) if pinged.elapsed() >= self.timeout => Err(Error::Silent(self.timeout)),
            None if self.heard.elapsed() >= self.timeout => {
                self.pinged = Some(Instant::now());
                self.frames.push_ping(b"");
                self.frames.flush()
            }
            _ => Ok(()),
        }
    }
}
