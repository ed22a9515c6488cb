//! Writes on their way to the server: some in flight at a time, and each refusal told with where it came from.

use anyhow::{Context, Result};
use fluxion_client::{Client, NewRecord, Request, Ticket};
use std::collections::BTreeMap;
use std::ops::Range;

/// Requests in flight: with the batches below a few MiB, enough to keep the server busy over a slow network.
const REQUESTS_MAX: usize = 16;
/// Records and bytes that make a batch; well below the longest message that a server takes unless it was told otherwise.
const BATCH_RECORDS: usize = 1000;
const BATCH_BYTES: usize = 256 * 1024;

/// Writes in flight, each with where it came from.
pub struct Pipeline<'a> {
    client: &'a mut Client,
    origins: BTreeMap<Ticket, String>,
}

impl<'a> Pipeline<'a> {
    /// None yet.
    pub fn new(client: &'a mut Client) -> Pipeline<'a> {
        Pipeline { client, origins: BTreeMap::new() }
    }

    /// Sends a request, once there is room for it.
    pub fn send(&mut self, request: &Request<'_>, origin: String) -> Result<()> {
        while self.origins.len() >= REQUESTS_MAX {
            self.receive()?;
        }
        let ticket = self.client.send(request).with_context(|| origin.clone())?;
        self.origins.insert(ticket, origin);
        Ok(())
    }

    /// Waits until all have been carried out.
    pub fn finish(&mut self) -> Result<()> {
        while !self.origins.is_empty() {
            self.receive()?;
        }
        Ok(())
    }

    /// Waits until one has been carried out.
    fn receive(&mut self) -> Result<()> {
        let oldest = || self.origins.values().next().cloned().unwrap_or_default();
        let Some(reply) = self.client.receive().with_context(oldest)? else { return Ok(()) };
        let origin = self.origins.remove(&reply.ticket()).unwrap_or_default();
        reply.done().context(origin)
    }
}

/// Records of one document that are collected to be sent together.
#[derive(Default)]
pub struct Batch {
    text: String,
    records: Vec<(i64, Range<usize>)>,
}

impl Batch {
    /// Adds a record.
    pub fn push(&mut self, ts: i64, data: &str) {
        let start = self.text.len();
        self.text.push_str(data);
        self.records.push((ts, start..self.text.len()));
    }

    /// Whether it should be sent before more is added.
    pub fn is_full(&self) -> bool {
        self.records.len() >= BATCH_RECORDS || self.text.len() >= BATCH_BYTES
    }

    /// Whether there is anything to send.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Sends the records and forgets them.
    pub fn send(
        &mut self,
        pipeline: &mut Pipeline<'_>,
        collection: &str,
        document: &str,
        origin: String,
    ) -> Result<()> {
        let record = |(ts, range): &(i64, Range<usize>)| {
            let data = &self.text[range.clone()];
            NewRecord { ts: *ts, document, data, collection }
        };
        let records: Vec<NewRecord<'_>> = self.records.iter().map(record).collect();
        pipeline.send(&Request::Insert(&records), origin)?;
        self.text.clear();
        self.records.clear();
        Ok(())
    }
}
