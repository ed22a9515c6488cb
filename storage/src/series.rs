//! Merging changes into the chunks of one document: those that they touch are decoded, changed, and sealed again.
//!
//! A document's time is cut into windows, each from one chunk to the next. What comes behind the last chunk makes new ones,
//! with which small ones before are put together once as many records have come: so each record is written anew a few times
//! at most, until its chunk is full.

use crate::error::Error;
use crate::limits::{JOIN_RATIO, Sizes};
use crate::rows::{ChunkRow, Rows};
use fluxion_engine::sealed::{Decoder, Sealed, Sealer};
use std::ops::Range;

/// What is kept of a buffer of text for the chunks that are opened next.
const OPENED_KEPT_BYTES: usize = 1 << 20;

/// A record to be stored, or deleted where it has no text.
pub(crate) type Put<'a> = (i64, Option<&'a str>);

/// What is to be merged into one document, and how far that has come.
pub(crate) struct Series<'a> {
    pub(crate) collection: &'a str,
    pub(crate) document: &'a str,
    /// Ranges of time, both ends inclusive, whose records go: ascending, and none touches another.
    ranges: Vec<(i64, i64)>,
    records: Vec<Put<'a>>,
    next_range: usize,
    next_record: usize,
    /// The part of a range before this time is done.
    from: i64,
}

/// The buffers of sealing and opening, for one thread.
#[derive(Default)]
pub(crate) struct Tools {
    sealer: Sealer,
    decoder: Decoder,
    opened: Opened,
}

/// Records of opened chunks.
#[derive(Default)]
struct Opened {
    text: String,
    records: Vec<(i64, Range<usize>)>,
}

/// A part of a document's time, and what is to be merged into it.
struct Window {
    /// The chunk that it begins with, if there is one.
    chunk: Option<ChunkRow>,
    records: Range<usize>,
    /// What of the ranges is left to be done, to their ends.
    ranges: Vec<(i64, i64)>,
}

impl<'a> Series<'a> {
    pub(crate) fn new(
        (collection, document): (&'a str, &'a str),
        mut ranges: Vec<(i64, i64)>,
        records: Vec<Put<'a>>,
    ) -> Series<'a> {
        ranges.retain(|(from, to)| from <= to);
        ranges.sort_unstable();
        let mut apart: Vec<(i64, i64)> = Vec::with_capacity(ranges.len());
        for (from, to) in ranges {
            match apart.last_mut() {
                Some(last) if last.1 >= from.saturating_sub(1) => last.1 = last.1.max(to),
                _ => apart.push((from, to)),
            }
        }
        Series { collection, document, ranges: apart, records, next_range: 0, next_record: 0, from: i64::MIN }
    }

    /// Whether anything is to be stored.
    pub(crate) fn puts(&self) -> bool {
        self.records.iter().any(|(_, data)| data.is_some())
    }

    /// Merges the next window; false when there is none.
    pub(crate) fn step(&mut self, rows: &mut Rows<'_>, id: i64, tools: &mut Tools) -> Result<bool, Error> {
        let Some(window) = self.window(rows, id)? else { return Ok(false) };
        let records = &self.records[window.records.clone()];
        let ranges = &window.ranges[..];
        tools.opened.clear();
        let mut replaced = Vec::new();
        if let Some(chunk) = window.chunk {
            let is_covered = ranges.iter().any(|(from, to)| *from <= chunk.first_ts && *to >= chunk.last_ts);
            let is_touched = ranges.iter().any(|(from, to)| *from <= chunk.last_ts && *to >= chunk.first_ts)
                || records.first().is_some_and(|(ts, _)| *ts <= chunk.last_ts);
            if is_covered {
                rows.remove_chunk(&chunk)?;
            } else if is_touched {
                replaced.push(chunk);
            } else {
                replaced = joined(rows, chunk, records.len() as i64)?;
            }
        }
        for chunk in replaced.iter().rev() {
            self.open(rows, chunk, tools)?;
            rows.remove_chunk(chunk)?;
        }
        let Tools { sealer, opened, .. } = tools;
        store(rows, id, &merge(opened, ranges, records), sealer)?;
        rows.bytes += records.iter().map(|(_, data)| data.map_or(0, str::len)).sum::<usize>();
        Ok(true)
    }

    /// Finds the next window, and passes it.
    fn window(&mut self, rows: &Rows<'_>, id: i64) -> Result<Option<Window>, Error> {
        let record = self.records.get(self.next_record).map(|(ts, _)| *ts);
        let range = self.ranges.get(self.next_range).map(|(from, _)| (*from).max(self.from));
        let Some(key) = record.into_iter().chain(range).min() else { return Ok(None) };
        let chunk = rows.chunk_at(id, key)?;
        let mut end = rows.chunk_after(id, key)?.map(|next| next.first_ts);
        let first = self.next_record;
        let rest = &self.records[first..];
        let within = rest.partition_point(|(ts, _)| end.is_none_or(|end| *ts < end));
        let count = within.min(rows.sizes.window_records);
        if count < within {
            end = Some(rest[count].0);
        }
        self.next_record += count;
        let rest = &self.ranges[self.next_range..];
        let begun = rest.partition_point(|(from, _)| end.is_none_or(|end| *from < end));
        // What this has stored before its own time is new, and stays.
        let ranges = rest[..begun].iter().map(|(from, to)| ((*from).max(self.from), *to)).collect();
        self.next_range += rest.partition_point(|(_, to)| end.is_none_or(|end| *to < end));
        self.from = end.unwrap_or(i64::MAX);
        Ok(Some(Window { chunk, records: first..self.next_record, ranges }))
    }

    fn open(&self, rows: &Rows<'_>, chunk: &ChunkRow, tools: &mut Tools) -> Result<(), Error> {
        let bytes = rows.chunk_bytes(chunk.id)?;
        let names = (self.collection, self.document);
        let damaged = |what: &str| Error::Damaged(rows.path.to_owned(), chunk.tell(names, what));
        if chunk.expected(&bytes) != chunk.checksum {
            return Err(damaged("its checksum is wrong"));
        }
        let sealed = Sealed::from_bytes(bytes, |_| None, &mut tools.decoder);
        let sealed = sealed.map_err(|error| damaged(&error.to_string()))?;
        tools.opened.append(&sealed, &mut tools.decoder);
        Ok(())
    }
}

/// The last chunk and those before it that are put together with so many new records behind them, the last one first.
fn joined(rows: &Rows<'_>, last: ChunkRow, new: i64) -> Result<Vec<ChunkRow>, Error> {
    let mut joined = Vec::new();
    let (mut records, mut next) = (new, Some(last));
    while let Some(chunk) = next.filter(|chunk| may_join(chunk, records, &rows.sizes)) {
        records += chunk.records;
        let before = chunk.first_ts.checked_sub(1);
        next = match before {
            Some(before) => rows.chunk_at(chunk.document, before)?,
            None => None,
        };
        joined.push(chunk);
    }
    Ok(joined)
}

/// Whether a chunk has room, and is not so much larger than what comes behind it that writing it anew costs more than it
/// gains.
fn may_join(chunk: &ChunkRow, behind: i64, sizes: &Sizes) -> bool {
    (chunk.records as usize) < sizes.chunk_records * 3 / 4
        && (chunk.text_bytes as usize) < sizes.chunk_text_bytes * 3 / 4
        && chunk.records <= behind.saturating_mul(JOIN_RATIO)
}

/// The records as they are in the end.
fn merge<'a>(opened: &'a Opened, ranges: &[(i64, i64)], puts: &[Put<'a>]) -> Vec<(i64, &'a str)> {
    let mut merged = Vec::with_capacity(opened.records.len() + puts.len());
    let mut puts = puts.iter().peekable();
    for (ts, text) in &opened.records {
        while let Some((put, data)) = puts.next_if(|(put, _)| put < ts) {
            merged.extend(data.map(|data| (*put, data)));
        }
        if let Some((_, data)) = puts.next_if(|(put, _)| put == ts) {
            merged.extend(data.map(|data| (*ts, data)));
            continue;
        }
        let range = ranges.partition_point(|(_, to)| to < ts);
        if ranges.get(range).is_none_or(|(from, _)| from > ts) {
            merged.push((*ts, &opened.text[text.clone()]));
        }
    }
    merged.extend(puts.filter_map(|(ts, data)| data.map(|data| (*ts, data))));
    merged
}

/// Stores records as chunks of the usual size.
fn store(rows: &mut Rows<'_>, id: i64, records: &[(i64, &str)], sealer: &mut Sealer) -> Result<(), Error> {
    let mut rest = records;
    while !rest.is_empty() {
        let (chunk, behind) = rest.split_at(chunk_len(rest, &rows.sizes));
        let sealed = sealer.seal(chunk.iter().copied(), None);
        let sealed =
            sealed.unwrap_or_else(|| unreachable!("ascending, not many, and not long unless one alone"));
        rows.add_chunk(id, &sealed)?;
        rest = behind;
    }
    Ok(())
}

/// How many records go into the next chunk: a full one, or all if little more than that is left.
fn chunk_len(records: &[(i64, &str)], sizes: &Sizes) -> usize {
    let (mut full, mut bytes) = (None, 0);
    for (index, (_, data)) in records.iter().enumerate() {
        bytes += data.len();
        let is_over = |count: usize, text: usize| index > 0 && (index >= count || bytes > text);
        if is_over(sizes.chunk_records, sizes.chunk_text_bytes) {
            full.get_or_insert(index);
        }
        if is_over(sizes.chunk_records * 5 / 4, sizes.chunk_text_bytes * 5 / 4) {
            return full.unwrap_or(index);
        }
    }
    records.len()
}

impl Opened {
    fn clear(&mut self) {
        self.text.clear();
        self.text.shrink_to(OPENED_KEPT_BYTES);
        self.records.clear();
    }

    fn append(&mut self, sealed: &Sealed, decoder: &mut Decoder) {
        let mut reader = decoder.open(sealed);
        for block in 0..sealed.block_count() {
            for (ts, data) in reader.block(block).records() {
                let start = self.text.len();
                self.text.push_str(data);
                self.records.push((ts, start..self.text.len()));
            }
        }
    }
}
