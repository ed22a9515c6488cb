//! `fluxiondb-bench`: puts load on a FluxionDB server and says what it took.
//!
//! Made to keep one server core busy from one thread: requests are encoded once and patched in place, all that may be
//! sent on a connection goes out in one write, and of a reply only the frame header and the first bytes are looked at.
//! Left out: replies are counted, not checked; payloads are always the same text; it speaks no TLS.

mod clock;
mod connection;
mod frame;
mod handshake;
mod limits;
mod loss;
mod machine;
mod options;
mod pinning;
mod processor;
mod random;
mod replies;
mod report;
mod requests;
mod run;
mod self_test;
mod tally;
mod target;
mod template;
mod timeline;
mod window;
mod worker;
mod workload;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;

use crate::options::Options;

fn main() -> ExitCode {
    let options = Options::parse();
    match load(&options) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("fluxiondb-bench: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Exit code 0: every request was answered without an error; 1: there is a report, but not all went well.
fn load(options: &Options) -> Result<ExitCode> {
    options.check()?;
    if let Some(path) = &options.report {
        try_to_write(path)?;
    }
    let report = if options.self_test { self_test::run(options)? } else { run::run(options, &options.url)? };
    let text = if options.json { report.json() } else { report.text() };
    writeln!(std::io::stdout(), "{}", text.trim_end())?;
    if let Some(path) = &options.report {
        fs::write(path, report.page()).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Finds out before a run of minutes whether its report can be written. What a file holds already stays until then.
fn try_to_write(path: &Path) -> Result<()> {
    let existed = path.exists();
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| format!("--report: cannot write {}", path.display()))?;
    if !existed {
        // It must not look as if there had been a run.
        let _ = fs::remove_file(path);
    }
    Ok(())
}
