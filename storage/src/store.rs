//! A data directory, from its files to shards that can be loaded and written.
//!
//! Shard 0's file says how many files there must be. It says so only after all of them are there, and no fewer before
//! the others are empty: so a crash while it changes leaves nothing out.

use crate::check;
use crate::directory::{self, DirectoryLock};
use crate::error::Error;
use crate::file::{ShardFile, file_name, sync_directory};
use crate::import;
use crate::life::Life;
use crate::limits::{BATCHES_SENT_MAX, SHARDS_MAX, Sizes};
use crate::lives::{self, Lives};
use crate::load::Loader;
use crate::mark::{self, Mark};
use crate::merge::merge_all;
use crate::relocate;
use crate::salvage;
use crate::writer::{Report, Work, Writer, Writers};
use crossbeam_channel::{Sender, bounded};
use fluxion_engine::{Batch, SyncMode};
use std::path::{Path, PathBuf};
use tracing::warn;

const META_SHARD_COUNT: &str = "shard_count";
const META_STORE: &str = "store";

/// Which directory to open, and how to write to it.
pub struct StoreOptions {
    /// Where the files are; made if it isn't there.
    pub directory: PathBuf,
    /// The number of shards from now on.
    pub shard_count: usize,
    /// When a commit is on disk.
    pub sync: SyncMode,
    /// CPUs for the writers; empty for any.
    pub cpus: Vec<usize>,
    /// Leave out what is damaged, and go on without it.
    pub salvage: bool,
    /// The sizes of what the files hold.
    pub sizes: Sizes,
}

/// A stored API key. It has no `Debug`, so that it isn't printed by mistake.
pub struct ApiKey {
    /// The key.
    pub key: String,
    /// The name of its scope.
    pub scope: String,
}

/// A data directory in which each collection lies in the file of its shard. The order of use: the loaders fill the
/// shards, and only when all have done so are the writers started, for a file found damaged is to be left as it is.
pub struct Store {
    options: StoreOptions,
    files: Vec<ShardFile>,
    directory_lives: Lives,
    lives: Vec<Life>,
    lock: DirectoryLock,
}

impl Store {
    /// Locks and checks the directory, imports a file of the C++ server, and moves collections to their shards.
    pub fn open(options: StoreOptions) -> Result<Store, Error> {
        assert!(options.shard_count > 0, "a server has at least one shard");
        let directory = options.directory.clone();
        let lock = directory::lock(&directory)?;
        match options.salvage {
            true => salvage::run(&directory)?,
            false => salvage::refuse_unfinished(&directory)?,
        }
        let (mut files, mut directory_lives) = open_files(&directory, options.shard_count)?;
        files.iter_mut().for_each(|file| file.sizes = options.sizes);
        put_in_order(&directory, &mut files, options.shard_count, &mut directory_lives)?;
        let number = directory_lives.number();
        let lives = files.iter().map(|file| Life::begin(file, number)).collect::<Result<_, _>>()?;
        Ok(Store { options, files, directory_lives, lives, lock })
    }

    /// Reads the API keys, which don't include the master key.
    pub fn api_keys(&self) -> Result<Vec<ApiKey>, Error> {
        api_keys(&self.files[0])
    }

    /// Gives a loader for each shard, in order.
    pub fn loaders(&self) -> Vec<Loader> {
        let files = self.files.iter().zip(&self.lives);
        files.map(|(file, life)| Loader::new(&file.path, *life)).collect()
    }

    /// Starts a writer for each shard, which answers to the reporter of the same place, and waits until all are ready.
    /// Returns where each takes its batches.
    pub fn start_writers<R: Fn(Report) + Send + 'static>(
        mut self,
        reporters: Vec<R>,
    ) -> Result<(Vec<Sender<Batch>>, Writers), Error> {
        assert_eq!(reporters.len(), self.files.len(), "one reporter a shard");
        let StoreOptions { sync, cpus, .. } = self.options;
        let (mut senders, mut writers) = (Vec::new(), Vec::new());
        let (beginning, all_begun) = bounded(0);
        self.directory_lives.begin(&self.files)?;
        self.files.iter().try_for_each(Life::mark_begun)?;
        let files = self.files.into_iter().zip(self.lives);
        for (index, ((file, life), reporter)) in files.zip(reporters).enumerate() {
            let (sender, batches) = bounded(BATCHES_SENT_MAX);
            let reached = self.directory_lives.reached(&file)?;
            let mark = Mark::begin(&file.path, reached, sync == SyncMode::Always)?;
            let work = Work::new(file, life, mark, sync, batches, reporter)?;
            writers.push(Writer::start(index, work, cpus.clone(), beginning.clone())?);
            senders.push(sender);
        }
        drop(beginning);
        // Each drops its end when it is ready, so the channel is closed when all are.
        let _: Result<(), _> = all_begun.recv();
        Ok((senders, Writers::new(writers, self.lock)))
    }

    #[cfg(test)]
    pub(crate) fn into_files(self) -> Vec<ShardFile> {
        self.files
    }
}

/// Reads the API keys, which are in the first file.
pub(crate) fn api_keys(first: &ShardFile) -> Result<Vec<ApiKey>, Error> {
    first.run_ref(|connection| {
        let mut keys = connection.prepare("SELECT api_key, scope FROM api_keys")?;
        let keys = keys.query_map([], |row| Ok(ApiKey { key: row.get(0)?, scope: row.get(1)? }))?;
        keys.collect()
    })
}

/// How many files the first one says there must be.
pub(crate) fn needed_files(first: &ShardFile) -> Result<usize, Error> {
    let needed = first.meta::<i64>(META_SHARD_COUNT)?.unwrap_or(1);
    let valid = usize::try_from(needed).ok().filter(|needed| (1..=SHARDS_MAX).contains(needed));
    valid.ok_or_else(|| first.unusable(&format!("it is damaged: it says that there are {needed} shards")))
}

/// Imports and moves what has to be, and leaves exactly the files of this many shards. The files have been checked.
fn put_in_order(
    directory: &Path,
    files: &mut Vec<ShardFile>,
    shard_count: usize,
    lives: &mut Lives,
) -> Result<(), Error> {
    import::run(directory, files, shard_count, lives)?;
    let has_changed = files[0].meta(META_SHARD_COUNT)? != Some(shard_count as i64);
    if has_changed || files.len() > shard_count {
        // Before anything is changed: afterwards a damaged file could not be left as it was.
        files.iter().try_for_each(check::check)?;
        lives.begin(files)?;
        files.iter().try_for_each(merge_all)?;
    }
    relocate::relocate(files, shard_count, lives)?;
    if has_changed {
        files[0].set_meta(META_SHARD_COUNT, shard_count as i64)?;
    }
    for file in files.drain(shard_count..) {
        let path = file.path.clone();
        drop(file);
        directory::remove_database(&path)?;
    }
    sync_directory(directory)?;
    files.iter().try_for_each(ShardFile::use_log)
}

/// Opens the files that exist, and makes those that are missing up to `shard_count`. They belong together then.
fn open_files(directory: &Path, shard_count: usize) -> Result<(Vec<ShardFile>, Lives), Error> {
    let present = directory::shards(directory)?;
    let first = open_first(directory, &present)?;
    let store: String =
        first.meta(META_STORE)?.ok_or_else(|| first.unusable("it does not say whose it is"))?;
    let needed = needed_files(&first)?;
    let count = shard_count.max(present.last().map_or(0, |last| last + 1)).max(needed);
    let mut files = vec![first];
    for index in 1..count {
        let known = match present.binary_search(&index) {
            Ok(_) => open_file(directory, index)?,
            Err(_) => None,
        };
        let file = match known {
            Some(file) => file,
            None if index < needed => return Err(missing(directory, index, needed)),
            None => create_file(directory, index, Some(&store))?,
        };
        if file.meta::<String>(META_STORE)?.as_ref() != Some(&store) {
            return Err(file.unusable(&format!(
                "it belongs to another data directory than {}; put back the file that was here",
                file_name(0)
            )));
        }
        files.push(file);
    }
    let lives = Lives::check(&files, needed)?;
    for (file, what) in lives.missing() {
        warn!(file = %file.display(), "{what}");
    }
    Ok((files, lives))
}

fn open_first(directory: &Path, present: &[usize]) -> Result<ShardFile, Error> {
    let known = match present.first() {
        Some(0) => open_file(directory, 0)?,
        _ => None,
    };
    match known {
        Some(file) => Ok(file),
        // Shard 0 is made first, so others without it have lost it.
        None if present.iter().any(|index| *index != 0) => {
            Err(missing(directory, 0, present.last().map_or(1, |last| last + 1)))
        }
        None => create_file(directory, 0, None),
    }
}

/// Opens the file of a shard. Returns none if its making was interrupted.
fn open_file(directory: &Path, index: usize) -> Result<Option<ShardFile>, Error> {
    let path = directory.join(file_name(index));
    directory::check_modes(&path)?;
    lives::check_beneath(&path)?;
    ShardFile::open(directory, index)
}

fn create_file(directory: &Path, index: usize, store: Option<&str>) -> Result<ShardFile, Error> {
    let path = directory.join(file_name(index));
    if mark::read(&path)?.is_some() {
        let why = format!(
            "it is missing, though a server that was killed has left {} beside it; put it back, or remove that, to begin \
             with nothing",
            mark::path_beside(&path).display()
        );
        return Err(Error::Unusable(path, why));
    }
    ShardFile::create(directory, index, store)
}

fn missing(directory: &Path, index: usize, count: usize) -> Error {
    let why = format!(
        "it is missing, though there are {count} shards; put it back from a backup. Without it, a part of the collections \
         would be lost"
    );
    Error::Unusable(directory.join(file_name(index)), why)
}

#[cfg(test)]
mod interrupted;
#[cfg(test)]
mod mixed;

#[cfg(test)]
pub(crate) mod tests {
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// A directory that is gone after the test.
    pub(crate) struct TempDir(pub(crate) PathBuf);

    impl TempDir {
        pub(crate) fn new() -> TempDir {
            static COUNT: AtomicUsize = AtomicUsize::new(0);
            let number = COUNT.fetch_add(1, Ordering::SeqCst);
            // In memory where that can be: nothing here depends on a disk, and syncs of one take most of the time.
            let memory = Some(PathBuf::from("/dev/shm")).filter(|path| path.is_dir());
            let path = memory
                .unwrap_or_else(std::env::temp_dir)
                .join(format!("fluxion-storage-{}-{number}", std::process::id()));
            std::fs::create_dir(&path).unwrap();
            TempDir(path)
        }
    }

    impl Drop for TempDir {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}
