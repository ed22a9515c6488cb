//! A plan carried out on a shard's file, in one transaction.

use crate::plan::{DocumentPlan, Plan};
use rusqlite::{CachedStatement, Connection, OptionalExtension, Transaction, params};

/// Carries out a plan, or nothing of it.
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

/// Deletes all of a collection.
pub(crate) fn delete_collection(connection: &Connection, collection: &str) -> rusqlite::Result<()> {
    let records = "DELETE FROM records WHERE doc_id IN (SELECT id FROM docs WHERE collection = ?1)";
    connection.prepare_cached(records)?.execute([collection])?;
    connection.prepare_cached("DELETE FROM docs WHERE collection = ?1")?.execute([collection])?;
    connection.prepare_cached("DELETE FROM key_values WHERE collection = ?1")?.execute([collection])?;
    Ok(())
}

/// The number of a document, made if it has none.
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

/// What stores a record, in place of one of the same time.
pub(crate) fn put_statement(connection: &Connection) -> rusqlite::Result<CachedStatement<'_>> {
    connection.prepare_cached("INSERT OR REPLACE INTO records VALUES (?1, ?2, ?3)")
}

/// In the order in which they lie in the file: what is near to each other is written together.
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
