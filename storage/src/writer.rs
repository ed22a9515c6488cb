//! The thread that stores one shard's changes.
//!
//! The protocol with the one who sends batches:
//! 1. At most one batch is outstanding, until the last one, which may be sent behind it.
//! 2. A batch is committed to the log in one transaction, however large it is, then `Committed` is reported, once.
//! 3. If that fails nothing of it is in the file; `Failed` is reported, the batch is kept, and tried again after a pause,
//!    until it is committed.
//! 4. When the sender is gone, or has sent its last, what is still here is tried once more, in its order. Changes that
//!    can't be stored then are lost, and counted in the error of `join`. At the end the file is put in order and closed.
//! 5. A file that is no longer where it was counts as one that can't be written; at the end, all of this life's changes in
//!    it count as lost.
//!
//! When the log is large it is merged into the tables, in steps between batches, about twice as fast as batches come. If that
//! can't be done, the log grows, up to some times its usual size; then batches fail for that reason.

use crate::directory::DirectoryLock;
use crate::error::{Error, describe};
use crate::file::{ShardFile, begin_log, checkpoint};
use crate::life::Life;
use crate::limits::{IDLE, LOG_FULL, RETRY_FIRST, RETRY_LONGEST};
use crate::log::{LogEnd, LogRow};
use crate::mark::Mark;
use crate::merge::Merge;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use fluxion_engine::{Batch, SyncMode};
use rustix::thread::{CpuSet, sched_setaffinity};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tracing::{debug, error, warn};

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
        cpus: Vec<usize>,
        beginning: Sender<()>,
    ) -> Result<Writer, Error> {
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
    mark: Mark,
    sync: SyncMode,
    /// As it is set now.
    sync_now: Option<SyncMode>,
    log: LogEnd,
    /// What the last batch said of collections.
    unchanged: Vec<(String, u64)>,
    batches: Receiver<Batch>,
    report: F,
    /// The last batch, if it came while the one before was being tried.
    last: Option<Batch>,
    /// No batch is in the write-ahead log, only its beginning.
    wal_is_empty: bool,
    /// The size of the log from which on it is merged.
    merge_at: usize,
    /// It is being merged, and what is not in this merge must come after it.
    is_merging: bool,
    /// Why the file is not there any more, if that has been said.
    gone: Option<&'static str>,
}

impl<F: Fn(Report)> Work<F> {
    pub(crate) fn new(
        file: ShardFile,
        life: Life,
        mark: Mark,
        sync: SyncMode,
        batches: Receiver<Batch>,
        report: F,
    ) -> Result<Work<F>, Error> {
        Ok(Work {
            log: LogEnd::find(&file)?,
            merge_at: file.sizes.log_bytes,
            file,
            life,
            mark,
            sync,
            sync_now: None,
            unchanged: Vec::new(),
            batches,
            report,
            last: None,
            wal_is_empty: true,
            is_merging: false,
            gone: None,
        })
    }

    /// Says whether a commit is to be on disk when it returns.
    fn set_sync(&mut self, sync: SyncMode) -> Result<(), Error> {
        if self.sync_now == Some(sync) {
            return Ok(());
        }
        let synchronous = match sync {
            SyncMode::Interval => "NORMAL",
            SyncMode::Always => "FULL",
        };
        self.file.run_ref(|connection| connection.pragma_update(None, "synchronous", synchronous))?;
        self.sync_now = Some(sync);
        Ok(())
    }

    fn run(mut self) -> Result<(), Error> {
        loop {
            match self.batches.recv_timeout(IDLE) {
                Ok(batch) => self.store(&batch)?,
                Err(RecvTimeoutError::Timeout) if self.is_gone() || self.wal_is_empty => {}
                Err(RecvTimeoutError::Timeout) => {
                    self.empty_wal();
                    self.begin_wal();
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.log.bytes >= self.merge_at {
                self.merge_between_batches()?;
            }
        }
        self.end()
    }

    /// Puts the file in order. What can't be done costs nothing: the changes are safe in the log too.
    fn end(mut self) -> Result<(), Error> {
        self.check_presence(0)?;
        if let Err(error) = self.merge() {
            self.warn("the log is kept", &error);
        }
        self.life.mark_ended(&mut self.file, self.log.next_number, &self.unchanged)?;
        self.file.release()?;
        if let Err(error) = self.file.give_pages_back() {
            self.warn("free pages are kept", &error);
        }
        if self.empty_wal() {
            self.mark.end();
        }
        Ok(())
    }

    /// Merges the log into the tables, and stores the batches that come meanwhile.
    fn merge_between_batches(&mut self) -> Result<(), Error> {
        let mut ended = Ok(());
        let mut steps_owed = 0;
        let merged = self.merge_with(|work| {
            if steps_owed > 0 {
                steps_owed -= 1;
            } else if let Ok(batch) = work.batches.try_recv() {
                let before = work.log.bytes;
                ended = work.store(&batch);
                steps_owed = 2 * (work.log.bytes - before) / work.file.sizes.step_bytes;
            }
            ended.is_ok()
        });
        if let Err(error) = merged {
            self.warn("the log can't be merged yet", &error);
            self.merge_at = self.log.bytes + self.file.sizes.log_bytes;
        }
        ended
    }

    fn merge(&mut self) -> Result<(), Error> {
        self.merge_with(|_| true)
    }

    /// Merges the log as it is now, and calls `between` after each step, which may end it.
    fn merge_with(&mut self, between: impl FnMut(&mut Self) -> bool) -> Result<(), Error> {
        self.is_merging = true;
        let merged = self.take_steps(between);
        self.is_merging = false;
        merged
    }

    fn take_steps(&mut self, mut between: impl FnMut(&mut Self) -> bool) -> Result<(), Error> {
        let began = Instant::now();
        let log = self.read_log()?;
        let mut merge = Merge::new(&log);
        // A step need not wait for the disk: a batch that follows it does.
        self.set_sync(SyncMode::Interval)?;
        while !merge.step(&self.file)? {
            if !between(self) {
                return Ok(());
            }
            self.set_sync(SyncMode::Interval)?;
        }
        drop(merge);
        let (rows, mut done) = (log.len(), log.into_iter());
        while done.len() > 0 {
            self.log.remove(&self.file, &mut done)?;
        }
        self.merge_at = self.file.sizes.log_bytes;
        self.wal_is_empty = false;
        debug!(file = %self.file.path.display(), rows, took = ?began.elapsed(), "merged");
        Ok(())
    }

    fn read_log(&self) -> Result<Vec<LogRow>, Error> {
        let mut log = Vec::new();
        let end = LogEnd::read(&self.file, |row| {
            log.push(row);
            Ok(())
        })?;
        end.map_err(|why| self.file.damaged(&why))?;
        Ok(log)
    }

    /// Stores a batch, however long it takes.
    fn store(&mut self, batch: &Batch) -> Result<(), Error> {
        let began = Instant::now();
        let mut pause = RETRY_FIRST;
        while let Err(error) = self.try_to_store(batch) {
            (self.report)(Report::Failed(error.reason()));
            if self.is_last_after(pause) {
                return self.try_once_more(batch);
            }
            pause = (pause * 2).min(RETRY_LONGEST);
        }
        debug!(file = %self.file.path.display(), changes = batch.len(), took = ?began.elapsed(), "committed");
        self.wal_is_empty = false;
        (self.report)(Report::Committed);
        Ok(())
    }

    fn try_to_store(&mut self, batch: &Batch) -> Result<(), Error> {
        if !self.is_merging && self.log.bytes >= LOG_FULL * self.file.sizes.log_bytes {
            self.merge()?;
        }
        self.file.presence.check().map_err(|why| self.file.unusable(why))?;
        self.set_sync(self.sync)?;
        self.log.append(&self.file, batch)?;
        self.mark.committed(self.log.next_number);
        self.unchanged = batch.unchanged().to_vec();
        Ok(())
    }

    fn warn(&self, what: &str, error: &Error) {
        warn!(file = %self.file.path.display(), error = error.reason(), "{what}");
    }

    /// Looks after the file while there is nothing to store in it, and says so once if it is gone.
    fn is_gone(&mut self) -> bool {
        let gone = self.file.presence.check().err();
        if let (Some(why), None) = (gone, self.gone) {
            error!(file = %self.file.path.display(), why, "nothing can be stored in it any more");
        }
        self.gone = gone;
        gone.is_some()
    }

    /// An error if the file is gone, and with it this life's changes and those that wait.
    fn check_presence(&self, waiting: usize) -> Result<(), Error> {
        let stored = self.log.next_number - self.life.first_number;
        self.file.presence.check().map_err(|why| Error::Gone {
            path: self.file.path.clone(),
            why,
            changes: stored + waiting as u64,
        })
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
            let waiting = batches[stored..].iter().map(|batch| batch.len()).sum();
            self.check_presence(waiting)?;
            self.try_to_store(batch).map_err(|error| Error::NotStored {
                path: self.file.path.clone(),
                changes: waiting,
                why: error.reason(),
            })?;
        }
        Ok(())
    }

    /// Has the next batch find a log whose beginning is on disk, so that it need not wait for that.
    fn begin_wal(&self) {
        if let Err(error) = begin_log(&self.file.connection, self.life.number) {
            let file = self.file.path.display();
            warn!(%file, error = describe(&error), "the write-ahead log can't be written");
        }
    }

    /// Returns whether all is in the file now.
    fn empty_wal(&mut self) -> bool {
        match checkpoint(&self.file.connection) {
            Ok(complete) => {
                self.wal_is_empty = true;
                if complete {
                    self.mark.synced();
                }
                complete
            }
            Err(error) => {
                warn!(file = %self.file.path.display(), error = describe(&error), "the write-ahead log is kept");
                false
            }
        }
    }
}
