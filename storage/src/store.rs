//! A data directory, from its files to shards that can be loaded and written.
//!
//! Shard 0's file says how many files there must be. It says so only after all of them are there, and no fewer before
//! the others are empty: so a crash while it changes leaves nothing out.

use crate::directory::{self, DirectoryLock};
use crate::error::Error;
use crate::import;
use crate::load::Loader;
use crate::placement;
use crate::schema::{ShardFile, file_name, sync_directory};
use crate::writer::{Report, Writer};
use crossbeam_channel::Receiver;
use fluxion_engine::Batch;
use std::path::{Path, PathBuf};

const META_SHARD_COUNT: &str = "shard_count";
const META_STORE: &str = "store";

/// When a commit is on disk for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncMode {
    /// After a crash of the server at once, after one of the system when the system has written it.
    Interval,
    /// Before it is reported.
    Always,
}

/// What to open, and how.
pub struct StoreOptions {
    /// Where the files are; made if it isn't there.
    pub directory: PathBuf,
    /// How many shards there are from now on.
    pub shard_count: usize,
    /// When a commit is on disk.
    pub sync: SyncMode,
    /// CPUs for the writers; empty for any.
    pub cpus: Vec<usize>,
}

/// A stored API key. It has no `Debug`, so that it isn't printed by mistake.
pub struct ApiKey {
    /// The key.
    pub key: String,
    /// The name of its scope.
    pub scope: String,
}

/// A data directory that is in order: each collection lies in the file of its shard.
pub struct Store {
    options: StoreOptions,
    files: Vec<ShardFile>,
    lock: DirectoryLock,
}

impl Store {
    /// Locks and checks the directory, imports a file of the C++ server, and moves collections to their shards.
    pub fn open(options: StoreOptions) -> Result<Store, Error> {
        assert!(options.shard_count > 0, "a server has at least one shard");
        let directory = options.directory.clone();
        let lock = directory::lock(&directory)?;
        let mut files = open_files(&directory, options.shard_count)?;
        put_in_order(&directory, &mut files, options.shard_count)?;
        Ok(Store { options, files, lock })
    }

    /// The API keys, besides master keys.
    pub fn api_keys(&self) -> Result<Vec<ApiKey>, Error> {
        self.files[0].run_ref(|connection| {
            let mut keys = connection.prepare("SELECT api_key, scope FROM api_keys")?;
            let keys = keys.query_map([], |row| Ok(ApiKey { key: row.get(0)?, scope: row.get(1)? }))?;
            keys.collect()
        })
    }

    /// The shards in order, and what keeps the directory locked.
    pub fn into_shards(self) -> (Vec<ShardStore>, DirectoryLock) {
        let StoreOptions { sync, cpus, .. } = self.options;
        let files = self.files.into_iter().enumerate();
        let shards = files.map(|(index, file)| ShardStore { index, file, sync, cpus: cpus.clone() });
        (shards.collect(), self.lock)
    }
}

/// One shard's file, before its writer has been started.
pub struct ShardStore {
    index: usize,
    file: ShardFile,
    sync: SyncMode,
    cpus: Vec<usize>,
}

impl ShardStore {
    #[cfg(test)]
    pub(crate) fn into_file(self) -> ShardFile {
        self.file
    }

    /// What fills the shard.
    pub fn loader(&self) -> Loader {
        Loader { path: self.file.path.clone() }
    }

    /// Starts the shard's writer; see there for what it does with batches.
    pub fn start(
        self,
        batches: Receiver<Batch>,
        report: impl Fn(Report) + Send + 'static,
    ) -> Result<Writer, Error> {
        Writer::start(self.index, self.file, self.sync, self.cpus, batches, report)
    }
}

/// Makes of good files those of so many shards.
fn put_in_order(directory: &Path, files: &mut Vec<ShardFile>, shard_count: usize) -> Result<(), Error> {
    import::run(directory, files, shard_count)?;
    placement::place(files, shard_count)?;
    if files[0].meta(META_SHARD_COUNT)? != Some(shard_count as i64) {
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

/// All files that there are, and those that there are to be; at least `shard_count`.
fn open_files(directory: &Path, shard_count: usize) -> Result<Vec<ShardFile>, Error> {
    let present = directory::shards(directory)?;
    let first = open_first(directory, &present)?;
    let store: String =
        first.meta(META_STORE)?.ok_or_else(|| first.unusable("it does not say whose it is"))?;
    let needed: i64 = first.meta(META_SHARD_COUNT)?.unwrap_or(1);
    let count = shard_count.max(present.last().map_or(0, |last| last + 1)).max(needed as usize);
    let mut files = vec![first];
    for index in 1..count {
        let known = match present.binary_search(&index) {
            Ok(_) => ShardFile::open(directory, index)?,
            Err(_) => None,
        };
        let file = match known {
            Some(file) => file,
            None if index < needed as usize => return Err(missing(directory, index, needed)),
            None => ShardFile::create(directory, index, Some(&store))?,
        };
        if file.meta::<String>(META_STORE)?.as_ref() != Some(&store) {
            return Err(file.unusable(&format!(
                "it belongs to another data directory than {}; put back the file that was here",
                file_name(0)
            )));
        }
        files.push(file);
    }
    Ok(files)
}

fn open_first(directory: &Path, present: &[usize]) -> Result<ShardFile, Error> {
    let known = match present.first() {
        Some(0) => ShardFile::open(directory, 0)?,
        _ => None,
    };
    match known {
        Some(file) => Ok(file),
        // Shard 0 is made first, so others without it have lost it.
        None if present.iter().any(|index| *index != 0) => {
            Err(missing(directory, 0, present.last().map_or(1, |last| *last as i64 + 1)))
        }
        None => ShardFile::create(directory, 0, None),
    }
}

fn missing(directory: &Path, index: usize, count: i64) -> Error {
    let why = format!(
        "it is missing, though there are {count} shards; put it back from a backup. Without it, a part of the collections \
         would be lost"
    );
    Error::Unusable(directory.join(file_name(index)), why)
}

#[cfg(test)]
mod interrupted;

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
            let path = std::env::temp_dir().join(format!("fluxion-storage-{}-{number}", std::process::id()));
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
