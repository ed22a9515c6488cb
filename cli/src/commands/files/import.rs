//! Import: what an export wrote, sent to the server in batches. Every record may be sent again without harm, so an import
//! that failed in the middle is simply run again.

use super::archive::{API_KEYS_FILE, ImportSummary, ImportedCollection, ImportedKeys};
use super::importer::{Importer, document_bytes};
use super::legacy;
use super::sources::{Source, find_collection, find_collections};
use crate::commands::output::escape::printable;
use crate::commands::output::print_json;
use anyhow::{Context, Result, bail};
use clap::Args;
use fluxion_client::{Client, Scope};
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};

/// `import`
#[derive(Args, Clone)]
#[command(after_help = "Examples:
  fluxiondb import --in-dir dump --all
  fluxiondb import --in-dir dump --col sensors
  fluxiondb import --in-dir old --all --legacy

Reads what `export` wrote. With --legacy, DIR/COLLECTION/DOCUMENT/*.json: each file a record
{\"ts\",\"data\"} or an array of them. An import can be run again without harm.")]
pub struct Import {
    /// Directory to read from
    #[arg(long, value_name = "DIR")]
    in_dir: PathBuf,
    /// Collection to import
    #[arg(long, value_name = "NAME")]
    col: Option<String>,
    /// Import all collections and the API keys
    #[arg(long)]
    all: bool,
    /// Import the API keys; takes the master key
    #[arg(long)]
    api_keys: bool,
    /// The older layout, a directory for each document
    #[arg(long)]
    legacy: bool,
}

impl Import {
    /// Imports, and prints a summary.
    pub fn run(&self, client: &mut Client) -> Result<()> {
        let collection = self.col.as_ref().filter(|name| !name.is_empty());
        if collection.is_none() && !self.all && !self.api_keys {
            bail!("specify at least one of --col, --api-keys, or --all");
        }
        let sources = match collection {
            _ if self.all => find_collections(&self.in_dir, self.legacy)?,
            Some(name) => vec![find_collection(&self.in_dir, name)?],
            None => Vec::new(),
        };
        let keys_file = self.in_dir.join(API_KEYS_FILE);
        let with_keys = self.api_keys || (self.all && keys_file.exists());
        if self.all && sources.is_empty() && !with_keys {
            let hint =
                if self.legacy { "" } else { " (files of LTDB, a record each, are read with --legacy)" };
            bail!("there is nothing to import in {}{hint}", printable(&self.in_dir.display().to_string()));
        }
        if self.all && !with_keys {
            let path = keys_file.display().to_string();
            eprintln!("there is no {}: no API keys are imported", printable(&path));
        }
        // A file of keys that can't be imported is told before anything is.
        let keys = with_keys.then(|| CheckedKeys::read(client, &keys_file)).transpose()?;
        let collections = import_collections(client, &sources, self.legacy)?;
        let api_keys = keys.map(|keys| keys.add(client)).transpose()?;
        print_json(&ImportSummary { input_dir: self.in_dir.display().to_string(), collections, api_keys })
    }
}

/// Imports collections one after the other.
pub fn import_collections(
    client: &mut Client,
    sources: &[Source],
    legacy: bool,
) -> Result<Vec<ImportedCollection>> {
    let bytes = sources.iter().map(|source| match legacy {
        true => legacy::bytes(source),
        false => document_bytes(source),
    });
    let mut importer = Importer::new(client, bytes.sum::<Result<u64>>()?);
    let mut imported = Vec::new();
    for source in sources {
        importer.begin(source);
        let (documents, records) = match legacy {
            true => legacy::import(&mut importer, source)?,
            false => importer.documents(source)?,
        };
        let key_values = importer.entries(source)?;
        importer.pipeline.finish()?;
        imported.push(ImportedCollection {
            collection: source.collection.clone(),
            documents,
            records,
            key_values,
            input_dir: source.dir.display().to_string(),
        });
    }
    Ok(imported)
}

/// The API keys of a file, which have been found to make sense.
pub struct CheckedKeys {
    path: PathBuf,
    keys: Vec<(String, Scope)>,
}

/// An API key as exports write it; the Go CLI writes the scope in any of its forms.
#[derive(Deserialize)]
struct KeyEntry {
    key: String,
    scope: String,
    #[serde(default = "is_usual")]
    deletable: bool,
}

/// Keys can be removed, unless it is said otherwise.
fn is_usual() -> bool {
    true
}

impl CheckedKeys {
    /// Reads a file, and asks the server whether this connection may add keys. Master keys, that of the file's server
    /// and that of this one, are left out.
    pub fn read(client: &mut Client, path: &Path) -> Result<CheckedKeys> {
        let named = || path.display().to_string();
        let text = fs::read_to_string(path).with_context(named)?;
        let entries: Vec<KeyEntry> = match text.trim() {
            "" => Vec::new(),
            text => serde_json::from_str(text).map_err(|error| hide_content(&error)).with_context(named)?,
        };
        let held = client.api_keys().context("can't add API keys")?;
        let is_master = |key: &str| held.iter().any(|held| !held.deletable && held.key == key);
        let mut keys = Vec::new();
        for (index, entry) in entries.into_iter().enumerate() {
            let scope = entry.scope.parse().map_err(anyhow::Error::msg);
            let scope = scope.with_context(|| format!("{}: key {index}", named()))?;
            if entry.deletable && !entry.key.is_empty() && !is_master(&entry.key) {
                keys.push((entry.key, scope));
            }
        }
        Ok(CheckedKeys { path: path.to_owned(), keys })
    }

    /// Adds them.
    pub fn add(self, client: &mut Client) -> Result<ImportedKeys> {
        let named = || self.path.display().to_string();
        for (key, scope) in &self.keys {
            client.add_api_key(key, *scope).with_context(named)?;
        }
        Ok(ImportedKeys { keys: self.keys.len() as u64, input_file: named() })
    }
}

/// Says where a file of keys is wrong, but not with which text: it may be a key.
fn hide_content(error: &serde_json::Error) -> anyhow::Error {
    let place = format!("line {} column {}", error.line(), error.column());
    anyhow::anyhow!("{place}: not an array of {{\"key\",\"scope\",\"deletable\"}}")
}
