//! A reply, and what can be taken from it. Records come as a stream; everything else is read as a whole.

use crate::client::{Client, Ticket};
use crate::error::Error;
use crate::frames::Frames;
use crate::incoming::Incoming;
use crate::records::{ApiKey, ConnectionInfo, Scope};
use crate::stream::{Latest, Records};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// How a reply begins.
pub(crate) struct Start {
    pub(crate) id: u64,
    /// Where its records begin, if they can be read one by one.
    pub(crate) records: Option<usize>,
}

/// Reads as far as it takes to know which request a message answers; nothing if it answers none.
pub(crate) fn read_start(incoming: &mut Incoming, frames: &mut Frames) -> Result<Option<Start>, Error> {
    #[derive(Deserialize)]
    struct Envelope {
        #[serde(default)]
        id: String,
    }
    loop {
        if let Some(head) = incoming.head() {
            return Ok(Some(Start { id: head.id, records: head.records }));
        }
        if incoming.complete {
            break;
        }
        incoming.complete = frames.read_some(&mut incoming.text)?;
    }
    // Another layout than the server's: it is read as a whole.
    let envelope: Envelope = serde_json::from_slice(&incoming.text).map_err(|error| not_a_reply(&error))?;
    Ok(envelope.id.parse().ok().map(|id| Start { id, records: None }))
}

/// The reply to a request: take from it what the request asked for. What is not taken is skipped.
pub struct Reply<'a> {
    client: &'a mut Client,
    ticket: Ticket,
    records: Option<usize>,
}

impl<'a> Reply<'a> {
    pub(crate) fn new(client: &'a mut Client, ticket: Ticket, records: Option<usize>) -> Reply<'a> {
        Reply { client, ticket, records }
    }

    /// Which request it answers.
    pub fn ticket(&self) -> Ticket {
        self.ticket
    }

    /// Makes sure that the request was carried out.
    pub fn done(self) -> Result<(), Error> {
        self.members().map(|_| ())
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

    /// Puts the reading position at the first record.
    fn begin_records(mut self, bracket: u8) -> Result<&'a mut Client, Error> {
        if self.records.is_none() {
            self.finish()?;
            let text = self.member_text("records")?;
            self.client.incoming = Incoming::whole(text);
            self.records = Some(1);
        }
        let at = self.records.unwrap_or_default();
        let incoming = &mut self.client.incoming;
        if at == 0 || incoming.text.get(at - 1) != Some(&bracket) {
            return Err(Error::Protocol("a reply that does not fit its request".into()));
        }
        incoming.at = at;
        Ok(self.client)
    }

    fn member<T: DeserializeOwned>(mut self, name: &str) -> Result<T, Error> {
        self.finish()?;
        let text = self.member_text(name)?;
        serde_json::from_slice(&text).map_err(|error| not_a_reply(&error))
    }

    fn member_text(&self, name: &str) -> Result<Vec<u8>, Error> {
        let members = parse_members(&self.client.incoming.text)?;
        match members.get(name) {
            Some(value) => Ok(value.get().as_bytes().to_vec()),
            None => Err(Error::Protocol(format!("a reply without {name:?}"))),
        }
    }

    fn members(mut self) -> Result<(), Error> {
        self.finish()?;
        parse_members(&self.client.incoming.text).map(|_| ())
    }

    fn finish(&mut self) -> Result<(), Error> {
        let client = &mut *self.client;
        let finished = match &mut client.frames {
            Some(frames) => client.incoming.finish(frames),
            None if client.incoming.complete => Ok(()),
            None => Err(Error::NotConnected),
        };
        client.lost_if_failed(finished)
    }
}

/// The members of a reply, unless it is an error.
fn parse_members(text: &[u8]) -> Result<BTreeMap<Cow<'_, str>, &RawValue>, Error> {
    let members: BTreeMap<Cow<'_, str>, &RawValue> =
        serde_json::from_slice(text).map_err(|error| not_a_reply(&error))?;
    match members.get("error") {
        None => Ok(members),
        Some(error) => {
            let text = serde_json::from_str::<String>(error.get());
            Err(Error::Server(text.unwrap_or_else(|_| error.get().to_owned())))
        }
    }
}

pub(crate) fn not_a_reply(error: &serde_json::Error) -> Error {
    Error::Protocol(format!("a reply that can't be read: {error}"))
}
