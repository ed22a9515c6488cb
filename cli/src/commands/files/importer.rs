//! The documents and entries of collections on their way to the server.

use super::archive::{DOCUMENT_EXTENSION, KEY_VALUE_FILE, Line, PARTIAL_EXTENSION};
use super::paths::{document_file, document_name};
use super::pipeline::{Batch, Pipeline};
use super::progress::Progress;
use super::sources::{Item, Source, list};
use crate::commands::output::escape::printable;
use anyhow::{Context, Result, bail, ensure};
use fluxion_client::{Client, Request};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};

/// The longest line that is read: more than the longest message that any server takes.
const LINE_BYTES_MAX: u64 = 2 << 30;
const BUFFER_BYTES: usize = 256 * 1024;

/// The bytes that there are to read of a collection.
pub fn document_bytes(source: &Source) -> Result<u64> {
    let is_document = |item: &Item| !item.is_dir && document_name(&item.name).is_some();
    Ok(list(&source.dir)?.into_iter().filter(is_document).map(|item| item.bytes).sum())
}

/// An import in progress.
pub struct Importer<'a> {
    pub pipeline: Pipeline<'a>,
    progress: Progress,
    bytes_done: u64,
    bytes_total: u64,
}

impl<'a> Importer<'a> {
    /// An import of so many bytes.
    pub fn new(client: &'a mut Client, bytes_total: u64) -> Importer<'a> {
        Importer { pipeline: Pipeline::new(client), progress: Progress::new(), bytes_done: 0, bytes_total }
    }

    /// Counts a record of so many bytes.
    pub fn count(&mut self, bytes: u64) {
        self.bytes_done += bytes;
        let share = self.bytes_done as f64 / self.bytes_total.max(1) as f64;
        self.progress.count(|| share);
    }

    /// Begins a collection.
    pub fn begin(&mut self, source: &Source) {
        self.progress.begin_part(format!("importing {:?}", source.collection), 0.0, 1.0);
    }

    /// Imports the documents of a collection, and counts documents and records.
    pub fn documents(&mut self, source: &Source) -> Result<(u64, u64)> {
        let mut files = Vec::new();
        for item in list(&source.dir)?.into_iter().filter(|item| !item.is_dir) {
            if item.name.ends_with(PARTIAL_EXTENSION) {
                let path = item.path.display().to_string();
                eprintln!("{} is left from an interrupted export, and not imported", printable(&path));
            } else if let Some(document) = document_name(&item.name) {
                files.push((document, item));
            } else if item.name.ends_with(DOCUMENT_EXTENSION) {
                bail!("{}: the name is no percent-encoded name of a document", item.path.display());
            }
        }
        let mut records = 0;
        for (document, item) in &files {
            records += self.document(&source.collection, document, item)?;
        }
        Ok((files.len() as u64, records))
    }

    fn document(&mut self, collection: &str, document: &str, item: &Item) -> Result<u64> {
        let shown = item.path.display();
        let file = File::open(&item.path).with_context(|| format!("can't read {shown}"))?;
        let mut reader = BufReader::with_capacity(BUFFER_BYTES, file);
        let (mut batch, mut text, mut records) = (Batch::default(), Vec::new(), 0);
        let (mut number, mut first, mut document) = (0_u64, 1, document.to_owned());
        loop {
            text.clear();
            let read = (&mut reader).take(LINE_BYTES_MAX).read_until(b'\n', &mut text);
            let bytes = read.with_context(|| format!("can't read {shown}"))? as u64;
            if bytes > 0 && !text.trim_ascii().is_empty() {
                let line = parse_line(&text, &mut document, &item.name)
                    .with_context(|| format!("{shown}:{}", number + 1))?;
                batch.push(line.ts, &line.data);
                records += 1;
            }
            number += u64::from(bytes > 0);
            self.count(bytes);
            if batch.is_full() || (bytes == 0 && !batch.is_empty()) {
                let origin = format!("{shown}: lines {first} to {number}");
                batch.send(&mut self.pipeline, collection, &document, origin)?;
                first = number + 1;
            }
            if bytes == 0 {
                return Ok(records);
            }
        }
    }

    /// Imports the entries of a collection, and counts them.
    pub fn entries(&mut self, source: &Source) -> Result<u64> {
        let path = source.dir.join(KEY_VALUE_FILE);
        let named = || path.display().to_string();
        if !path.exists() {
            return Ok(0);
        }
        let text = fs::read_to_string(&path).with_context(named)?;
        let values: BTreeMap<String, String> = match text.trim() {
            "" => BTreeMap::new(),
            text => serde_json::from_str(text).with_context(named)?,
        };
        for (key, value) in &values {
            let request = Request::SetValue { collection: &source.collection, key, value };
            self.pipeline.send(&request, format!("{}: key {key:?}", path.display()))?;
        }
        Ok(values.len() as u64)
    }
}

/// A record, whose document must be that of the file: either the name says it, or the document's file has that name.
fn parse_line<'t>(text: &'t [u8], document: &mut String, file: &str) -> Result<Line<'t>> {
    let line: Line<'t> = serde_json::from_slice(text).map_err(|error| {
        // Its own line number is always 1.
        let what = error.to_string();
        let what = what.rsplit_once(" at line ").map_or(what.as_str(), |(what, _)| what);
        anyhow::anyhow!("column {}: {what}", error.column())
    })?;
    if !line.doc.is_empty() && line.doc != document.as_str() {
        ensure!(
            document_file(&line.doc) == file,
            "document mismatch: the line says {:?}, the name of the file {document:?}",
            line.doc
        );
        *document = line.doc.clone().into_owned();
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, document: &str, file: &str) -> Result<(i64, String), String> {
        let mut document = document.to_owned();
        let line = parse_line(text.as_bytes(), &mut document, file);
        line.map(|line| (line.ts, document)).map_err(|error| error.to_string())
    }

    #[test]
    fn lines_belong_to_their_file() {
        assert_eq!(parse(r#"{"ts":1,"data":"x"}"#, "d", "d.jsonl"), Ok((1, "d".into())));
        assert_eq!(parse(r#"{"data":"x","doc":"d","ts":-1}"#, "d", "d.jsonl"), Ok((-1, "d".into())));
        let error = parse(r#"{"ts":1,"doc":"e","data":"x"}"#, "d", "d.jsonl").unwrap_err();
        assert!(error.contains("\"e\"") && error.contains("\"d\""), "{error}");
        let long = "ü".repeat(200);
        let file = document_file(&long);
        let line = format!("{{\"ts\":1,\"doc\":\"{long}\",\"data\":\"x\"}}");
        assert_eq!(parse(&line, &document_name(&file).unwrap(), &file), Ok((1, long)));
    }

    #[test]
    fn bad_lines_say_where_they_are_bad() {
        let error = parse(r#"{"ts":1.5,"data":"x"}"#, "d", "d.jsonl").unwrap_err();
        assert!(error.starts_with("column 9: ") && !error.contains("at line"), "{error}");
        assert!(parse(r#"{"ts":1}"#, "d", "d.jsonl").unwrap_err().contains("data"));
        assert!(parse("nonsense", "d", "d.jsonl").is_err());
    }
}
