//! `fluxiondb-bench`: puts load on a FluxionDB server and says what it took.
//!
//! Made to keep one server core busy from one thread: requests are put together from pieces that were encoded before, all
//! that may be sent on a connection goes out in one write, and of a reply only the frame header and the first bytes are
//! looked at. Left out: replies are counted, not checked; it speaks no TLS.

mod clock;
mod connection;
mod digits;
mod frame;
mod generator;
mod handshake;
mod language;
mod limits;
mod loss;
mod machine;
mod options;
mod payload;
mod pinning;
mod processor;
mod push_tally;
mod pushes;
mod random;
mod redis;
mod replies;
mod report;
mod requests;
mod run;
mod self_test;
mod stream;
mod subscribing;
mod tally;
mod target;
mod template;
mod texts;
mod timeline;
mod walk;
mod window;
mod wire;
mod worker;
mod workload;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;

use crate::limits::{CONNECTIONS_MAX, WIRE_CONNECTIONS};
use crate::options::{Command, Options};
use crate::pinning::CpuList;
use crate::wire::WireServer;

fn main() -> ExitCode {
    let options = Options::parse();
    let done = match &options.command {
        Some(Command::Wire { bind, reply_bytes, pin }) => serve(*bind, *reply_bytes, pin.as_ref()),
        None => load(&options),
    };
    match done {
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

/// Serves as the wire limit until it is killed.
fn serve(bind: SocketAddr, reply_bytes: usize, pin: Option<&CpuList>) -> Result<ExitCode> {
    if let Some(cpus) = pin {
        pinning::pin_thread(cpus.of_thread(0))?;
    }
    pinning::allow_connections(CONNECTIONS_MAX).or_else(|_| pinning::allow_connections(WIRE_CONNECTIONS))?;
    let server = WireServer::bind(bind, reply_bytes)?;
    let (address, reply_bytes) = (server.address()?, server.reply_bytes());
    writeln!(std::io::stdout(), "wire server listening on {address}, replies of {reply_bytes} bytes")?;
    server.run(None)?;
    Ok(ExitCode::SUCCESS)
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
