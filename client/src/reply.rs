//! A reply, and what can be taken from it. Records come as a stream; everything else is read as a whole.

use crate::connection::{Connection, Start, Ticket};
use crate::error::Error;
use crate::incoming::Incoming;
use crate::records::{ApiKey, ConnectionInfo, Scope};
use crate::stats::Stats;
use crate::stream::{Latest, Records};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The reply to a request: take from it what the request asked for. What is not taken is skipped.
pub struct Reply<'a> {
    connection: &'a mut Connection,
    start: Start,
}

impl<'a> Reply<'a> {
    pub(crate) fn new(connection: &'a mut Connection, start: Start) -> Reply<'a> {
        Reply { connection, start }
    }

    /// The request that it answers.
    pub fn ticket(&self) -> Ticket {
        self.start.ticket
    }

    /// Makes sure that the request was carried out.
    pub fn done(self) -> Result<(), Error> {
        self.connection.finish()?;
        parse_members(&self.connection.incoming.text).map(|_| ())
    }

    /// The records of a history, one by one.
    pub fn records(self) -> Result<Records<'a>, Error> {
        Ok(Records::new(self.begin_records(b'[')?))
    }

    /// The newest records of documents, one by one.
    pub fn latest(self) -> Result<Latest<'a>, Error> {
        Ok(Latest::new(self.begin_records(b'{')?))
    }

    /// Names of collections.
    pub fn collections(self) -> Result<Vec<String>, Error> {
        self.member("collections")
    }

    /// The value of a key.
    pub fn value(self) -> Result<String, Error> {
        self.member("value")
    }

    /// Entries.
    pub fn values(self) -> Result<BTreeMap<String, String>, Error> {
        self.member("values")
    }

    /// Keys of entries.
    pub fn key_names(self) -> Result<Vec<String>, Error> {
        self.member("keys")
    }

    /// API keys.
    pub fn api_keys(self) -> Result<Vec<ApiKey>, Error> {
        self.member("keys")
    }

    /// The scope that a key was given.
    pub fn scope(self) -> Result<Scope, Error> {
        self.member("scope")
    }

    /// Connections.
    pub fn connections(self) -> Result<Vec<ConnectionInfo>, Error> {
        self.member("connections")
    }

    /// The server's counters.
    pub fn stats(self) -> Result<Stats, Error> {
        self.member("stats")
    }

    /// Puts the reading position at the first record.
    fn begin_records(self, bracket: u8) -> Result<&'a mut Connection, Error> {
        let connection = self.connection;
        let at = match self.start.records {
            Some(at) => at,
            None => {
                connection.finish()?;
                let text = member_text(&connection.incoming.text, "records")?;
                connection.incoming = Incoming::whole(text);
                1
            }
        };
        let incoming = &mut connection.incoming;
        if at == 0 || incoming.text.get(at - 1) != Some(&bracket) {
            return Err(Error::Protocol("a reply that does not fit its request".into()));
        }
        incoming.at = at;
        Ok(connection)
    }

    fn member<T: DeserializeOwned>(self, name: &str) -> Result<T, Error> {
        self.connection.finish()?;
        let text = member_text(&self.connection.incoming.text, name)?;
        serde_json::from_slice(&text).map_err(|error| Error::unreadable(&error))
    }
}

fn member_text(reply: &[u8], name: &str) -> Result<Vec<u8>, Error> {
    match parse_members(reply)?.get(name) {
        Some(value) => Ok(value.get().as_bytes().to_vec()),
        None => Err(Error::Protocol(format!("a reply without {name:?}"))),
    }
}

/// The members of a reply, unless it is an error.
fn parse_members(text: &[u8]) -> Result<BTreeMap<Cow<'_, str>, &RawValue>, Error> {
    let members: BTreeMap<Cow<'_, str>, &RawValue> =
        serde_json::from_slice(text).map_err(|error| Error::unreadable(&error))?;
    match members.get("error") {
        None => Ok(members),
        Some(error) => {
            let text = serde_json::from_str::<String>(error.get());
            Err(Error::Server(text.unwrap_or_else(|_| error.get().to_owned())))
        }
    }
}
