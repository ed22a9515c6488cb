//! Opening a store is cut off before each of its commits in turn, as a crash would, and then goes on with other numbers
//! of shards: nothing may be missing or there twice.

use super::tests::TempDir;
use super::{open_files, put_in_order};
use crate::copying::Copying;
use crate::error::Error;
use crate::file::ShardFile;
use crate::relocate::tests::{Content, content, fill, open};
use rusqlite::Connection;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Opens the store, but lets only so many commits through; what follows is lost with the connections.
fn open_for(directory: &Path, shard_count: usize, commits: usize) -> Result<(), Error> {
    let (mut files, mut lives) = open_files(directory, shard_count)?;
    let done = Arc::new(AtomicUsize::new(0));
    for file in &mut files {
        let done = done.clone();
        file.run(|connection| {
            connection.commit_hook(Some(move || done.fetch_add(1, Ordering::SeqCst) >= commits))
        })?;
    }
    put_in_order(directory, &mut files, shard_count, &mut lives)
}

fn copy_directory(from: &Path, to: &Path) {
    for entry in from.read_dir().unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// Cuts off an opening with `shard_count` shards at each of its commits in turn. Returns the number of commits.
fn cut_everywhere(original: &Path, shard_count: usize, expected: &Content) -> usize {
    let mut cut = 0;
    loop {
        let directory = TempDir::new();
        copy_directory(original, &directory.0);
        let complete = open_for(&directory.0, shard_count, cut).is_ok();
        let other = 1 + (shard_count + cut) % 5;
        // Cut off again while it does something else.
        let _ = open_for(&directory.0, other, cut % 7);
        for shard_count in [1 + cut % 5, 1 + (cut + 2) % 5] {
            let found = content(&open(&directory.0, shard_count));
            assert!(found == *expected, "cut at commit {cut}, then {other} and {shard_count} shards");
            let files = directory.0.read_dir().unwrap();
            let files = files.filter(|file| file.as_ref().unwrap().path().extension() == Some("db".as_ref()));
            assert_eq!(files.count(), shard_count);
        }
        if complete {
            return cut;
        }
        cut += 1;
    }
}

#[test]
fn moving_collections_may_be_cut_off_anywhere() {
    for (before, after) in [(1, 3), (4, 2)] {
        let directory = TempDir::new();
        let mut files = open(&directory.0, before);
        fill(&mut files, 6);
        let expected = content(&files);
        drop(files);
        let commits = cut_everywhere(&directory.0, after, &expected);
        println!("from {before} to {after} shards: {commits} commits");
        assert!(commits > 12, "{commits}");
    }
}

/// A file as the C++ server made it.
fn make_source(path: &Path) {
    let source = Connection::open(path).unwrap();
    let schema = "CREATE TABLE records (collection TEXT, doc TEXT, ts INTEGER, data TEXT);
                  CREATE TABLE key_values (collection TEXT, key TEXT, value TEXT);
                  CREATE TABLE api_keys (api_key TEXT, scope TEXT, deletable INTEGER);
                  INSERT INTO api_keys VALUES ('reader', 'readonly', 1), ('master', 'read_write', 0);";
    source.execute_batch(schema).unwrap();
    for number in 0..60 {
        let collection = format!("c{}", number % 6);
        let insert = "INSERT INTO records VALUES (?1, ?2, ?3, ?4)";
        source
            .execute(insert, (&collection, format!("d{}", number % 4), number, format!("{number:040}")))
            .unwrap();
        source
            .execute("INSERT INTO key_values VALUES (?1, ?2, 'v')", (collection, format!("k{number}")))
            .unwrap();
    }
}

#[test]
fn an_import_may_be_cut_off_anywhere() {
    let original = TempDir::new();
    make_source(&original.0.join("fluxion.db"));
    let whole = TempDir::new();
    copy_directory(&original.0, &whole.0);
    let expected = content(&open(&whole.0, 1));
    assert_eq!(expected.len(), 60 + 60 + 1);
    let commits = cut_everywhere(&original.0, 3, &expected);
    println!("import: {commits} commits");
    assert!(commits > 8, "{commits}");
}

#[test]
fn an_import_that_was_not_renamed_begins_again() {
    let directory = TempDir::new();
    make_source(&directory.0.join("fluxion.db"));
    let files = open(&directory.0, 2);
    let expected = content(&files);
    files[0].set_meta("state", "importing").unwrap();
    let mut half = Copying::new(&files[1]);
    half.entry("half", "an", "import").unwrap();
    half.commit().unwrap();
    drop(half);
    drop(files);
    std::fs::rename(directory.0.join("fluxion.db.imported"), directory.0.join("fluxion.db")).unwrap();
    assert!(content(&open(&directory.0, 3)) == expected);
}

/// As a crash leaves them between the commit of a smaller number of shards and the removal of all other files.
#[test]
fn files_that_were_to_be_removed_are_removed_later() {
    let directory = TempDir::new();
    let mut files = open(&directory.0, 2);
    fill(&mut files, 6);
    let expected = content(&files);
    let store: String = files[0].meta("store").unwrap().unwrap();
    ShardFile::create(&directory.0, 4, Some(&store)).unwrap();
    let log = std::fs::read(directory.0.join("shard-001.db-wal")).unwrap();
    assert!(!log.is_empty());
    drop(files);
    std::fs::write(directory.0.join("shard-003.db-wal"), log).unwrap();
    assert!(content(&open(&directory.0, 2)) == expected);
    assert!(!directory.0.join("shard-004.db").exists());
    assert!(content(&open(&directory.0, 4)) == expected, "an old log is not taken for that of a new file");
}

#[test]
fn making_a_file_may_be_cut_off() {
    let directory = TempDir::new();
    for shard_count in [1, 3] {
        std::fs::write(directory.0.join(format!("shard-{:03}.db", shard_count - 1)), "").unwrap();
        assert!(content(&open(&directory.0, shard_count)).is_empty());
    }
}
