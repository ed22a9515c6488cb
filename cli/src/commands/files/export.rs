//! Export: every document of a collection to a file of its own.

use super::archive::{
    API_KEYS_FILE, ExportSummary, ExportedCollection, ExportedKeys, KEY_VALUE_FILE, NAME_FILE,
};
use super::checksum::{Checksum, Sum};
use super::contents::Contents;
use super::interrupt::{Interrupts, Unfinished};
use super::lines::{DocumentLines, NewFile, Written};
use super::paths::{CollectionDir, document_file};
use super::previous::Previous;
use super::progress::Progress;
use super::stopped::Directory;
use crate::commands::output::print_json;
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use fluxion_client::{ApiKey, Client};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// `export`
#[derive(Args, Clone)]
#[command(after_help = "Examples:
  fluxiondb export --out-dir dump --all
  fluxiondb export --out-dir dump --col sensors
  fluxiondb export --out-dir dump --all --data /var/lib/fluxiondb

Writes DIR/COLLECTION/DOCUMENT.jsonl, a record a line, DIR/COLLECTION/key_value.json and
DIR/apikeys.json. The master key is not written. A collection a/b lies in DIR/a/b; one whose
name can't be a path lies in a directory with its name in collection_name.json.")]
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
    /// Read from this data directory of a stopped server, instead of from a server
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Replace the older export in the directory: what it alone holds is removed when the new one is complete
    #[arg(long)]
    replace: bool,
}

impl Export {
    /// The directory of a stopped server, if it is one that is exported.
    pub fn directory(&self) -> Option<&Path> {
        self.data.as_deref()
    }

    /// Exports what a server holds.
    pub fn run(&self, client: &mut Client) -> Result<()> {
        ensure!(self.data.is_none(), "--data reads from a directory, and this is a connection to a server");
        self.export(Contents::Server(client))
    }

    /// Exports what the directory of a stopped server holds.
    pub fn run_stopped(&self, data: &Path) -> Result<()> {
        self.export(Contents::Directory(&mut Directory::open(data)?))
    }

    /// Exports, and prints a summary.
    fn export(&self, mut contents: Contents<'_>) -> Result<()> {
        let collection = self.col.as_ref().filter(|name| !name.is_empty());
        if collection.is_none() && !self.all && !self.api_keys {
            bail!("specify at least one of --col, --api-keys, or --all");
        }
        if self.out_dir.as_os_str().is_empty() {
            bail!("--out-dir is empty: name a directory");
        }
        if let (Some(name), false) = (collection, self.all) {
            let held = contents.collections()?;
            ensure!(held.contains(name), "there is no collection {name:?}: `fetch-collections` lists them");
        }
        let previous = self.previous(collection)?;
        let unfinished = Unfinished::default();
        let what = format!("the export in {}", self.out_dir.display());
        let interrupts = Interrupts::watch(unfinished.clone(), what)?;
        let mut exporter = Exporter::new(contents, Some((&self.out_dir, &unfinished)));
        // That they may not be read is told before anything is written.
        let keys = (self.all || self.api_keys).then(|| exporter.list_api_keys()).transpose()?;
        let names = if self.all { None } else { Some(collection.cloned().into_iter().collect()) };
        let mut written = BTreeSet::new();
        let mut on_written = |file: Written| {
            written.insert(self.out_dir.join(file.file));
            Ok(())
        };
        let collections = exporter.collections(names, &mut on_written)?;
        let api_keys = keys.map(|keys| exporter.api_keys(&keys, &mut on_written)).transpose()?;
        drop(exporter);
        previous.remove_all_but(&written)?;
        drop(interrupts);
        print_json(&ExportSummary { output_dir: self.out_dir.display().to_string(), collections, api_keys })
    }

    fn previous(&self, collection: Option<&String>) -> Result<Previous> {
        match collection {
            _ if self.all => Previous::of_export(&self.out_dir, self.replace),
            Some(name) => {
                let dir = self.out_dir.join(CollectionDir::of(name).path);
                Previous::of_collection(&dir, self.replace)
            }
            None => Ok(Previous::default()),
        }
    }
}

/// Is told of every file when it is complete.
pub type OnWritten<'w> = &'w mut dyn FnMut(Written) -> Result<()>;

/// Writes collections below a directory, or, without one, only finds out what would be written.
pub struct Exporter<'a> {
    contents: Contents<'a>,
    out: Option<(&'a Path, &'a Unfinished)>,
    progress: Progress,
}

impl<'a> Exporter<'a> {
    /// An export to a directory, or to nothing.
    pub fn new(contents: Contents<'a>, out: Option<(&'a Path, &'a Unfinished)>) -> Exporter<'a> {
        Exporter { contents, out, progress: Progress::new() }
    }

    /// Exports the collections named, or all.
    pub fn collections(
        &mut self,
        names: Option<Vec<String>>,
        on_written: OnWritten<'_>,
    ) -> Result<Vec<ExportedCollection>> {
        let mut names = match names {
            Some(names) => names,
            None => self.contents.collections()?,
        };
        names.sort_unstable();
        let mut exported = Vec::new();
        for (index, name) in names.iter().enumerate() {
            let share = |index: usize| index as f64 / names.len() as f64;
            let verb = if self.out.is_some() { "exporting" } else { "checking" };
            self.progress.begin_part(format!("{verb} {name:?}"), share(index), share(index + 1));
            exported.push(self.collection(name, on_written).with_context(|| format!("collection {name:?}"))?);
        }
        Ok(exported)
    }

    /// The API keys that can be removed: the master key is the server's own.
    pub fn list_api_keys(&mut self) -> Result<Vec<ApiKey>> {
        let mut keys = self.contents.api_keys()?;
        keys.retain(|key| key.deletable);
        keys.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        Ok(keys)
    }

    /// Writes API keys.
    pub fn api_keys(&mut self, keys: &[ApiKey], on_written: OnWritten<'_>) -> Result<ExportedKeys> {
        if let Some((out_dir, _)) = self.out {
            make_dir(out_dir)?;
        }
        let sum = self.write_json(API_KEYS_FILE, &keys, true)?;
        let records = keys.len() as u64;
        on_written(Written { file: API_KEYS_FILE.into(), records, sum })?;
        Ok(ExportedKeys { keys: records, output_file: self.shown(API_KEYS_FILE) })
    }

    fn collection(&mut self, name: &str, on_written: OnWritten<'_>) -> Result<ExportedCollection> {
        let CollectionDir { path: dir, carries_name } = CollectionDir::of(name);
        let path = self.out.map(|(out_dir, _)| out_dir.join(&dir));
        if let Some(path) = &path {
            make_dir(path)?;
        }
        if carries_name {
            let file = format!("{dir}/{NAME_FILE}");
            let sum = self.write_json(&file, name, false)?;
            on_written(Written { file, records: 0, sum })?;
        }
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
        let out = path.as_deref().zip(self.out.map(|(_, unfinished)| unfinished));
        self.contents.read(name, out, &mut self.progress, &mut finished)?;

        let values = self.contents.values(name)?;
        let file = format!("{dir}/{KEY_VALUE_FILE}");
        let sum = self.write_json(&file, &values, false)?;
        on_written(Written { file, records: values.len() as u64, sum })?;
        Ok(ExportedCollection {
            collection: name.to_owned(),
            documents: document_count,
            records: record_count,
            output_dir: self.shown(&dir),
        })
    }

    /// A path below the export's directory, as the summary has it.
    fn shown(&self, path: &str) -> String {
        self.out.map_or_else(String::new, |(out_dir, _)| out_dir.join(path).display().to_string())
    }

    fn write_json(&self, file: &str, value: &(impl Serialize + ?Sized), private: bool) -> Result<Sum> {
        let mut text = serde_json::to_vec_pretty(value)?;
        text.push(b'\n');
        if let Some((out_dir, unfinished)) = self.out {
            let mut file = NewFile::create(&out_dir.join(file), private, unfinished)?;
            file.write(&text)?;
            file.finish()?;
        }
        Ok(Checksum::of(&text).sum())
    }
}

fn make_dir(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("can't make the directory {}", path.display()))
}
