//! All data of one shard, and the one entry to it: `execute`.
//!
//! Owns the collections, the feed of changes, the compiled patterns and the deleted data not yet freed. Each change is made
//! and entered in the feed in the same call. Invariants: a collection is there exactly while it holds a record or an entry; the
//! counts are the sums of the collections' own.

mod load;
mod read;
mod steps;
mod write;

pub use load::DocumentLoader;
pub use steps::Work;

use crate::collection::{Collection, Counts};
use crate::cursor::Cursor;
use crate::error::Error;
use crate::feed::{ChangeRef, Feed};
use crate::garbage::Garbage;
use crate::packet::Packet;
use crate::pattern::PatternCache;
use crate::request::Request;
use crate::table::{Named, Table};

/// A collection's name; its slot is the collection's index.
#[derive(Clone)]
pub(crate) struct CollectionName(Box<str>);

impl Named for CollectionName {
    fn name(&self) -> &str {
        &self.0
    }
}

/// The way a request came out.
pub enum Outcome {
    /// It is carried out; the reply is whole.
    Done,
    /// The beginning of the reply is written; the cursor gives the rest.
    Reply(Cursor),
    /// It is a change of more than one step, to be brought to its end by `Shard::step`. None of it is done yet.
    Change(Work),
}

/// The data of one shard.
pub struct Shard {
    names: Table<CollectionName>,
    collections: Vec<Option<Box<Collection>>>,
    counts: Counts,
    feed: Feed,
    patterns: PatternCache,
    garbage: Garbage,
}

impl Default for Shard {
    fn default() -> Self {
        Self::new()
    }
}

impl Shard {
    /// An empty shard.
    pub fn new() -> Self {
        Self {
            names: Table::new(),
            collections: Vec::new(),
            counts: Counts::default(),
            feed: Feed::new(),
            patterns: PatternCache::default(),
            garbage: Garbage::default(),
        }
    }

    /// Carries out a request and appends the reply's members to `out`; a change appends nothing.
    ///
    /// What doesn't fit the first step of a reply is left to the cursor. A change that is more than a step hasn't begun yet.
    /// On an error nothing was changed and nothing written.
    #[rustfmt::skip]
    pub fn execute(&mut self, request: &Request<&str>, out: &mut Vec<u8>) -> Result<Outcome, Error> {
        if self.takes_steps(request) {
            return Ok(Outcome::Change(Work::new(Packet::new(request))));
        }
        match *request {
            Request::Latest { collection, document, ts, from, contains, excludes } => {
                let filter = self.patterns.filter(contains, excludes)?;
                return self.latest(collection, document, ts, from, filter, out);
            }
            Request::History { collection, document, from, to, limit, reverse, contains, excludes } => {
                let filter = self.patterns.filter(contains, excludes)?;
                let range = read::HistoryRange { from, to, limit, reverse };
                return Ok(self.history(collection, document, range, filter, out));
            }
            Request::Collections => return Ok(self.collection_names(out)),
            Request::GetValue { collection, key } => return Ok(self.value(collection, key, out)),
            Request::MatchValues { collection, key } => return self.match_values(collection, key, out),
            Request::AllValues { collection } => return Ok(self.all_values(collection, out)),
            Request::Keys { collection } => return Ok(self.keys(collection, out)),

            Request::Insert(ref records) => self.insert(records),
            Request::DeleteDocument { document, collection: Some(name) } => self.delete_document(name, document),
            Request::DeleteDocument { document, collection: None } => {
                self.delete_document_in(0..self.collections.len(), document);
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
        let request = packet.request();
        if self.takes_steps(&request) {
            return Ok(Outcome::Change(Work::new(packet)));
        }
        self.execute(&request, out)
    }

    /// Notes a change of what no shard holds, so that readers get it in order with the others: of the API keys.
    pub fn note(&mut self, change: ChangeRef<'_>) {
        self.feed.push(change);
        self.feed.end_request();
    }

    /// The changes, for those who read them.
    pub fn feed(&self) -> &Feed {
        &self.feed
    }

    /// The changes, to be taken.
    pub fn feed_mut(&mut self) -> &mut Feed {
        &mut self.feed
    }

    /// How many collections there are.
    pub fn collection_count(&self) -> usize {
        self.names.len()
    }

    /// How many documents there are, over all collections.
    pub fn document_count(&self) -> usize {
        self.counts.documents
    }

    /// How many records there are, over all documents.
    pub fn record_count(&self) -> usize {
        self.counts.records
    }

    /// What the data takes, without the spare room of the allocator and of half-filled pages.
    pub fn bytes(&self) -> usize {
        self.counts.bytes
    }

    /// Frees a bounded amount of deleted data; returns whether more remains.
    pub fn collect_garbage(&mut self) -> bool {
        self.garbage.step()
    }

    fn collection(&self, name: &str) -> Option<&Collection> {
        self.collections[self.names.find(name)?].as_deref()
    }

    fn collection_mut(&mut self, slot: usize) -> &mut Collection {
        match self.collections[slot].as_deref_mut() {
            Some(collection) => collection,
            None => unreachable!("a slot that has a name has a collection"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{PIECE_BYTES, WORK_MAX};
    use crate::request::Record;
    use crate::scan::Progress;

    /// Brings a change to its end.
    fn carry_out(shard: &mut Shard, request: &Request<&str>) {
        if let Outcome::Change(mut work) = shard.execute(request, &mut Vec::new()).unwrap() {
            while shard.step(&mut work) == Progress::More {}
        }
    }

    fn shard_with(data: &[&str]) -> Shard {
        let mut shard = Shard::new();
        let records = data.iter().enumerate().map(|(ts, data)| Record {
            collection: "c",
            document: "d",
            ts: ts as i64,
            data: *data,
        });
        carry_out(&mut shard, &Request::Insert(records.collect()));
        shard
    }

    fn history(contains: Option<&str>) -> Request<&str> {
        Request::History {
            collection: "c",
            document: "d",
            from: None,
            to: i64::MAX,
            limit: None,
            reverse: false,
            contains,
            excludes: None,
        }
    }

    /// The rest of a reply that must be long.
    fn rest(executed: Result<Outcome, Error>) -> Cursor {
        match executed {
            Ok(Outcome::Reply(cursor)) => cursor,
            _ => panic!("the reply is not long"),
        }
    }

    #[test]
    fn one_huge_record_is_given_out_in_pieces() {
        let data = "\u{1}é\"".repeat(4 << 20);
        let mut shard = shard_with(&[&data]);
        let latest = Request::Latest {
            collection: "c",
            document: Some("d"),
            ts: 9,
            from: None,
            contains: None,
            excludes: None,
        };
        for request in [history(None), latest] {
            let mut out = Vec::new();
            let mut cursor = rest(shard.execute(&request, &mut out));
            let mut steps = 1;
            loop {
                let before = out.len();
                let progress = cursor.step(&mut out, PIECE_BYTES);
                assert!(out.len() - before <= PIECE_BYTES + 64);
                steps += 1;
                if progress == Progress::Done {
                    break;
                }
            }
            assert!(steps <= out.len() / PIECE_BYTES + 1);
            assert!(out.len() - (4 << 20) * (6 + 2 + 2) < 64, "escaped whole, and little around it");
        }
    }

    #[test]
    fn a_search_that_finds_nothing_yields() {
        let data = "x".repeat(WORK_MAX / 10);
        let mut shard = shard_with(&vec![data.as_str(); 1000]);
        let mut out = Vec::new();
        let mut cursor = rest(shard.execute(&history(Some("/y/")), &mut out));
        let mut steps = 1;
        while cursor.step(&mut out, PIECE_BYTES) == Progress::More {
            steps += 1;
        }
        assert!((90..=110).contains(&steps), "{steps}");
        assert_eq!(out, b"\"records\":[]");
    }

    #[test]
    fn a_bad_pattern_is_an_error_where_there_is_nothing() {
        let mut shard = Shard::new();
        let latest = |document, contains, excludes| Request::Latest {
            collection: "c",
            document,
            ts: 0,
            from: None,
            contains,
            excludes,
        };
        let keys = Request::MatchValues { collection: "c", key: "/(/" };
        let bad = Some("/(/");
        for request in
            [latest(bad, None, None), latest(None, bad, None), latest(None, None, bad), history(bad), keys]
        {
            let mut out = Vec::new();
            assert!(shard.execute(&request, &mut out).is_err() && out.is_empty());
        }
    }

    #[test]
    fn deleted_data_is_freed_in_steps() {
        let mut shard = Shard::new();
        let names: Vec<String> = (0..5000).map(|number| number.to_string()).collect();
        let records =
            names.iter().map(|name| Record { collection: "c", document: name.as_str(), ts: 1, data: "x" });
        carry_out(&mut shard, &Request::Insert(records.collect()));
        shard.execute(&Request::DeleteCollection { collection: "c" }, &mut Vec::new()).unwrap();
        assert_eq!(
            (shard.collection_count(), shard.document_count(), shard.record_count(), shard.bytes()),
            (0, 0, 0, 0)
        );
        let mut steps = 1;
        while shard.collect_garbage() {
            steps += 1;
        }
        assert!(steps > 10, "{steps}");
    }
}
