//! Writing much into a shard's file while the store is opened, in transactions of bounded size.
//!
//! All that was written is on disk after `commit`, and some of it before. After an error the open transaction is forgotten.

use crate::error::Error;
use crate::file::ShardFile;
use crate::limits::{ROW_BYTES, TRANSACTION_BYTES};
use crate::rows::{ChunkRow, Rows};
use crate::series::{Series, Tools};

/// Records of one document that are not in the file yet; rows come in runs over the same one.
#[derive(Default)]
struct Pending {
    collection: String,
    document: String,
    records: Vec<(i64, String)>,
    bytes: usize,
}

/// A file that rows are copied to.
pub(crate) struct Copying<'a> {
    file: &'a ShardFile,
    /// The open transaction, if there is one.
    rows: Option<Rows<'a>>,
    pending: Pending,
    tools: Tools,
}

impl<'a> Copying<'a> {
    pub(crate) fn new(file: &'a ShardFile) -> Copying<'a> {
        Copying { file, rows: None, pending: Pending::default(), tools: Tools::default() }
    }

    /// Copies a record, in place of one of the same time.
    pub(crate) fn record(
        &mut self,
        collection: &str,
        document: &str,
        ts: i64,
        data: &str,
    ) -> Result<(), Error> {
        let is_same = self.pending.document == document && self.pending.collection == collection;
        if !is_same || self.pending.bytes >= self.file.sizes.step_bytes {
            self.store_pending()?;
            self.pending.collection = collection.into();
            self.pending.document = document.into();
        }
        self.pending.bytes += data.len() + ROW_BYTES;
        self.pending.records.push((ts, data.into()));
        Ok(())
    }

    /// Copies a chunk as it is, unless it has been copied before.
    pub(crate) fn chunk(
        &mut self,
        collection: &str,
        document: &str,
        row: &ChunkRow,
        bytes: &[u8],
    ) -> Result<(), Error> {
        let rows = self.rows()?;
        let id = rows.document(collection, document)?;
        let known = rows.chunk_at(id, row.first_ts)?;
        if known.is_none_or(|known| known.first_ts != row.first_ts) {
            rows.add_chunk_row(&ChunkRow { document: id, ..*row }, bytes)?;
        }
        self.commit_if_large()
    }

    pub(crate) fn entry(&mut self, collection: &str, key: &str, value: &str) -> Result<(), Error> {
        let rows = self.rows()?;
        rows.bytes += ROW_BYTES;
        rows.set_entry(collection, key, value)?;
        self.commit_if_large()
    }

    pub(crate) fn api_key(&mut self, key: &str, scope: &str) -> Result<(), Error> {
        self.rows()?.set_api_key(key, scope)
    }

    /// Commits, so that everything written so far is on disk.
    pub(crate) fn commit(&mut self) -> Result<(), Error> {
        self.store_pending()?;
        self.rows.take().map_or(Ok(()), Rows::commit)
    }

    fn rows(&mut self) -> Result<&mut Rows<'a>, Error> {
        let rows = match self.rows.take() {
            Some(rows) => rows,
            None => Rows::begin(self.file)?,
        };
        Ok(self.rows.insert(rows))
    }

    fn store_pending(&mut self) -> Result<(), Error> {
        let Pending { collection, document, mut records, .. } = std::mem::take(&mut self.pending);
        if records.is_empty() {
            return Ok(());
        }
        records.sort_by_key(|(ts, _)| *ts);
        let last_of_each = records.chunk_by(|one, other| one.0 == other.0).filter_map(|equal| equal.last());
        let puts = last_of_each.map(|(ts, data)| (*ts, Some(data.as_str()))).collect();
        let mut series = Series::new((&collection, &document), Vec::new(), puts);
        let mut tools = std::mem::take(&mut self.tools);
        let rows = self.rows()?;
        let id = rows.document(&collection, &document)?;
        while series.step(rows, id, &mut tools)? {}
        self.tools = tools;
        self.commit_if_large()
    }

    fn commit_if_large(&mut self) -> Result<(), Error> {
        match self.rows.take() {
            Some(rows) if rows.bytes >= TRANSACTION_BYTES => rows.commit(),
            rows => {
                self.rows = rows;
                Ok(())
            }
        }
    }
}
