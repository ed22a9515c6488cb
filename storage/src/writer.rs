//! The thread that stores one shard's changes.
//!
//! The protocol with the one who sends batches:
//! 1. At most one batch is outstanding, until the last one, which may be sent behind it.
//! 2. A batch is committed in one transaction, however large it is, then `Committed` is reported, once.
//! 3. If that fails nothing of it is in the file; `Failed` is reported, the batch is kept, and tried again after a pause,
//!    until it is committed.
//! 4. When the sender is gone, or has sent its last, what is still here is tried once more, in its order. Changes that
//!    can't be stored then are lost, and counted in the error of `join`. At the end the file is put in order and closed.

use crate::commit::commit;
use crate::directory::DirectoryLock;
use crate::error::{Error, describe};
use crate::file::{ShardFile, begin_log, checkpoint};
use crate::life::Life;
use crate::limits::{IDLE, RETRY_FIRST, RETRY_LONGEST};
use crate::plan::Plan;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use fluxion_engine::{Batch, SyncMode};
use rustix::thread::{CpuSet, sched_setaffinity};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tracing::{debug, warn};

/// A writer's answer to the batch that it was given.
#[derive(Debug, PartialEq, Eq)]
pub enum Report {
    /// It is stored.
    Committed,
    /// It could not be stored for this reason; it will be tried again.
    Failed(String),
}

/// The writers of all shards, and the lock on their directory, which is held until all have ended.
pub struct Writers {
    writers: Vec<Writer>,
    lock: DirectoryLock,
}

impl Writers {
    pub(crate) fn new(writers: Vec<Writer>, lock: DirectoryLock) -> Writers {
        Writers { writers, lock }
    }

    /// Waits until all have ended, which each does when the sender of its batches is dropped. The error names every file
    /// with changes that could not be stored.
    pub fn join(self) -> Result<(), Error> {
        let results: Vec<_> = self.writers.into_iter().map(Writer::join).collect();
        drop(self.lock);
        let mut errors: Vec<Error> = results.into_iter().filter_map(Result::err).collect();
        match errors.len() {
            0 => Ok(()),
            1 => Err(errors.remove(0)),
            _ => Err(Error::Several(errors)),
        }
    }
}

/// The thread of one shard.
pub(crate) struct Writer {
    thread: JoinHandle<Result<(), Error>>,
}

impl Writer {
    /// Starts the thread, which drops `beginning` when its file is ready for the first batch.
    pub(crate) fn start<F: Fn(Report) + Send + 'static>(
        index: usize,
        work: Work<F>,
        sync: SyncMode,
        cpus: Vec<usize>,
        beginning: Sender<()>,
    ) -> Result<Writer, Error> {
        let synchronous = match sync {
            SyncMode::Interval => "NORMAL",
            SyncMode::Always => "FULL",
        };
        work.file.run_ref(|connection| connection.pragma_update(None, "synchronous", synchronous))?;
        let run = move || {
            run_on(&cpus);
            work.begin_wal();
            drop(beginning);
            work.run()
        };
        let thread = std::thread::Builder::new().name(format!("writer-{index}")).spawn(run);
        thread.map(|thread| Writer { thread }).map_err(|error| Error::Thread(error.to_string()))
    }

    fn join(self) -> Result<(), Error> {
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

/// A writer's state, on its thread.
pub(crate) struct Work<F> {
    file: ShardFile,
    life: Life,
    /// The number of the first change that is not stored.
    next_number: u64,
    /// What the last batch said of collections.
    unchanged: Vec<(String, u64)>,
    batches: Receiver<Batch>,
    report: F,
    /// The last batch, if it came while the one before was being tried.
    last: Option<Batch>,
    /// No batch is in the log, only its beginning.
    wal_is_empty: bool,
}

impl<F: Fn(Report)> Work<F> {
    pub(crate) fn new(file: ShardFile, life: Life, batches: Receiver<Batch>, report: F) -> Work<F> {
        let next_number = life.first_number;
        Work {
            file,
            life,
            next_number,
            unchanged: Vec::new(),
            batches,
            report,
            last: None,
            wal_is_empty: true,
        }
    }

    fn run(mut self) -> Result<(), Error> {
        loop {
            match self.batches.recv_timeout(IDLE) {
                Ok(batch) => self.store(&batch)?,
                Err(RecvTimeoutError::Timeout) if self.wal_is_empty => {}
                Err(RecvTimeoutError::Timeout) => {
                    self.empty_wal();
                    self.begin_wal();
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.life.mark_ended(&mut self.file, self.next_number, &self.unchanged)?;
        self.file.release()?;
        // The changes are safe in the write-ahead log too, so a failure here costs nothing.
        self.empty_wal();
        Ok(())
    }

    /// Stores a batch, however long it takes.
    fn store(&mut self, batch: &Batch) -> Result<(), Error> {
        let began = Instant::now();
        let plan = Plan::new(batch);
        let mut pause = RETRY_FIRST;
        while let Err(error) = commit(&mut self.file.connection, &plan) {
            (self.report)(Report::Failed(describe(&error)));
            if self.is_last_after(pause) {
                return self.try_once_more(batch);
            }
            pause = (pause * 2).min(RETRY_LONGEST);
        }
        debug!(file = %self.file.path.display(), changes = batch.len(), took = ?began.elapsed(), "committed");
        self.wal_is_empty = false;
        self.stored(batch);
        (self.report)(Report::Committed);
        Ok(())
    }

    /// Notes what is in the file now.
    fn stored(&mut self, batch: &Batch) {
        self.next_number = batch.first_number() + batch.len() as u64;
        self.unchanged = batch.unchanged().to_vec();
    }

    /// Waits; true at once if no more batches come than what is here then.
    fn is_last_after(&mut self, pause: Duration) -> bool {
        match self.batches.recv_timeout(pause) {
            Ok(batch) => self.last = Some(batch),
            Err(RecvTimeoutError::Disconnected) => {}
            Err(RecvTimeoutError::Timeout) => return false,
        }
        true
    }

    /// Stores the batch that failed, and the last one, if room has been made meanwhile.
    fn try_once_more(&mut self, failed: &Batch) -> Result<(), Error> {
        let last = self.last.take();
        let batches: Vec<&Batch> = std::iter::once(failed).chain(&last).collect();
        for (stored, batch) in batches.iter().enumerate() {
            commit(&mut self.file.connection, &Plan::new(batch)).map_err(|error| Error::NotStored {
                path: self.file.path.clone(),
                changes: batches[stored..].iter().map(|batch| batch.len()).sum(),
                why: describe(&error),
            })?;
            self.stored(batch);
        }
        Ok(())
    }

    /// Has the next batch find a log whose beginning is on disk, so that it need not wait for that.
    fn begin_wal(&self) {
        if let Err(error) = begin_log(&self.file.connection) {
            let file = self.file.path.display();
            warn!(%file, error = describe(&error), "the write-ahead log can't be written");
        }
    }

    fn empty_wal(&mut self) {
        match checkpoint(&self.file.connection) {
            Ok(()) => self.wal_is_empty = true,
            Err(error) => {
                warn!(file = %self.file.path.display(), error = describe(&error), "the write-ahead log is kept")
            }
        }
    }
}
