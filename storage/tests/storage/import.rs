//! Files of the C++ server, as it and its predecessor left them.

use crate::support::{TempDir, load, options, rows, stored};
use fluxion_storage::Store;
use fluxion_testkit::fixture;
use rusqlite::Connection;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

const ENTRIES: &str = "SELECT collection, key, 0, value FROM entries ORDER BY collection, key";

fn text(value: &Value) -> String {
    value.as_str().unwrap().into()
}

#[test]
fn everything_of_a_real_file_is_taken_over() {
    let expected = std::fs::read_to_string(fixture("fluxion.expected.json")).unwrap();
    let expected: Value = serde_json::from_str(&expected).unwrap();
    let mut records = Vec::new();
    for (collection, documents) in expected["records"].as_object().unwrap() {
        for (document, list) in documents.as_object().unwrap() {
            let record = |record: &Value| {
                (collection.clone(), document.clone(), record["ts"].as_i64().unwrap(), text(&record["data"]))
            };
            records.extend(list.as_array().unwrap().iter().map(record));
        }
    }
    records.sort();
    let mut entries = Vec::new();
    for (collection, values) in expected["key_values"].as_object().unwrap() {
        let entry = |(key, value): (&String, &Value)| (collection.clone(), key.clone(), 0, text(value));
        entries.extend(values.as_object().unwrap().iter().map(entry));
    }
    entries.sort();
    let keys = expected["api_keys"].as_object().unwrap();
    let keys: BTreeMap<String, String> = keys.iter().map(|(key, scope)| (key.clone(), text(scope))).collect();
    assert!(!records.is_empty() && !entries.is_empty() && !keys.is_empty());

    for shard_count in [1, 3] {
        let directory = TempDir::new();
        std::fs::copy(fixture("fluxion.db"), directory.file("fluxion.db")).unwrap();
        let store = Store::open(options(&directory.0, shard_count)).unwrap();
        let found = store.api_keys().unwrap();
        assert!(found.into_iter().map(|key| (key.key, key.scope)).collect::<BTreeMap<_, _>>() == keys);
        drop(store);
        assert!(stored(&directory.0, shard_count) == records);
        let mut found: Vec<(String, String, i64, String)> = rows(&directory.0, shard_count, ENTRIES);
        found.sort();
        assert!(found == entries);
        assert!(!directory.file("fluxion.db").exists() && directory.file("fluxion.db.imported").exists());
        let loaded = load(&directory.0, shard_count).unwrap();
        assert_eq!((loaded.records, loaded.entries), (records.len(), entries.len()));
    }
}

#[test]
fn a_file_without_entries_and_keys() {
    let directory = TempDir::new();
    let source = Connection::open(directory.file("fluxion.db")).unwrap();
    let make = "CREATE TABLE records (collection TEXT, doc TEXT, ts INTEGER, data TEXT);
                INSERT INTO records VALUES ('c', 'd', -5, 'x')";
    source.execute_batch(make).unwrap();
    drop(source);
    assert_eq!(load(&directory.0, 2).unwrap().records, 1);
    assert_eq!(stored(&directory.0, 2), [("c".into(), "d".into(), -5, "x".into())]);
}

#[test]
fn texts_that_are_none() {
    let directory = TempDir::new();
    let source = Connection::open(directory.file("fluxion.db")).unwrap();
    let make = "CREATE TABLE records (collection, doc, ts, data);
                INSERT INTO records VALUES ('c', 'd', 1, CAST(x'61ff62' AS TEXT)), ('c', 'd', 2, x'c3a9'),
                                           ('c', 'd', 3, 17), ('c', 'd', 4, 'a' || char(0) || 'b')";
    source.execute_batch(make).unwrap();
    drop(source);
    assert_eq!(load(&directory.0, 1).unwrap().records, 4);
    let data: Vec<String> = stored(&directory.0, 1).into_iter().map(|row| row.3).collect();
    assert_eq!(data, ["a\u{fffd}b", "é", "17", "a\0b"]);
}

/// As a server that was killed leaves it: the newest records are in the write-ahead log only.
#[test]
fn a_log_beside_the_file_is_part_of_it() {
    let (directory, origin) = (TempDir::new(), TempDir::new());
    let source = Connection::open(origin.file("fluxion.db")).unwrap();
    let make = "PRAGMA journal_mode = WAL;
                CREATE TABLE records (collection TEXT, doc TEXT, ts INTEGER, data TEXT);
                INSERT INTO records VALUES ('c', 'd', 1, 'x')";
    source.execute_batch(make).unwrap();
    for name in ["fluxion.db", "fluxion.db-wal"] {
        std::fs::copy(origin.file(name), directory.file(name)).unwrap();
    }
    assert_eq!(load(&directory.0, 1).unwrap().records, 1);
    assert!(!directory.file("fluxion.db-wal").exists(), "the file that is kept is whole");
    let kept = Connection::open(directory.file("fluxion.db.imported")).unwrap();
    let count: i64 = kept.query_row("SELECT count(*) FROM records", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 1);
}

/// It holds API keys, and a server that wrote it for everyone to read is no reason to leave it so.
#[test]
fn the_imported_file_is_private() {
    let directory = TempDir::new();
    let source = directory.file("fluxion.db");
    std::fs::copy(fixture("fluxion.db"), &source).unwrap();
    std::fs::set_permissions(&source, Permissions::from_mode(0o644)).unwrap();
    load(&directory.0, 1).unwrap();
    let kept = std::fs::metadata(directory.file("fluxion.db.imported")).unwrap();
    assert_eq!(kept.permissions().mode() & 0o777, 0o600);
}

/// A process that has the file open is taken for the C++ server, though it holds no lock on it.
#[test]
fn a_file_that_another_process_has_open_is_not_imported() {
    let directory = TempDir::new();
    let source = directory.file("fluxion.db");
    std::fs::copy(fixture("fluxion.db"), &source).unwrap();
    let mut other = Command::new("sleep");
    let mut other = other.arg("600").stdin(Stdio::from(File::open(&source).unwrap())).spawn().unwrap();
    let outcome = load(&directory.0, 1);
    other.kill().unwrap();
    other.wait().unwrap();
    let wrong = outcome.expect_err("it is in use").to_string();
    let process = format!("process {} (sleep)", other.id());
    assert!(wrong.contains("fluxion.db") && wrong.contains(&process), "{wrong}");
    assert!(wrong.contains("stop the C++ server"), "{wrong}");
    assert!(source.exists());
    assert!(load(&directory.0, 1).unwrap().records > 0);
}

/// Locked by somebody who can't be seen, as in another container; here it is this process itself.
#[test]
fn a_file_that_is_locked_is_not_imported() {
    for (mode, lock) in [("WAL", "BEGIN; SELECT count(*) FROM records"), ("DELETE", "BEGIN IMMEDIATE")] {
        let directory = TempDir::new();
        let source = directory.file("fluxion.db");
        std::fs::copy(fixture("fluxion.db"), &source).unwrap();
        let other = Connection::open(&source).unwrap();
        other.execute_batch(&format!("PRAGMA journal_mode = {mode}; {lock}")).unwrap();
        let wrong = load(&directory.0, 1).expect_err("it is in use").to_string();
        assert!(wrong.contains("another program uses it; stop the C++ server"), "{mode}: {wrong}");
        drop(other);
        assert!(load(&directory.0, 1).unwrap().records > 0, "{mode}");
    }
}
