//! The list of a backup's files with their checksums: a line for each file, and a last line that says that the list is
//! complete. Without it, a directory is no backup.

use super::archive::{DOCUMENT_EXTENSION, MANIFEST_FILE};
use super::checksum::{Checksum, Sum};
use super::interrupt::Unfinished;
use super::lines::{NewFile, Written};
use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

const BUFFER_BYTES: usize = 256 * 1024;

#[derive(Serialize, Deserialize)]
struct FileLine {
    file: String,
    records: u64,
    #[serde(flatten)]
    sum: Sum,
}

/// The last line.
#[derive(Serialize, Deserialize)]
struct LastLine {
    files: u64,
}

/// A manifest that is being written.
pub struct ManifestWriter {
    file: NewFile,
    files: u64,
}

impl ManifestWriter {
    /// Begins it.
    pub fn create(dir: &Path, unfinished: &Unfinished) -> Result<ManifestWriter> {
        let file = NewFile::create(&dir.join(MANIFEST_FILE), false, unfinished)?;
        Ok(ManifestWriter { file, files: 0 })
    }

    /// Adds a file.
    pub fn push(&mut self, written: Written) -> Result<()> {
        self.files += 1;
        self.line(&FileLine { file: written.file, records: written.records, sum: written.sum })
    }

    /// Completes it.
    pub fn finish(mut self) -> Result<()> {
        self.line(&LastLine { files: self.files })?;
        self.file.finish()
    }

    fn line(&mut self, line: &impl Serialize) -> Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.file.write(&text)
    }
}

/// The content that a file should have.
#[derive(Debug, PartialEq, Eq)]
pub struct Expected {
    pub records: u64,
    pub sum: Sum,
}

/// Reads the manifest of a backup.
pub fn read(dir: &Path) -> Result<BTreeMap<String, Expected>> {
    let path = dir.join(MANIFEST_FILE);
    let file = File::open(&path)
        .with_context(|| format!("{} is no complete backup: can't read {MANIFEST_FILE}", dir.display()))?;
    let mut expected = BTreeMap::new();
    for (index, line) in BufReader::new(file).lines().enumerate() {
        let named = || format!("{}:{}", path.display(), index + 1);
        let line = line.with_context(named)?;
        if let Ok(last) = serde_json::from_str::<LastLine>(&line) {
            ensure!(last.files == expected.len() as u64, "{} lacks files", path.display());
            return Ok(expected);
        }
        let line: FileLine = serde_json::from_str(&line).with_context(named)?;
        let inside = !Path::new(&line.file).is_absolute() && !line.file.split('/').any(|part| part == "..");
        ensure!(inside, "{}: {:?} is outside of the backup", named(), line.file);
        expected.insert(line.file, Expected { records: line.records, sum: line.sum });
    }
    bail!("{} has no end: the backup is not complete", path.display())
}

/// Reads all files again and compares them with the manifest.
pub fn verify(dir: &Path, expected: &BTreeMap<String, Expected>) -> Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    for (name, expected) in expected {
        let path = dir.join(name);
        let named = || format!("can't read {}", path.display());
        let mut file = File::open(&path).with_context(named)?;
        let (mut checksum, mut lines) = (Checksum::default(), 0);
        loop {
            let count = file.read(&mut buffer).with_context(named)?;
            if count == 0 {
                break;
            }
            checksum.add(&buffer[..count]);
            lines += buffer[..count].iter().filter(|byte| **byte == b'\n').count() as u64;
        }
        let is_document = name.ends_with(DOCUMENT_EXTENSION);
        let damaged = checksum.sum() != expected.sum || (is_document && lines != expected.records);
        ensure!(!damaged, "{} is damaged: it is not what the manifest says", path.display());
    }
    Ok(())
}
