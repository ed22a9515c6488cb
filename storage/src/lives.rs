//! The number of the directory's life, which all of its files know: so a file of an earlier life among later ones, as a
//! backup put back in part leaves it, is noticed.
//!
//! A start counts up, before it changes anything else:
//! 1. Each file gets the next number, beginning with shard 0's, and is on disk with it, nothing being left in its
//!    write-ahead log.
//! 2. The marks begin anew, under that number.
//! 3. Shard 0's file notes that all have it.
//!
//! So wherever a crash comes, a file has either the number that all are known to have, or, while that is not yet known of
//! the next, also the next, and shard 0's is never behind another. A start that finds the next begun finishes it. A file
//! without a number is new; it may be one of those that do not belong to the directory yet, since their count changes
//! after step 3.
//!
//! The number stands in `meta`, for which it is written, and as SQLite's `user_version` in the first page. That page can be
//! read beneath the write-ahead log, and begins each new log: which shows a file whose log belongs to another state of it.

use crate::error::Error;
use crate::file::{ShardFile, file_name, user_version_beneath_log};
use crate::log::LogEnd;
use crate::mark::{self, Mark, Reached};
use std::path::{Path, PathBuf};

const META_NUMBER: &str = "life_number";
const META_IN_ALL: &str = "life_in_all_files";
const RESTORE: &str = "It looks as if a backup had been put over the files of a server that was killed. Put the whole \
                       backup into an empty directory instead; or, to use it here, remove all -wal, -shm and .mark files \
                       that do not belong to it";

/// The lives of a directory whose files have been found to belong together.
pub(crate) struct Lives {
    /// That of the start under way.
    number: u32,
    begun: bool,
    /// Files whose last changes are missing, though not synced ones; and how many.
    missing: Vec<(PathBuf, u64)>,
}

impl Lives {
    /// Compares the files with each other and with what a killed server has left. The first `needed` of them make up the
    /// directory, others may be there. Changes nothing.
    pub(crate) fn check(files: &[impl AsRef<ShardFile>], needed: usize) -> Result<Lives, Error> {
        let first = files[0].as_ref();
        let mut missing = Vec::new();
        let in_all = number(first, META_IN_ALL)?;
        let newest = number(first, META_NUMBER)?;
        if newest != in_all && newest != in_all + 1 {
            return Err(first.unusable(&format!(
                "it is damaged: of the lives of this directory it says {newest} and {in_all}. {RESTORE}"
            )));
        }
        for (index, file) in files.iter().enumerate() {
            let file = file.as_ref();
            let own = number(file, META_NUMBER)?;
            let is_new = own == 0 && index >= needed;
            if own > newest {
                return Err(older(first, newest, own, &file_name(index)));
            }
            if own < in_all && !is_new {
                return Err(older(file, own, in_all, &file_name(0)));
            }
            check_log(file, own, in_all)?;
            let changes = check_mark(file, own, in_all)?;
            missing.extend((changes > 0).then(|| (file.path.clone(), changes)));
        }
        Ok(Lives { number: in_all + 1, begun: false, missing })
    }

    /// What is missing, though the files can be used: by file, in words.
    pub(crate) fn missing(&self) -> impl Iterator<Item = (&Path, String)> {
        self.missing.iter().map(|(path, changes)| {
            let what = format!(
                "the last {changes} changes are missing: they were stored, but not synced yet, when the server was killed; \
                 the system has crashed then, or the write-ahead log has been cut, damaged or removed since"
            );
            (path.as_path(), what)
        })
    }

    /// The number of this life.
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// Counts up in all files, once; nothing has been changed before.
    pub(crate) fn begin(&mut self, files: &[ShardFile]) -> Result<(), Error> {
        if self.begun {
            return Ok(());
        }
        files.iter().try_for_each(|file| self.enter(file))?;
        for file in files {
            Mark::begin(&file.path, self.reached(file)?, false)?;
        }
        files[0].set_meta(META_IN_ALL, self.number)?;
        self.begun = true;
        Ok(())
    }

    /// How far a file has come when this life begins.
    pub(crate) fn reached(&self, file: &ShardFile) -> Result<Reached, Error> {
        let next = LogEnd::find(file)?.next_number;
        Ok(Reached { file_id: file_id(file)?, life: self.number, next, synced: next })
    }

    fn enter(&self, file: &ShardFile) -> Result<(), Error> {
        if number(file, META_NUMBER)? != self.number {
            file.run_ref(|connection| {
                let transaction = connection.unchecked_transaction()?;
                transaction
                    .execute("INSERT OR REPLACE INTO meta VALUES (?1, ?2)", (META_NUMBER, self.number))?;
                transaction.pragma_update(None, "user_version", self.number)?;
                transaction.commit()
            })?;
        }
        file.checkpoint()
    }
}

/// Looks at a file and its mark before SQLite does, which can't tell a log that belongs to another file from its own.
pub(crate) fn check_beneath(database: &Path) -> Result<(), Error> {
    let life_beneath_log = user_version_beneath_log(database);
    match mark::read(database)? {
        // A file that was repaired has lost its number.
        Some(mark) if mark.life > life_beneath_log && life_beneath_log > 0 => {
            Err(Error::Unusable(database.to_owned(), behind_mark(life_beneath_log, mark.life)))
        }
        _ => Ok(()),
    }
}

fn check_log(file: &ShardFile, own: u32, in_all: u32) -> Result<(), Error> {
    let seen = file.query::<i64>("PRAGMA user_version")?;
    let beneath = file.life_beneath_log;
    // In a start that was cut off the number may be in the log only.
    let began = own > in_all && [0, in_all, own].contains(&beneath);
    if (seen == 0 || seen == i64::from(own)) && (seen == i64::from(beneath) || began) {
        return Ok(());
    }
    Err(file.unusable(&format!(
        "its write-ahead log (-wal) belongs to another state of it: the numbers of its life are {beneath}, {seen} and \
         {own}. {RESTORE}"
    )))
}

/// Returns how many changes are missing of those that were not synced.
fn check_mark(file: &ShardFile, own: u32, in_all: u32) -> Result<u64, Error> {
    let Some(mark) = mark::read(&file.path)? else { return Ok(0) };
    if mark.file_id != file_id(file)? {
        let why = format!("the .mark file beside it belongs to the file of another directory. {RESTORE}");
        return Err(file.unusable(&why));
    }
    if mark.life > own {
        return Err(file.unusable(&behind_mark(own, mark.life)));
    }
    // Left by an earlier life than the last: that one has begun its own, so this was put there.
    if mark.life < in_all {
        return Ok(0);
    }
    let end = LogEnd::find(file)?.next_number;
    if end < mark.synced {
        return Err(file.unusable(&format!(
            "the last {} changes are missing, {} of which were on disk for sure when the server was killed: the \
             write-ahead log beside it (-wal) has been cut, damaged, removed or replaced since. Put it back, or a backup \
             of the whole directory; or start with --salvage, to go on with what is there",
            mark.next - end,
            mark.synced - end,
        )));
    }
    Ok(mark.next.saturating_sub(end))
}

fn older(file: &ShardFile, own: u32, newer: u32, other: &str) -> Error {
    file.unusable(&format!(
        "it is older than the other files: it is of life {own} of this directory, but {other} says that its files have \
         come to life {newer}. Put back the newest file of that name, or all files of one backup together"
    ))
}

fn behind_mark(own: u32, mark: u32) -> String {
    format!(
        "it is older than what was here: it is of life {own} of this directory, but a server that was killed has left a \
         .mark file of life {mark}. {RESTORE}"
    )
}

fn file_id(file: &ShardFile) -> Result<u64, Error> {
    let store: String = file.meta("store")?.unwrap_or_default();
    let shard: i64 = file.meta("shard")?.unwrap_or_default();
    Ok(u64::from(crc32fast::hash(store.as_bytes())) << 32 | shard as u64 & 0xffff_ffff)
}

/// A number of a file; 0 if it has none.
fn number(file: &ShardFile, key: &str) -> Result<u32, Error> {
    let number = file.meta::<i64>(key)?.unwrap_or(0);
    // SQLite's own number has 32 bits, with a sign.
    let valid = u32::try_from(number).ok().filter(|number| *number < i32::MAX as u32);
    valid.ok_or_else(|| file.unusable(&format!("it is damaged: its {key} is {number}. {RESTORE}")))
}
