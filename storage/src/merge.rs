//! Bringing the log into the tables, in steps that are a transaction each.
//!
//! A crash between two steps leaves every record, entry and document in a state that it had at some change of the log or
//! behind it, and the whole log. Replaying that gives what was: a change says what is there then, whatever was there before.
//! When all is in the tables, the log's rows go, the first ones first; a crash then leaves rows whose replay changes nothing.

use crate::error::Error;
use crate::file::ShardFile;
use crate::log::{LogEnd, LogRow};
use crate::pack::Unpacker;
use crate::plan::{DocumentPlan, Plan};
use crate::rows::Rows;
use crate::series::{Series, Tools};
use std::vec::IntoIter;

/// A deleted row's share of a step: its page, its index, its sum.
const DELETED_BYTES: usize = 1 << 10;

/// The log of a moment on its way into the tables.
#[derive(Default)]
pub(crate) struct Merge<'a> {
    log: &'a [LogRow],
    plan: Plan<'a>,
    cleared: IntoIter<&'a str>,
    clearing: Option<&'a str>,
    documents: IntoIter<((&'a str, &'a str), DocumentPlan<'a>)>,
    document: Option<Work<'a>>,
    entries: IntoIter<(&'a str, &'a str, Option<&'a str>)>,
    tools: Tools,
}

/// What is to be done in one document.
struct Work<'a> {
    series: Series<'a>,
    /// All that the tables have of it goes first.
    clears: bool,
    id: Option<i64>,
}

impl<'a> Merge<'a> {
    pub(crate) fn new(log: &'a [LogRow]) -> Merge<'a> {
        Merge { log, ..Merge::default() }
    }

    /// Does a step; true when all is done. After an error it is of no more use: another one begins anew.
    pub(crate) fn step(&mut self, file: &ShardFile) -> Result<bool, Error> {
        if !self.log.is_empty() {
            self.plan_some(file.sizes.step_bytes);
            return Ok(false);
        }
        let mut rows = Rows::begin(file)?;
        let mut is_done = false;
        while rows.bytes < rows.sizes.step_bytes && !is_done {
            is_done = !self.advance(&mut rows)?;
        }
        rows.commit()?;
        Ok(is_done)
    }

    /// Works out what some more rows of the log come to.
    fn plan_some(&mut self, bytes_max: usize) {
        let mut bytes = 0;
        while let Some((row, rest)) = self.log.split_first().filter(|_| bytes < bytes_max) {
            // What doesn't unpack has been found when the file was read.
            Unpacker::new(&row.bytes).flatten().for_each(|change| self.plan.add(change));
            bytes += row.bytes.len();
            self.log = rest;
        }
        if self.log.is_empty() {
            let Plan { cleared, documents, entries, .. } = std::mem::take(&mut self.plan);
            let entries = entries.into_iter().flat_map(|(collection, entries)| {
                entries.into_iter().map(move |(key, value)| (collection, key, value))
            });
            self.cleared = cleared.into_iter();
            self.documents = documents.into_iter();
            self.entries = entries.collect::<Vec<_>>().into_iter();
        }
    }

    /// Does the next small part; false if there is none.
    fn advance(&mut self, rows: &mut Rows<'_>) -> Result<bool, Error> {
        self.clearing = self.clearing.or_else(|| self.cleared.next());
        if let Some(collection) = self.clearing {
            if !clear_some(rows, collection)? {
                self.clearing = None;
            }
            return Ok(true);
        }
        let next = || self.documents.find(|(_, plan)| !plan.is_empty()).map(Work::new);
        self.document = self.document.take().or_else(next);
        if let Some(work) = &mut self.document {
            if !work.advance(rows, &mut self.tools)? {
                self.document = None;
            }
            return Ok(true);
        }
        let Some((collection, key, value)) = self.entries.next() else { return Ok(false) };
        match value {
            Some(value) => rows.set_entry(collection, key, value)?,
            None => rows.remove_entry(collection, key)?,
        }
        rows.bytes += DELETED_BYTES / 8;
        Ok(true)
    }
}

impl<'a> Work<'a> {
    fn new((names, plan): ((&'a str, &'a str), DocumentPlan<'a>)) -> Work<'a> {
        let series = Series::new(names, plan.ranges, plan.records.into_vec());
        Work { clears: plan.cleared, series, id: None }
    }

    /// Does a part of it; false when nothing is left to be done.
    fn advance(&mut self, rows: &mut Rows<'_>, tools: &mut Tools) -> Result<bool, Error> {
        let Series { collection, document, .. } = self.series;
        if self.id.is_none() {
            self.id = rows.find_document(collection, document)?;
        }
        let id = match self.id {
            Some(id) => id,
            None if self.series.puts() => rows.document(collection, document)?,
            None => return Ok(false),
        };
        self.id = Some(id);
        if self.clears {
            self.clears = remove_some_chunks(rows, id)?;
            return Ok(true);
        }
        if self.series.step(rows, id, tools)? {
            return Ok(true);
        }
        if rows.any_chunk(id)?.is_none() {
            rows.remove_document(id)?;
        }
        Ok(false)
    }
}

/// Removes some of a collection; false if nothing of it is left.
pub(crate) fn clear_some(rows: &mut Rows<'_>, collection: &str) -> Result<bool, Error> {
    rows.bytes += DELETED_BYTES;
    if let Some(id) = rows.any_document(collection)? {
        if !remove_some_chunks(rows, id)? {
            rows.remove_document(id)?;
        }
        return Ok(true);
    }
    if let Some(key) = rows.any_entry(collection)? {
        rows.remove_entry(collection, &key)?;
        return Ok(true);
    }
    Ok(false)
}

/// Removes one of a document's chunks; false if it has none.
fn remove_some_chunks(rows: &mut Rows<'_>, id: i64) -> Result<bool, Error> {
    let Some(chunk) = rows.any_chunk(id)? else { return Ok(false) };
    rows.bytes += DELETED_BYTES;
    rows.remove_chunk(&chunk)?;
    Ok(true)
}

/// Brings all of a file's log into its tables.
pub(crate) fn merge_all(file: &ShardFile) -> Result<(), Error> {
    let mut log = Vec::new();
    let end = LogEnd::read(file, |row| {
        log.push(row);
        Ok(())
    })?;
    let mut end = end.map_err(|why| file.damaged(&why))?;
    let mut merge = Merge::new(&log);
    while !merge.step(file)? {}
    drop(merge);
    let mut done = log.into_iter();
    while done.len() > 0 && !end.remove(file, &mut done)? {}
    Ok(())
}

#[cfg(test)]
mod tests;
