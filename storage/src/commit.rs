//! Carrying out a plan on a shard's file in one transaction, and the statements that other writing shares.

use crate::plan::{DocumentPlan, Plan};
use rusqlite::{CachedStatement, Connection, OptionalExtension, Transaction, params};

/// Carries out a plan in one transaction: all of it or nothing. A plan larger than the page cache spills into the
/// write-ahead log, where it does not count before the commit.
pub(crate) fn commit(connection: &mut Connection, plan: &Plan<'_>) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    for collection in &plan.cleared {
        delete_collection(&transaction, collection)?;
    }
    store_documents(&transaction, plan)?;
    store_entries(&transaction, plan)?;
    store_api_keys(&transaction, plan)?;
    transaction.commit()
}

/// Deletes everything in a collection.
pub(crate) fn delete_collection(connection: &Connection, collection: &str) -> rusqlite::Result<()> {
    // One by one: a single statement for all would first collect the keys of all records in memory.
    let mut delete = connection.prepare_cached("DELETE FROM records WHERE doc_id = ?1")?;
    for id in document_ids(connection, collection)? {
        delete.execute([id])?;
    }
    connection.prepare_cached("DELETE FROM docs WHERE collection = ?1")?.execute([collection])?;
    connection.prepare_cached("DELETE FROM key_values WHERE collection = ?1")?.execute([collection])?;
    Ok(())
}

/// Returns the numbers of a collection's documents.
pub(crate) fn document_ids(connection: &Connection, collection: &str) -> rusqlite::Result<Vec<i64>> {
    let find = "SELECT id FROM docs WHERE collection = ?1 ORDER BY id";
    connection.prepare_cached(find)?.query_map([collection], |row| row.get(0))?.collect()
}

/// Returns the number of a document, which gets one if it has none.
pub(crate) fn document_id(
    connection: &Connection,
    collection: &str,
    document: &str,
) -> rusqlite::Result<i64> {
    if let Some(id) = find_document(connection, collection, document)? {
        return Ok(id);
    }
    let insert = "INSERT INTO docs (collection, doc) VALUES (?1, ?2)";
    connection.prepare_cached(insert)?.insert([collection, document])
}

fn find_document(connection: &Connection, collection: &str, document: &str) -> rusqlite::Result<Option<i64>> {
    let find = "SELECT id FROM docs WHERE collection = ?1 AND doc = ?2";
    connection.prepare_cached(find)?.query_row([collection, document], |row| row.get(0)).optional()
}

/// The statement that stores a record, in place of one of the same time.
pub(crate) fn put_statement(connection: &Connection) -> rusqlite::Result<CachedStatement<'_>> {
    connection.prepare_cached("INSERT OR REPLACE INTO records VALUES (?1, ?2, ?3)")
}

/// Stores records in the order in which they lie in the file, so that neighbours are written together.
fn store_documents(transaction: &Transaction<'_>, plan: &Plan<'_>) -> rusqlite::Result<()> {
    let mut documents = Vec::with_capacity(plan.documents.len());
    for ((collection, name), document) in &plan.documents {
        let id = match document.puts() {
            true => Some(document_id(transaction, collection, name)?),
            false if document.is_empty() => None,
            false => find_document(transaction, collection, name)?,
        };
        documents.extend(id.map(|id| (id, document)));
    }
    documents.sort_unstable_by_key(|(id, _)| *id);
    let mut put = put_statement(transaction)?;
    let mut delete = transaction.prepare_cached("DELETE FROM records WHERE doc_id = ?1 AND ts = ?2")?;
    for (id, document) in documents {
        delete_ranges(transaction, id, document)?;
        for (ts, data) in &document.records {
            match data {
                Some(data) => put.execute(params![id, ts, data])?,
                None => delete.execute(params![id, ts])?,
            };
        }
        if document.deletes() && !document.puts() {
            forget_if_empty(transaction, id)?;
        }
    }
    Ok(())
}

fn delete_ranges(
    transaction: &Transaction<'_>,
    id: i64,
    document: &DocumentPlan<'_>,
) -> rusqlite::Result<()> {
    if document.cleared {
        transaction.prepare_cached("DELETE FROM records WHERE doc_id = ?1")?.execute([id])?;
    }
    if !document.ranges.is_empty() {
        let delete = "DELETE FROM records WHERE doc_id = ?1 AND ts BETWEEN ?2 AND ?3";
        let mut delete = transaction.prepare_cached(delete)?;
        for (from, to) in &document.ranges {
            delete.execute(params![id, from, to])?;
        }
    }
    Ok(())
}

fn forget_if_empty(transaction: &Transaction<'_>, id: i64) -> rusqlite::Result<()> {
    let any = transaction.prepare_cached("SELECT 1 FROM records WHERE doc_id = ?1 LIMIT 1")?.exists([id])?;
    if !any {
        transaction.prepare_cached("DELETE FROM docs WHERE id = ?1")?.execute([id])?;
    }
    Ok(())
}

fn store_entries(transaction: &Transaction<'_>, plan: &Plan<'_>) -> rusqlite::Result<()> {
    let mut put = transaction.prepare_cached("INSERT OR REPLACE INTO key_values VALUES (?1, ?2, ?3)")?;
    let mut delete =
        transaction.prepare_cached("DELETE FROM key_values WHERE collection = ?1 AND key = ?2")?;
    for (collection, entries) in &plan.entries {
        for (key, value) in entries {
            match value {
                Some(value) => put.execute([collection, key, value])?,
                None => delete.execute([collection, key])?,
            };
        }
    }
    Ok(())
}

fn store_api_keys(transaction: &Transaction<'_>, plan: &Plan<'_>) -> rusqlite::Result<()> {
    for (key, scope) in &plan.api_keys {
        match scope {
            Some(scope) => {
                let put = "INSERT OR REPLACE INTO api_keys VALUES (?1, ?2)";
                transaction.prepare_cached(put)?.execute([key, scope])?
            }
            None => transaction.prepare_cached("DELETE FROM api_keys WHERE api_key = ?1")?.execute([key])?,
        };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::describe;
    use crate::file::ShardFile;
    use crate::limits::TEXT_BYTES_MAX;
    use crate::store::tests::TempDir;
    use fluxion_engine::{Batch, Change};

    fn put(batch: &mut Batch, times: std::ops::Range<i64>) {
        let data = "x".repeat(1000);
        for ts in times {
            batch.push(Change::Put { collection: "c", document: "d", ts, data: &data });
        }
    }

    /// Far more than the page cache holds: what is in the log before the commit is not seen before it.
    #[test]
    fn a_plan_of_any_size_is_one_transaction() {
        let directory = TempDir::new();
        let mut file = ShardFile::create(&directory.0, 0, None).unwrap();
        file.connection.pragma_update(None, "cache_size", -64).unwrap();
        let mut batch = Batch::default();
        put(&mut batch, 0..10);
        commit(&mut file.connection, &Plan::new(&batch)).unwrap();
        let mut batch = Batch::default();
        batch.push(Change::DeleteCollection { collection: "c" });
        put(&mut batch, 100..4100);
        let path = file.path.clone();
        let (sender, seen) = crossbeam_channel::unbounded();
        let look = move || {
            let other = ShardFile::open_to_read(&path).unwrap();
            let log = std::fs::metadata(path.with_extension("db-wal")).unwrap();
            sender.send((other.query::<i64>("SELECT count(*) FROM records").unwrap(), log.len())).unwrap();
            false
        };
        file.connection.commit_hook(Some(look)).unwrap();
        commit(&mut file.connection, &Plan::new(&batch)).unwrap();
        let seen: Vec<(i64, u64)> = seen.try_iter().collect();
        assert!(seen.len() == 1 && seen[0].0 == 10, "one commit, before which nothing is seen: {seen:?}");
        assert!(seen[0].1 > 3 << 20, "what the cache does not hold is in the log: {seen:?}");
        assert_eq!(file.query::<i64>("SELECT count(*) FROM records").unwrap(), 4000);
    }

    /// SQLite's own limit, which a text in a row of the longest names must stay below.
    #[test]
    fn the_longest_text_fits_into_a_row() {
        let directory = TempDir::new();
        let file = ShardFile::create(&directory.0, 0, None).unwrap();
        let limit = file.connection.limit(rusqlite::limits::Limit::SQLITE_LIMIT_LENGTH).unwrap();
        assert!(limit as usize > TEXT_BYTES_MAX + 1000, "{limit}");
    }

    #[test]
    fn a_full_disk_leaves_nothing_of_a_plan_and_room_lets_it_through() {
        let directory = TempDir::new();
        let mut file = ShardFile::create(&directory.0, 0, None).unwrap();
        let mut batch = Batch::default();
        put(&mut batch, 0..10);
        commit(&mut file.connection, &Plan::new(&batch)).unwrap();
        file.connection.pragma_update(None, "max_page_count", 40).unwrap();
        let mut batch = Batch::default();
        batch.push(Change::DeleteDocument { collection: "c", document: "d" });
        put(&mut batch, 100..400);
        let plan = Plan::new(&batch);
        let times = "SELECT min(ts) || ' ' || max(ts) || ' ' || count(*) FROM records";
        for _ in 0..2 {
            let wrong = describe(&commit(&mut file.connection, &plan).unwrap_err());
            assert!(wrong.starts_with("disk full"), "{wrong}");
            assert_eq!(file.query::<String>(times).unwrap(), "0 9 10");
        }
        file.connection.pragma_update(None, "max_page_count", 4000).unwrap();
        commit(&mut file.connection, &plan).unwrap();
        assert_eq!(file.query::<String>(times).unwrap(), "100 399 300");
    }
}
