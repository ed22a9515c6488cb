//! The files themselves: who may read them, how large they get, and in which mode they are.

use crate::support::{Running, TempDir, filled, load, records, rows};
use fluxion_engine::{Batch, Change};
use rusqlite::Connection;
use std::os::unix::fs::PermissionsExt;

#[test]
fn nobody_else_may_read_them() {
    let directory = TempDir::new();
    let data = directory.file("data");
    let running = Running::start(&data, 2);
    running.writers.iter().for_each(|writer| writer.store(records("c", 0..10)));
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    let files: Vec<_> = data.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    let logs = files.iter().filter(|path| path.to_str().unwrap().ends_with("-wal")).count();
    assert_eq!((files.len(), logs), (9, 2), "four of each shard, and the lock's: {files:?}");
    for path in files {
        assert_eq!(mode(&path), 0o600, "{path:?}");
    }
    running.end();
}

#[test]
fn the_space_of_deleted_data_is_used_again() {
    let directory = TempDir::new();
    let path = directory.file("shard-000.db");
    let mut sizes = Vec::new();
    for round in 0..3 {
        let collection = format!("c{round}");
        let running = Running::start(&directory.0, 1);
        for part in 0..10 {
            running.writers[0].store(records(&collection, part * 5000..(part + 1) * 5000));
        }
        running.end();
        sizes.push(std::fs::metadata(&path).unwrap().len());
        let running = Running::start(&directory.0, 1);
        let mut batch = Batch::default();
        batch.push(Change::DeleteCollection { collection: &collection });
        running.writers[0].store(batch);
        running.end();
    }
    assert!(sizes[2] <= sizes[0] * 11 / 10, "{sizes:?}");
    assert_eq!(load(&directory.0, 1).unwrap().records, 0);
}

/// `sqlite3` makes repaired files and copies without a write-ahead log, which the writer counts on.
#[test]
fn a_repaired_file_gets_its_log_back() {
    let directory = filled(2, 5);
    let path = directory.file("shard-001.db");
    let connection = Connection::open(&path).unwrap();
    connection.pragma_update(None, "journal_mode", "DELETE").unwrap();
    drop(connection);
    assert_eq!(load(&directory.0, 2).unwrap().records, 100);
    let mode: String =
        Connection::open(&path).unwrap().query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
}

/// What the log has taken meanwhile is given back: a file at rest is hardly larger than its chunks.
#[test]
fn a_clean_stop_leaves_no_free_pages() {
    let directory = TempDir::new();
    let running = Running::start(&directory.0, 1);
    for part in 0..10 {
        running.writers[0].store(records("c", part * 5000..(part + 1) * 5000));
    }
    running.end();
    let free: Vec<(i64,)> = rows(&directory.0, 1, "PRAGMA freelist_count");
    assert_eq!(free, [(0,)]);
    let chunks: Vec<(i64,)> = rows(&directory.0, 1, "SELECT sum(length(bytes)) FROM chunks");
    let size = std::fs::metadata(directory.file("shard-000.db")).unwrap().len() as i64;
    assert!(size < chunks[0].0 * 3 / 2 + 20 * 4096, "{size} bytes with {chunks:?} of chunks");
}
