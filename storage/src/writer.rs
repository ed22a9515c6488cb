//! The thread that stores one shard's changes.
//!
//! The protocol with the one who sends batches:
//! 1. At most one batch is outstanding.
//! 2. A batch is committed in one transaction, then `Committed` is reported, once.
//! 3. If that fails nothing of it is in the file; `Failed` is reported, the batch is kept, and tried again after a pause,
//!    until it is committed.
//! 4. When the sender is gone, a batch that is still here is tried once more, then the file is put in order and closed.

use crate::commit::commit;
use crate::error::{Error, describe};
use crate::limits::{IDLE, RETRY_FIRST, RETRY_LONGEST};
use crate::plan::Plan;
use crate::schema::{ShardFile, checkpoint};
use crate::store::SyncMode;
use crossbeam_channel::{Receiver, RecvTimeoutError};
use fluxion_engine::Batch;
use rustix::thread::{CpuSet, sched_setaffinity};
use std::thread::JoinHandle;
use std::time::Duration;
use tracing::warn;

/// What a writer has to say about the batch that it was given.
#[derive(Debug, PartialEq, Eq)]
pub enum Report {
    /// It is stored.
    Committed,
    /// It could not be stored for this reason; it will be tried again.
    Failed(String),
}

/// The thread of one shard.
pub struct Writer {
    thread: JoinHandle<Result<(), Error>>,
}

impl Writer {
    pub(crate) fn start(
        index: usize,
        file: ShardFile,
        sync: SyncMode,
        cpus: Vec<usize>,
        batches: Receiver<Batch>,
        report: impl Fn(Report) + Send + 'static,
    ) -> Result<Writer, Error> {
        let synchronous = match sync {
            SyncMode::Interval => "NORMAL",
            SyncMode::Always => "FULL",
        };
        file.run_ref(|connection| connection.pragma_update(None, "synchronous", synchronous))?;
        let run = move || {
            run_on(&cpus);
            Storing { file, batches, report, wal_is_empty: true }.run()
        };
        let thread = std::thread::Builder::new().name(format!("writer-{index}")).spawn(run);
        thread.map(|thread| Writer { thread }).map_err(|error| Error::Thread(error.to_string()))
    }

    /// Waits until it has ended, which it does when the sender of batches is dropped. The error says what was not stored.
    pub fn join(self) -> Result<(), Error> {
        self.thread.join().unwrap_or_else(|_| Err(Error::Thread("it has panicked".into())))
    }
}

fn run_on(cpus: &[usize]) {
    if cpus.is_empty() {
        return;
    }
    let mut set = CpuSet::new();
    cpus.iter().for_each(|cpu| set.set(*cpu));
    if let Err(error) = sched_setaffinity(None, &set) {
        warn!(?cpus, %error, "the storage thread can't be moved to its CPUs");
    }
}

struct Storing<F> {
    file: ShardFile,
    batches: Receiver<Batch>,
    report: F,
    wal_is_empty: bool,
}

impl<F: Fn(Report)> Storing<F> {
    fn run(mut self) -> Result<(), Error> {
        loop {
            match self.batches.recv_timeout(IDLE) {
                Ok(batch) => self.store(&batch)?,
                Err(RecvTimeoutError::Timeout) => self.empty_wal(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.file.release()?;
        // The changes are safe in the write-ahead log too, so a failure here costs nothing.
        self.wal_is_empty = false;
        self.empty_wal();
        Ok(())
    }

    /// Stores a batch, however long it takes.
    fn store(&mut self, batch: &Batch) -> Result<(), Error> {
        let plan = Plan::new(batch);
        let mut pause = RETRY_FIRST;
        while let Err(error) = commit(&mut self.file.connection, &plan) {
            (self.report)(Report::Failed(describe(&error)));
            if self.sender_is_gone_after(pause) {
                // Room may have been made just now.
                return commit(&mut self.file.connection, &plan).map_err(|error| Error::NotStored {
                    path: self.file.path.clone(),
                    changes: batch.len(),
                    why: describe(&error),
                });
            }
            pause = (pause * 2).min(RETRY_LONGEST);
        }
        self.wal_is_empty = false;
        (self.report)(Report::Committed);
        Ok(())
    }

    /// Waits; at once true if nobody sends batches any more.
    fn sender_is_gone_after(&self, pause: Duration) -> bool {
        match self.batches.recv_timeout(pause) {
            Err(RecvTimeoutError::Disconnected) => true,
            Err(RecvTimeoutError::Timeout) => false,
            Ok(_) => unreachable!("a second batch while one is outstanding"),
        }
    }

    fn empty_wal(&mut self) {
        if self.wal_is_empty {
            return;
        }
        match checkpoint(&self.file.connection) {
            Ok(()) => self.wal_is_empty = true,
            Err(error) => {
                warn!(file = %self.file.path.display(), error = describe(&error), "the write-ahead log is kept")
            }
        }
    }
}
