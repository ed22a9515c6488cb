//! Moving collections to the shards that own them, when the number of shards has changed.
//!
//! A collection is copied, that is committed and on disk, and only then deleted where it was. Nothing is written by
//! clients before all of it is over, so wherever a crash comes, the two copies together are the collection, and the
//! next start, with whatever number of shards, puts them together.

use crate::copying::Copying;
use crate::error::Error;
use crate::file::ShardFile;
use crate::limits::{ROW_BYTES, TRANSACTION_BYTES};
use crate::lives::Lives;
use crate::merge::clear_some;
use crate::rows::{CHUNK_COLUMNS, ChunkRow, Rows};
use crate::tally::Tally;
use fluxion_engine::{ShardId, shard_of};
use tracing::info;

/// A collection that lies in another file than its shard's.
struct Misplaced {
    collection: String,
    from: usize,
    to: usize,
}

/// Puts each collection into the file of its shard. The files have been checked, and their logs are empty.
pub(crate) fn relocate(files: &mut [ShardFile], shard_count: usize, lives: &mut Lives) -> Result<(), Error> {
    let mut misplaced = Vec::new();
    for (from, file) in files.iter().enumerate() {
        for collection in collections(file)? {
            let ShardId(to) = shard_of(&collection, shard_count);
            if to != from {
                misplaced.push(Misplaced { collection, from, to });
            }
        }
    }
    if misplaced.is_empty() {
        return Ok(());
    }
    lives.begin(files)?;
    info!(collections = misplaced.len(), shards = shard_count, "moving collections to other shards");
    let mut tally = Tally::new("records moved", count_records(files, &misplaced)?);
    misplaced.sort_by_key(|misplaced| (misplaced.from, misplaced.to));
    for run in misplaced.chunk_by(|one, other| (one.from, one.to) == (other.from, other.to)) {
        let pair = files.get_disjoint_mut([run[0].from, run[0].to]);
        let [from, to] = pair.unwrap_or_else(|_| unreachable!("two files"));
        move_run(from, to, run, &mut tally)?;
    }
    files.iter().try_for_each(ShardFile::checkpoint)
}

/// The collections that the tables of a file know of.
pub(crate) fn collections(file: &ShardFile) -> Result<Vec<String>, Error> {
    file.run_ref(|connection| {
        let all = "SELECT collection FROM documents UNION SELECT collection FROM entries";
        connection.prepare(all)?.query_map([], |row| row.get(0))?.collect()
    })
}

fn count_records(files: &[ShardFile], misplaced: &[Misplaced]) -> Result<usize, Error> {
    let count = |Misplaced { collection, from, .. }: &Misplaced| {
        files[*from].run_ref(|connection| {
            let count = "SELECT coalesce(sum(records), 0) FROM all_chunks WHERE collection = ?1";
            connection.prepare_cached(count)?.query_row([collection], |row| row.get::<_, i64>(0))
        })
    };
    Ok(misplaced.iter().map(count).sum::<Result<i64, Error>>()? as usize)
}

/// Moves collections from one file to another, small ones many at a time: a commit has to wait for the disk.
fn move_run(from: &ShardFile, to: &ShardFile, run: &[Misplaced], tally: &mut Tally) -> Result<(), Error> {
    let mut copying = Copying::new(to);
    let (mut bytes, mut first) = (0, 0);
    for (index, Misplaced { collection, .. }) in run.iter().enumerate() {
        bytes += copy(from, collection, &mut copying, tally)?;
        if bytes >= TRANSACTION_BYTES || index + 1 == run.len() {
            copying.commit()?;
            delete(from, &run[first..=index])?;
            (bytes, first) = (0, index + 1);
        }
    }
    Ok(())
}

/// Copies a collection, and returns about how many bytes that was.
fn copy(from: &ShardFile, collection: &str, to: &mut Copying<'_>, tally: &mut Tally) -> Result<usize, Error> {
    let read = Error::in_file(&from.path);
    let mut bytes = 0;
    let columns = CHUNK_COLUMNS.replace("id, document,", "chunks.id, chunks.document,");
    let query = format!(
        "SELECT {}, bytes, documents.document FROM documents JOIN chunks ON chunks.document = documents.id
         WHERE collection = ?1 ORDER BY chunks.document, first_ts",
        columns.replace("checksum", "chunks.checksum")
    );
    let mut chunks = from.connection.prepare_cached(&query).map_err(&read)?;
    let mut rows = chunks.query([collection]).map_err(&read)?;
    while let Some(row) = rows.next().map_err(&read)? {
        let document = row.get_ref(8).and_then(|name| Ok(name.as_str()?)).map_err(&read)?;
        let data = row.get_ref(7).and_then(|data| Ok(data.as_blob()?)).map_err(&read)?;
        let chunk = ChunkRow::of(row).map_err(&read)?;
        to.chunk(collection, document, &chunk, data)?;
        bytes += data.len() + ROW_BYTES;
        tally.add(chunk.records as usize);
    }
    let query = "SELECT key, value FROM entries WHERE collection = ?1";
    let mut entries = from.connection.prepare_cached(query).map_err(&read)?;
    let mut rows = entries.query([collection]).map_err(&read)?;
    while let Some(row) = rows.next().map_err(&read)? {
        let key = row.get_ref(0).and_then(|key| Ok(key.as_str()?)).map_err(&read)?;
        let value = row.get_ref(1).and_then(|value| Ok(value.as_str()?)).map_err(&read)?;
        to.entry(collection, key, value)?;
        bytes += value.len() + ROW_BYTES;
    }
    Ok(bytes)
}

/// Deletes collections, in transactions of bounded size.
fn delete(from: &ShardFile, run: &[Misplaced]) -> Result<(), Error> {
    let mut rows = Rows::begin(from)?;
    for Misplaced { collection, .. } in run {
        while clear_some(&mut rows, collection)? {
            if rows.bytes >= TRANSACTION_BYTES {
                rows.commit()?;
                rows = Rows::begin(from)?;
            }
        }
    }
    rows.commit()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::limits::Sizes;
    use crate::log::LogRow;
    use crate::read::{Damage, Reader, read};
    use crate::store::{Store, StoreOptions};
    use fluxion_engine::SyncMode;
    use fluxion_engine::sealed::{Decoder, Sealed};
    use std::collections::BTreeMap;

    pub(crate) fn open(directory: &std::path::Path, shard_count: usize) -> Vec<ShardFile> {
        let options = StoreOptions {
            directory: directory.into(),
            shard_count,
            sync: SyncMode::Interval,
            salvage: false,
            cpus: Vec::new(),
            sizes: Sizes { chunk_records: 7, step_bytes: 500, ..Sizes::default() },
        };
        Store::open(options).unwrap().into_files()
    }

    /// Texts by collection, document or key, and time.
    pub(crate) type Content = BTreeMap<(String, String, i64), String>;

    /// What a file's tables and log say, the log carried out.
    #[derive(Default)]
    struct Reading(Content, Vec<Damage>);

    impl Reader for Reading {
        fn chunk(
            &mut self,
            collection: &str,
            document: &str,
            _: &ChunkRow,
            sealed: Sealed,
        ) -> Result<(), Error> {
            let mut decoder = Decoder::default();
            let mut reader = decoder.open(&sealed);
            for block in 0..sealed.block_count() {
                for (ts, data) in reader.block(block).records() {
                    assert!(self.0.insert((collection.into(), document.into(), ts), data.into()).is_none());
                }
            }
            Ok(())
        }

        fn entry(&mut self, collection: &str, key: &str, value: &str) -> Result<(), Error> {
            self.0.insert((collection.into(), format!("key {key}"), 0), value.into());
            Ok(())
        }

        fn log(&mut self, row: LogRow) -> Result<(), Error> {
            panic!("no log is left where files are put in order, but {} changes", row.changes)
        }

        fn damage(&mut self, damage: Damage) -> Result<(), Error> {
            self.1.push(damage);
            Ok(())
        }
    }

    /// Reads all files; nothing may be in a wrong one, or in two, and all sums must be right.
    pub(crate) fn content(files: &[ShardFile]) -> Content {
        let mut content = BTreeMap::new();
        for (index, file) in files.iter().enumerate() {
            let mut reading = Reading::default();
            read(file, &mut reading).unwrap();
            assert_eq!(reading.1, []);
            let orphans = "SELECT count(*) FROM documents WHERE id NOT IN (SELECT document FROM chunks)";
            assert_eq!(file.query::<i64>(orphans).unwrap(), 0);
            let api_keys: Vec<(String, String)> = file
                .run_ref(|connection| {
                    let all = "SELECT api_key, scope FROM api_keys";
                    connection.prepare(all)?.query_map([], |row| row.try_into())?.collect()
                })
                .unwrap();
            assert!(index == 0 || api_keys.is_empty());
            content.extend(api_keys.into_iter().map(|(key, scope)| (("API".into(), key, 0), scope)));
            for (key, data) in reading.0 {
                assert_eq!(shard_of(&key.0, files.len()), ShardId(index));
                assert!(content.insert(key, data).is_none());
            }
        }
        content
    }

    /// Collections of 50 records in three documents, and an entry.
    pub(crate) fn fill(files: &mut [ShardFile], collections: usize) {
        for number in 0..collections {
            let collection = format!("c{number}");
            let ShardId(shard) = shard_of(&collection, files.len());
            let mut copying = Copying::new(&files[shard]);
            for ts in 0..50 {
                copying.record(&collection, &format!("d{}", ts % 3), ts, &format!("{number} {ts}")).unwrap();
            }
            copying.entry(&collection, "k", "v").unwrap();
            copying.commit().unwrap();
        }
    }

    /// Interrupted between any two commits, then started with other numbers of shards.
    #[test]
    fn what_lies_in_two_files_is_put_together() {
        let directory = crate::store::tests::TempDir::new();
        let mut files = open(&directory.0, 1);
        fill(&mut files, 20);
        let expected = content(&files);
        assert_eq!(expected.len(), 20 * 51);
        drop(files);
        for round in 0..30 {
            let shard_count = 1 + round * 7 % 5;
            let mut files = open(&directory.0, shard_count);
            assert!(content(&files) == expected, "round {round}");
            // A copy somewhere else, whole or in part, that was not followed by the deletion.
            let [from, to] = [round % shard_count, (round + 1) % shard_count];
            if from != to {
                let names = collections(&files[from]).unwrap();
                let [from, to] = files.get_disjoint_mut([from, to]).unwrap();
                for name in names {
                    let mut copying = Copying::new(to);
                    copy(from, &name, &mut copying, &mut Tally::new("", 0)).unwrap();
                    copying.commit().unwrap();
                    let incomplete = [&*from, &*to][round % 2];
                    let mut rows = Rows::begin(incomplete).unwrap();
                    for document in ["d0", "d1", "d2"] {
                        let id = rows.find_document(&name, document).unwrap().unwrap();
                        while let Some(chunk) = rows.chunk_at(id, 24).unwrap() {
                            rows.remove_chunk(&chunk).unwrap();
                        }
                    }
                    rows.commit().unwrap();
                }
            }
        }
    }
}
