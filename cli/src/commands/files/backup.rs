//! Backup and restore: an export with a manifest. A backup is read back and compared after it was written; what a restored
//! server holds is compared with the manifest without being written anywhere.

use super::archive::API_KEYS_FILE;
use super::contents::Contents;
use super::export::Exporter;
use super::import::{CheckedKeys, import_collections};
use super::interrupt::{Interrupts, Unfinished};
use super::lines::Written;
use super::manifest::{self, Expected, ManifestWriter};
use super::sources::find_collections;
use super::stopped::Directory;
use crate::commands::output::print_json;
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use fluxion_client::Client;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// `backup`
#[derive(Args, Clone)]
#[command(after_help = "Example:
  fluxiondb backup backups/2026-03-01

The directory has the layout of an export, and a manifest with a checksum of every file.
Takes the master key, since the API keys are part of it.")]
pub struct Backup {
    /// Directory to write to; it must be empty or not there
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Read from this data directory of a stopped server, instead of from a server
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl Backup {
    /// The directory of a stopped server, if it is one that is backed up.
    pub fn directory(&self) -> Option<&Path> {
        self.data.as_deref()
    }

    /// Backs up what a server holds.
    pub fn run(&self, client: &mut Client) -> Result<()> {
        ensure!(self.data.is_none(), "--data reads from a directory, and this is a connection to a server");
        self.back_up(Contents::Server(client))
    }

    /// Backs up what the directory of a stopped server holds.
    pub fn run_stopped(&self, data: &Path) -> Result<()> {
        self.back_up(Contents::Directory(&mut Directory::open(data)?))
    }

    /// Writes a backup, and checks it.
    fn back_up(&self, contents: Contents<'_>) -> Result<()> {
        let shown = self.dir.display();
        if let Ok(mut entries) = fs::read_dir(&self.dir) {
            ensure!(entries.next().is_none(), "{shown} is not empty: take a new directory for each backup");
        }
        fs::create_dir_all(&self.dir).with_context(|| format!("can't make the directory {shown}"))?;
        let unfinished = Unfinished::default();
        let interrupts = Interrupts::watch(unfinished.clone(), format!("the backup in {shown}"))?;
        let mut manifest = ManifestWriter::create(&self.dir, &unfinished)?;
        let mut exporter = Exporter::new(contents, Some((&self.dir, &unfinished)));
        let keys = exporter.list_api_keys()?;
        let mut on_written = |written: Written| manifest.push(written);
        let collections = exporter.collections(None, &mut on_written)?;
        let keys = exporter.api_keys(&keys, &mut on_written)?;
        drop(exporter);
        // The manifest says that the files are there, so they must be on the disk before it is.
        let dir = File::open(&self.dir)?;
        rustix::fs::syncfs(&dir).with_context(|| format!("can't write {shown} to the disk"))?;
        manifest.finish()?;
        drop(interrupts);
        rustix::fs::syncfs(&dir).with_context(|| format!("can't write {shown} to the disk"))?;
        let expected = manifest::read(&self.dir)?;
        manifest::verify(&self.dir, &expected)?;
        print_json(&json!({
            "dir": self.dir.display().to_string(),
            "collections": collections.len(),
            "documents": collections.iter().map(|collection| collection.documents).sum::<u64>(),
            "records": collections.iter().map(|collection| collection.records).sum::<u64>(),
            "apiKeys": keys.keys,
            "filesVerified": expected.len(),
        }))
    }
}

/// `restore`
#[derive(Args, Clone)]
#[command(after_help = "Example:
  fluxiondb restore backups/2026-03-01

The server must be empty. To add to what it has, use `import --in-dir DIR --all`.")]
pub struct Restore {
    /// Directory of the backup
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

impl Restore {
    /// Checks the backup, sends it to the server, and checks what the server holds then.
    pub fn run(&self, client: &mut Client) -> Result<()> {
        let expected = manifest::read(&self.dir)?;
        manifest::verify(&self.dir, &expected)?;
        let held = client.collections()?;
        if !held.is_empty() {
            bail!("the server is not empty, it has {} collections: use `import` to add to them", held.len());
        }
        let sources = find_collections(&self.dir, false)?;
        let keys = CheckedKeys::read(client, &self.dir.join(API_KEYS_FILE))?;
        let collections = import_collections(client, &sources, false)?;
        let keys = keys.add(client)?;
        let verified = check_server(client, expected)?;
        print_json(&json!({
            "dir": self.dir.display().to_string(),
            "collections": collections.len(),
            "documents": collections.iter().map(|collection| collection.documents).sum::<u64>(),
            "records": collections.iter().map(|collection| collection.records).sum::<u64>(),
            "apiKeys": keys.keys,
            "filesVerified": verified,
        }))
    }
}

/// Exports to nothing and compares. API keys that were there before are no difference.
fn check_server(client: &mut Client, mut expected: BTreeMap<String, Expected>) -> Result<usize> {
    let count = expected.len();
    let mut compare = |written: Written| {
        let Written { file, records, sum } = written;
        let found = Expected { records, sum };
        match expected.remove(&file) {
            Some(wanted) if wanted == found => Ok(()),
            Some(wanted) => {
                bail!("restored, but for {file} the server holds {found:?} instead of {wanted:?}")
            }
            None => bail!("restored, but the server holds {file} too, which is not in the backup"),
        }
    };
    let mut exporter = Exporter::new(Contents::Server(client), None);
    exporter.collections(None, &mut compare)?;
    drop(exporter);
    expected.remove(API_KEYS_FILE);
    // A collection that held nothing was deleted while the backup was made.
    let missing = expected.iter().find(|(_, wanted)| wanted.records > 0);
    if let Some((file, _)) = missing {
        bail!("restored, but the server lacks {file}");
    }
    Ok(count)
}
