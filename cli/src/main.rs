//! The `fluxiondb` binary: parse, check, start, wait, exit code; or a command, which is a matter of `commands`.
//! Exit codes: 0 after a clean stop, 1 when the server can't run or failed, 2 for bad options.

mod checks;
mod commands;
mod cpus;
mod environment;
mod error;
mod limits;
mod locked_memory;
mod log_queue;
mod logging;
mod memory;
mod notices;
mod options;
mod signals;
mod spare_memory;
mod store;

use checks::Checked;
use clap::CommandFactory;
use error::Error;
use fluxion_net::{Server, ServerOptions};
use fluxion_storage::Writers;
use options::{Options, Settings};
use signals::Signals;
use std::fmt::Display;
use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;
use store::OpenStore;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const EXIT_FAILED: u8 = 1;
const EXIT_BAD_OPTIONS: u8 = 2;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    if let Some(code) = commands::run_if_named(&arguments, Options::command) {
        return code;
    }
    let settings = match Options::read().check() {
        Ok(settings) => settings,
        Err(error) => return fail(EXIT_BAD_OPTIONS, &error),
    };
    let log = match logging::start(&settings.log, settings.log_format) {
        Ok(log) => log,
        Err(error) => return fail(EXIT_BAD_OPTIONS, &error),
    };
    let format = settings.log_format;
    let code = match run(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log.add(logging::last_line(format, &error).as_bytes());
            ExitCode::from(EXIT_FAILED)
        }
    };
    log.finish();
    code
}

fn run(settings: Settings) -> Result<(), Error> {
    let checked = checks::run(&settings).map_err(Error::Machine)?;
    let core_count = checked.placement.cpus.len();
    let data = settings.data.as_ref().map(|data| data.directory.display().to_string());
    notices::starting(core_count, data.as_deref());
    // Not yet caught, so a signal ends a long import or move at once; the next start takes it up again.
    let store = settings.data.as_ref().map(|data| store::open(data, core_count)).transpose()?;
    let signals = Signals::catch()?;
    let loaders = store.as_ref().map_or_else(Vec::new, OpenStore::loaders);
    let loaded = Server::load(server_options(settings, checked), loaders)?;
    let stored = store.map(|store| store.start_writers(loaded.reporters())).transpose()?;
    let (persistence, writers) = stored.unzip();
    let server = loaded.serve(persistence)?;
    signals.watch(server.stopper())?;
    spare_memory::give_back_regularly()?;
    announce(server.address(), core_count, server.pages_address());
    notices::listening(server.address(), server.pages_address(), data.as_deref());
    match (server.join(), writers.map_or(Ok(()), Writers::join)) {
        (Ok(()), stored) => Ok(stored?),
        (served, Ok(())) => Ok(served?),
        (Err(server), Err(store)) => Err(Error::Several(vec![server.into(), store.into()])),
    }
}

fn server_options(settings: Settings, checked: Checked) -> ServerOptions {
    let spin_us = if checked.placement.crowded { 0 } else { settings.spin_us };
    ServerOptions {
        address: checked.address,
        pages_address: checked.pages_address,
        cpus: checked.placement.cpus,
        spin: Duration::from_micros(spin_us),
        master_key: settings.secret_key,
        message_bytes_max: settings.max_message_bytes,
        connections_max: checked.connections_max,
        connections_per_key_max: settings.max_connections_per_key,
        connections_per_address_max: settings.max_connections_per_address,
        handshakes_max: checked.handshakes_max,
        connection_bytes_max: checked.connection_bytes_max,
        idle_timeout: settings.idle_timeout,
        slow: settings.slow,
        sealing_cpus: settings.storage_cpus,
        legacy_auth: settings.legacy_auth,
    }
}

/// Prints the one line on stdout, which says that clients may connect, and where.
fn announce(address: SocketAddr, core_count: usize, pages: Option<SocketAddr>) {
    let cores = if core_count == 1 { "1 core".to_string() } else { format!("{core_count} cores") };
    let pages = pages.map(|address| format!(", metrics on {address}")).unwrap_or_default();
    logging::print(&format!("fluxiondb listening on {address}, {cores}{pages}"));
}

/// Fails before there is a log.
fn fail(code: u8, error: &dyn Display) -> ExitCode {
    // The exit code is left to say so where stderr takes nothing.
    let _ = writeln!(std::io::stderr(), "fluxiondb: {error}");
    ExitCode::from(code)
}
