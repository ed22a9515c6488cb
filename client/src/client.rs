//! The client: a connection that is made again when it was lost.

use crate::backoff::Backoff;
use crate::connection::{Connection, Ticket};
use crate::error::Error;
use crate::options::Options;
use crate::reply::Reply;
use crate::request::Request;
use std::fmt;
use std::time::Duration;

/// A connection to a server. See the [crate's documentation](crate).
pub struct Client {
    options: Options,
    connection: Connection,
}

impl Client {
    /// Connects, and waits until the server is ready.
    pub fn connect(options: Options) -> Result<Client, Error> {
        let connection = Connection::open(&options)?;
        Ok(Client { options, connection })
    }

    /// Makes a new connection in place of this one, with growing pauses between attempts. Requests in flight are
    /// forgotten: those that were not answered may or may not have taken effect.
    pub fn reconnect(&mut self) -> Result<(), Error> {
        let mut backoff = Backoff::new();
        let mut attempt = 1;
        loop {
            match self.connection.reopen(&self.options) {
                Ok(()) => return Ok(()),
                Err(error) if attempt >= self.options.attempts || !error.is_passing() => return Err(error),
                Err(_) => std::thread::sleep(backoff.next()),
            }
            attempt += 1;
        }
    }

    /// To what and how it connects.
    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    /// Ends the connection. The next call makes it again; requests in flight are forgotten.
    pub fn disconnect(&mut self) {
        self.connection.close();
        self.connection.forget();
    }

    /// Whether the connection has not been found lost.
    pub fn is_connected(&self) -> bool {
        self.connection.is_open()
    }

    /// The number of requests that wait for their replies.
    pub fn in_flight(&self) -> usize {
        self.connection.in_flight()
    }

    /// Sends a request without waiting for its reply. It may be held back until `receive`, `wait` or `flush`.
    pub fn send(&mut self, request: &Request<'_>) -> Result<Ticket, Error> {
        self.connection.send(request)
    }

    /// Makes sure that everything sent is on its way.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.connection.flush()
    }

    /// The next reply, of whichever request; `None` when nothing is in flight.
    pub fn receive(&mut self) -> Result<Option<Reply<'_>>, Error> {
        let start = self.connection.next_reply()?;
        Ok(start.map(|start| Reply::new(&mut self.connection, start)))
    }

    /// The reply to one request. Others that come before it are kept for later.
    pub fn wait(&mut self, ticket: Ticket) -> Result<Reply<'_>, Error> {
        let start = self.connection.reply_to(ticket)?;
        Ok(Reply::new(&mut self.connection, start))
    }

    /// Measures how long a ping takes to come back.
    pub fn ping(&mut self) -> Result<Duration, Error> {
        self.connection.ping()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.connection.close();
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Client")
            .field("options", &self.options)
            .field("connected", &self.is_connected())
            .field("in_flight", &self.in_flight())
            .finish()
    }
}
