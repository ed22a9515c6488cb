//! Files of different lives of a directory, or of another, put together: by somebody, which is refused, or by a start that
//! was cut off, which is not.

use super::tests::TempDir;
use super::{open_files, put_in_order};
use crate::error::Error;
use crate::file::{file_name, user_version_beneath_log};
use crate::log::LogEnd;
use crate::mark::{self, Mark, Reached};
use fluxion_engine::{Batch, Change};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A start that does all but start the writers, and ends like one that was killed or like one that was stopped.
fn live(directory: &Path, shard_count: usize, stopped: bool) -> Result<u32, Error> {
    let (mut files, mut lives) = open_files(directory, shard_count)?;
    put_in_order(directory, &mut files, shard_count, &mut lives)?;
    lives.begin(&files)?;
    for file in &mut files {
        let mut mark = Mark::begin(&file.path, lives.reached(file)?, true)?;
        let mut log = LogEnd::find(file)?;
        let mut batch = Batch::default();
        (0..10).for_each(|ts| batch.push(Change::Put { collection: "c", document: "d", ts, data: "x" }));
        log.append(file, &batch)?;
        mark.committed(log.next_number);
        if stopped {
            file.checkpoint()?;
            mark.end();
        }
    }
    Ok(lives.number())
}

type Files = BTreeMap<PathBuf, Vec<u8>>;

fn keep(directory: &Path) -> Files {
    let paths = directory.read_dir().unwrap().map(|entry| entry.unwrap().path());
    // What SQLite shares between processes is made anew.
    let kept = paths.filter(|path| !path.to_str().unwrap().ends_with("-shm"));
    kept.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

fn put_back(directory: &Path, files: &Files) {
    for path in keep(directory).keys() {
        std::fs::remove_file(path).unwrap();
    }
    put_over(files);
}

fn put_over(files: &Files) {
    for (path, bytes) in files {
        let mut shared = path.clone().into_os_string();
        shared.push("-shm");
        let _ = std::fs::remove_file(shared);
        std::fs::write(path, bytes).unwrap();
    }
}

/// Starts, says what is wrong, and sees that nothing was changed.
fn refused(directory: &Path, shard_count: usize) -> String {
    let before = keep(directory);
    let wrong = live(directory, shard_count, true).expect_err("it can't be used").to_string();
    let mut after = keep(directory);
    // New empty ones for more shards may have come, and are harmless.
    after.retain(|path, _| before.contains_key(path));
    assert!(after == before, "changed: {wrong}");
    wrong
}

fn database(directory: &Path, shard: usize) -> PathBuf {
    directory.join(file_name(shard))
}

fn only_databases(files: &Files, shards: &[usize], directory: &Path) -> Files {
    let wanted: Vec<PathBuf> = shards.iter().map(|shard| database(directory, *shard)).collect();
    files
        .iter()
        .filter(|(path, _)| wanted.contains(path))
        .map(|(path, bytes)| (path.clone(), bytes.clone()))
        .collect()
}

#[test]
fn every_start_counts_up() {
    let directory = TempDir::new();
    for (number, shard_count) in [1, 1, 3, 3, 2, 4, 1, 1].into_iter().enumerate() {
        for stopped in [true, false] {
            let expected = number as u32 * 2 + 1 + u32::from(!stopped);
            assert_eq!(live(&directory.0, shard_count, stopped).unwrap(), expected);
            for shard in 0..shard_count {
                assert_eq!(user_version_beneath_log(&database(&directory.0, shard)), expected);
            }
        }
    }
}

/// Backups of several lives, of which any of the files is put among those of another.
#[test]
fn a_file_of_an_earlier_life_is_noticed() {
    let directory = TempDir::new();
    let mut backups = Vec::new();
    for _ in 0..3 {
        live(&directory.0, 3, true).unwrap();
        backups.push(keep(&directory.0));
    }
    for (earlier, later) in [(0, 1), (0, 2), (1, 2)] {
        for subset in 1..7 {
            put_back(&directory.0, &backups[later]);
            let shards: Vec<usize> = (0..3).filter(|shard| subset >> shard & 1 == 1).collect();
            put_over(&only_databases(&backups[earlier], &shards, &directory.0));
            for shard_count in [3, 4, 1] {
                let wrong = refused(&directory.0, shard_count);
                assert!(wrong.contains("older than the other files"), "{wrong}");
                assert!(shards.iter().any(|shard| wrong.contains(&file_name(*shard))), "{shards:?}: {wrong}");
                assert!(wrong.contains(&format!("life {} ", earlier + 1)), "{wrong}");
                assert!(wrong.contains(&format!("life {}.", later + 1)), "{wrong}");
            }
        }
        put_back(&directory.0, &backups[earlier]);
        assert_eq!(live(&directory.0, 3, true).unwrap(), earlier as u32 + 2, "a whole backup");
    }
}

/// One that is not needed now, or never was part of the directory since.
#[test]
fn an_earlier_file_of_a_shard_that_was_removed_is_noticed() {
    let directory = TempDir::new();
    live(&directory.0, 3, true).unwrap();
    let earlier = keep(&directory.0);
    live(&directory.0, 2, true).unwrap();
    assert!(!database(&directory.0, 2).exists());
    let without = keep(&directory.0);
    for _ in 0..2 {
        put_over(&only_databases(&earlier, &[2], &directory.0));
        for shard_count in [2, 3, 4] {
            let wrong = refused(&directory.0, shard_count);
            assert!(wrong.contains("shard-002.db") && wrong.contains("older"), "{wrong}");
        }
        put_back(&directory.0, &without);
        live(&directory.0, 3, true).unwrap();
    }
}

/// A start is cut off at each of its commits; whatever number of shards comes then, it goes on.
#[test]
fn a_start_may_be_cut_off_anywhere() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    let cut = |directory: &Path, shard_count: usize, commits: usize| -> Result<(), Error> {
        let (mut files, mut lives) = open_files(directory, shard_count)?;
        let done = Arc::new(AtomicUsize::new(0));
        for file in &mut files {
            let done = done.clone();
            file.run(|connection| {
                connection.commit_hook(Some(move || done.fetch_add(1, Ordering::SeqCst) >= commits))
            })?;
        }
        put_in_order(directory, &mut files, shard_count, &mut lives)?;
        lives.begin(&files)
    };
    for stopped in [true, false] {
        let directory = TempDir::new();
        live(&directory.0, 3, true).unwrap();
        let older = keep(&directory.0);
        live(&directory.0, 3, stopped).unwrap();
        let original = keep(&directory.0);
        for (first, second, last) in [(3, 3, 3), (4, 2, 5), (1, 4, 3)] {
            for commits in (0..18).filter(|commits| stopped || commits % 2 == 0) {
                put_back(&directory.0, &original);
                let _ = cut(&directory.0, first, commits % 6);
                let _ = cut(&directory.0, second, commits / 6);
                // What has been done by now does not make an older file fit.
                let now = keep(&directory.0);
                for shard in 0..3 {
                    if !stopped || commits > 5 || !database(&directory.0, shard).exists() {
                        continue;
                    }
                    put_over(&only_databases(&older, &[shard], &directory.0));
                    refused(&directory.0, last);
                    put_back(&directory.0, &now);
                }
                let number = live(&directory.0, last, true).unwrap();
                assert!((3..=5).contains(&number), "{number}");
            }
        }
    }
}

/// What a backup is put over may be a file in the middle of its life, with a write-ahead log that only fits that.
#[test]
fn a_backup_over_the_files_of_a_killed_server_is_noticed() {
    let directory = TempDir::new();
    live(&directory.0, 2, true).unwrap();
    let backup = keep(&directory.0);
    live(&directory.0, 2, true).unwrap();
    live(&directory.0, 2, false).unwrap();
    let killed = keep(&directory.0);
    assert!(killed.keys().filter(|path| path.to_str().unwrap().ends_with("-wal")).count() == 2);
    for without in [&["none"][..], &["-wal"], &[".mark"]] {
        put_back(&directory.0, &killed);
        for path in killed.keys() {
            if without.iter().any(|end| path.to_str().unwrap().ends_with(end)) {
                std::fs::remove_file(path).unwrap();
            }
        }
        put_over(&only_databases(&backup, &[0, 1], &directory.0));
        let wrong = refused(&directory.0, 2);
        assert!(wrong.contains("shard-000.db") && wrong.contains("backup"), "{without:?}: {wrong}");
        assert!(wrong.contains("-wal") && wrong.contains("empty directory"), "{without:?}: {wrong}");
    }
    put_back(&directory.0, &killed);
    for path in killed.keys().filter(|path| path.extension().unwrap() != "db") {
        std::fs::remove_file(path).unwrap();
    }
    put_over(&only_databases(&backup, &[0, 1], &directory.0));
    assert_eq!(live(&directory.0, 2, true).unwrap(), 2, "as the words say");
}

#[test]
fn a_log_that_was_cut_or_removed_is_noticed() {
    let directory = TempDir::new();
    live(&directory.0, 2, true).unwrap();
    live(&directory.0, 2, false).unwrap();
    let killed = keep(&directory.0);
    let log = PathBuf::from(format!("{}-wal", database(&directory.0, 1).display()));
    let whole = &killed[&log];
    let mut flipped = whole.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for bytes in [None, Some(&[][..]), Some(&whole[..whole.len() - 4096]), Some(&flipped)] {
        put_back(&directory.0, &killed);
        match bytes {
            Some(bytes) => std::fs::write(&log, bytes).unwrap(),
            None => std::fs::remove_file(&log).unwrap(),
        }
        let wrong = refused(&directory.0, 2);
        assert!(wrong.contains("shard-001.db") && wrong.contains("10 changes are missing"), "{wrong}");
        // As the words say.
        std::fs::remove_file(mark::path_beside(&database(&directory.0, 1))).unwrap();
        assert_eq!(live(&directory.0, 2, true).unwrap(), 3);
    }
    put_back(&directory.0, &killed);
    assert_eq!(live(&directory.0, 2, true).unwrap(), 3, "the log alone has them");
}

#[test]
fn unsynced_changes_may_be_missing() {
    let directory = TempDir::new();
    live(&directory.0, 1, true).unwrap();
    let file_id = {
        let (files, lives) = open_files(&directory.0, 1).unwrap();
        lives.reached(&files[0]).unwrap().file_id
    };
    let begin = |life, next, synced| {
        let reached = Reached { file_id, life, next, synced };
        Mark::begin(&database(&directory.0, 0), reached, false).unwrap();
        open_files(&directory.0, 1).map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(begin(1, 15, 11), Ok(()));
    assert_eq!(begin(1, 11, 11), Ok(()));
    assert_eq!(begin(1, 5, 5), Ok(()), "the last commit was not noted");
    assert!(begin(1, 15, 12).unwrap_err().contains("last 4 changes are missing, 1 of which"));
    assert!(begin(2, 11, 11).unwrap_err().contains("older than what was here"));
    let other = Reached { file_id: file_id ^ 1, life: 1, next: 11, synced: 11 };
    Mark::begin(&database(&directory.0, 0), other, false).unwrap();
    assert!(open_files(&directory.0, 1).err().unwrap().to_string().contains("another directory"));
}

/// With one shard nothing else says that there has been data.
#[test]
fn a_missing_file_whose_mark_is_there_is_missed() {
    let directory = TempDir::new();
    live(&directory.0, 1, false).unwrap();
    let path = database(&directory.0, 0);
    for name in [path.clone(), PathBuf::from(format!("{}-wal", path.display()))] {
        std::fs::remove_file(name).unwrap();
    }
    let wrong = live(&directory.0, 1, true).unwrap_err().to_string();
    assert!(wrong.contains("shard-000.db") && wrong.contains("missing"), "{wrong}");
    std::fs::remove_file(mark::path_beside(&path)).unwrap();
    assert_eq!(live(&directory.0, 1, true).unwrap(), 1);
}

/// SQLite's tool drops the number in the first page, and keeps the rows.
#[test]
fn a_repaired_file_is_taken() {
    let directory = TempDir::new();
    for stopped in [true, false] {
        live(&directory.0, 2, stopped).unwrap();
        let (files, _) = open_files(&directory.0, 2).unwrap();
        files[1].run_ref(|connection| connection.pragma_update(None, "user_version", 0)).unwrap();
        files[1].checkpoint().unwrap();
    }
    assert_eq!(live(&directory.0, 2, true).unwrap(), 3);
}
