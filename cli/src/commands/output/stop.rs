//! The end of a command that would go on: of who reads the output, and by a signal.

use anyhow::Context;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag::{register, register_conditional_default, register_usize};
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// By convention, a process that a signal ended has this plus the signal's number as its exit code.
const EXIT_SIGNAL_BASE: u8 = 128;

/// Whether a command failed only because nobody reads its output any more.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let mut sources = error.chain().filter_map(|source| source.downcast_ref::<io::Error>());
    sources.any(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Whether nobody reads stdout any more, which is otherwise noticed with the next line only.
pub fn is_output_gone() -> bool {
    let stdout = io::stdout();
    let mut polled = [PollFd::new(&stdout, PollFlags::empty())];
    // What can't be polled is found out by writing.
    let _ = poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
    polled[0].revents().intersects(PollFlags::ERR | PollFlags::HUP)
}

/// A command that goes on until it is asked to end was asked to.
#[derive(Debug)]
pub struct Interrupted(u8);

impl Interrupted {
    /// The exit code of a process that ends by it.
    pub fn exit_code(&self) -> u8 {
        EXIT_SIGNAL_BASE + self.0
    }
}

impl fmt::Display for Interrupted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

/// Notices SIGINT and SIGTERM for as long as it lives; a second one ends the process at once.
pub struct Stop(Arc<Noticed>);

#[derive(Default)]
struct Noticed {
    signal: Arc<AtomicUsize>,
    /// The signals do what they usually do.
    is_over: Arc<AtomicBool>,
}

impl Stop {
    /// Begins to notice.
    pub fn watch() -> anyhow::Result<Stop> {
        // What a signal does is one thing in a process, which may have several commands one after another.
        static NOTICED: OnceLock<Arc<Noticed>> = OnceLock::new();
        let noticed = match NOTICED.get() {
            Some(noticed) => noticed.clone(),
            None => {
                let noticed = Arc::new(Noticed::default());
                noticed.begin().context("can't catch signals")?;
                NOTICED.get_or_init(|| noticed).clone()
            }
        };
        noticed.signal.store(0, Ordering::SeqCst);
        noticed.is_over.store(false, Ordering::SeqCst);
        Ok(Stop(noticed))
    }

    /// Fails when a signal has come.
    pub fn check(&self) -> Result<(), Interrupted> {
        match self.0.signal.load(Ordering::SeqCst) {
            0 => Ok(()),
            signal => Err(Interrupted(u8::try_from(signal).unwrap_or_default())),
        }
    }
}

impl Noticed {
    fn begin(&self) -> io::Result<()> {
        for signal in [SIGINT, SIGTERM] {
            // In this order, so that the first signal is noticed only.
            register_conditional_default(signal, self.is_over.clone())?;
            register_usize(signal, self.signal.clone(), usize::try_from(signal).unwrap_or_default())?;
            register(signal, self.is_over.clone())?;
        }
        Ok(())
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::SeqCst);
    }
}
