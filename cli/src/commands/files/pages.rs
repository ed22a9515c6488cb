//! The documents of a collection, read in pages of time, many documents at a time; whichever page comes first is written
//! first, as it comes. So the server never waits for the client, no reply is held whole, and no snapshot lives longer than
//! a page.

use super::interrupt::Unfinished;
use super::lines::{DocumentLines, NewFile};
use super::paths::document_file;
use super::progress::Progress;
use anyhow::{Context, Result};
use fluxion_client::{Client, HistoryQuery, Reply, Request, Ticket};
use std::collections::HashMap;
use std::path::Path;

/// Documents that are read at a time; as many files are open.
const DOCUMENTS_MAX: usize = 32;
/// Records of a page: tens of MiB of usual records, so that asking for the next one costs little.
const PAGE_RECORDS: u64 = 250_000;

/// The directory that is written to, and the files that are not complete.
pub type Out<'a> = Option<(&'a Path, &'a Unfinished)>;

/// The documents of one collection on their way to their files.
pub struct Pages<'a> {
    collection: &'a str,
    out: Out<'a>,
    waiting: std::vec::IntoIter<(String, i64)>,
    open: HashMap<Ticket, Open>,
    done: usize,
    total: usize,
}

/// A document of which a page has been asked for.
struct Open {
    lines: DocumentLines,
    first: Option<i64>,
    /// Time of the record that was written last.
    written: i64,
    newest: i64,
}

impl<'a> Pages<'a> {
    /// Documents with the times of their newest records, on their way to a directory or to nothing.
    pub fn new(collection: &'a str, out: Out<'a>, documents: Vec<(String, i64)>) -> Pages<'a> {
        let total = documents.len();
        Pages { collection, out, waiting: documents.into_iter(), open: HashMap::new(), done: 0, total }
    }

    /// Reads all of them; `finished` is told of each.
    pub fn read(
        mut self,
        client: &mut Client,
        progress: &mut Progress,
        finished: &mut impl FnMut(DocumentLines) -> Result<()>,
    ) -> Result<()> {
        loop {
            while self.open.len() < DOCUMENTS_MAX {
                let Some((document, newest)) = self.waiting.next() else { break };
                self.begin(client, document, newest)?;
            }
            let Some(reply) = client.receive()? else { return Ok(()) };
            let Some(mut open) = self.open.remove(&reply.ticket()) else { continue };
            let document = open.lines.document().to_owned();
            let named = || format!("document {document:?}");
            let count = self.take_page(&mut open, reply, progress).with_context(named)?;
            if count == PAGE_RECORDS && open.written < i64::MAX {
                self.ask(client, open)?;
            } else {
                self.done += 1;
                finished(open.lines).with_context(named)?;
            }
        }
    }

    fn begin(&mut self, client: &mut Client, document: String, newest: i64) -> Result<()> {
        let create = |(dir, unfinished): (&Path, &Unfinished)| {
            NewFile::create(&dir.join(document_file(&document)), false, unfinished)
        };
        let file = self.out.map(create).transpose()?;
        let lines = DocumentLines::new(&document, file);
        self.ask(client, Open { lines, first: None, written: i64::MIN, newest })
    }

    /// Asks for what comes behind the last record.
    fn ask(&mut self, client: &mut Client, open: Open) -> Result<()> {
        let from = if open.first.is_some() { open.written + 1 } else { i64::MIN };
        let query = HistoryQuery::new(self.collection, open.lines.document()).from(from);
        let ticket = client.send(&Request::History(query.limit(PAGE_RECORDS as i64)))?;
        self.open.insert(ticket, open);
        Ok(())
    }

    fn take_page(&self, open: &mut Open, reply: Reply<'_>, progress: &mut Progress) -> Result<u64> {
        let mut records = reply.records()?;
        let mut count = 0;
        while let Some(record) = records.read()? {
            open.lines.push(&record)?;
            open.first.get_or_insert(record.ts);
            open.written = record.ts;
            count += 1;
            progress.count(|| self.share_done(open));
        }
        Ok(count)
    }

    /// Each document counts alike, an unfinished one by how far it has come in time.
    fn share_done(&self, current: &Open) -> f64 {
        let partly: f64 = self.open.values().chain([current]).map(Open::share_done).sum();
        (self.done as f64 + partly) / self.total.max(1) as f64
    }
}

impl Open {
    fn share_done(&self) -> f64 {
        let Some(first) = self.first else { return 0.0 };
        let span = self.newest as f64 - first as f64;
        if span > 0.0 { ((self.written as f64 - first as f64) / span).min(1.0) } else { 1.0 }
    }
}
