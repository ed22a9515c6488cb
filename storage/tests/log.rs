//! The write-ahead log stays small, however much is written.

#![allow(clippy::unwrap_used, reason = "clippy.toml spares unit tests only, and all of this is tests")]

use crossbeam_channel::unbounded;
use fluxion_engine::{Batch, Change, SyncMode};
use fluxion_storage::{Report, Sizes, Store, StoreOptions};
use fluxion_testkit::TempDir;

/// About what the writer lets it grow to: its limit, and one batch.
const LOG_BYTES_MAX: u64 = (16 << 20) + (4 << 20);

#[test]
fn the_write_ahead_log_stays_small() {
    let directory = TempDir::new();
    let options = StoreOptions {
        directory: directory.path().into(),
        shard_count: 1,
        sync: SyncMode::Interval,
        salvage: false,
        cpus: Vec::new(),
        sizes: Sizes::default(),
    };
    let (reporter, reports) = unbounded();
    let reporters = vec![move |report| reporter.send(report).unwrap()];
    let (senders, writers) = Store::open(options).unwrap().start_writers(reporters).unwrap();
    let mut longest = 0;
    for number in 0..60 {
        let mut batch = Batch::default();
        for index in 0..10_000 {
            let data = format!("{index:0200}");
            batch.push(Change::Put {
                collection: "c",
                document: "d",
                ts: number * 10_000 + index,
                data: &data,
            });
        }
        senders[0].send(batch).unwrap();
        assert_eq!(reports.recv().unwrap(), Report::Committed);
        longest = longest.max(std::fs::metadata(directory.file("shard-000.db-wal")).unwrap().len());
    }
    println!("{longest} bytes at most");
    assert!(longest > 1 << 20 && longest < LOG_BYTES_MAX, "{longest}");
    drop(senders);
    writers.join().unwrap();
    assert!(!directory.file("shard-000.db-wal").exists(), "it is emptied and removed at the end");
}
