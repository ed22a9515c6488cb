//! A request carried out: one flat match.
//!
//! Each change is made and entered in the feed in the same call.

use super::read::HistoryRange;
use super::state::Shard;
use super::steps::Work;
use crate::cursor::Cursor;
use crate::error::Error;
use crate::packet::Packet;
use crate::request::Request;

/// The way a request came out.
pub enum Outcome {
    /// It is carried out; the reply is whole.
    Done,
    /// The beginning of the reply is written; the cursor gives the rest.
    Reply(Cursor),
    /// It is a change of more than one step, to be brought to its end by `Shard::step`. None of it is done yet.
    Change(Work),
}

impl Shard {
    /// Carries out a request and appends the reply's members to `out`; a change appends nothing.
    ///
    /// The cursor has the rest of a reply that doesn't fit its first step. A change that is more than a step hasn't begun
    /// yet.
    /// On an error nothing was changed and nothing written.
    #[rustfmt::skip]
    pub fn execute(&mut self, request: &Request<&str>, out: &mut Vec<u8>) -> Result<Outcome, Error> {
        if self.takes_steps(request, |text| text) {
            return Ok(Outcome::Change(Work::new(Packet::new(request))));
        }
        match *request {
            Request::Latest { collection, document, ts, from, contains, excludes } => {
                let filter = self.patterns.filter(contains, excludes)?;
                return Ok(reply(self.latest(collection, document, ts, from, filter, out)?));
            }
            Request::History { collection, document, from, to, limit, reverse, contains, excludes } => {
                let filter = self.patterns.filter(contains, excludes)?;
                let range = HistoryRange { from, to, limit, reverse };
                return Ok(reply(self.history(collection, document, range, filter, out)));
            }
            Request::Collections => return Ok(reply(self.collection_names(out))),
            Request::GetValue { collection, key } => return Ok(reply(self.value(collection, key, out))),
            Request::MatchValues { collection, key } => return Ok(reply(self.match_values(collection, key, out)?)),
            Request::AllValues { collection } => return Ok(reply(self.all_values(collection, out))),
            Request::Keys { collection } => return Ok(reply(self.keys(collection, out))),

            Request::Insert(ref records) => self.insert(records),
            Request::DeleteDocument { document, collection: Some(name) } => self.delete_document(name, document),
            Request::DeleteDocument { document, collection: None } => {
                self.delete_document_in(0..self.collections.slots_end(), document);
            }
            Request::DeleteCollection { collection } => self.delete_collection(collection),
            Request::DeleteRecords(ref keys) => self.delete_records(keys),
            Request::DeleteRange { collection, document, from, to } => {
                self.delete_range(collection, document, from, to);
            }
            Request::SetValue { collection, key, value } => self.set_value(collection, key, value),
            Request::RemoveValue { collection, key } => self.remove_value(collection, key),
        }
        self.feed.end_request();
        Ok(Outcome::Done)
    }

    /// Carries out a request that is owned already: what goes on in steps is moved instead of copied.
    pub fn execute_packet(&mut self, packet: Packet, out: &mut Vec<u8>) -> Result<Outcome, Error> {
        if self.takes_steps(packet.spans(), |span| packet.text(span)) {
            return Ok(Outcome::Change(Work::new(packet)));
        }
        self.execute(&packet.request(), out)
    }
}

fn reply(rest: Option<Cursor>) -> Outcome {
    rest.map_or(Outcome::Done, Outcome::Reply)
}
