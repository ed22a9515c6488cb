//! SIGTERM and SIGINT: the first ends the server in good order, the second at once.
//!
//! SIGHUP has two meanings. Where the server has a terminal, that is being closed: the server ends in good order. Where
//! it has none, a service manager or an operator asks for a reload: the certificate for TLS is read again, if there is one,
//! and the server goes on.
//! A server that was started with SIGHUP ignored, as by `nohup`, goes on ignoring it.

use crate::error::Error;
use crossbeam_channel::Sender;
use fluxion_net::Stopper;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals as Arrivals;
use std::fs::File;
use tracing::info;

/// Caught signals; they queue up until they are watched.
pub struct Signals {
    arrivals: Arrivals,
    /// Known from the start: a terminal that has been closed can't be asked for any more.
    has_terminal: bool,
}

impl Signals {
    /// Catches them from now on.
    pub fn catch() -> Result<Signals, Error> {
        let mut caught = vec![SIGTERM, SIGINT];
        if !is_ignored(SIGHUP) {
            caught.push(SIGHUP);
        }
        let arrivals = Arrivals::new(caught).map_err(Error::Signals)?;
        Ok(Signals { arrivals, has_terminal: File::open("/dev/tty").is_ok() })
    }

    /// Acts on them in a thread of its own, which lives as long as the process.
    pub fn watch(self, stopper: Stopper, reload: Option<Sender<()>>) -> Result<(), Error> {
        let Signals { mut arrivals, has_terminal } = self;
        let watch = move || {
            let mut stopping = false;
            for signal in arrivals.forever() {
                if signal == SIGHUP && (stopping || !has_terminal) {
                    match &reload {
                        // One that is not taken up yet is as good as this.
                        Some(reload) => drop(reload.try_send(())),
                        None => info!("SIGHUP: there is nothing to reload, the server goes on"),
                    }
                    continue;
                }
                if stopping {
                    // Nothing may run on the way out: the cores are still at work.
                    signal_hook::low_level::exit(128 + signal);
                }
                stopping = true;
                info!(signal, "stopping; a second signal ends the server at once");
                stopper.stop();
            }
        };
        let thread = std::thread::Builder::new().name("signals".into()).spawn(watch);
        thread.map(drop).map_err(|error| Error::Thread("signals", error))
    }
}

/// Whether the process was started with a signal ignored.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    ignored_signals(&status).is_some_and(|signals| signals >> (signal - 1) & 1 == 1)
}

/// Reads the set of ignored signals, one bit each from signal 1 on.
fn ignored_signals(status: &str) -> Option<u64> {
    let set = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(set.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_read() {
        let status = "SigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000000440\n";
        assert_eq!(ignored_signals(status), Some(0x1001));
        assert_eq!(ignored_signals("SigBlk:\t1\n"), None);
    }
}
