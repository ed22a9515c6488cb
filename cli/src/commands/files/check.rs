//! Check: whether all is well with a stopped server's directory.

use super::progress::Progress;
use crate::commands::output::print_json;
use anyhow::{Result, anyhow, bail};
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;

/// `check`
#[derive(Args, Clone)]
#[command(after_help = "Example:
  fluxiondb check /var/lib/fluxiondb

Reads every row of every file in the data directory of a stopped server, or of a copy, and
changes nothing. Prints what there is, and what of it is damaged, with collection, document
and times as far as they are known; the exit code is 1 if anything is. A start of the server
with --salvage goes on without the damaged parts.")]
pub struct Check {
    /// Data directory of a stopped server
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    dir: String,
    files: usize,
    documents: u64,
    records: u64,
    entries: u64,
    api_keys: u64,
    changes_in_log: u64,
    damage: Vec<DamagedPart>,
    /// Damaged parts that are not listed.
    #[serde(skip_serializing_if = "is_zero")]
    more: usize,
}

#[derive(Serialize)]
struct DamagedPart {
    file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    collection: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<i64>,
    what: String,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl Check {
    /// Checks, and prints what was found.
    pub fn run(&self) -> Result<()> {
        let shown = self.dir.display();
        let mut progress = Progress::new();
        progress.begin_part(format!("checking {shown}"), 0.0, 1.0);
        let checked = fluxion_storage::check(&self.dir, &mut |records, done| progress.reach(records, done));
        drop(progress);
        let checked = checked.map_err(|error| anyhow!("{error}"))?;
        let damage = checked.damage.into_iter().map(|(file, damage)| DamagedPart {
            file: file.display().to_string(),
            collection: damage.collection,
            document: damage.document,
            from: damage.from,
            to: damage.to,
            what: damage.what,
        });
        let summary = Summary {
            dir: shown.to_string(),
            files: checked.files,
            documents: checked.documents,
            records: checked.records,
            entries: checked.entries,
            api_keys: checked.api_keys,
            changes_in_log: checked.log_changes,
            damage: damage.collect(),
            more: checked.more,
        };
        print_json(&summary)?;
        match summary.damage.len() + summary.more {
            0 => Ok(()),
            1 => bail!("{shown}: one part is damaged or missing"),
            count => bail!("{shown}: {count} parts are damaged or missing"),
        }
    }
}
