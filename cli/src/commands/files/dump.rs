//! Dump: everything that lies in a stopped server's directory, as lines.

use super::stopped::Directory;
use crate::commands::output::{stdout, write_line};
use anyhow::Result;
use clap::Args;
use serde::Serialize;
use std::io::Write;
use std::path::PathBuf;

/// `dump`
#[derive(Args, Clone)]
#[command(after_help = "Examples:
  fluxiondb dump /var/lib/fluxiondb | jq 'select(.doc == \"device-1\")'
  fluxiondb dump backups/shards --col sensors > sensors.ndjson

Reads the data directory of a stopped server, or a copy of it, and changes nothing. A line is
a record, {\"col\":…,\"doc\":…,\"ts\":…,\"data\":…}, or an entry, {\"col\":…,\"key\":…,\"value\":…}, in
the order of collections, documents and times. API keys are not among them: `export --data
DIR --api-keys` writes these.")]
pub struct Dump {
    /// Data directory of a stopped server
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Only this collection
    #[arg(long, value_name = "NAME")]
    col: Option<String>,
}

#[derive(Serialize)]
struct RecordLine<'a> {
    col: &'a str,
    doc: &'a str,
    ts: i64,
    data: &'a str,
}

#[derive(Serialize)]
struct EntryLine<'a> {
    col: &'a str,
    key: &'a str,
    value: &'a str,
}

impl Dump {
    /// Prints all lines.
    pub fn run(&self) -> Result<()> {
        let mut directory = Directory::open(&self.dir)?;
        let mut out = stdout();
        for col in directory.collections()? {
            if self.col.as_ref().is_some_and(|wanted| *wanted != col) {
                continue;
            }
            for doc in directory.documents(&col)? {
                directory.history(&col, &doc, &mut |record| {
                    let line = RecordLine { col: &col, doc: &doc, ts: record.ts, data: &record.data };
                    Ok(write_line(&mut out, &line)?)
                })?;
            }
            for (key, value) in &directory.values(&col)? {
                write_line(&mut out, &EntryLine { col: &col, key, value })?;
            }
        }
        Ok(out.flush()?)
    }
}
