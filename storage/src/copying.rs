//! Writing much into a shard's file while the store is opened, in transactions of bounded size.
//!
//! All that was written is on disk after `commit`, and some of it before. After an error the open transaction is forgotten
//! with the connection.

use crate::commit::{document_id, put_statement};
use crate::error::Error;
use crate::file::ShardFile;
use crate::limits::{ROW_BYTES, TRANSACTION_BYTES};
use rusqlite::{Connection, params};

/// The document of the row before; rows come in runs over the same one.
struct Recent {
    collection: String,
    document: String,
    id: i64,
}

/// A file that rows are copied to.
pub(crate) struct Copying<'a> {
    file: &'a ShardFile,
    /// The size of the open transaction; none is open while it is zero.
    open_bytes: usize,
    recent: Option<Recent>,
}

impl<'a> Copying<'a> {
    pub(crate) fn new(file: &'a ShardFile) -> Copying<'a> {
        Copying { file, open_bytes: 0, recent: None }
    }

    pub(crate) fn record(
        &mut self,
        collection: &str,
        document: &str,
        ts: i64,
        data: &str,
    ) -> Result<(), Error> {
        self.begin()?;
        let known = self.recent.as_ref();
        let known = known.filter(|recent| recent.document == document && recent.collection == collection);
        let id = match known {
            Some(recent) => recent.id,
            None => {
                let id = self.file.run_ref(|connection| document_id(connection, collection, document))?;
                self.recent = Some(Recent { collection: collection.into(), document: document.into(), id });
                id
            }
        };
        self.write(data.len(), |connection| put_statement(connection)?.execute(params![id, ts, data]))
    }

    pub(crate) fn entry(&mut self, collection: &str, key: &str, value: &str) -> Result<(), Error> {
        self.begin()?;
        self.write(key.len() + value.len(), |connection| {
            let put = "INSERT OR REPLACE INTO key_values VALUES (?1, ?2, ?3)";
            connection.prepare_cached(put)?.execute([collection, key, value])
        })
    }

    pub(crate) fn api_key(&mut self, key: &str, scope: &str) -> Result<(), Error> {
        self.begin()?;
        self.write(key.len(), |connection| {
            let put = "INSERT OR REPLACE INTO api_keys VALUES (?1, ?2)";
            connection.prepare_cached(put)?.execute([key, scope])
        })
    }

    /// Commits, so that everything written so far is on disk.
    pub(crate) fn commit(&mut self) -> Result<(), Error> {
        if self.open_bytes > 0 {
            self.file.run_ref(|connection| connection.execute_batch("COMMIT"))?;
            self.open_bytes = 0;
        }
        Ok(())
    }

    fn begin(&mut self) -> Result<(), Error> {
        if self.open_bytes == 0 {
            self.file.run_ref(|connection| connection.execute_batch("BEGIN"))?;
            self.open_bytes = 1;
        }
        Ok(())
    }

    fn write(
        &mut self,
        bytes: usize,
        work: impl FnOnce(&Connection) -> rusqlite::Result<usize>,
    ) -> Result<(), Error> {
        self.file.run_ref(work)?;
        self.open_bytes += bytes + ROW_BYTES;
        if self.open_bytes >= TRANSACTION_BYTES { self.commit() } else { Ok(()) }
    }
}
