//! A batch stored by its writer: the plan, one SQLite transaction in a file of the system's temporary directory, and the
//! report that it is committed. The file grows with each turn, as that of a server does; no checkpoint is waited for.

use std::fs;
use std::path::PathBuf;
use std::sync::mpsc;

use divan::Bencher;
use divan::counter::ItemsCount;
use fluxion_engine::{Batch, Change};
use fluxion_storage::{Report, Store, StoreOptions, SyncMode};

const DOCUMENTS: usize = 100;
const DATA: &str = "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijkl";

/// A directory that is gone when this is dropped.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("fluxiondb-bench-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What can't be removed is the temporary directory's to clean.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn batch(records: usize, first_ts: usize) -> Batch {
    let names: Vec<String> = (0..DOCUMENTS).map(|number| format!("doc{number:02}")).collect();
    let mut batch = Batch::default();
    for number in 0..records {
        let (document, ts) = (names[number % DOCUMENTS].as_str(), (first_ts + number) as i64);
        batch.push(Change::Put { collection: "col", document, ts, data: DATA });
    }
    batch
}

#[divan::bench(args = [1_000, 100_000], sample_count = 20)]
fn write_batch(bencher: Bencher<'_, '_>, records: usize) {
    let directory = Directory::new();
    let (batches, taken) = crossbeam_channel::bounded(1);
    let (told, reports) = mpsc::channel();
    let options = StoreOptions {
        directory: directory.0.clone(),
        shard_count: 1,
        sync: SyncMode::Interval,
        cpus: Vec::new(),
    };
    let (shards, _lock) = Store::open(options).unwrap().into_shards();
    let shard = shards.into_iter().next().unwrap();
    let writer = shard.start(taken, move |report| told.send(report).unwrap()).unwrap();
    let mut next_ts = 0;
    let next_batch = || {
        next_ts += records;
        batch(records, next_ts - records)
    };
    bencher.counter(ItemsCount::new(records)).with_inputs(next_batch).bench_local_values(|batch| {
        batches.send(batch).unwrap();
        assert_eq!(reports.recv().unwrap(), Report::Committed);
    });
    drop(batches);
    writer.join().unwrap();
}
