//! A batch stored by its writer: the plan, one SQLite transaction in a file of the system's temporary directory, and the
//! report that it is committed. The file grows with each turn, as that of a server does; no checkpoint is waited for.

use std::fs;
use std::path::PathBuf;
use std::sync::mpsc;

use divan::Bencher;
use divan::counter::ItemsCount;
use fluxion_engine::{Batch, Change, SyncMode};
use fluxion_storage::{Report, Sizes, Store, StoreOptions};

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
    let (told, reports) = mpsc::channel();
    let options = StoreOptions {
        directory: directory.0.clone(),
        shard_count: 1,
        sync: SyncMode::Interval,
        salvage: false,
        cpus: Vec::new(),
        sizes: Sizes::default(),
    };
    let reporters = vec![move |report| told.send(report).unwrap()];
    let (senders, writers) = Store::open(options).unwrap().start_writers(reporters).unwrap();
    let mut next_ts = 0;
    let next_batch = || {
        next_ts += records;
        batch(records, next_ts - records)
    };
    bencher.counter(ItemsCount::new(records)).with_inputs(next_batch).bench_local_values(|batch| {
        senders[0].send(batch).unwrap();
        assert_eq!(reports.recv().unwrap(), Report::Committed);
    });
    drop(senders);
    writers.join().unwrap();
}
