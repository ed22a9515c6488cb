//! Taking over the file of the C++ server, `fluxion.db`.
//!
//! 1. Shard 0's file says that an import is under way, before anything is copied.
//! 2. Everything is copied to the shards that own it, and is on disk.
//! 3. The file is renamed, then shard 0's file says that the import is over.
//!
//! A start that finds an import under way begins it anew with empty shards, or, if the file has been renamed, ends it.

use crate::copying::Copying;
use crate::directory;
use crate::error::Error;
use crate::file::{ShardFile, sync_directory};
use crate::lives::Lives;
use crate::source::Source;
use crate::state::{State, TABLES};
use crate::tally::Tally;
use fluxion_engine::{ShardId, shard_of};
use rusqlite::Row;
use rusqlite::types::ValueRef;
use std::borrow::Cow;
use std::path::Path;
use tracing::{info, warn};

const NAME: &str = "fluxion.db";
const NAME_IMPORTED: &str = "fluxion.db.imported";
const META_STATE: &str = "state";
const IMPORTING: &str = "importing";
const READY: &str = "ready";

/// Imports the directory's file of the C++ server, if there is one.
pub(crate) fn run(
    directory: &Path,
    files: &mut [ShardFile],
    shard_count: usize,
    lives: &mut Lives,
) -> Result<(), Error> {
    let (path, imported) = (directory.join(NAME), directory.join(NAME_IMPORTED));
    let under_way = is_under_way(&files[0])?;
    match (path.exists(), under_way) {
        (false, false) => return Ok(()),
        (false, true) if imported.exists() => return files[0].set_meta(META_STATE, READY),
        (false, true) => {
            let why = "its import was interrupted, and now it is missing; put it back";
            return Err(Error::Unusable(path, why.into()));
        }
        (true, _) if imported.exists() => {
            let why = format!(
                "it is to be imported, but there is a {NAME_IMPORTED} already; move one of the two away"
            );
            return Err(Error::Unusable(path, why));
        }
        (true, false) if !is_empty(files)? => {
            let why =
                "it is a file of the C++ server beside data of this one; move away whichever is not wanted";
            return Err(Error::Unusable(path, why.into()));
        }
        (true, _) => {}
    }
    let source = Source::open(&path)?;
    lives.begin(files)?;
    files[0].set_meta(META_STATE, IMPORTING)?;
    files.iter_mut().try_for_each(empty)?;
    copy(&source, files, shard_count)?;
    files.iter().try_for_each(ShardFile::checkpoint)?;
    source.close()?;
    directory::make_private(&path);
    std::fs::rename(&path, &imported).map_err(|error| Error::File(path, error))?;
    sync_directory(directory)?;
    files[0].set_meta(META_STATE, READY)
}

/// Whether an import has begun and is not over.
pub(crate) fn is_under_way(first: &ShardFile) -> Result<bool, Error> {
    Ok(first.meta::<String>(META_STATE)?.as_deref() == Some(IMPORTING))
}

fn is_empty(files: &[ShardFile]) -> Result<bool, Error> {
    for file in files {
        let any = "SELECT EXISTS (SELECT 1 FROM documents) OR EXISTS (SELECT 1 FROM entries)
                   OR EXISTS (SELECT 1 FROM api_keys) OR EXISTS (SELECT 1 FROM log)";
        if file.query(any)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn empty(file: &mut ShardFile) -> Result<(), Error> {
    file.run(|connection| {
        let transaction = connection.transaction()?;
        for table in TABLES.iter().chain(&["log"]) {
            transaction.execute(&format!("DELETE FROM {table}"), [])?;
        }
        let log = State::read(&transaction)?.log;
        State { sums: Default::default(), log }.write(&transaction)?;
        transaction.commit()
    })
}

/// A count of texts that were not valid UTF-8, which the wire does not allow.
#[derive(Default)]
struct Repaired(usize);

impl Repaired {
    /// A column as text, whatever its type is.
    fn text<'r>(&mut self, row: &'r Row<'_>, column: usize) -> rusqlite::Result<Cow<'r, str>> {
        Ok(match row.get_ref(column)? {
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                let text = String::from_utf8_lossy(bytes);
                self.0 += usize::from(matches!(text, Cow::Owned(_)));
                text
            }
            ValueRef::Integer(number) => number.to_string().into(),
            ValueRef::Real(number) => number.to_string().into(),
            ValueRef::Null => "".into(),
        })
    }
}

fn copy(source: &Source<'_>, files: &[ShardFile], shard_count: usize) -> Result<(), Error> {
    let total = source.count()? as usize;
    info!(records = total, "importing {NAME}");
    let mut repaired = Repaired::default();
    let mut targets = Targets::new(files, shard_count);
    copy_records(source, &mut targets, &mut repaired, total)?;
    if source.has_table("key_values")? {
        copy_entries(source, &mut targets, &mut repaired)?;
    }
    if source.has_table("api_keys")? {
        copy_api_keys(source, &mut targets.0[0])?;
    }
    targets.0.iter_mut().try_for_each(Copying::commit)?;
    if repaired.0 > 0 {
        warn!(
            texts = repaired.0,
            "imported texts were not valid UTF-8; what could not be read is now U+FFFD"
        );
    }
    info!(records = total, "{NAME} is imported");
    Ok(())
}

/// The files that rows go to, each to the one of its collection's shard.
struct Targets<'a>(Vec<Copying<'a>>);

impl<'a> Targets<'a> {
    fn new(files: &'a [ShardFile], shard_count: usize) -> Targets<'a> {
        Targets(files[..shard_count].iter().map(Copying::new).collect())
    }

    fn of(&mut self, collection: &str) -> &mut Copying<'a> {
        let ShardId(shard) = shard_of(collection, self.0.len());
        &mut self.0[shard]
    }
}

fn copy_records(
    source: &Source<'_>,
    targets: &mut Targets<'_>,
    repaired: &mut Repaired,
    total: usize,
) -> Result<(), Error> {
    let read = Error::in_file(source.path);
    let mut tally = Tally::new("records imported", total);
    source.each("SELECT collection, doc, ts, data FROM records ORDER BY collection, doc, ts", |row| {
        let collection = repaired.text(row, 0).map_err(&read)?;
        let document = repaired.text(row, 1).map_err(&read)?;
        let data = repaired.text(row, 3).map_err(&read)?;
        tally.add(1);
        targets.of(&collection).record(&collection, &document, row.get(2).map_err(&read)?, &data)
    })
}

fn copy_entries(
    source: &Source<'_>,
    targets: &mut Targets<'_>,
    repaired: &mut Repaired,
) -> Result<(), Error> {
    let read = Error::in_file(source.path);
    source.each("SELECT collection, key, value FROM key_values", |row| {
        let collection = repaired.text(row, 0).map_err(&read)?;
        let (key, value) = (repaired.text(row, 1).map_err(&read)?, repaired.text(row, 2).map_err(&read)?);
        targets.of(&collection).entry(&collection, &key, &value)
    })
}

fn copy_api_keys(source: &Source<'_>, first: &mut Copying<'_>) -> Result<(), Error> {
    let read = Error::in_file(source.path);
    let mut masters = 0;
    source.each("SELECT api_key, scope, deletable FROM api_keys", |row| {
        let (key, scope): (String, String) = (row.get(0).map_err(&read)?, row.get(1).map_err(&read)?);
        // Not deletable: the master key that the C++ server was started with.
        if row.get::<_, i64>(2).map_err(&read)? == 0 {
            masters += 1;
            return Ok(());
        }
        first.api_key(&key, &scope)
    })?;
    if masters > 0 {
        info!(keys = masters, "master keys of the C++ server were left out: give one with --secret-key");
    }
    Ok(())
}
