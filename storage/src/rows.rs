//! One transaction on what a shard's file holds: rows with their checksums, and the sums of these in step.
//!
//! Nobody else writes these tables, so each row's checksum covers all of its columns, and `state` says for each table how many
//! rows it has and what their checksums come to. Whoever reads a whole file can tell whether it is what was written last.

use crate::checksum::Checksum;
use crate::error::Error;
use crate::file::ShardFile;
use crate::limits::Sizes;
use crate::state::{LogStart, State, Table};
use fluxion_engine::sealed::Sealed;
use rusqlite::{OptionalExtension, Row, ToSql, Transaction};
use std::path::Path;

/// Where a chunk lies, and what is to be known without its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChunkRow {
    pub(crate) id: i64,
    pub(crate) document: i64,
    pub(crate) first_ts: i64,
    pub(crate) last_ts: i64,
    pub(crate) records: i64,
    pub(crate) text_bytes: i64,
    pub(crate) checksum: i64,
}

/// The columns of a chunk, as `ChunkRow::of` takes them.
pub(crate) const CHUNK_COLUMNS: &str = "id, document, first_ts, last_ts, records, text_bytes, checksum";

impl ChunkRow {
    pub(crate) fn of(row: &Row<'_>) -> rusqlite::Result<ChunkRow> {
        Ok(ChunkRow {
            id: row.get(0)?,
            document: row.get(1)?,
            first_ts: row.get(2)?,
            last_ts: row.get(3)?,
            records: row.get(4)?,
            text_bytes: row.get(5)?,
            checksum: row.get(6)?,
        })
    }

    /// Which one it is, and what is wrong with it.
    pub(crate) fn tell(&self, (collection, document): (&str, &str), what: &str) -> String {
        let ChunkRow { first_ts, last_ts, records, .. } = self;
        format!(
            "{records} records of document {document:?} in collection {collection:?}, from {first_ts} to {last_ts}: {what}"
        )
    }

    /// What its checksum should be, with these bytes.
    pub(crate) fn expected(&self, bytes: &[u8]) -> i64 {
        let ChunkRow { document, first_ts, last_ts, records, text_bytes, .. } = *self;
        let numbers = [document, first_ts, last_ts, records, text_bytes];
        numbers.into_iter().fold(Checksum::new(), Checksum::number).bytes(bytes).get()
    }
}

/// The checksum of a document's row.
pub(crate) fn document_checksum(id: i64, collection: &str, document: &str) -> i64 {
    Checksum::new().number(id).bytes(collection.as_bytes()).bytes(document.as_bytes()).get()
}

/// The checksum of an entry's row.
pub(crate) fn entry_checksum(collection: &str, key: &str, value: &str) -> i64 {
    [collection, key, value].iter().fold(Checksum::new(), |sum, text| sum.bytes(text.as_bytes())).get()
}

/// The checksum of an API key's row.
pub(crate) fn api_key_checksum(key: &str, scope: &str) -> i64 {
    Checksum::new().bytes(key.as_bytes()).bytes(scope.as_bytes()).get()
}

/// An open transaction, which is undone unless it is committed.
pub(crate) struct Rows<'a> {
    pub(crate) path: &'a Path,
    pub(crate) sizes: Sizes,
    transaction: Transaction<'a>,
    state: State,
    was: State,
    /// About how much has been written.
    pub(crate) bytes: usize,
}

impl<'a> Rows<'a> {
    pub(crate) fn begin(file: &'a ShardFile) -> Result<Rows<'a>, Error> {
        let ShardFile { path, connection, sizes, .. } = file;
        let transaction = connection.unchecked_transaction().map_err(Error::in_file(path))?;
        let state = State::read(&transaction).map_err(Error::in_file(path))?;
        Ok(Rows { path, sizes: *sizes, transaction, state, was: state, bytes: 0 })
    }

    pub(crate) fn commit(self) -> Result<(), Error> {
        let Rows { path, transaction, state, was, .. } = self;
        let end = || {
            if state != was {
                state.write(&transaction)?;
            }
            transaction.commit()
        };
        end().map_err(Error::in_file(path))
    }

    /// Says where the log begins from now on.
    pub(crate) fn set_log_start(&mut self, log: LogStart) {
        self.state.log = log;
    }

    /// Carries out a statement; returns how many rows it changed.
    pub(crate) fn execute(&self, sql: &str, values: &[&dyn ToSql]) -> Result<usize, Error> {
        let execute = || self.transaction.prepare_cached(sql)?.execute(values);
        execute().map_err(Error::in_file(self.path))
    }

    /// Returns the first row of a query, if there is one.
    pub(crate) fn first<T>(
        &self,
        sql: &str,
        values: &[&dyn ToSql],
        take: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, Error> {
        let first = || self.transaction.prepare_cached(sql)?.query_row(values, take).optional();
        first().map_err(Error::in_file(self.path))
    }

    /// The number of a document, if it is there.
    pub(crate) fn find_document(&self, collection: &str, document: &str) -> Result<Option<i64>, Error> {
        let find = "SELECT id FROM documents WHERE collection = ?1 AND document = ?2";
        self.first(find, &[&collection, &document], |row| row.get(0))
    }

    /// The number of a document, which gets one if it has none.
    pub(crate) fn document(&mut self, collection: &str, document: &str) -> Result<i64, Error> {
        if let Some(id) = self.find_document(collection, document)? {
            return Ok(id);
        }
        let insert = "INSERT INTO documents (collection, document, checksum) VALUES (?1, ?2, 0)";
        self.execute(insert, &[&collection, &document])?;
        let id = self.transaction.last_insert_rowid();
        let checksum = document_checksum(id, collection, document);
        self.execute("UPDATE documents SET checksum = ?2 WHERE id = ?1", &[&id, &checksum])?;
        self.state.sum(Table::Documents).add(checksum);
        self.bytes += collection.len() + document.len();
        Ok(id)
    }

    /// Removes a document's row, which no chunk belongs to any more.
    pub(crate) fn remove_document(&mut self, id: i64) -> Result<(), Error> {
        self.remove(Table::Documents, "DELETE FROM documents WHERE id = ?1 RETURNING checksum", &[&id])
    }

    /// A document of a collection, whichever.
    pub(crate) fn any_document(&self, collection: &str) -> Result<Option<i64>, Error> {
        let find = "SELECT id FROM documents WHERE collection = ?1 LIMIT 1";
        self.first(find, &[&collection], |row| row.get(0))
    }

    /// The chunk that holds a time, or the one before it.
    pub(crate) fn chunk_at(&self, document: i64, ts: i64) -> Result<Option<ChunkRow>, Error> {
        let find = select_chunk("WHERE document = ?1 AND first_ts <= ?2 ORDER BY first_ts DESC LIMIT 1");
        self.first(&find, &[&document, &ts], ChunkRow::of)
    }

    /// The first chunk that begins after a time.
    pub(crate) fn chunk_after(&self, document: i64, ts: i64) -> Result<Option<ChunkRow>, Error> {
        let find = select_chunk("WHERE document = ?1 AND first_ts > ?2 ORDER BY first_ts LIMIT 1");
        self.first(&find, &[&document, &ts], ChunkRow::of)
    }

    /// Any chunk of a document.
    pub(crate) fn any_chunk(&self, document: i64) -> Result<Option<ChunkRow>, Error> {
        self.first(&select_chunk("WHERE document = ?1 LIMIT 1"), &[&document], ChunkRow::of)
    }

    /// The bytes of a chunk.
    pub(crate) fn chunk_bytes(&self, id: i64) -> Result<Vec<u8>, Error> {
        let bytes = self.first("SELECT bytes FROM chunks WHERE id = ?1", &[&id], |row| row.get(0))?;
        Ok(bytes.unwrap_or_default())
    }

    /// Adds a chunk, whose times no other of the document overlaps.
    pub(crate) fn add_chunk(&mut self, document: i64, sealed: &Sealed) -> Result<(), Error> {
        let row = ChunkRow {
            id: 0,
            document,
            first_ts: sealed.first_ts(),
            last_ts: sealed.last_ts(),
            records: sealed.len() as i64,
            text_bytes: sealed.text_bytes() as i64,
            checksum: 0,
        };
        self.add_chunk_row(&row, sealed.bytes())
    }

    /// Adds a chunk as it was in another file, under this document's number.
    pub(crate) fn add_chunk_row(&mut self, row: &ChunkRow, bytes: &[u8]) -> Result<(), Error> {
        let checksum = row.expected(bytes);
        let insert = "INSERT INTO chunks (document, first_ts, last_ts, records, text_bytes, checksum, bytes)
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let ChunkRow { document, first_ts, last_ts, records, text_bytes, .. } = row;
        self.execute(insert, &[document, first_ts, last_ts, records, text_bytes, &checksum, &bytes])?;
        self.state.sum(Table::Chunks).add(checksum);
        self.bytes += bytes.len();
        Ok(())
    }

    pub(crate) fn remove_chunk(&mut self, row: &ChunkRow) -> Result<(), Error> {
        self.remove(Table::Chunks, "DELETE FROM chunks WHERE id = ?1 RETURNING checksum", &[&row.id])
    }

    /// Sets an entry, in place of what was there.
    pub(crate) fn set_entry(&mut self, collection: &str, key: &str, value: &str) -> Result<(), Error> {
        self.remove_entry(collection, key)?;
        let checksum = entry_checksum(collection, key, value);
        self.execute("INSERT INTO entries VALUES (?1, ?2, ?3, ?4)", &[&collection, &key, &value, &checksum])?;
        self.state.sum(Table::Entries).add(checksum);
        self.bytes += collection.len() + key.len() + value.len();
        Ok(())
    }

    pub(crate) fn remove_entry(&mut self, collection: &str, key: &str) -> Result<(), Error> {
        let delete = "DELETE FROM entries WHERE collection = ?1 AND key = ?2 RETURNING checksum";
        self.remove(Table::Entries, delete, &[&collection, &key])
    }

    /// The key of an entry of a collection, whichever.
    pub(crate) fn any_entry(&self, collection: &str) -> Result<Option<String>, Error> {
        let find = "SELECT key FROM entries WHERE collection = ?1 LIMIT 1";
        self.first(find, &[&collection], |row| row.get(0))
    }

    /// Sets an API key's scope.
    pub(crate) fn set_api_key(&mut self, key: &str, scope: &str) -> Result<(), Error> {
        self.remove_api_key(key)?;
        let checksum = api_key_checksum(key, scope);
        self.execute("INSERT INTO api_keys VALUES (?1, ?2, ?3)", &[&key, &scope, &checksum])?;
        self.state.sum(Table::ApiKeys).add(checksum);
        Ok(())
    }

    pub(crate) fn remove_api_key(&mut self, key: &str) -> Result<(), Error> {
        let delete = "DELETE FROM api_keys WHERE api_key = ?1 RETURNING checksum";
        self.remove(Table::ApiKeys, delete, &[&key])
    }

    /// Removes at most one row, and its checksum from the sum.
    fn remove(&mut self, table: Table, sql: &str, values: &[&dyn ToSql]) -> Result<(), Error> {
        if let Some(checksum) = self.first(sql, values, |row| row.get(0))? {
            self.state.sum(table).subtract(checksum);
        }
        Ok(())
    }
}

fn select_chunk(rest: &str) -> String {
    format!("SELECT {CHUNK_COLUMNS} FROM chunks {rest}")
}
