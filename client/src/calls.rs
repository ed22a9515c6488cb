//! One method per request: send, wait, take the answer. A call on a lost connection connects again first; one that
//! only reads and loses its connection is made once more.

use crate::client::Client;
use crate::error::Error;
use crate::records::{ApiKey, ConnectionInfo, NewRecord, RecordKey, Scope};
use crate::reply::Reply;
use crate::request::{HistoryQuery, LatestQuery, Request};
use crate::stats::Stats;
use crate::stream::{Latest, Records};
use std::collections::BTreeMap;

impl Client {
    /// Stores records: all, or with an error none of them.
    pub fn insert(&mut self, records: &[NewRecord<'_>]) -> Result<(), Error> {
        self.call(&Request::Insert(records), |reply| reply.done())
    }

    /// The newest record of each document at a time.
    pub fn latest(&mut self, query: LatestQuery<'_>) -> Result<Latest<'_>, Error> {
        self.ask(&Request::Latest(query))?.latest()
    }

    /// The records of a document.
    pub fn history(&mut self, query: HistoryQuery<'_>) -> Result<Records<'_>, Error> {
        self.ask(&Request::History(query))?.records()
    }

    /// The names of all collections, in no particular order.
    pub fn collections(&mut self) -> Result<Vec<String>, Error> {
        self.call(&Request::Collections, |reply| reply.collections())
    }

    /// Deletes a document from one collection, or from all.
    pub fn delete_document(&mut self, document: &str, collection: Option<&str>) -> Result<(), Error> {
        self.call(&Request::DeleteDocument { document, collection }, |reply| reply.done())
    }

    /// Deletes a collection with all that is in it.
    pub fn delete_collection(&mut self, collection: &str) -> Result<(), Error> {
        self.call(&Request::DeleteCollection { collection }, |reply| reply.done())
    }

    /// Deletes a record.
    pub fn delete_record(&mut self, key: RecordKey<'_>) -> Result<(), Error> {
        self.call(&Request::DeleteRecord(key), |reply| reply.done())
    }

    /// Deletes many records.
    pub fn delete_records(&mut self, keys: &[RecordKey<'_>]) -> Result<(), Error> {
        self.call(&Request::DeleteRecords(keys), |reply| reply.done())
    }

    /// Deletes the records of a document from one time to another, both included.
    pub fn delete_range(
        &mut self,
        collection: &str,
        document: &str,
        from: i64,
        to: i64,
    ) -> Result<(), Error> {
        self.call(&Request::DeleteRange { collection, document, from, to }, |reply| reply.done())
    }

    /// Sets an entry.
    pub fn set_value(&mut self, collection: &str, key: &str, value: &str) -> Result<(), Error> {
        self.call(&Request::SetValue { collection, key, value }, |reply| reply.done())
    }

    /// The value of a key, `""` if there is none.
    pub fn value(&mut self, collection: &str, key: &str) -> Result<String, Error> {
        self.call(&Request::GetValue { collection, key }, |reply| reply.value())
    }

    /// The entry of a key, with `""` if there is none, or those that match `/pattern/`.
    pub fn matching_values(
        &mut self,
        collection: &str,
        key: &str,
    ) -> Result<BTreeMap<String, String>, Error> {
        self.call(&Request::MatchValues { collection, key }, |reply| reply.values())
    }

    /// All entries.
    pub fn values(&mut self, collection: &str) -> Result<BTreeMap<String, String>, Error> {
        self.call(&Request::AllValues { collection }, |reply| reply.values())
    }

    /// The keys of all entries, in no particular order.
    pub fn key_names(&mut self, collection: &str) -> Result<Vec<String>, Error> {
        self.call(&Request::KeyNames { collection }, |reply| reply.key_names())
    }

    /// Removes an entry.
    pub fn remove_value(&mut self, collection: &str, key: &str) -> Result<(), Error> {
        self.call(&Request::RemoveValue { collection, key }, |reply| reply.done())
    }

    /// The server's connections, this one among them.
    pub fn connections(&mut self) -> Result<Vec<ConnectionInfo>, Error> {
        self.call(&Request::Connections, |reply| reply.connections())
    }

    /// The server's counters. A server that does not count answers with [`Error::Server`].
    pub fn stats(&mut self) -> Result<Stats, Error> {
        self.call(&Request::Stats, |reply| reply.stats())
    }

    /// Adds an API key, or changes its scope. Like the next two, it takes the master key.
    pub fn add_api_key(&mut self, key: &str, scope: Scope) -> Result<Scope, Error> {
        self.call(&Request::AddApiKey { key, scope }, |reply| reply.scope())
    }

    /// Removes an API key. Its connections are closed.
    pub fn remove_api_key(&mut self, key: &str) -> Result<(), Error> {
        self.call(&Request::RemoveApiKey { key }, |reply| reply.done())
    }

    /// All API keys, the master key among them.
    pub fn api_keys(&mut self) -> Result<Vec<ApiKey>, Error> {
        self.call(&Request::ListApiKeys, |reply| reply.api_keys())
    }

    fn call<T>(
        &mut self,
        request: &Request<'_>,
        take: impl Fn(Reply<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        match self.ask(request).and_then(&take) {
            Err(error) if request.is_read() && is_lost(&error) => take(self.ask(request)?),
            other => other,
        }
    }

    fn ask(&mut self, request: &Request<'_>) -> Result<Reply<'_>, Error> {
        if !self.is_connected() {
            self.reconnect()?;
        }
        let ticket = match self.send(request) {
            Err(error) if request.is_read() && is_lost(&error) => {
                self.reconnect()?;
                self.send(request)?
            }
            other => other?,
        };
        self.flush()?;
        self.wait(ticket)
    }
}

/// Whether a connection ended, and a new one may serve. A silent server would be silent again.
fn is_lost(error: &Error) -> bool {
    matches!(error, Error::Closed { .. } | Error::Broken(_))
}
