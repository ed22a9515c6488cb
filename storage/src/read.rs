//! Reading a whole file, and checking it on the way: each row against its checksum, each table against its sum.
//!
//! Nothing of the file is believed before it has been checked. What is wrong is told one by one, and what is good is given on.

use crate::checksum::Sum;
use crate::error::Error;
use crate::file::ShardFile;
use crate::log::{LogEnd, LogRow};
use crate::rows::{CHUNK_COLUMNS, ChunkRow, api_key_checksum, document_checksum, entry_checksum};
use crate::state::{State, TABLES, Table};
use fluxion_engine::sealed::{Decoder, Sealed};
use rusqlite::Row;
use rusqlite::types::ValueRef;
use std::collections::HashMap;

/// What gets the contents of a file, in this order: documents with their chunks by time, entries, API keys, the log.
pub(crate) trait Reader {
    /// A chunk; those of a document follow each other, the earliest first.
    fn chunk(
        &mut self,
        collection: &str,
        document: &str,
        row: &ChunkRow,
        sealed: Sealed,
    ) -> Result<(), Error>;
    /// An entry.
    fn entry(&mut self, collection: &str, key: &str, value: &str) -> Result<(), Error>;
    /// A row of the log.
    fn log(&mut self, row: LogRow) -> Result<(), Error>;
    /// Something that is wrong; on an error, reading ends.
    fn damage(&mut self, damage: Damage) -> Result<(), Error>;
}

/// A part of a file that is not as it was written.
#[derive(Debug, PartialEq)]
pub(crate) enum Damage {
    /// A row of a table.
    Row(Table, i64, String),
    /// A table as a whole: rows are missing, or are not of this file.
    Table(String),
    /// The log from some place on.
    Log(String),
}

impl Damage {
    /// What is wrong, in words.
    pub(crate) fn what(&self) -> &str {
        match self {
            Damage::Row(_, _, what) | Damage::Table(what) | Damage::Log(what) => what,
        }
    }
}

/// Names of documents by number.
type Names = HashMap<i64, (String, String)>;

/// Reads a file. An error is one of SQLite's or of the reader's; what is merely damaged goes to the reader.
pub(crate) fn read(file: &ShardFile, reader: &mut impl Reader) -> Result<(), Error> {
    let state = file.run_ref(State::read)?;
    let mut found = [Sum::default(); TABLES.len()];
    let names = read_documents(file, reader, &mut found[Table::Documents as usize])?;
    read_chunks(file, &names, reader, &mut found[Table::Chunks as usize])?;
    drop(names);
    read_entries(file, reader, &mut found[Table::Entries as usize])?;
    read_api_keys(file, reader, &mut found[Table::ApiKeys as usize])?;
    for ((name, found), expected) in TABLES.iter().zip(found).zip(state.sums) {
        if found.count != expected.count {
            let what = format!(
                "there are {} rows of {name} where {} were written last",
                found.count, expected.count
            );
            reader.damage(Damage::Table(what))?;
        } else if found.sum != expected.sum {
            let what = format!("the rows of {name} are not all those that were written last");
            reader.damage(Damage::Table(what))?;
        }
    }
    if let Err(what) = LogEnd::read(file, |row| reader.log(row))? {
        reader.damage(Damage::Log(what))?;
    }
    Ok(())
}

/// Calls `take` with each row of a query.
fn each(
    file: &ShardFile,
    query: &str,
    mut take: impl FnMut(&Row<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let wrong = Error::in_file(&file.path);
    let mut query = file.connection.prepare(query).map_err(&wrong)?;
    let mut rows = query.query([]).map_err(&wrong)?;
    while let Some(row) = rows.next().map_err(&wrong)? {
        take(row)?;
    }
    Ok(())
}

/// A text of a row, whatever damage has made of it.
fn text<'r>(row: &'r Row<'_>, column: usize) -> &'r str {
    match row.get_ref(column) {
        Ok(ValueRef::Text(bytes)) => std::str::from_utf8(bytes).unwrap_or_default(),
        _ => "",
    }
}

fn number(row: &Row<'_>, column: usize) -> i64 {
    row.get(column).unwrap_or_default()
}

fn read_documents(file: &ShardFile, reader: &mut impl Reader, sum: &mut Sum) -> Result<Names, Error> {
    let mut names = Names::new();
    each(file, "SELECT id, collection, document, checksum FROM documents", |row| {
        let (id, collection, document) = (number(row, 0), text(row, 1), text(row, 2));
        let checksum = number(row, 3);
        sum.add(checksum);
        if checksum != document_checksum(id, collection, document) {
            let what = format!("the name of document {document:?} in collection {collection:?} has changed");
            return reader.damage(Damage::Row(Table::Documents, id, what));
        }
        names.insert(id, (collection.to_owned(), document.to_owned()));
        Ok(())
    })?;
    Ok(names)
}

fn read_chunks(
    file: &ShardFile,
    names: &Names,
    reader: &mut impl Reader,
    sum: &mut Sum,
) -> Result<(), Error> {
    let mut decoder = Decoder::default();
    let mut before: Option<ChunkRow> = None;
    let query = format!("SELECT {CHUNK_COLUMNS}, bytes FROM chunks ORDER BY document, first_ts");
    each(file, &query, |row| {
        let bytes = row.get_ref(7).ok().and_then(|bytes| bytes.as_blob().ok()).unwrap_or_default();
        let row = ChunkRow::of(row).map_err(Error::in_file(&file.path))?;
        sum.add(row.checksum);
        let Some((collection, document)) = names.get(&row.document) else {
            let what = format!(
                "{} records from {} to {} belong to no document",
                row.records, row.first_ts, row.last_ts
            );
            return reader.damage(Damage::Row(Table::Chunks, row.id, what));
        };
        let sealed = check_chunk(&row, bytes, before.as_ref(), &mut decoder);
        match sealed {
            Ok(sealed) => {
                before = Some(row);
                reader.chunk(collection, document, &row, sealed)
            }
            Err(what) => {
                let what = row.tell((collection, document), &what);
                reader.damage(Damage::Row(Table::Chunks, row.id, what))
            }
        }
    })
}

fn check_chunk(
    row: &ChunkRow,
    bytes: &[u8],
    before: Option<&ChunkRow>,
    decoder: &mut Decoder,
) -> Result<Sealed, String> {
    if row.expected(bytes) != row.checksum {
        return Err("its checksum is wrong".into());
    }
    if before.is_some_and(|before| before.document == row.document && before.last_ts >= row.first_ts) {
        return Err("it overlaps the one before".into());
    }
    let sealed = Sealed::from_bytes(bytes, |_| None, decoder).map_err(|error| error.to_string())?;
    let says = (row.first_ts, row.last_ts, row.records);
    if (sealed.first_ts(), sealed.last_ts(), sealed.len() as i64) != says {
        return Err("it holds others than it says".into());
    }
    Ok(sealed)
}

fn read_entries(file: &ShardFile, reader: &mut impl Reader, sum: &mut Sum) -> Result<(), Error> {
    each(file, "SELECT collection, key, value, checksum FROM entries", |row| {
        let (collection, key, value) = (text(row, 0), text(row, 1), text(row, 2));
        let checksum = number(row, 3);
        sum.add(checksum);
        if checksum != entry_checksum(collection, key, value) {
            let what = format!(
                "the value of key {key:?} in collection {collection:?}, or one of these, has changed"
            );
            return reader.damage(Damage::Row(Table::Entries, checksum, what));
        }
        reader.entry(collection, key, value)
    })
}

fn read_api_keys(file: &ShardFile, reader: &mut impl Reader, sum: &mut Sum) -> Result<(), Error> {
    each(file, "SELECT api_key, scope, checksum FROM api_keys", |row| {
        let checksum = number(row, 2);
        sum.add(checksum);
        if checksum == api_key_checksum(text(row, 0), text(row, 1)) {
            return Ok(());
        }
        // Not the key itself: it is a secret, if it is still one.
        let what = "an API key or its scope has changed".to_owned();
        reader.damage(Damage::Row(Table::ApiKeys, checksum, what))
    })
}
