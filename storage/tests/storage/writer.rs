//! A writer that can't store: its reports, the batch that it keeps, and its end.

use crate::support::{Running, TempDir, filled, load, records, rows, stored};
use fluxion_engine::{Batch, Change};
use fluxion_storage::Report;
use rusqlite::Connection;

/// From now on no batch can be stored.
fn refuse(directory: &TempDir) {
    refuse_in(directory, "shard-000.db");
}

fn refuse_in(directory: &TempDir, name: &str) {
    let refuse = "CREATE TRIGGER refuse BEFORE INSERT ON log BEGIN SELECT RAISE(ABORT, 'refused'); END";
    Connection::open(directory.file(name)).unwrap().execute_batch(refuse).unwrap();
}

fn allow(directory: &TempDir) {
    let connection = Connection::open(directory.file("shard-000.db")).unwrap();
    connection.execute_batch("DROP TRIGGER refuse").unwrap();
}

#[test]
fn a_batch_that_fails_is_kept_until_it_is_stored() {
    let directory = TempDir::new();
    let running = Running::start(&directory.0, 1);
    let writer = &running.writers[0];
    writer.store(records("before", 0..3));
    refuse(&directory);
    let mut batch = records("c", 0..10);
    batch.push(Change::DeleteCollection { collection: "before" });
    writer.batches.send(batch).unwrap();
    for _ in 0..3 {
        let Report::Failed(why) = writer.reports.recv().unwrap() else { panic!("stored, though refused") };
        assert!(why.contains("refused"), "{why}");
        let kept: Vec<(i64, i64)> = rows(&directory.0, 1, "SELECT first, changes FROM log");
        assert_eq!(kept, [(1, 3)], "nothing of it is in the file");
    }
    allow(&directory);
    while let Report::Failed(_) = writer.reports.recv().unwrap() {}
    writer.store(records("c", 10..12));
    assert!(writer.reports.is_empty(), "once a batch");
    running.end();
    let stored: Vec<i64> = stored(&directory.0, 1).into_iter().map(|row| row.2).collect();
    assert_eq!(stored, (0..12).collect::<Vec<i64>>());
}

#[test]
fn what_is_lost_at_the_end_is_counted() {
    let directory = filled(1, 1);
    let running = Running::start(&directory.0, 1);
    refuse(&directory);
    let writer = &running.writers[0];
    writer.batches.send(records("c", 0..10)).unwrap();
    assert!(matches!(writer.reports.recv().unwrap(), Report::Failed(_)));
    let wrong = running.try_end().expect_err("it can't be stored").to_string();
    assert!(
        wrong.contains("shard-000.db") && wrong.contains("10 changes") && wrong.contains("refused"),
        "{wrong}"
    );
    assert_eq!(load(&directory.0, 1).unwrap().records, 20);
}

/// Changes made while a batch failed are sent behind it at the end: they share its last chance, and are counted with it.
#[test]
fn what_is_sent_behind_a_failing_batch_is_stored_with_it_or_counted() {
    for allowed in [true, false] {
        let directory = TempDir::new();
        let running = Running::start(&directory.0, 1);
        refuse(&directory);
        let writer = &running.writers[0];
        writer.batches.send(records("c", 0..10)).unwrap();
        assert!(matches!(writer.reports.recv().unwrap(), Report::Failed(_)));
        if allowed {
            allow(&directory);
        }
        writer.batches.send(records("c", 10..15)).unwrap();
        let ended = running.try_end();
        let count = load(&directory.0, 1).unwrap().records;
        match allowed {
            true => assert!(ended.is_ok() && count == 15, "{ended:?}: {count}"),
            false => assert!(ended.unwrap_err().to_string().contains(" 15 changes") && count == 0),
        }
    }
}

#[test]
fn every_file_with_lost_changes_is_named() {
    let directory = TempDir::new();
    let running = Running::start(&directory.0, 2);
    refuse_in(&directory, "shard-000.db");
    refuse_in(&directory, "shard-001.db");
    for writer in &running.writers {
        writer.batches.send(records("c", 7..9)).unwrap();
    }
    let wrong = running.try_end().expect_err("they can't be stored").to_string();
    assert!(
        wrong.contains("shard-000.db: 2 changes") && wrong.contains("shard-001.db: 2 changes"),
        "{wrong}"
    );
}

#[test]
fn what_is_sent_before_the_end_is_stored() {
    let directory = TempDir::new();
    let running = Running::start(&directory.0, 1);
    running.writers[0].batches.send(records("c", 0..1000)).unwrap();
    running.end();
    assert_eq!(load(&directory.0, 1).unwrap().records, 1000);
}

#[test]
fn api_keys_are_given_back() {
    let directory = TempDir::new();
    let running = Running::start(&directory.0, 2);
    let mut batch = Batch::default();
    batch.push(Change::SetApiKey { key: "a", scope: "readonly" });
    batch.push(Change::SetApiKey { key: "b", scope: "readonly" });
    batch.push(Change::SetApiKey { key: "a", scope: "read_write" });
    running.writers[0].store(batch);
    let mut batch = Batch::default();
    batch.push(Change::RemoveApiKey { key: "b" });
    running.writers[0].store(batch);
    running.end();
    for shard_count in [2, 4, 1] {
        let store = fluxion_storage::Store::open(crate::support::options(&directory.0, shard_count)).unwrap();
        let keys = store.api_keys().unwrap();
        let keys: Vec<(&str, &str)> = keys.iter().map(|key| (&*key.key, &*key.scope)).collect();
        assert_eq!(keys, [("a", "read_write")]);
    }
}
