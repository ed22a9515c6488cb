//! The newest record of each document at a time.
//!
//! State is the next slot, and how far into its name and text the reply has come. The record is found again by its time
//! when a step carries on, which is sound because the snapshot doesn't change.

use std::ops::Range;
use std::rc::Rc;

use super::step::{Progress, Step};
use super::time_text::TimeText;
use crate::chunk::{Blocks, Chunk, Records};
use crate::document::Document;
use crate::limits::READ_AHEAD;
use crate::pattern::{Filter, FilterSearch, Pattern, Search};
use crate::table::{Named, Pages};

/// The most that is written around a name and a record's text.
const RECORD_BYTES_MAX: usize = 64;

/// Which part of a record is being written.
#[derive(Clone, Copy)]
enum Part {
    Name,
    Data,
}

/// The conditions on a document and its newest record.
pub(crate) struct Conditions<'a> {
    /// The latest time that counts.
    pub(crate) ts: i64,
    /// The earliest time that counts.
    pub(crate) from: i64,
    pub(crate) filter: Filter<'a>,
    /// The pattern that the document's name must match.
    pub(crate) names: Option<Rc<Pattern>>,
}

impl Conditions<'_> {
    pub(crate) fn into_owned(self) -> Conditions<'static> {
        Conditions { ts: self.ts, from: self.from, filter: self.filter.into_owned(), names: self.names }
    }

    /// The record of a document that is asked for, perhaps with others, and its place.
    #[inline]
    fn newest<'d>(&self, document: &'d Document, blocks: &'d mut Blocks) -> Option<(Records<'d>, usize)> {
        // Mostly that is the very newest, and nearly all of the time goes into waiting for where it lies.
        if let Some(Chunk::Open(newest)) = document.chunks().newest()
            && newest.last_ts() <= self.ts
        {
            return (newest.last_ts() >= self.from).then(|| (newest.records(), newest.len() - 1));
        }
        let (chunk, index) = document.newest_through(self.ts)?;
        (chunk.ts(index) >= self.from).then(|| (blocks.one(chunk, index), index))
    }
}

/// A walk over documents that may be cut anywhere.
pub(crate) struct LatestScan {
    slots: Range<usize>,
    is_first: bool,
    /// Set while a document is half written: in which part, and how much of that.
    cut: Option<(Part, usize)>,
    /// Set while it is known of the next document that its name matches.
    name_matches: bool,
    name_search: Search,
    search: FilterSearch,
    times: TimeText,
}

impl LatestScan {
    pub(crate) fn new(slots: Range<usize>) -> Self {
        Self {
            slots,
            is_first: true,
            cut: None,
            name_matches: false,
            name_search: Search::default(),
            search: FilterSearch::default(),
            times: TimeText::new(b"\":{\"ts\":", b",\"data\":\""),
        }
    }

    /// The slots that are still needed.
    pub(crate) fn slots(&self) -> Range<usize> {
        self.slots.clone()
    }

    pub(crate) fn run(
        &mut self,
        documents: &Pages<Document>,
        conditions: &Conditions<'_>,
        blocks: &mut Blocks,
        step: &mut Step<'_>,
    ) -> Progress {
        while self.slots.start < self.slots.end {
            if step.is_spent() {
                return Progress::More;
            }
            if let Some(soon) = documents.get(self.slots.start + READ_AHEAD) {
                soon.prefetch_end();
            }
            match documents.get(self.slots.start) {
                Some(document) => {
                    if self.document(document, conditions, blocks, step) == Progress::More {
                        return Progress::More;
                    }
                }
                None => step.look(),
            }
            self.slots.start += 1;
            self.name_search = Search::default();
            self.name_matches = false;
        }
        step.write(b"}");
        Progress::Done
    }

    fn document(
        &mut self,
        document: &Document,
        conditions: &Conditions<'_>,
        blocks: &mut Blocks,
        step: &mut Step<'_>,
    ) -> Progress {
        let name = document.name();
        if self.cut.is_none() && !self.name_matches {
            step.look();
            if let Some(names) = &conditions.names {
                match self.name_search.run(names, name, step.work()) {
                    Some(true) => {}
                    Some(false) => return Progress::Done,
                    None => return Progress::More,
                }
            }
            self.name_matches = true;
        }
        let Some((records, index)) = conditions.newest(document, blocks) else { return Progress::Done };
        let is_bare = self.cut.is_none() && conditions.filter.is_empty();
        if is_bare && self.write_whole(name, &records, index, step) {
            return Progress::Done;
        }
        let data = records.data(index);
        let (mut part, mut offset) = match self.cut.take() {
            Some(cut) => cut,
            None => {
                match conditions.filter.passes(data, &mut self.search, step.work()) {
                    Some(true) => {}
                    Some(false) => return Progress::Done,
                    None => return Progress::More,
                }
                self.begin(step);
                (Part::Name, 0)
            }
        };
        if let Part::Name = part {
            if !step.write_text(name, &mut offset) {
                self.cut = Some((part, offset));
                return Progress::More;
            }
            self.times.put(step.out, records.ts(index));
            part = Part::Data;
        }
        if !step.write_text(data, &mut offset) {
            self.cut = Some((part, offset));
            return Progress::More;
        }
        step.write(b"\"}");
        Progress::Done
    }

    /// Writes a document and its newest record at once, if they surely fit.
    fn write_whole(&mut self, name: &str, records: &Records<'_>, index: usize, step: &mut Step<'_>) -> bool {
        let data = records.bytes(index);
        if !step.fits(name.len() + data.len() + RECORD_BYTES_MAX) {
            return false;
        }
        self.begin(step);
        step.write_whole(name.as_bytes());
        self.times.put(step.out, records.ts(index));
        step.write_whole(data);
        step.write(b"\"}");
        true
    }

    fn begin(&mut self, step: &mut Step<'_>) {
        step.write(if self.is_first { b"\"" } else { b",\"" });
        self.is_first = false;
    }
}
