//! The `fluxiondb` binary: parse, check, start, wait, exit code; or a command, which is a matter of `commands`.
//! Exit codes: 0 after a clean stop, 1 when the server can't run or failed, 2 for bad options.

mod checks;
mod commands;
mod locked_memory;
mod logging;
mod options;
mod persistence;
mod placement;
mod signals;
mod spare_memory;

use checks::Checked;
use clap::Parser;
use fluxion_net::server::{Server, ServerOptions};
use options::{Options, Settings};
use persistence::Writers;
use signals::Signals;
use std::fmt::Display;
use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const EXIT_FAILED: u8 = 1;
const EXIT_BAD_OPTIONS: u8 = 2;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    if let Some(code) = commands::run_if_named(&arguments) {
        return code;
    }
    let settings = match Options::parse().check() {
        Ok(settings) => settings,
        Err(error) => return fail(EXIT_BAD_OPTIONS, &error),
    };
    if let Err(error) = logging::start(&settings.log, settings.log_format) {
        return fail(EXIT_BAD_OPTIONS, &error);
    }
    match run(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(EXIT_FAILED, &error),
    }
}

fn run(settings: Settings) -> Result<(), String> {
    let checked = checks::run(&settings)?;
    let core_count = checked.placement.cpus.len();
    // Not yet caught, so a signal ends a long import or re-placement at once; the next start takes it up again.
    let stored = settings.data.as_ref().map(|data| persistence::open(data, core_count)).transpose()?;
    let (persistence, writers) = stored.unzip();
    let signals = Signals::catch()?;
    let server =
        Server::start(server_options(settings, checked), persistence).map_err(|error| error.to_string())?;
    signals.watch(server.stopper())?;
    spare_memory::give_back_regularly()?;
    announce(server.address(), core_count);
    let served = server.join().map_err(|error| error.to_string());
    let stored = writers.map_or(Ok(()), Writers::join);
    served.and(stored)
}

fn server_options(settings: Settings, checked: Checked) -> ServerOptions {
    let spin_us = if checked.placement.crowded { 0 } else { settings.spin_us };
    ServerOptions {
        address: checked.address,
        cpus: checked.placement.cpus,
        spin: Duration::from_micros(spin_us),
        master_key: settings.secret_key,
        message_bytes_max: settings.max_message_bytes,
        connections_max: checked.connections_max,
        idle_timeout: settings.idle_timeout,
        legacy_auth: settings.legacy_auth,
    }
}

/// The one line on stdout, which says that clients may connect, and where. That nobody reads stdout is no
/// reason to stop.
fn announce(address: SocketAddr, core_count: usize) {
    let cores = if core_count == 1 { "1 core".to_string() } else { format!("{core_count} cores") };
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "fluxiondb listening on {address}, {cores}").and_then(|()| stdout.flush());
}

fn fail(code: u8, error: &dyn Display) -> ExitCode {
    eprintln!("fluxiondb: {error}");
    ExitCode::from(code)
}
