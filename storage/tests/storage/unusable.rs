//! A directory with anything wrong: the error names the file and says what is wrong, and nothing is changed.

use crate::support::{Running, TempDir, bytes, filled, load, options, records};
use fluxion_engine::{ShardId, shard_of};
use fluxion_storage::{Error, Store};
use rusqlite::Connection;
use std::path::Path;

/// Opening and loading must fail with all of these words, with the same number of shards and with others.
fn refused(directory: &TempDir, words: &[&str]) {
    let before = bytes(directory);
    for shard_count in [2, 3, 1] {
        let wrong = load(&directory.0, shard_count).expect_err("it can't be used").to_string();
        assert!(words.iter().all(|word| wrong.contains(word)), "{words:?}: {wrong}");
        // A new empty file for one more shard may have come, and is harmless.
        let mut after = bytes(directory);
        after.retain(|path, _| !path.to_str().unwrap().contains("shard-002"));
        let same = after == before;
        assert!(same, "changed by {shard_count} shards: {wrong}");
    }
}

fn change(path: &Path, sql: &str) {
    Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

#[test]
fn a_file_that_is_no_database() {
    for name in ["shard-000.db", "shard-001.db"] {
        let directory = filled(2, 20);
        std::fs::write(directory.file(name), "not a database at all, though as long as one\n".repeat(200))
            .unwrap();
        refused(&directory, &[name, "damaged", "backup"]);
    }
}

#[test]
fn a_damaged_file() {
    let damage = |change: &dyn Fn(&mut Vec<u8>)| {
        let directory = filled(2, 400);
        let path = directory.file("shard-001.db");
        let mut bytes = std::fs::read(&path).unwrap();
        change(&mut bytes);
        std::fs::write(&path, bytes).unwrap();
        refused(&directory, &["shard-001.db", "damaged", "backup"]);
    };
    damage(&|bytes| bytes[4096..20_000].fill(0xa5));
    // The later pages hold nothing but records: that is noticed only by reading them.
    damage(&|bytes| {
        let middle = bytes.len() / 8192 * 4096;
        bytes[middle..].fill(0xa5);
    });
    damage(&|bytes| {
        let last = bytes.len() - 4096;
        bytes[last..].fill(0xa5);
    });
    damage(&|bytes| bytes.truncate(bytes.len() / 8192 * 4096));
}

/// Others are to be moved away from the damaged file, and its damage is met only when they have been: that is too late.
#[test]
fn a_damaged_collection_that_stays_where_it_is() {
    let directory = filled(2, 40);
    let stays = |name: &String| shard_of(name, 2) == ShardId(1) && shard_of(name, 3) == ShardId(1);
    let name = (0..).map(|number| format!("stays{number}")).find(stays).unwrap();
    let running = Running::start(&directory.0, 2);
    running.writers[1].store(records(&name, 0..2000));
    running.end();
    let path = directory.file("shard-001.db");
    let query = format!(
        "SELECT bytes FROM documents JOIN chunks ON chunks.document = documents.id WHERE collection = '{name}'"
    );
    let (chunk,): (Vec<u8>,) = crate::support::rows(&directory.0, 2, &query).remove(0);
    let part = &chunk[chunk.len() / 2..][..32];
    let mut bytes = std::fs::read(&path).unwrap();
    let inside = bytes.windows(part.len()).position(|window| window == part).unwrap();
    let page = inside / 4096 * 4096;
    bytes[page..page + 4096].fill(0xa5);
    std::fs::write(&path, bytes).unwrap();
    refused(&directory, &["shard-001.db", "damaged", "backup"]);
}

#[test]
fn a_file_of_a_newer_version() {
    let directory = filled(2, 20);
    change(&directory.file("shard-001.db"), "UPDATE meta SET value = 99 WHERE key = 'format_version'");
    refused(&directory, &["shard-001.db", "newer version", "format 99"]);
}

/// Data that a killed server has left in the logs alone is still there, and there alone, after a refused start.
#[test]
fn a_file_of_a_newer_version_beside_logs() {
    let (origin, directory) = (TempDir::new(), TempDir::new());
    let running = Running::start(&origin.0, 2);
    running.writers.iter().for_each(|writer| writer.store(records("c", 0..20)));
    for (path, bytes) in bytes(&origin) {
        std::fs::write(directory.0.join(path.file_name().unwrap()), bytes).unwrap();
    }
    running.end();
    change(&directory.file("shard-001.db"), "UPDATE meta SET value = 99 WHERE key = 'format_version'");
    assert!(directory.file("shard-000.db-wal").exists());
    refused(&directory, &["shard-001.db", "newer version"]);
}

#[test]
fn a_file_of_another_shard() {
    let directory = filled(2, 20);
    std::fs::copy(directory.file("shard-000.db"), directory.file("shard-001.db")).unwrap();
    refused(&directory, &["shard-001.db", "file of shard 0"]);
}

#[test]
fn a_file_of_another_directory() {
    let (directory, other) = (filled(2, 20), filled(2, 20));
    std::fs::copy(other.file("shard-001.db"), directory.file("shard-001.db")).unwrap();
    refused(&directory, &["shard-001.db", "another data directory"]);
}

#[test]
fn a_missing_file() {
    for name in ["shard-000.db", "shard-001.db"] {
        let directory = filled(2, 20);
        std::fs::remove_file(directory.file(name)).unwrap();
        refused(&directory, &[name, "missing", "backup"]);
        // As bad as missing: what an interrupted start could have left if it were new.
        std::fs::write(directory.file(name), "").unwrap();
        refused(&directory, &[name, "missing", "backup"]);
    }
}

#[test]
fn a_database_of_something_else() {
    for name in ["shard-000.db", "shard-001.db"] {
        let directory = filled(2, 20);
        std::fs::remove_file(directory.file(name)).unwrap();
        change(&directory.file(name), "CREATE TABLE records (x); CREATE TABLE meta (key, value)");
        refused(&directory, &[name, "not a file of this server"]);
    }
}

#[test]
fn a_file_of_the_cpp_server_that_is_none() {
    let directory = TempDir::new();
    load(&directory.0, 2).unwrap();
    let path = directory.file("fluxion.db");
    std::fs::write(&path, "nothing like it".repeat(1000)).unwrap();
    let wrong = load(&directory.0, 2).expect_err("no database").to_string();
    assert!(wrong.contains("fluxion.db") && wrong.contains("damaged"), "{wrong}");
    std::fs::remove_file(&path).unwrap();
    change(&path, "CREATE TABLE something (x)");
    let wrong = load(&directory.0, 2).expect_err("no table").to_string();
    assert!(wrong.contains("fluxion.db") && wrong.contains("no table `records`"), "{wrong}");
    std::fs::remove_file(&path).unwrap();
    assert_eq!(load(&directory.0, 2).unwrap().records, 0, "nothing has begun");
}

#[test]
fn a_file_of_the_cpp_server_beside_data() {
    let directory = filled(2, 20);
    change(&directory.file("fluxion.db"), "CREATE TABLE records (collection, doc, ts, data)");
    refused(&directory, &["fluxion.db", "beside data", "move away"]);
}

#[test]
fn a_file_of_the_cpp_server_beside_an_imported_one() {
    let directory = TempDir::new();
    change(&directory.file("fluxion.db"), "CREATE TABLE records (collection, doc, ts, data)");
    std::fs::write(directory.file("fluxion.db.imported"), "x").unwrap();
    let wrong = load(&directory.0, 2).expect_err("two files").to_string();
    assert!(wrong.contains("fluxion.db.imported") && wrong.contains("move"), "{wrong}");
    assert_eq!(std::fs::read(directory.file("fluxion.db.imported")).unwrap(), b"x");
}

#[test]
fn a_directory_that_is_none() {
    let directory = TempDir::new();
    let file = directory.file("file");
    std::fs::write(&file, "").unwrap();
    for path in [file.as_path(), &file.join("below"), Path::new("/proc/fluxion/data")] {
        let wrong = load(path, 1).expect_err("no directory").to_string();
        assert!(wrong.contains("data directory") && wrong.contains(path.to_str().unwrap()), "{wrong}");
    }
    let wrong = load(&file, 1).expect_err("a file").to_string();
    assert!(wrong.contains("not a directory"), "{wrong}");
}

#[test]
fn a_directory_in_use() {
    let directory = filled(2, 3);
    let store = Store::open(options(&directory.0, 2)).unwrap();
    let wrong = load(&directory.0, 2).expect_err("in use");
    assert!(matches!(&wrong, Error::InUse(path) if *path == directory.0));
    assert!(wrong.to_string().contains("in use by another server"), "{wrong}");
    let (senders, writers) = store.start_writers(vec![|_| (), |_| ()]).unwrap();
    drop(senders);
    assert!(load(&directory.0, 2).is_err(), "the lock is held until the writers have been joined");
    writers.join().unwrap();
    assert_eq!(load(&directory.0, 2).unwrap().records, 60);
}
