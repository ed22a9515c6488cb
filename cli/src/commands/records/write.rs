//! Inserting and deleting records, documents and collections.

use crate::commands::output::print_ok;
use crate::commands::times::{Time, UnitFlag};
use anyhow::{Result, bail};
use clap::Args;
use fluxion_client::{Client, NewRecord, RecordKey};

/// `insert-record`
#[derive(Args, Clone)]
#[command(after_help = "Examples:
  fluxiondb insert-record --col sensors --doc device-1 --data '{\"t\":21.5}'
  fluxiondb insert-record --col sensors --doc device-1 --data off --ts 2026-03-01T12:00:00Z --unit ms")]
pub struct Insert {
    /// Collection
    #[arg(long, value_name = "NAME")]
    col: String,
    /// Document
    #[arg(long, value_name = "NAME")]
    doc: String,
    /// The record's text, often JSON
    #[arg(long, value_name = "TEXT")]
    data: String,
    /// Time: a number in the unit of your records, a date as in RFC 3339, now, or now-1h
    #[arg(long, value_name = "TIME", default_value = "now", value_parser = Time::parse)]
    ts: Time,
    #[command(flatten)]
    unit: UnitFlag,
}

impl Insert {
    /// Inserts it.
    pub fn run(&self, client: &mut Client) -> Result<()> {
        let ts = self.unit.resolve(self.ts)?;
        client.insert(&[NewRecord { ts, document: &self.doc, data: &self.data, collection: &self.col }])?;
        print_ok()
    }
}

/// `delete-record`
#[derive(Args, Clone)]
#[command(after_help = "Example:
  fluxiondb delete-record --col sensors --doc device-1 --ts 1700000000")]
pub struct DeleteRecord {
    /// Collection
    #[arg(long, value_name = "NAME")]
    col: String,
    /// Document
    #[arg(long, value_name = "NAME")]
    doc: String,
    /// The record's time: a number in the unit of your records, or a date as in RFC 3339
    #[arg(long, value_name = "TIME", value_parser = Time::parse)]
    ts: Time,
    #[command(flatten)]
    unit: UnitFlag,
}

impl DeleteRecord {
    /// Deletes it.
    pub fn run(&self, client: &mut Client) -> Result<()> {
        let ts = self.unit.resolve(self.ts)?;
        client.delete_record(RecordKey { collection: &self.col, document: &self.doc, ts })?;
        print_ok()
    }
}

/// `delete-range`
#[derive(Args, Clone)]
#[command(after_help = "Example:
  fluxiondb delete-range --col sensors --doc device-1 --from 1700000000 --to 1700003600")]
pub struct DeleteRange {
    /// Collection
    #[arg(long, value_name = "NAME")]
    col: String,
    /// Document
    #[arg(long, value_name = "NAME")]
    doc: String,
    /// First time, included: a number in the unit of your records, a date as in RFC 3339, now, or now-1h
    #[arg(long, value_name = "TIME", value_parser = Time::parse)]
    from: Time,
    /// Last time, included
    #[arg(long, value_name = "TIME", value_parser = Time::parse)]
    to: Time,
    #[command(flatten)]
    unit: UnitFlag,
}

impl DeleteRange {
    /// Deletes them.
    pub fn run(&self, client: &mut Client) -> Result<()> {
        let (from, to) = (self.unit.resolve(self.from)?, self.unit.resolve(self.to)?);
        client.delete_range(&self.col, &self.doc, from, to)?;
        print_ok()
    }
}

/// `delete-document`
#[derive(Args, Clone)]
#[command(after_help = "Example:
  fluxiondb delete-document --col sensors --doc device-1")]
pub struct DeleteDocument {
    /// Collection
    #[arg(long, value_name = "NAME")]
    col: String,
    /// Document
    #[arg(long, value_name = "NAME")]
    doc: String,
}

impl DeleteDocument {
    /// Deletes it.
    pub fn run(&self, client: &mut Client) -> Result<()> {
        if self.col.is_empty() {
            // On the wire it means every collection, which an empty variable in a script must not.
            bail!("--col is empty: name the collection that the document is in");
        }
        client.delete_document(&self.doc, Some(&self.col))?;
        print_ok()
    }
}

/// `delete-collection`
#[derive(Args, Clone)]
#[command(after_help = "Example:
  fluxiondb delete-collection --col sensors")]
pub struct DeleteCollection {
    /// Collection
    #[arg(long, value_name = "NAME")]
    col: String,
}

impl DeleteCollection {
    /// Deletes it.
    pub fn run(&self, client: &mut Client) -> Result<()> {
        client.delete_collection(&self.col)?;
        print_ok()
    }
}
