//! SIGTERM and SIGINT: the first ends the server in good order, the second at once.

use crate::error::Error;
use fluxion_net::Stopper;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals as Arrivals;
use tracing::info;

/// Caught signals; they queue up until they are watched.
pub struct Signals(Arrivals);

impl Signals {
    /// Catches them from now on.
    pub fn catch() -> Result<Signals, Error> {
        Arrivals::new([SIGTERM, SIGINT]).map(Signals).map_err(Error::Signals)
    }

    /// Acts on them in a thread of its own, which lives as long as the process.
    pub fn watch(mut self, stopper: Stopper) -> Result<(), Error> {
        let watch = move || {
            let mut stopping = false;
            for signal in self.0.forever() {
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
