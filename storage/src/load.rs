//! Filling a shard from its file: one pass in the order of the file, on the thread that owns the shard.

use crate::error::Error;
use crate::file::ShardFile;
use crate::life::{self, Life};
use fluxion_engine::{Outcome, Request, Shard};
use rusqlite::Rows;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The size of what was loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Documents with at least one record.
    pub documents: usize,
    /// Records, over all documents.
    pub records: usize,
    /// Entries, over all collections.
    pub entries: usize,
}

/// Loads one shard; can be sent to the thread that is to own it.
pub struct Loader {
    path: PathBuf,
    life: Life,
}

impl Loader {
    pub(crate) fn new(path: &Path, life: Life) -> Loader {
        Loader { path: path.to_owned(), life }
    }

    /// Fills the shard. On an error it may be filled in part.
    pub fn load(self, shard: &mut Shard) -> Result<Loaded, Error> {
        let file = ShardFile::open_to_read(&self.path)?;
        let mut loaded = Loaded::default();
        file.run_ref(|connection| {
            let mut names = HashMap::new();
            let mut documents = connection.prepare("SELECT id, collection, doc FROM docs")?;
            let mut rows = documents.query([])?;
            while let Some(row) = rows.next()? {
                names.insert(row.get::<_, i64>(0)?, (row.get::<_, String>(1)?, row.get::<_, String>(2)?));
            }
            let mut records =
                connection.prepare("SELECT doc_id, ts, data FROM records ORDER BY doc_id, ts")?;
            load_records(shard, &names, records.query([])?, &mut loaded)?;
            let mut entries = connection.prepare("SELECT collection, key, value FROM key_values")?;
            load_entries(shard, entries.query([])?, &mut loaded)
        })?;
        let Life { epoch, before, first_number } = self.life;
        shard.feed_mut().start(first_number);
        shard.set_epoch(epoch, before);
        if before.is_some() {
            for (collection, number) in life::unchanged(&file)? {
                shard.note_unchanged(&collection, number);
            }
        }
        Ok(loaded)
    }
}

fn load_records(
    shard: &mut Shard,
    names: &HashMap<i64, (String, String)>,
    mut rows: Rows<'_>,
    loaded: &mut Loaded,
) -> rusqlite::Result<()> {
    let mut current = None;
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        if current.as_ref().is_none_or(|(known, _)| *known != id) {
            // A record whose document has no name: not what we wrote.
            let (collection, document) =
                names.get(&id).ok_or(rusqlite::Error::IntegralValueOutOfRange(0, id))?;
            current = Some((id, shard.load_document(collection, document)));
            loaded.documents += 1;
        }
        if let Some((_, document)) = &mut current {
            document.put(row.get(1)?, row.get_ref(2)?.as_str()?);
            loaded.records += 1;
        }
    }
    Ok(())
}

fn load_entries(shard: &mut Shard, mut rows: Rows<'_>, loaded: &mut Loaded) -> rusqlite::Result<()> {
    let mut out = Vec::new();
    while let Some(row) = rows.next()? {
        let (collection, key, value) =
            (row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?, row.get_ref(2)?.as_str()?);
        let set = shard.execute(&Request::SetValue { collection, key, value }, &mut out);
        assert!(matches!(set, Ok(Outcome::Done)), "only patterns can be wrong");
        loaded.entries += 1;
    }
    Ok(())
}
