//! Going on with what is good of a damaged file: that is put into a new file, which takes the place of the damaged one.
//! Nothing is destroyed: the damaged file is kept beside it.
//!
//! 1. `shard-NNN.salvaging` is filled. What is found there at another start is begun anew.
//! 2. When it is complete and on disk it becomes `shard-NNN.salvaged`. From here on it is what counts.
//! 3. The damaged file becomes `shard-NNN.damaged`, with its write-ahead log beside it, and the new one takes its name.
//!
//! A start that finds step 2 done does the rest; one without `--salvage` is refused then.

use crate::damage::{Damage, Found};
use crate::directory::{check_modes, remove_files, shards};
use crate::error::Error;
use crate::file::{ShardFile, file_name, files_of, sync_directory};
use crate::life;
use crate::limits::{DAMAGE_LOGGED, TRANSACTION_BYTES};
use crate::lives;
use crate::log::{LogEnd, LogRow};
use crate::mark::{self, Mark, Reached};
use crate::merge::merge_all;
use crate::rows::{ChunkRow, Rows};
use crate::scan::{Taker, scan};
use crate::state::LogStart;
use rusqlite::types::Value;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use tracing::{info, warn};

/// What `meta` says of the file itself, which the new one says by itself, or can't say of what is missing now.
const META_NOT_KEPT: &str = "key IN ('shard', 'store', 'format_version')";

/// Refuses a directory in which this was cut off.
pub(crate) fn refuse_unfinished(directory: &Path) -> Result<(), Error> {
    for index in 0..=shards(directory)?.last().copied().unwrap_or(0) {
        let path = salvaged(directory, index);
        if path.exists() {
            let why =
                "a start with --salvage was cut off when this was complete; start with --salvage once more";
            return Err(Error::Unusable(path, why.into()));
        }
    }
    Ok(())
}

/// Looks through all files of a directory, and replaces those that are damaged.
pub(crate) fn run(directory: &Path) -> Result<(), Error> {
    for index in 0..=shards(directory)?.last().copied().unwrap_or(0) {
        if salvaged(directory, index).exists() {
            put_in_place(directory, index)?;
        }
        let path = directory.join(file_name(index));
        if path.exists() {
            check_modes(&path)?;
            lives::check_beneath(&path)?;
            salvage(directory, index)?;
        }
    }
    Ok(())
}

fn salvage(directory: &Path, index: usize) -> Result<(), Error> {
    let Some(file) = ShardFile::open(directory, index)? else { return Ok(()) };
    let mut found = scan(&file, &mut Nothing)?;
    if let Err(error) = file.check()
        && found.count() == 0
    {
        found.add(Damage::new(error.reason()));
    }
    if found.count() > 0 {
        tell(&file.path, &found);
        fill(directory, index, &file, found.next_number)?;
        drop(file);
        put_in_place(directory, index)?;
    } else {
        forget_missing(&file)?;
    }
    Ok(())
}

fn tell(path: &Path, found: &Found) {
    let file = path.display();
    for Damage { collection, document, from, to, what } in found.damage.iter().take(DAMAGE_LOGGED) {
        let (collection, document) = (collection.as_deref(), document.as_deref());
        warn!(%file, collection, document, from, to, what, "left out");
    }
    if found.count() > DAMAGE_LOGGED {
        let parts = found.count() - DAMAGE_LOGGED;
        warn!(%file, parts, "further parts are left out: `fluxiondb check` lists them, on a copy of the damaged file");
    }
}

/// A mark that says of changes that the file does not hold is told, and set back to what is there.
fn forget_missing(file: &ShardFile) -> Result<(), Error> {
    let next = LogEnd::find(file)?.next_number;
    if let Some(mark) = mark::read(&file.path)?.filter(|mark| mark.next > next) {
        let changes = mark.next - next;
        warn!(file = %file.path.display(), changes, "the last changes are missing, and given up");
        Mark::begin(&file.path, Reached { next, synced: next, ..mark }, false)?;
    }
    Ok(())
}

/// Fills the new file with what is good of the damaged one.
fn fill(directory: &Path, index: usize, damaged: &ShardFile, next_number: u64) -> Result<(), Error> {
    let path = directory.join(format!("shard-{index:03}.salvaging"));
    remove_files(&path)?;
    let store: String = damaged.meta("store")?.unwrap_or_default();
    let file = ShardFile::create_at(&path, index, Some(&store))?;
    copy_good(damaged, &file)?;
    merge_all(&file)?;
    let mut rows = Rows::begin(&file)?;
    rows.set_log_start(LogStart { number: next_number, chain: 0 });
    rows.commit()?;
    copy_meta(damaged, &file)?;
    file.checkpoint()?;
    file.release()?;
    drop(file);
    let synced = File::open(&path).and_then(|file| file.sync_all());
    synced.map_err(|error| Error::File(path.clone(), error))?;
    rename(&path, &salvaged(directory, index))?;
    sync_directory(directory)
}

fn copy_good(from: &ShardFile, to: &ShardFile) -> Result<(), Error> {
    let mut repair = Repair { file: to, rows: None, log: LogEnd::find(to)? };
    scan(from, &mut repair)?;
    repair.commit()
}

fn copy_meta(from: &ShardFile, to: &ShardFile) -> Result<(), Error> {
    let rows: Vec<(String, Value)> = from.run_ref(|connection| {
        let query = format!("SELECT key, value FROM meta WHERE NOT ({META_NOT_KEPT})");
        connection.prepare(&query)?.query_map([], |row| row.try_into())?.collect()
    })?;
    for (key, value) in rows {
        to.set_meta(&key, value)?;
    }
    // Subscriptions do not go on over what has been left out.
    life::Life::mark_begun(to)?;
    let life = from.query::<i64>("PRAGMA user_version")?;
    to.run_ref(|connection| connection.pragma_update(None, "user_version", life))
}

/// Keeps the damaged file under another name, and gives its own to the new one.
fn put_in_place(directory: &Path, index: usize) -> Result<(), Error> {
    let path = directory.join(file_name(index));
    if let Ok(damaged) = fs::metadata(&path) {
        let kept = name_to_keep(directory, index, &damaged);
        if !kept.exists() {
            // The log first: with the file under its new name, all is kept.
            let ([_, log, _], [_, kept_log, _]) = (files_of(&path), files_of(&kept));
            if log.exists() {
                remove(&kept_log)?;
                keep(&log, &kept_log)?;
            }
            keep(&path, &kept)?;
            sync_directory(directory)?;
        }
        info!(file = %path.display(), kept = %kept.display(), "salvaged: the damaged file is kept");
        let [_, log, shared] = files_of(&path);
        for beside in [log, shared] {
            remove(&beside)?;
        }
    }
    rename(&salvaged(directory, index), &path)?;
    sync_directory(directory)
}

/// A name that nothing has, or that this file has already.
fn name_to_keep(directory: &Path, index: usize, damaged: &fs::Metadata) -> PathBuf {
    let name = |number: usize| match number {
        1 => format!("shard-{index:03}.damaged"),
        _ => format!("shard-{index:03}.damaged-{number}"),
    };
    let is_free = |path: &PathBuf| match fs::metadata(path) {
        Ok(other) => (other.dev(), other.ino()) == (damaged.dev(), damaged.ino()),
        Err(_) => true,
    };
    let mut paths = (1..).map(|number| directory.join(name(number)));
    paths.find(is_free).unwrap_or_else(|| unreachable!("there are more numbers than files"))
}

/// Gives a file a second name; where a file system has no such thing, a copy.
fn keep(path: &Path, kept: &Path) -> Result<(), Error> {
    let copy = || {
        fs::copy(path, kept)?;
        File::open(kept)?.sync_all()
    };
    fs::hard_link(path, kept).or_else(|_| copy()).map_err(|error| Error::File(kept.to_owned(), error))
}

fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::File(path.to_owned(), error)),
        _ => Ok(()),
    }
}

fn rename(from: &Path, to: &Path) -> Result<(), Error> {
    fs::rename(from, to).map_err(|error| Error::File(from.to_owned(), error))
}

fn salvaged(directory: &Path, index: usize) -> PathBuf {
    directory.join(format!("shard-{index:03}.salvaged"))
}

/// Only looks.
struct Nothing;

impl Taker for Nothing {
    fn chunk(&mut self, _: (&str, &str), _: &ChunkRow, _: &[u8]) -> Result<(), Error> {
        Ok(())
    }

    fn entry(&mut self, _: &str, _: &str, _: &str) -> Result<(), Error> {
        Ok(())
    }

    fn api_key(&mut self, _: &str, _: &str) -> Result<(), Error> {
        Ok(())
    }

    fn log(&mut self, _: &LogRow) -> Result<(), Error> {
        Ok(())
    }
}

/// The new file, in transactions of bounded size.
struct Repair<'a> {
    file: &'a ShardFile,
    /// None is open between two.
    rows: Option<Rows<'a>>,
    log: LogEnd,
}

impl<'a> Repair<'a> {
    fn write(
        &mut self,
        work: impl FnOnce(&mut Rows<'a>, &mut LogEnd) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let rows = match &mut self.rows {
            Some(rows) => rows,
            none => none.insert(Rows::begin(self.file)?),
        };
        work(rows, &mut self.log)?;
        if rows.bytes >= TRANSACTION_BYTES { self.commit() } else { Ok(()) }
    }

    fn commit(&mut self) -> Result<(), Error> {
        self.rows.take().map_or(Ok(()), Rows::commit)
    }
}

impl Taker for Repair<'_> {
    fn chunk(&mut self, names: (&str, &str), row: &ChunkRow, bytes: &[u8]) -> Result<(), Error> {
        self.write(|rows, _| {
            let document = rows.document(names.0, names.1)?;
            rows.add_chunk_row(&ChunkRow { document, ..*row }, bytes)
        })
    }

    fn entry(&mut self, collection: &str, key: &str, value: &str) -> Result<(), Error> {
        self.write(|rows, _| rows.set_entry(collection, key, value))
    }

    fn api_key(&mut self, key: &str, scope: &str) -> Result<(), Error> {
        self.write(|rows, _| rows.set_api_key(key, scope))
    }

    fn log(&mut self, row: &LogRow) -> Result<(), Error> {
        self.write(|rows, log| {
            log.add(rows, row.changes, &row.bytes)?;
            rows.bytes += row.bytes.len();
            Ok(())
        })
    }
}
