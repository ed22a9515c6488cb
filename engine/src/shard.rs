//! All data of one shard, and the one entry to it: `execute`.
//!
//! Owns the collections, the dirty log, the compiled patterns and the deleted data not yet freed. Each mutation changes the
//! data and the log in the same call. Invariants: a collection is there exactly while it holds a record or an entry; the
//! counts are the sums of the collections' own.

mod load;
mod read;
mod write;

pub use load::DocumentLoader;

use crate::collection::{Collection, Counts};
use crate::cursor::Cursor;
use crate::dirty::{Batch, ChangeRef, DirtyLog, LogMode};
use crate::error::Error;
use crate::garbage::Garbage;
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

/// The data of one shard.
pub struct Shard {
    names: Table<CollectionName>,
    collections: Vec<Option<Box<Collection>>>,
    counts: Counts,
    log: DirtyLog,
    patterns: PatternCache,
    garbage: Garbage,
}

impl Shard {
    /// An empty shard.
    pub fn new(log: LogMode) -> Self {
        Self {
            names: Table::new(),
            collections: Vec::new(),
            counts: Counts::default(),
            log: DirtyLog::new(log),
            patterns: PatternCache::default(),
            garbage: Garbage::default(),
        }
    }

    /// Carries out a request and appends the reply's members to `out`; a mutation appends nothing.
    ///
    /// What doesn't fit the first step is left to the cursor. On an error nothing was changed and nothing written.
    #[rustfmt::skip]
    pub fn execute(&mut self, request: &Request<&str>, out: &mut Vec<u8>) -> Result<Option<Cursor>, Error> {
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
            Request::DeleteDocument { document, collection: None } => self.delete_document_everywhere(document),
            Request::DeleteCollection { collection } => self.delete_collection(collection),
            Request::DeleteRecords(ref keys) => self.delete_records(keys),
            Request::DeleteRange { collection, document, from, to } => {
                self.delete_range(collection, document, from, to);
            }
            Request::SetValue { collection, key, value } => self.set_value(collection, key, value),
            Request::RemoveValue { collection, key } => self.remove_value(collection, key),
        }
        Ok(None)
    }

    /// Keeps a dirty log from now on.
    pub fn start_log(&mut self) {
        self.log.start();
    }

    /// Logs a change of what no shard holds, so that it is stored in order with the others: of the API keys.
    pub fn log(&mut self, change: ChangeRef<'_>) {
        self.log.push(change);
    }

    /// Whether nothing has changed since the log was taken.
    pub fn is_clean(&self) -> bool {
        self.log.is_empty()
    }

    /// Takes what changed since the last call.
    pub fn take_dirty(&mut self) -> Batch {
        self.log.take()
    }

    /// Takes the first of these changes, of about so many bytes.
    pub fn take_dirty_first(&mut self, bytes: usize) -> Batch {
        self.log.take_first(bytes)
    }

    /// The memory that the dirty log takes.
    pub fn dirty_bytes(&self) -> usize {
        self.log.bytes()
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

    fn shard_with(data: &[&str]) -> Shard {
        let mut shard = Shard::new(LogMode::Off);
        let records = data.iter().enumerate().map(|(ts, data)| Record {
            collection: "c",
            document: "d",
            ts: ts as i64,
            data: *data,
        });
        shard.execute(&Request::Insert(records.collect()), &mut Vec::new()).unwrap();
        shard
    }

    fn history(contains: &str) -> Request<&str> {
        let (from, to) = (i64::MIN, i64::MAX);
        Request::History {
            collection: "c",
            document: "d",
            from,
            to,
            limit: 0,
            reverse: false,
            contains,
            excludes: "",
        }
    }

    #[test]
    fn one_huge_record_is_given_out_in_pieces() {
        let data = "\u{1}é\"".repeat(4 << 20);
        let mut shard = shard_with(&[&data]);
        let latest =
            Request::Latest { collection: "c", document: "d", ts: 9, from: 0, contains: "", excludes: "" };
        for request in [history(""), latest] {
            let mut out = Vec::new();
            let mut cursor = shard.execute(&request, &mut out).unwrap().unwrap();
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
        let mut cursor = shard.execute(&history("/y/"), &mut out).unwrap().unwrap();
        let mut steps = 1;
        while cursor.step(&mut out, PIECE_BYTES) == Progress::More {
            steps += 1;
        }
        assert!((90..=110).contains(&steps), "{steps}");
        assert_eq!(out, b"\"records\":[]");
    }

    #[test]
    fn a_bad_pattern_is_an_error_where_there_is_nothing() {
        let mut shard = Shard::new(LogMode::On);
        let latest = |document, contains, excludes| Request::Latest {
            collection: "c",
            document,
            ts: 0,
            from: 0,
            contains,
            excludes,
        };
        let keys = Request::MatchValues { collection: "c", key: "/(/" };
        for request in
            [latest("/(/", "", ""), latest("", "/(/", ""), latest("", "", "/(/"), history("/(/"), keys]
        {
            let mut out = Vec::new();
            assert!(shard.execute(&request, &mut out).is_err() && out.is_empty());
        }
    }

    #[test]
    fn deleted_data_is_freed_in_steps() {
        let mut shard = Shard::new(LogMode::Off);
        let names: Vec<String> = (0..5000).map(|number| number.to_string()).collect();
        let records =
            names.iter().map(|name| Record { collection: "c", document: name.as_str(), ts: 1, data: "x" });
        shard.execute(&Request::Insert(records.collect()), &mut Vec::new()).unwrap();
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
