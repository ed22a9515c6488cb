//! Reads: each opens its member, runs the first step on the live data, and takes a snapshot only if that didn't finish.
//!
//! Whatever isn't there reads as empty. Patterns are compiled before anything is looked up, so a bad one is an error also
//! where there is nothing to match.

use std::num::NonZeroU64;

use super::state::Shard;
use crate::collection::Collection;
use crate::cursor::Cursor;
use crate::entry::Entry;
use crate::error::Error;
use crate::limits::PIECE_BYTES;
use crate::pattern::{Filter, NameTest};
use crate::scan::{Conditions, HistoryScan, LatestScan, ListScan, ListShape, Progress, Step, ValueScan};
use crate::table::Pages;

/// Which records of a document are asked for.
pub(super) struct HistoryRange {
    pub(super) from: Option<i64>,
    pub(super) to: i64,
    pub(super) limit: Option<NonZeroU64>,
    pub(super) reverse: bool,
}

impl Shard {
    pub(super) fn latest(
        &mut self,
        collection: &str,
        document: Option<&str>,
        ts: i64,
        from: Option<i64>,
        filter: Filter<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Option<Cursor>, Error> {
        let test = document.map(|document| self.patterns.name_test(document)).transpose()?;
        out.extend_from_slice(b"\"records\":{");
        let Some(collection) = self.collections.get(collection) else {
            out.push(b'}');
            return Ok(None);
        };
        let documents = collection.documents.pages();
        let (slots, names) = match test {
            None => (0..documents.end(), None),
            Some(NameTest::Pattern(names)) => (0..documents.end(), Some(names)),
            Some(NameTest::Literal(name)) => {
                (collection.documents.find(name).map_or(0..0, |slot| slot..slot + 1), None)
            }
        };
        let conditions = Conditions { ts, from: from.unwrap_or(i64::MIN), filter, names };
        let mut scan = LatestScan::new(slots);
        let blocks = self.collections.blocks();
        let step = &mut Step::new(out, PIECE_BYTES);
        let progress = scan.run(documents, &conditions, &mut blocks.borrow_mut(), step);
        Ok(match progress {
            Progress::Done => None,
            Progress::More => Some(Cursor::latest(scan, documents, conditions, blocks)),
        })
    }

    pub(super) fn history(
        &self,
        collection: &str,
        document: &str,
        range: HistoryRange,
        filter: Filter<'_>,
        out: &mut Vec<u8>,
    ) -> Option<Cursor> {
        out.extend_from_slice(b"\"records\":[");
        let documents = self.collections.get(collection).map(|collection| &collection.documents);
        let found = documents.and_then(|documents| documents.get(documents.find(document)?));
        let Some(document) = found else {
            out.push(b']');
            return None;
        };
        document.prefetch_end();
        let HistoryRange { from, to, limit, reverse } = range;
        let (from, limit) = (from.unwrap_or(i64::MIN), limit.map_or(u64::MAX, NonZeroU64::get));
        let mut scan = HistoryScan::new(document.chunks(), from, to, limit, reverse, filter.is_empty());
        let blocks = self.collections.blocks();
        let step = &mut Step::new(out, PIECE_BYTES);
        let progress = scan.run(document.chunks(), &filter, &mut blocks.borrow_mut(), step);
        match progress {
            Progress::Done => None,
            Progress::More => Some(Cursor::history(scan, document, filter, blocks)),
        }
    }

    pub(super) fn collection_names(&self, out: &mut Vec<u8>) -> Option<Cursor> {
        let names = self.collections.names();
        let mut scan = ListScan::new(0..names.end(), ListShape::BareNames);
        match scan.run(names, None, &mut Step::new(out, PIECE_BYTES)) {
            Progress::Done => None,
            Progress::More => Some(Cursor::collections(scan, names)),
        }
    }

    pub(super) fn value(&self, collection: &str, key: &str, out: &mut Vec<u8>) -> Option<Cursor> {
        out.extend_from_slice(b"\"value\":\"");
        let found = self.collections.get(collection).and_then(|collection| collection.share_entry(key));
        let Some(entry) = found else {
            out.push(b'"');
            return None;
        };
        let mut scan = ValueScan::default();
        match scan.run(&entry, &mut Step::new(out, PIECE_BYTES)) {
            Progress::Done => None,
            Progress::More => Some(Cursor::value(scan, entry)),
        }
    }

    pub(super) fn match_values(
        &mut self,
        collection: &str,
        key: &str,
        out: &mut Vec<u8>,
    ) -> Result<Option<Cursor>, Error> {
        let test = self.patterns.name_test(key)?;
        out.extend_from_slice(b"\"values\":{");
        let Some(collection) = self.collections.get(collection) else {
            out.push(b'}');
            return Ok(None);
        };
        let entries = collection.entries.pages();
        // A literal key that isn't there is answered as if its value were empty.
        let absent;
        let (entries, slots, keys) = match test {
            NameTest::Pattern(keys) => (entries, 0..entries.end(), Some(keys)),
            NameTest::Literal(key) => match collection.entries.find(key) {
                Some(slot) => (entries, slot..slot + 1, None),
                None => {
                    absent = Pages::single(Entry { key: key.into(), value: "".into() });
                    (&absent, 0..1, None)
                }
            },
        };
        let mut scan = ListScan::new(slots, ListShape::Values);
        Ok(match scan.run(entries, keys.as_deref(), &mut Step::new(out, PIECE_BYTES)) {
            Progress::Done => None,
            Progress::More => Some(Cursor::entries(scan, entries, keys)),
        })
    }

    pub(super) fn all_values(&self, collection: &str, out: &mut Vec<u8>) -> Option<Cursor> {
        out.extend_from_slice(b"\"values\":{");
        list_entries(self.collections.get(collection), ListShape::Values, out)
    }

    pub(super) fn keys(&self, collection: &str, out: &mut Vec<u8>) -> Option<Cursor> {
        out.extend_from_slice(b"\"keys\":[");
        list_entries(self.collections.get(collection), ListShape::Names, out)
    }
}

fn list_entries(collection: Option<&Collection>, shape: ListShape, out: &mut Vec<u8>) -> Option<Cursor> {
    let nothing = Pages::empty();
    let entries = collection.map_or(&nothing, |collection| collection.entries.pages());
    let mut scan = ListScan::new(0..entries.end(), shape);
    match scan.run(entries, None, &mut Step::new(out, PIECE_BYTES)) {
        Progress::Done => None,
        Progress::More => Some(Cursor::entries(scan, entries, None)),
    }
}
