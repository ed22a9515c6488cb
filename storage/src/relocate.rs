//! Moving collections to the shards that own them, when the number of shards has changed.
//!
//! A collection is copied, that is committed and on disk, and only then deleted where it was. Nothing is written by
//! clients before all of it is over, so wherever a crash comes, the two copies together are the collection, and the
//! next start, with whatever number of shards, puts them together.

use crate::commit::{delete_collection, document_ids};
use crate::copying::Copying;
use crate::error::Error;
use crate::file::ShardFile;
use crate::limits::{RECORDS_DELETED, ROW_BYTES, TRANSACTION_BYTES};
use crate::tally::Tally;
use fluxion_engine::{ShardId, shard_of};
use rusqlite::{Connection, OptionalExtension, params};
use tracing::info;

/// A collection that lies in another file than its shard's.
struct Misplaced {
    collection: String,
    from: usize,
    to: usize,
}

/// Puts each collection into the file of its shard.
pub(crate) fn relocate(files: &mut [ShardFile], shard_count: usize) -> Result<(), Error> {
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
    // Before anything is changed: afterwards a damaged file could not be left as it was.
    files.iter().try_for_each(ShardFile::check)?;
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

fn collections(file: &ShardFile) -> Result<Vec<String>, Error> {
    file.run_ref(|connection| {
        let all = "SELECT collection FROM docs UNION SELECT collection FROM key_values";
        connection.prepare(all)?.query_map([], |row| row.get(0))?.collect()
    })
}

fn count_records(files: &[ShardFile], misplaced: &[Misplaced]) -> Result<usize, Error> {
    let count = |Misplaced { collection, from, .. }: &Misplaced| {
        files[*from].run_ref(|connection| {
            let count = "SELECT count(*) FROM all_records WHERE collection = ?1";
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
    let query = "SELECT doc, ts, data FROM docs JOIN records ON doc_id = id WHERE collection = ?1 ORDER BY doc_id, ts";
    let mut records = from.connection.prepare_cached(query).map_err(&read)?;
    let mut rows = records.query([collection]).map_err(&read)?;
    while let Some(row) = rows.next().map_err(&read)? {
        let document = row.get_ref(0).and_then(|name| Ok(name.as_str()?)).map_err(&read)?;
        let data = row.get_ref(2).and_then(|data| Ok(data.as_str()?)).map_err(&read)?;
        to.record(collection, document, row.get(1).map_err(&read)?, data)?;
        bytes += data.len() + ROW_BYTES;
        tally.add(1);
    }
    let query = "SELECT key, value FROM key_values WHERE collection = ?1";
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

/// Deletes collections, those with many records in several transactions.
fn delete(from: &ShardFile, run: &[Misplaced]) -> Result<(), Error> {
    from.run_ref(|connection| {
        let mut room = RECORDS_DELETED;
        connection.execute_batch("BEGIN")?;
        for Misplaced { collection, .. } in run {
            for id in document_ids(connection, collection)? {
                while !delete_records(connection, id, &mut room)? {
                    connection.execute_batch("COMMIT; BEGIN")?;
                    room = RECORDS_DELETED;
                }
            }
            delete_collection(connection, collection)?;
        }
        connection.execute_batch("COMMIT")
    })
}

/// Deletes a document's records, the earliest of them if there is not room for all. Returns whether none is left.
fn delete_records(connection: &Connection, id: i64, room: &mut usize) -> rusqlite::Result<bool> {
    let last = "SELECT ts FROM records WHERE doc_id = ?1 ORDER BY ts LIMIT 1 OFFSET ?2";
    let mut last = connection.prepare_cached(last)?;
    let last: Option<i64> = last.query_row(params![id, *room as i64 - 1], |row| row.get(0)).optional()?;
    let delete = "DELETE FROM records WHERE doc_id = ?1 AND ts <= ?2";
    *room -= connection.prepare_cached(delete)?.execute(params![id, last.unwrap_or(i64::MAX)])?;
    Ok(last.is_none())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::store::{Store, StoreOptions};
    use fluxion_engine::SyncMode;
    use std::collections::BTreeMap;

    pub(crate) fn open(directory: &std::path::Path, shard_count: usize) -> Vec<ShardFile> {
        let options = StoreOptions {
            directory: directory.into(),
            shard_count,
            sync: SyncMode::Interval,
            cpus: Vec::new(),
        };
        Store::open(options).unwrap().into_files()
    }

    /// Texts by collection, document or key, and time.
    pub(crate) type Content = BTreeMap<(String, String, i64), String>;

    /// Reads all files; nothing may be in a wrong one, or in two.
    pub(crate) fn content(files: &[ShardFile]) -> Content {
        let mut content = BTreeMap::new();
        for (index, file) in files.iter().enumerate() {
            let rows: Vec<(String, String, i64, String)> = file
                .run_ref(|connection| {
                    let all = "SELECT * FROM all_records
                               UNION ALL SELECT collection, 'key ' || key, 0, value FROM key_values";
                    connection.prepare(all)?.query_map([], |row| row.try_into())?.collect()
                })
                .unwrap();
            let orphans = "SELECT count(*) FROM docs WHERE id NOT IN (SELECT doc_id FROM records)";
            assert_eq!(file.query::<i64>(orphans).unwrap(), 0);
            let api_keys: Vec<(String, String)> = file
                .run_ref(|connection| {
                    let all = "SELECT api_key, scope FROM api_keys";
                    connection.prepare(all)?.query_map([], |row| row.try_into())?.collect()
                })
                .unwrap();
            assert!(index == 0 || api_keys.is_empty());
            content.extend(api_keys.into_iter().map(|(key, scope)| (("API".into(), key, 0), scope)));
            for (collection, document, ts, data) in rows {
                assert_eq!(shard_of(&collection, files.len()), ShardId(index));
                assert!(content.insert((collection, document, ts), data).is_none());
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
                let half = "DELETE FROM records
                            WHERE ts < 25 AND doc_id IN (SELECT id FROM docs WHERE collection = ?1)";
                for name in names {
                    let mut copying = Copying::new(to);
                    copy(from, &name, &mut copying, &mut Tally::new("", 0)).unwrap();
                    copying.commit().unwrap();
                    let incomplete = [&*from, &*to][round % 2];
                    incomplete.run_ref(|connection| connection.execute(half, [name])).unwrap();
                }
            }
        }
    }
}
