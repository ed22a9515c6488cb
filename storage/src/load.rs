//! Filling a shard from its file, on the thread that owns the shard: chunks as they are, then the log's changes again.

use crate::error::Error;
use crate::file::ShardFile;
use crate::life::{self, Life};
use crate::limits::{DAMAGE_TOLD, REPLAYED_RECORDS};
use crate::log::LogRow;
use crate::pack::Unpacker;
use crate::read::{Damage, Reader, read};
use crate::rows::ChunkRow;
use fluxion_engine::sealed::Sealed;
use fluxion_engine::{Change, Record, Shard};
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
        fill(&file, shard)?;
        let Life { epoch, before, first_number, .. } = self.life;
        shard.feed_mut().start(first_number);
        shard.set_epoch(epoch, before);
        if before.is_some() {
            for (collection, number) in life::unchanged(&file)? {
                shard.note_unchanged(&collection, number);
            }
        }
        Ok(Loaded {
            documents: shard.document_count(),
            records: shard.record_count(),
            entries: shard.entry_count(),
        })
    }
}

/// Puts all of a file into a shard. On an error it may be filled in part.
pub(crate) fn fill(file: &ShardFile, shard: &mut Shard) -> Result<(), Error> {
    let mut filling = Filling { shard, chunks: Vec::new(), names: Default::default(), damage: Vec::new() };
    read(file, &mut filling)?;
    filling.end_document();
    let damage = filling.damage;
    if damage.is_empty() { Ok(()) } else { Err(file.damaged(&tell(&damage))) }
}

/// The first parts that are damaged, and how many others there are.
pub(crate) fn tell(damage: &[Damage]) -> String {
    let told: Vec<&str> = damage.iter().take(DAMAGE_TOLD).map(Damage::what).collect();
    let mut text = told.join("; ");
    if damage.len() > told.len() {
        text.push_str(&format!("; and {} more", damage.len() - told.len()));
    }
    text
}

/// A shard that is being filled.
struct Filling<'a> {
    shard: &'a mut Shard,
    /// Those of the document that is being read.
    chunks: Vec<Sealed>,
    names: (String, String),
    damage: Vec<Damage>,
}

impl Filling<'_> {
    fn end_document(&mut self) {
        let (collection, document) = &self.names;
        let mut loader = self.shard.load_document(collection, document);
        self.chunks.drain(..).for_each(|sealed| loader.put_sealed(sealed));
    }
}

impl Reader for Filling<'_> {
    fn chunk(&mut self, collection: &str, document: &str, _: &ChunkRow, sealed: Sealed) -> Result<(), Error> {
        if self.names.0 != collection || self.names.1 != document {
            self.end_document();
            self.names = (collection.to_owned(), document.to_owned());
        }
        self.chunks.push(sealed);
        Ok(())
    }

    fn entry(&mut self, collection: &str, key: &str, value: &str) -> Result<(), Error> {
        self.shard.replay(Change::SetValue { collection, key, value });
        Ok(())
    }

    fn log(&mut self, row: LogRow) -> Result<(), Error> {
        self.end_document();
        let mut records = Vec::new();
        for change in Unpacker::new(&row.bytes) {
            let Some(change) = change else {
                let what = format!("changes from {} on in the log make no sense", row.first);
                self.damage.push(Damage::Log(what));
                break;
            };
            if let Change::Put { collection, document, ts, data } = change {
                records.push(Record { collection, document, ts, data });
            }
            let is_put = matches!(change, Change::Put { .. });
            if !is_put || records.len() == REPLAYED_RECORDS {
                self.shard.replay_records(&records);
                records.clear();
            }
            if !is_put {
                self.shard.replay(change);
            }
        }
        self.shard.replay_records(&records);
        Ok(())
    }

    fn damage(&mut self, damage: Damage) -> Result<(), Error> {
        self.damage.push(damage);
        Ok(())
    }
}
