//! The `fluxiondb` binary: parse, check, start, wait, exit code; or a command, which is a matter of `commands`.
//! Exit codes: 0 after a clean stop, 1 when the server can't run or failed, 2 for bad options.

mod certificates;
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

use certificates::CertificateWatch;
use checks::Checked;
use clap::CommandFactory;
use error::Error;
use fluxion_net::{Certificates, Server, ServerOptions, TlsOptions};
use fluxion_storage::Writers;
use notices::{Addresses, Tls};
use options::{Options, Settings};
use signals::Signals;
use std::fmt::Display;
use std::io::Write;
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
    let tls = settings.tls.as_ref().map(|tls| CertificateWatch::begin(tls.files.clone())).transpose()?;
    let (certificates, certificate_watch) = tls.unzip();
    let checked = checks::run(&settings).map_err(Error::Machine)?;
    let core_count = checked.placement.cpus.len();
    let data = settings.data.as_ref().map(|data| data.directory.display().to_string());
    notices::starting(core_count, data.as_deref());
    // Not yet caught, so a signal ends a long import or move at once; the next start takes it up again.
    let store = settings.data.as_ref().map(|data| store::open(data, core_count)).transpose()?;
    let signals = Signals::catch()?;
    let loaders = store.as_ref().map_or_else(Vec::new, OpenStore::loaders);
    let loaded = Server::load(server_options(settings, checked, certificates), loaders)?;
    let stored = store.map(|store| store.start_writers(loaded.reporters())).transpose()?;
    let (persistence, writers) = stored.unzip();
    let server = loaded.serve(persistence)?;
    let (reload, reloads) = crossbeam_channel::bounded(1);
    signals.watch(server.stopper(), certificate_watch.as_ref().map(|_| reload))?;
    let speaks_tls = certificate_watch.is_some();
    certificate_watch.map_or(Ok(()), |watch| watch.go_on(server.renewer(), reloads))?;
    spare_memory::give_back_regularly()?;
    let addresses = Addresses::new(&server, speaks_tls);
    announce(&addresses, core_count);
    notices::listening(&addresses, data.as_deref());
    match (server.join(), writers.map_or(Ok(()), Writers::join)) {
        (Ok(()), stored) => Ok(stored?),
        (served, Ok(())) => Ok(served?),
        (Err(server), Err(store)) => Err(Error::Several(vec![server.into(), store.into()])),
    }
}

fn server_options(settings: Settings, checked: Checked, certificates: Option<Certificates>) -> ServerOptions {
    let spin_us = if checked.placement.crowded { 0 } else { settings.spin_us };
    ServerOptions {
        address: checked.address,
        pages_address: checked.pages_address,
        tls: certificates.map(|certificates| TlsOptions { certificates, address: checked.tls_address }),
        cpus: checked.placement.cpus,
        spin: Duration::from_micros(spin_us),
        master_key: settings.secret_key,
        message_bytes_max: settings.max_message_bytes,
        compression: settings.compression,
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
fn announce(addresses: &Addresses, core_count: usize) {
    let cores = if core_count == 1 { "1 core".to_string() } else { format!("{core_count} cores") };
    let tls = match addresses.tls {
        Tls::None => String::new(),
        Tls::Main => ", TLS".to_string(),
        Tls::Beside(address) => format!(", TLS on {address}"),
    };
    let pages = addresses.pages.map(|address| format!(", metrics on {address}")).unwrap_or_default();
    logging::print(&format!("fluxiondb listening on {}, {cores}{tls}{pages}", addresses.main));
}

/// Fails before there is a log.
fn fail(code: u8, error: &dyn Display) -> ExitCode {
    // The exit code is left to say so where stderr takes nothing.
    let _ = writeln!(std::io::stderr(), "fluxiondb: {error}");
    ExitCode::from(code)
}
