//! The speed of storage, and the room it takes: `cargo run --release -p fluxion-storage --example speed [DIRECTORY]`.
//!
//! 100 documents of 48-byte texts in order of time: ten batches of 30,000 records, then of 140,000, then all is loaded,
//! moved to another file, and deleted. Making the batches is left out; the disk is that of the directory.

#![allow(clippy::unwrap_used, reason = "it is run by hand, and shows where it failed")]

use crossbeam_channel::{Receiver, Sender, unbounded};
use fluxion_engine::{Batch, Change, Shard, SyncMode, shard_of};
use fluxion_storage::{Report, Sizes, Store, StoreOptions};
use std::path::Path;
use std::time::{Duration, Instant};

const DOCUMENTS: i64 = 100;
const BATCHES: i64 = 10;
const COLLECTION: &str = "measured";

/// The records of a stretch of time, over all documents.
fn batch(times: std::ops::Range<i64>) -> Batch {
    let mut batch = Batch::default();
    for ts in times {
        for number in 0..DOCUMENTS {
            let (document, data) = (format!("document-{number}"), format!("{:048}", ts * DOCUMENTS + number));
            let ts = 1_700_000_000_000 + ts * 1000;
            batch.push(Change::Put { collection: COLLECTION, document: &document, ts, data: &data });
        }
    }
    batch
}

struct Running {
    batches: Sender<Batch>,
    reports: Receiver<Report>,
}

impl Running {
    fn store(&self, batch: Batch) -> Duration {
        let started = Instant::now();
        self.batches.send(batch).unwrap();
        assert_eq!(self.reports.recv().unwrap(), Report::Committed);
        started.elapsed()
    }
}

fn open(directory: &Path, shard_count: usize) -> Store {
    let options = StoreOptions {
        directory: directory.into(),
        shard_count,
        sync: SyncMode::Interval,
        salvage: false,
        cpus: Vec::new(),
        sizes: Sizes::default(),
    };
    Store::open(options).unwrap()
}

/// Does work with the writer of the measured collection, and waits until the files are in order.
fn with_writer<T>(directory: &Path, work: impl FnOnce(&Running) -> T) -> T {
    let (reporter, reports) = unbounded();
    let reporters = vec![move |report| drop(reporter.send(report))];
    let (mut senders, writers) = open(directory, 1).start_writers(reporters).unwrap();
    let running = Running { batches: senders.remove(0), reports };
    let result = work(&running);
    drop(running);
    writers.join().unwrap();
    result
}

fn file_bytes(directory: &Path) -> u64 {
    let files = directory.read_dir().unwrap().map(|entry| entry.unwrap().metadata().unwrap().len());
    files.sum()
}

fn write(directory: &Path, times: &mut i64, times_a_batch: i64) {
    let (mut whole, mut longest) = (Duration::ZERO, Duration::ZERO);
    with_writer(directory, |running| {
        for _ in 0..BATCHES {
            let took = running.store(batch(*times..*times + times_a_batch));
            *times += times_a_batch;
            whole += took;
            longest = longest.max(took);
        }
    });
    let records = BATCHES * times_a_batch * DOCUMENTS;
    let rate = records as f64 / whole.as_secs_f64();
    println!("{records} records in {BATCHES} batches: {rate:.0}/s, the longest batch {longest:.2?}");
    let room = file_bytes(directory) as f64 / (*times * DOCUMENTS) as f64;
    println!("  {room:.1} bytes of file a record");
}

fn load(directory: &Path) {
    let store = open(directory, 1);
    let mut shard = Shard::new();
    let started = Instant::now();
    let loaded = store.loaders().remove(0).load(&mut shard).unwrap();
    println!("{} records loaded in {:.2?}", loaded.records, started.elapsed());
}

fn main() {
    let parent = std::env::args().nth(1).map_or_else(std::env::temp_dir, Into::into);
    let directory = parent.join(format!("fluxion-speed-{}", std::process::id()));
    let mut times = 0;
    write(&directory, &mut times, 300);
    write(&directory, &mut times, 1400);
    load(&directory);
    let others = (2..9).find(|count| shard_of(COLLECTION, *count).0 != 0).unwrap();
    for shard_count in [others, 1] {
        let started = Instant::now();
        drop(open(&directory, shard_count));
        println!("opened with {shard_count} shards in {:.2?}", started.elapsed());
    }
    let mut batch = Batch::default();
    batch.push(Change::DeleteCollection { collection: COLLECTION });
    println!("deleted in {:.2?}", with_writer(&directory, |running| running.store(batch)));
    std::fs::remove_dir_all(directory).unwrap();
}
