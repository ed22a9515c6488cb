//! Ending in good order when a signal asks for it: files that are not complete are removed, and the operator is told.
//!
//! Protocol: a file enters the list before it is made and leaves it after it has its name, both under the lock. The
//! thread that waits for signals removes what is listed and ends the process with the lock held, so nothing is made
//! behind its back.

use super::progress;
use crate::commands::output::escape::printable;
use anyhow::{Context, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag::register_conditional_default;
use signal_hook::iterator::{Handle, Signals};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

/// By convention, a process that a signal ended has this plus the signal's number as its exit code.
const EXIT_SIGNAL_BASE: i32 = 128;

/// The files that are being written.
#[derive(Clone, Default)]
pub struct Unfinished(Arc<Mutex<BTreeSet<PathBuf>>>);

impl Unfinished {
    /// Makes a file, and lists it.
    pub fn begin<T>(&self, path: &Path, make: impl FnOnce() -> T) -> T {
        let mut paths = self.lock();
        paths.insert(path.to_owned());
        make()
    }

    /// Gives a file its name or removes it, and takes it off the list.
    pub fn end<T>(&self, path: &Path, finish: impl FnOnce() -> T) -> T {
        let mut paths = self.lock();
        paths.remove(path);
        finish()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<PathBuf>> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Waits for SIGINT and SIGTERM for as long as it lives.
pub struct Interrupts {
    handle: Handle,
    thread: Option<JoinHandle<()>>,
    /// Nothing is being written any more: the signals end the process as they usually do.
    over: Arc<AtomicBool>,
}

impl Interrupts {
    /// Begins to wait; `what` names what a signal interrupts.
    pub fn watch(unfinished: Unfinished, what: String) -> Result<Interrupts> {
        let over = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            register_conditional_default(signal, over.clone()).context("can't catch signals")?;
        }
        let mut signals = Signals::new([SIGINT, SIGTERM]).context("can't catch signals")?;
        let handle = signals.handle();
        let thread = std::thread::spawn(move || {
            if let Some(signal) = signals.forever().next() {
                let paths = unfinished.lock();
                for path in paths.iter() {
                    let _ = fs::remove_file(path);
                }
                progress::clear_line();
                eprintln!("fluxiondb: {} was interrupted, and is not complete", printable(&what));
                std::process::exit(EXIT_SIGNAL_BASE + signal);
            }
        });
        Ok(Interrupts { handle, thread: Some(thread), over })
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        self.handle.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
