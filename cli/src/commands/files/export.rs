//! Export: every document of a collection to a file of its own.
//!
//! Documents are read in pages of time, many documents at a time, and whichever page comes first is written first, as it
//! comes. So the server never waits for the client, no reply is held whole, and no snapshot lives longer than a page.

use super::archive::{API_KEYS_FILE, ExportSummary, ExportedCollection, ExportedKeys, KEY_VALUE_FILE};
use super::checksum::{Checksum, Sum};
use super::lines::{DocumentLines, NewFile};
use super::output::print_json;
use super::paths::{collection_dir, document_file};
use super::progress::Progress;
use anyhow::{Context, Result, bail};
use clap::Args;
use fluxion_client::{ApiKey, Client, HistoryQuery, LatestQuery, Request, Ticket};
use serde::Serialize;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Documents that are read at a time; as many files are open.
const DOCUMENTS_MAX: usize = 32;
/// Records of a page: tens of MiB of usual records, so that asking for the next one costs little.
const PAGE_RECORDS: u64 = 250_000;

/// `export`
#[derive(Args, Clone)]
#[command(after_help = "Examples:
  fluxiondb export --out-dir dump --all
  fluxiondb export --out-dir dump --col sensors

Writes DIR/COLLECTION/DOCUMENT.jsonl, a record a line, DIR/COLLECTION/key_value.json and
DIR/apikeys.json. The master key is not written.")]
pub struct Export {
    /// Directory to write to; made if it is not there
    #[arg(long, value_name = "DIR")]
    out_dir: PathBuf,
    /// Collection to export
    #[arg(long, value_name = "NAME")]
    col: Option<String>,
    /// Export all collections and the API keys
    #[arg(long)]
    all: bool,
    /// Export the API keys; takes the master key
    #[arg(long)]
    api_keys: bool,
}

impl Export {
    /// Exports, and prints a summary.
    pub fn run(&self, client: &mut Client) -> Result<()> {
        let collection = self.col.as_ref().filter(|name| !name.is_empty());
        if collection.is_none() && !self.all && !self.api_keys {
            bail!("specify at least one of --col, --api-keys, or --all");
        }
        if self.out_dir.as_os_str().is_empty() {
            bail!("--out-dir is empty: name a directory");
        }
        let mut exporter = Exporter::new(client, Some(&self.out_dir));
        let names = if self.all { None } else { Some(collection.cloned().into_iter().collect()) };
        let collections = exporter.collections(names, &mut |_| Ok(()))?;
        let with_keys = self.all || self.api_keys;
        let api_keys = with_keys.then(|| exporter.api_keys(&mut |_| Ok(()))).transpose()?;
        drop(exporter);
        print_json(&ExportSummary { output_dir: self.out_dir.display().to_string(), collections, api_keys })
    }
}

/// A file that was written.
#[derive(Debug)]
pub struct Written {
    /// Its path below the export's directory.
    pub file: String,
    /// Records or entries in it.
    pub records: u64,
    pub sum: Sum,
}

/// Is told of every file when it is complete.
pub type OnWritten<'w> = &'w mut dyn FnMut(Written) -> Result<()>;

/// Writes collections below a directory, or, without one, only finds out what would be written.
pub struct Exporter<'a> {
    client: &'a mut Client,
    out_dir: Option<&'a Path>,
    progress: Progress,
}

impl<'a> Exporter<'a> {
    /// An export to a directory, or to nothing.
    pub fn new(client: &'a mut Client, out_dir: Option<&'a Path>) -> Exporter<'a> {
        Exporter { client, out_dir, progress: Progress::new() }
    }

    /// Exports the collections named, or all.
    pub fn collections(
        &mut self,
        names: Option<Vec<String>>,
        on_written: OnWritten<'_>,
    ) -> Result<Vec<ExportedCollection>> {
        let mut names = match names {
            Some(names) => names,
            None => self.client.collections().context("can't list the collections")?,
        };
        names.sort_unstable();
        let mut exported = Vec::new();
        for (index, name) in names.iter().enumerate() {
            let share = |index: usize| index as f64 / names.len() as f64;
            let verb = if self.out_dir.is_some() { "exporting" } else { "checking" };
            self.progress.begin_part(format!("{verb} {name:?}"), share(index), share(index + 1));
            exported.push(self.collection(name, on_written).with_context(|| format!("collection {name:?}"))?);
        }
        Ok(exported)
    }

    /// Exports the API keys that can be removed: the master key is the server's own.
    pub fn api_keys(&mut self, on_written: OnWritten<'_>) -> Result<ExportedKeys> {
        let mut keys: Vec<ApiKey> = self.client.api_keys().context("can't list the API keys")?;
        keys.retain(|key| key.deletable);
        keys.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        if let Some(out_dir) = self.out_dir {
            make_dir(out_dir)?;
        }
        let sum = self.write_json(API_KEYS_FILE, &keys, true)?;
        let records = keys.len() as u64;
        on_written(Written { file: API_KEYS_FILE.into(), records, sum })?;
        let output_file = self.out_dir.map(|dir| dir.join(API_KEYS_FILE).display().to_string());
        Ok(ExportedKeys { keys: records, output_file: output_file.unwrap_or_default() })
    }

    fn collection(&mut self, name: &str, on_written: OnWritten<'_>) -> Result<ExportedCollection> {
        let dir = collection_dir(name)?;
        let path = self.out_dir.map(|out_dir| out_dir.join(&dir));
        if let Some(path) = &path {
            make_dir(path)?;
        }
        let documents = newest(self.client, name)?;
        let (mut document_count, mut record_count) = (0, 0);
        let mut finished = |lines: DocumentLines| {
            let (file, records) = (format!("{dir}/{}", document_file(lines.document())), lines.records());
            // Deleted since the documents were listed.
            if records == 0 {
                return Ok(());
            }
            document_count += 1;
            record_count += records;
            on_written(Written { file, records, sum: lines.finish()? })
        };
        let pages = Pages::new(name, path.as_deref(), documents);
        pages.read(self.client, &mut self.progress, &mut finished)?;

        let values = self.client.values(name)?;
        let file = format!("{dir}/{KEY_VALUE_FILE}");
        let sum = self.write_json(&file, &values, false)?;
        on_written(Written { file, records: values.len() as u64, sum })?;
        Ok(ExportedCollection {
            collection: name.to_owned(),
            documents: document_count,
            records: record_count,
            output_dir: path.map(|path| path.display().to_string()).unwrap_or_default(),
        })
    }

    fn write_json(&self, file: &str, value: &impl Serialize, private: bool) -> Result<Sum> {
        let mut text = serde_json::to_vec_pretty(value)?;
        text.push(b'\n');
        if let Some(out_dir) = self.out_dir {
            let mut file = NewFile::create(&out_dir.join(file), private)?;
            file.write(&text)?;
            file.finish()?;
        }
        Ok(Checksum::of(&text).sum())
    }
}

fn make_dir(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("can't make the directory {}", path.display()))
}

/// The documents of a collection with the time of their newest record, in order.
fn newest(client: &mut Client, collection: &str) -> Result<Vec<(String, i64)>> {
    let mut documents = Vec::new();
    let mut latest = client.latest(LatestQuery::new(collection, i64::MAX))?;
    while let Some((document, record)) = latest.read()? {
        documents.push((document.into_owned(), record.ts));
    }
    documents.sort_unstable();
    Ok(documents)
}

/// The documents of one collection on their way to their files.
struct Pages<'a> {
    collection: &'a str,
    dir: Option<&'a Path>,
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
    fn new(collection: &'a str, dir: Option<&'a Path>, documents: Vec<(String, i64)>) -> Pages<'a> {
        let total = documents.len();
        Pages { collection, dir, waiting: documents.into_iter(), open: HashMap::new(), done: 0, total }
    }

    fn read(
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
        let path = self.dir.map(|dir| dir.join(document_file(&document)));
        let file = path.map(|path| NewFile::create(&path, false)).transpose()?;
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

    fn take_page(
        &self,
        open: &mut Open,
        reply: fluxion_client::Reply<'_>,
        progress: &mut Progress,
    ) -> Result<u64> {
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
