//! A data directory that no server uses, opened to be read. Nothing in it is changed, and it may lie where nothing can be.

use crate::damage::Damage;
use crate::directory::{self, DirectoryLock, shards};
use crate::error::Error;
use crate::file::{ShardFile, file_name};
use crate::import;
use crate::lives::{self, Lives};
use crate::load::fill;
use crate::log::LogRow;
use crate::relocate::collections;
use crate::rows::ChunkRow;
use crate::salvage::refuse_unfinished;
use crate::scan::{Taker, scan};
use crate::store::{ApiKey, api_keys, needed_files};
use fluxion_engine::{Shard, ShardId, shard_of};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// The files of a stopped server, which belong together.
pub struct Stopped {
    files: Vec<ShardFile>,
    lives: Lives,
    _lock: Option<DirectoryLock>,
}

impl Stopped {
    /// Opens a directory, and keeps servers out of it.
    pub fn open(directory: &Path) -> Result<Stopped, Error> {
        let lock = directory::lock_to_read(directory)?;
        refuse_unfinished(directory)?;
        let present = present(directory)?;
        let mut files = Vec::new();
        for index in present {
            lives::check_beneath(&directory.join(file_name(index)))?;
            if let Some(file) = ShardFile::open_stopped(directory, index)? {
                files.push((index, file));
            }
        }
        let needed = match files.first() {
            Some((0, first)) => needed_files(first)?,
            _ => return Err(missing(directory, 0)),
        };
        let first_gap = files.iter().enumerate().find(|(place, (index, _))| place != index);
        let there = first_gap.map_or(files.len(), |(place, _)| place);
        if there < needed {
            return Err(missing(directory, there));
        }
        let files: Vec<ShardFile> = files.into_iter().map(|(_, file)| file).collect();
        check_stores(&files)?;
        let lives = Lives::check(&files, needed)?;
        check_finished(&files, needed)?;
        Ok(Stopped { files, lives, _lock: lock })
    }

    /// What is missing at the end of the files, though they can be used.
    pub fn missing(&self) -> Vec<String> {
        self.lives.missing().map(|(path, what)| format!("{}: {what}", path.display())).collect()
    }

    /// Fills a shard from each file.
    pub fn load(&self) -> Result<Vec<Shard>, Error> {
        let load = |file: &ShardFile| {
            let mut shard = Shard::new();
            fill(file, &mut shard).map(|()| shard)
        };
        self.files.iter().map(load).collect()
    }

    /// Reads the API keys, which don't include the master key.
    pub fn api_keys(&self) -> Result<Vec<ApiKey>, Error> {
        api_keys(&self.files[0])
    }
}

/// What was found in a directory.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// Files of shards.
    pub files: usize,
    /// Documents with records, but those that are in the log alone.
    pub documents: u64,
    /// Records in chunks.
    pub records: u64,
    /// Key-value entries, but those in the log.
    pub entries: u64,
    /// API keys.
    pub api_keys: u64,
    /// Changes in the log.
    pub log_changes: u64,
    /// The first parts that are damaged, with the file.
    pub damage: Vec<(PathBuf, Damage)>,
    /// How many others there are.
    pub more: usize,
}

/// Checks every row of every file of a stopped server's directory. An error says why it can't be looked at; whatever is
/// wrong with the files is a part of what was found. `progress` is told of the records so far, and of the part that is done.
pub fn check(directory: &Path, progress: &mut dyn FnMut(u64, f64)) -> Result<Checked, Error> {
    let _lock = directory::lock_to_read(directory)?;
    let mut checked = Checked::default();
    let wrong = |checked: &mut Checked, error: Error| {
        let path = error.path().unwrap_or(directory).to_owned();
        checked.damage.push((path, Damage::new(error.reason())));
    };
    let present = present(directory)?;
    if let Err(error) = refuse_unfinished(directory) {
        wrong(&mut checked, error);
    }
    let mut files = Vec::new();
    for index in &present {
        let beneath = lives::check_beneath(&directory.join(file_name(*index)));
        match beneath.and_then(|()| ShardFile::open_stopped(directory, *index)) {
            Ok(file) => files.extend(file.map(|file| (*index, file))),
            Err(error) => wrong(&mut checked, error),
        }
    }
    let count = files.len();
    for (place, (_, file)) in files.iter().enumerate() {
        checked.files += 1;
        let mut told = |records: u64, share: f64| progress(records, (place as f64 + share) / count as f64);
        if let Err(error) = check_file(file, &mut checked, &mut told) {
            wrong(&mut checked, error);
        }
    }
    match check_together(directory, &files) {
        Ok(missing) => checked.damage.extend(missing),
        Err(error) => wrong(&mut checked, error),
    }
    Ok(checked)
}

/// Whether the files that can be opened are all, and belong together; returns what is missing at the end of them.
fn check_together(directory: &Path, files: &[(usize, ShardFile)]) -> Result<Vec<(PathBuf, Damage)>, Error> {
    let Some((0, first)) = files.first() else { return Err(missing(directory, 0)) };
    let needed = needed_files(first)?;
    let is_there = |index: &usize| files.iter().any(|(other, _)| other == index);
    if let Some(index) = (0..needed).find(|index| !is_there(index)) {
        return Err(missing(directory, index));
    }
    let files: Vec<&ShardFile> = files.iter().map(|(_, file)| file).collect();
    check_stores(&files)?;
    let lives = Lives::check(&files, needed)?;
    Ok(lives.missing().map(|(path, what)| (path.to_owned(), Damage::new(what))).collect())
}

fn check_file(
    file: &ShardFile,
    checked: &mut Checked,
    progress: &mut dyn FnMut(u64, f64),
) -> Result<(), Error> {
    let total: i64 = file.query("SELECT coalesce(max(id), 0) FROM chunks").unwrap_or_default();
    let mut counter = Counter { checked, documents: HashSet::new(), total, progress };
    let mut found = scan(file, &mut counter)?;
    counter.checked.documents += counter.documents.len() as u64;
    // That something is wrong with a file is told by its parts, if it can be.
    if let Err(error) = file.check()
        && found.count() == 0
    {
        found.add(Damage::new(error.reason()));
    }
    checked.damage.extend(found.damage.into_iter().map(|damage| (file.path.clone(), damage)));
    checked.more += found.more;
    Ok(())
}

fn present(directory: &Path) -> Result<Vec<usize>, Error> {
    let present = shards(directory)?;
    if present.is_empty() {
        let why = format!("there is no data of a server in it: no {}", file_name(0));
        return Err(Error::Unusable(directory.to_owned(), why));
    }
    Ok(present)
}

fn missing(directory: &Path, index: usize) -> Error {
    let why = "it is missing, or its making was cut off; put it back from a backup";
    Error::Unusable(directory.join(file_name(index)), why.into())
}

fn check_stores(files: &[impl AsRef<ShardFile>]) -> Result<(), Error> {
    let store: Option<String> = files[0].as_ref().meta("store")?;
    for file in files {
        let file = file.as_ref();
        if file.meta::<String>("store")? != store {
            return Err(file.unusable("it belongs to another data directory than the others"));
        }
    }
    Ok(())
}

/// What a start of the server has begun must be over: until then, collections are in two places.
fn check_finished(files: &[ShardFile], needed: usize) -> Result<(), Error> {
    if import::is_under_way(&files[0])? {
        let why = "the import of fluxion.db into it was cut off; start the server, which ends it, and stop it again";
        return Err(files[0].unusable(why));
    }
    for (index, file) in files.iter().enumerate() {
        let is_misplaced = |collection: &String| shard_of(collection, needed) != ShardId(index);
        if collections(file)?.iter().any(is_misplaced) {
            return Err(file.unusable(
                "a change of the number of cores was cut off; start the server, which ends it, and stop it again",
            ));
        }
    }
    Ok(())
}

/// Counts what is good.
struct Counter<'a> {
    checked: &'a mut Checked,
    documents: HashSet<i64>,
    /// The number of the last chunk.
    total: i64,
    progress: &'a mut dyn FnMut(u64, f64),
}

impl Taker for Counter<'_> {
    fn chunk(&mut self, _: (&str, &str), row: &ChunkRow, _: &[u8]) -> Result<(), Error> {
        self.documents.insert(row.document);
        self.checked.records += row.records as u64;
        (self.progress)(self.checked.records, row.id as f64 / self.total.max(1) as f64);
        Ok(())
    }

    fn entry(&mut self, _: &str, _: &str, _: &str) -> Result<(), Error> {
        self.checked.entries += 1;
        Ok(())
    }

    fn api_key(&mut self, _: &str, _: &str) -> Result<(), Error> {
        self.checked.api_keys += 1;
        Ok(())
    }

    fn log(&mut self, row: &LogRow) -> Result<(), Error> {
        self.checked.log_changes += row.changes;
        Ok(())
    }
}
