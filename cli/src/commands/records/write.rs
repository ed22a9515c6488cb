//! Inserting and deleting records, documents and collections.

use super::connection::now;
use super::output::print_ok;
use anyhow::Result;
use clap::Args;
use fluxion_client::{Client, NewRecord, RecordKey};

/// `insert-record`
#[derive(Args, Clone)]
#[command(after_help = "Examples:
  fluxiondb insert-record --col sensors --doc device-1 --data '{\"t\":21.5}'
  fluxiondb insert-record --col sensors --doc device-1 --data off --ts 1700000000")]
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
    /// Time, in the unit of your records [default: now, in seconds]
    #[arg(long, value_name = "TIME")]
    ts: Option<i64>,
}

impl Insert {
    /// Inserts it.
    pub fn run(&self, client: &mut Client) -> Result<()> {
        let ts = self.ts.unwrap_or_else(now);
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
    /// The record's time
    #[arg(long, value_name = "TIME")]
    ts: i64,
}

impl DeleteRecord {
    /// Deletes it.
    pub fn run(&self, client: &mut Client) -> Result<()> {
        client.delete_record(RecordKey { collection: &self.col, document: &self.doc, ts: self.ts })?;
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
    /// First time, included
    #[arg(long, value_name = "TIME")]
    from: i64,
    /// Last time, included
    #[arg(long, value_name = "TIME")]
    to: i64,
}

impl DeleteRange {
    /// Deletes them.
    pub fn run(&self, client: &mut Client) -> Result<()> {
        client.delete_range(&self.col, &self.doc, self.from, self.to)?;
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
