//! Moving collections to the shards that own them, when the number of shards has changed.
//!
//! A collection is copied, that is committed and on disk, and only then deleted where it was. Nothing is written by
//! clients before all of it is over, so wherever a crash comes, the two copies together are the collection, and the
//! next start, with whatever number of shards, puts them together.

use crate::commit::{delete_collection, document_id, put_statement};
use crate::error::Error;
use crate::limits::ROWS_PER_TRANSACTION;
use crate::progress::Progress;
use crate::schema::ShardFile;
use fluxion_engine::{ShardId, shard_of};
use rusqlite::{Connection, Rows, params};
use tracing::info;

/// A collection that lies in the wrong file.
struct Misplaced {
    collection: String,
    from: usize,
    to: usize,
}

/// Puts each collection into the file of its shard.
pub(crate) fn place(files: &mut [ShardFile], shard_count: usize) -> Result<(), Error> {
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
    let mut progress = Progress::new("records moved", count_records(files, &misplaced)?);
    for Misplaced { collection, from, to } in misplaced {
        let [from, to] = files.get_disjoint_mut([from, to]).unwrap_or_else(|_| unreachable!("two files"));
        copy(from, to, &collection, &mut progress)?;
        from.run(|connection| {
            let transaction = connection.transaction()?;
            delete_collection(&transaction, &collection)?;
            transaction.commit()
        })?;
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

/// Copies a collection; all of it is on disk afterwards.
fn copy(
    from: &ShardFile,
    to: &mut ShardFile,
    collection: &str,
    progress: &mut Progress,
) -> Result<(), Error> {
    let read = Error::in_file(&from.path);
    let written = Error::in_file(&to.path);
    let source = &from.connection;
    let query = "SELECT doc, ts, data FROM docs JOIN records ON doc_id = id WHERE collection = ?1 ORDER BY doc_id, ts";
    let mut records = source.prepare(query).map_err(&read)?;
    let mut rows = records.query([collection]).map_err(&read)?;
    loop {
        let transaction = to.connection.transaction().map_err(&written)?;
        let count = copy_records(&mut rows, &transaction, collection, &read, &written)?;
        transaction.commit().map_err(&written)?;
        progress.add(count);
        if count < ROWS_PER_TRANSACTION {
            break;
        }
    }
    let mut entries =
        source.prepare("SELECT key, value FROM key_values WHERE collection = ?1").map_err(&read)?;
    let mut rows = entries.query([collection]).map_err(&read)?;
    let transaction = to.connection.transaction().map_err(&written)?;
    while let Some(row) = rows.next().map_err(&read)? {
        let entry: (String, String) = row.try_into().map_err(&read)?;
        let put = "INSERT OR REPLACE INTO key_values VALUES (?1, ?2, ?3)";
        let put = transaction
            .prepare_cached(put)
            .and_then(|mut put| put.execute(params![collection, entry.0, entry.1]));
        put.map_err(&written)?;
    }
    transaction.commit().map_err(&written)
}

/// Copies at most so many records that they fit a transaction.
fn copy_records(
    rows: &mut Rows<'_>,
    to: &Connection,
    collection: &str,
    read: &impl Fn(rusqlite::Error) -> Error,
    written: &impl Fn(rusqlite::Error) -> Error,
) -> Result<usize, Error> {
    let mut put = put_statement(to).map_err(written)?;
    let mut document = (String::new(), 0);
    let mut count = 0;
    while count < ROWS_PER_TRANSACTION
        && let Some(row) = rows.next().map_err(read)?
    {
        let name = row.get_ref(0).and_then(|name| Ok(name.as_str()?)).map_err(read)?;
        if count == 0 || document.0 != name {
            document = (name.to_string(), document_id(to, collection, name).map_err(written)?);
        }
        let ts: i64 = row.get(1).map_err(read)?;
        let data = row.get_ref(2).and_then(|data| Ok(data.as_str()?)).map_err(read)?;
        put.execute(params![document.1, ts, data]).map_err(written)?;
        count += 1;
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Store, StoreOptions, SyncMode};
    use std::collections::BTreeMap;

    fn open(directory: &std::path::Path, shard_count: usize) -> Vec<ShardFile> {
        let options = StoreOptions {
            directory: directory.into(),
            shard_count,
            sync: SyncMode::Interval,
            cpus: Vec::new(),
        };
        let (shards, _) = Store::open(options).unwrap().into_shards();
        shards.into_iter().map(crate::store::ShardStore::into_file).collect()
    }

    fn content(files: &[ShardFile]) -> BTreeMap<(String, String, i64), String> {
        let mut content = BTreeMap::new();
        for (index, file) in files.iter().enumerate() {
            let rows: Vec<(String, String, i64, String)> = file
                .run_ref(|connection| {
                    let all = "SELECT * FROM all_records UNION ALL SELECT collection, 'key ' || key, 0, value FROM key_values";
                    connection.prepare(all)?.query_map([], |row| row.try_into())?.collect()
                })
                .unwrap();
            for (collection, document, ts, data) in rows {
                assert_eq!(shard_of(&collection, files.len()), ShardId(index));
                assert!(content.insert((collection, document, ts), data).is_none());
            }
        }
        content
    }

    /// Interrupted between any two commits, then started with other numbers of shards.
    #[test]
    fn what_lies_in_two_files_is_put_together() {
        let directory = crate::store::tests::TempDir::new();
        let mut files = open(&directory.0, 1);
        files[0]
            .run(|connection| {
                let transaction = connection.transaction()?;
                for number in 0..20 {
                    let collection = format!("c{number}");
                    for ts in 0..50 {
                        let id = document_id(&transaction, &collection, &format!("d{}", ts % 3))?;
                        put_statement(&transaction)?.execute(params![id, ts, format!("{number} {ts}")])?;
                    }
                    transaction.execute("INSERT INTO key_values VALUES (?1, 'k', 'v')", [&collection])?;
                }
                transaction.commit()
            })
            .unwrap();
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
                    copy(from, to, &name, &mut Progress::new("", 0)).unwrap();
                    let incomplete = [&*from, &*to][round % 2];
                    incomplete.run_ref(|connection| connection.execute(half, [name])).unwrap();
                }
            }
        }
    }
}
