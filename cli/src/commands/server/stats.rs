//! The counters of a server.

use crate::commands::output::{Format, FormatFlag, Rows, print_json, stdout};
use anyhow::{Result, bail};
use clap::Args;
use fluxion_client::{Client, CoreStats, Error};
use std::collections::BTreeMap;

const HEADER: [&str; 12] = [
    "core",
    "connections",
    "requests",
    "errors",
    "bytes in",
    "bytes out",
    "refusals",
    "waits",
    "records",
    "documents",
    "collections",
    "data bytes",
];

/// `stats`
#[derive(Args, Clone)]
#[command(after_help = "Examples:
  fluxiondb stats
  fluxiondb stats --format table

Counters run from the server's start. The table has the sums of requests, refusals and waits;
JSON has them by type and reason.")]
pub struct Stats {
    #[command(flatten)]
    format: FormatFlag,
}

impl Stats {
    /// Prints an object, or a row for each core.
    pub fn run(&self, client: &mut Client) -> Result<()> {
        let mut stats = match client.stats() {
            Err(Error::Server(what)) if is_unknown(&what) => {
                bail!("this server does not count: it knows no request \"stats\" ({})", Error::Server(what))
            }
            other => other?,
        };
        // Each core tells of itself, in no order.
        stats.cores.sort_by_key(|core| core.core);
        if self.format.format == Format::Json {
            return print_json(&stats);
        }
        let mut rows = Rows::new(stdout(), self.format.format, &HEADER)?;
        for core in &stats.cores {
            let cells = cells(core);
            rows.push(&cells.each_ref().map(String::as_str))?;
        }
        Ok(rows.finish()?)
    }
}

/// Whether an error is that of a server for types of requests that it does not know.
fn is_unknown(what: &str) -> bool {
    let what = what.to_ascii_lowercase();
    ["unknown", "unsupported", "invalid"].iter().any(|word| what.contains(word)) && what.contains("type")
}

fn cells(core: &CoreStats) -> [String; HEADER.len()] {
    let sum = |counts: &BTreeMap<String, u64>| {
        counts.values().fold(0, |sum: u64, count| sum.saturating_add(*count))
    };
    [
        core.core,
        core.connections,
        sum(&core.requests),
        core.errors,
        core.bytes_in,
        core.bytes_out,
        sum(&core.refusals),
        sum(&core.waits),
        core.records,
        core.documents,
        core.collections,
        core.data_bytes,
    ]
    .map(|count| count.to_string())
}
