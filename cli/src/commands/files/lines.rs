//! Files that have their name only when they are complete, and the lines of a document. Until then, and for good when
//! the process is ended in the middle, a file's name ends with `.partial`.

use super::archive::Line;
use super::checksum::{Checksum, Sum};
use super::interrupt::Unfinished;
use super::paths::partial_file;
use anyhow::{Context, Result};
use fluxion_client::RecordText;
use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const BUFFER_BYTES: usize = 64 * 1024;
/// Readable and writable by the owner alone.
const PRIVATE: u32 = 0o600;
const PUBLIC: u32 = 0o666;

/// A file that is being written. Dropped without `finish`, it is removed.
pub struct NewFile {
    path: PathBuf,
    partial: PathBuf,
    out: Option<BufWriter<File>>,
    unfinished: Unfinished,
}

impl NewFile {
    /// Begins a file; a private one is for its owner only.
    pub fn create(path: &Path, private: bool, unfinished: &Unfinished) -> Result<NewFile> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let partial = path.with_file_name(partial_file(&name));
        let mode = if private { PRIVATE } else { PUBLIC };
        let opened = unfinished.begin(&partial, || {
            // What a killed run left; a link there is not followed.
            let _ = fs::remove_file(&partial);
            OpenOptions::new().write(true).create_new(true).mode(mode).open(&partial)
        });
        let file = opened.with_context(|| format!("can't create {}", partial.display()))?;
        let out = Some(BufWriter::with_capacity(BUFFER_BYTES, file));
        Ok(NewFile { path: path.to_owned(), partial, out, unfinished: unfinished.clone() })
    }

    /// Adds to it.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let Some(out) = &mut self.out else { return Ok(()) };
        out.write_all(bytes).with_context(|| format!("can't write {}", self.partial.display()))
    }

    /// Gives it its name.
    pub fn finish(mut self) -> Result<()> {
        let Some(out) = &mut self.out else { return Ok(()) };
        out.flush().with_context(|| format!("can't write {}", self.partial.display()))?;
        self.unfinished
            .end(&self.partial, || fs::rename(&self.partial, &self.path))
            .with_context(|| format!("can't write {}", self.path.display()))?;
        self.out = None;
        Ok(())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if let Some(out) = self.out.take() {
            // What is buffered is of no use any more.
            let _ = out.into_parts();
            self.unfinished.end(&self.partial, || fs::remove_file(&self.partial)).unwrap_or_default();
        }
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

/// The lines of one document: into a file, or only into a checksum.
pub struct DocumentLines {
    file: Option<NewFile>,
    document: String,
    line: Vec<u8>,
    checksum: Checksum,
    records: u64,
}

impl DocumentLines {
    /// Lines for a file, or for nothing.
    pub fn new(document: &str, file: Option<NewFile>) -> DocumentLines {
        let line = Vec::new();
        DocumentLines { file, document: document.to_owned(), line, checksum: Checksum::default(), records: 0 }
    }

    /// Adds a record.
    pub fn push(&mut self, record: &RecordText<'_>) -> Result<()> {
        self.line.clear();
        let line =
            Line { ts: record.ts, doc: self.document.as_str().into(), data: record.data.as_ref().into() };
        serde_json::to_writer(&mut self.line, &line)?;
        self.line.push(b'\n');
        self.checksum.add(&self.line);
        self.records += 1;
        match &mut self.file {
            Some(file) => file.write(&self.line),
            None => Ok(()),
        }
    }

    /// The number of records so far.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// The document's name.
    pub fn document(&self) -> &str {
        &self.document
    }

    /// Completes the file.
    pub fn finish(self) -> Result<Sum> {
        if let Some(file) = self.file {
            file.finish()?;
        }
        Ok(self.checksum.sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_its_name_only_when_complete() {
        let dir = std::env::temp_dir().join(format!("fluxiondb-lines-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join("d.jsonl");
        let names = || {
            let entries = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name());
            entries.map(|name| name.into_string().unwrap()).collect::<Vec<_>>()
        };
        let unfinished = Unfinished::default();
        let record = RecordText { ts: -5, data: "\"\n".into() };
        let mut lines = DocumentLines::new("ü", Some(NewFile::create(&path, false, &unfinished).unwrap()));
        lines.push(&record).unwrap();
        assert_eq!(names(), ["d.jsonl.partial"]);
        drop(lines);
        assert_eq!(names(), Vec::<String>::new());
        let mut lines = DocumentLines::new("ü", Some(NewFile::create(&path, true, &unfinished).unwrap()));
        lines.push(&record).unwrap();
        let sum = lines.finish().unwrap();
        assert_eq!(names(), ["d.jsonl"]);
        let text = fs::read(&path).unwrap();
        assert_eq!(text, "{\"ts\":-5,\"doc\":\"ü\",\"data\":\"\\\"\\n\"}\n".as_bytes());
        assert_eq!(sum, Checksum::of(&text).sum());
        fs::remove_dir_all(dir).unwrap();
    }
}
