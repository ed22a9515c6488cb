//! The rest of a reply that was too long for one step.
//!
//! A cursor owns a snapshot: the pages or chunks that its scan still needs. What reads sealed chunks it shares with its shard. What is written to the shard later is not seen,
//! and a writer copies what a cursor holds, so an idle cursor costs at most what it has yet to give out.
//! Dropping one at any time is fine.

use std::cell::RefCell;
use std::rc::Rc;

use crate::chunk::{Blocks, Chunks};
use crate::collections::CollectionName;
use crate::document::Document;
use crate::entry::Entry;
use crate::pattern::{Filter, Pattern};
use crate::scan::{Conditions, HistoryScan, LatestScan, ListScan, Progress, Step, ValueScan};
use crate::table::Pages;

/// The rest of a reply, to be drained in steps.
///
/// Boxed: replies are seldom so long, and what says that there is no rest is to be small.
pub struct Cursor(Box<Rest>);

enum Rest {
    History {
        scan: HistoryScan,
        chunks: Chunks,
        filter: Filter<'static>,
        blocks: Rc<RefCell<Blocks>>,
    },
    Latest {
        scan: LatestScan,
        documents: Pages<Document>,
        conditions: Conditions<'static>,
        blocks: Rc<RefCell<Blocks>>,
    },
    Entries {
        scan: ListScan,
        entries: Pages<Entry>,
        keys: Option<Rc<Pattern>>,
    },
    Collections {
        scan: ListScan,
        names: Pages<CollectionName>,
    },
    Value {
        scan: ValueScan,
        entry: Rc<Entry>,
    },
}

impl Cursor {
    /// Appends the next piece: about `room` bytes, or less when much had to be looked at.
    pub fn step(&mut self, out: &mut Vec<u8>, room: usize) -> Progress {
        let step = &mut Step::new(out, room);
        match &mut *self.0 {
            Rest::History { scan, chunks, filter, blocks } => {
                scan.run(chunks, filter, &mut blocks.borrow_mut(), step)
            }
            Rest::Latest { scan, documents, conditions, blocks } => {
                scan.run(documents, conditions, &mut blocks.borrow_mut(), step)
            }
            Rest::Entries { scan, entries, keys } => scan.run(entries, keys.as_deref(), step),
            Rest::Collections { scan, names } => scan.run(names, None, step),
            Rest::Value { scan, entry } => scan.run(entry, step),
        }
    }

    pub(crate) fn history(
        mut scan: HistoryScan,
        document: &Document,
        filter: Filter<'_>,
        blocks: &Rc<RefCell<Blocks>>,
    ) -> Self {
        let chunks = scan.snapshot(document.chunks());
        Self(Box::new(Rest::History { scan, chunks, filter: filter.into_owned(), blocks: blocks.clone() }))
    }

    pub(crate) fn latest(
        scan: LatestScan,
        documents: &Pages<Document>,
        conditions: Conditions<'_>,
        blocks: &Rc<RefCell<Blocks>>,
    ) -> Self {
        let documents = documents.snapshot(scan.slots());
        Self(Box::new(Rest::Latest {
            scan,
            documents,
            conditions: conditions.into_owned(),
            blocks: blocks.clone(),
        }))
    }

    pub(crate) fn entries(scan: ListScan, entries: &Pages<Entry>, keys: Option<Rc<Pattern>>) -> Self {
        let entries = entries.snapshot(scan.slots());
        Self(Box::new(Rest::Entries { scan, entries, keys }))
    }

    pub(crate) fn collections(scan: ListScan, names: &Pages<CollectionName>) -> Self {
        let names = names.snapshot(scan.slots());
        Self(Box::new(Rest::Collections { scan, names }))
    }

    pub(crate) fn value(scan: ValueScan, entry: Rc<Entry>) -> Self {
        Self(Box::new(Rest::Value { scan, entry }))
    }
}
