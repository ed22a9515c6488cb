//! The random program of the engine run through storage: batches go to the writers at random points, and at others all
//! is closed and opened again with another number of shards. Then everything must be what plain maps hold.
//! `FLUXION_SEED=n cargo test -p fluxion-storage --test model` runs the program of one seed again.

#![allow(clippy::unwrap_used, reason = "clippy.toml spares unit tests only, and all of this is tests")]

use crossbeam_channel::{Receiver, Sender, unbounded};
use fluxion_engine::{
    Batch, Outcome, PIECE_BYTES, Progress, ReaderId, Request, Shard, ShardId, SyncMode, shard_of,
};
use fluxion_storage::{Loader, Report, Sizes, Store, StoreOptions, Writers};
use fluxion_testkit::{Oracle, Random, TempDir, Texts, request};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

const SEEDS: u64 = 4;
const OPENINGS: u64 = 12;
const OPERATIONS: u64 = 6000;

/// Sizes of what the files hold: the log is merged after some batches, and chunks are of so many records.
const SIZES: [Sizes; 4] = [sizes(1), sizes(2), sizes(7), sizes(512)];

const fn sizes(chunk_records: usize) -> Sizes {
    Sizes {
        log_row_bytes: 3_000,
        log_bytes: 10_000,
        step_bytes: 2_000,
        chunk_records,
        chunk_text_bytes: 4_000,
        window_records: 50,
    }
}

struct Running {
    shard: Shard,
    reader: ReaderId,
    batches: Sender<Batch>,
    reports: Receiver<Report>,
}

impl Running {
    fn flush(&mut self) {
        let Some(batch) = self.shard.feed_mut().take(self.reader, usize::MAX) else { return };
        self.batches.send(batch).unwrap();
        assert_eq!(self.reports.recv().unwrap(), Report::Committed);
    }
}

fn open(directory: &Path, shard_count: usize, sizes: Sizes) -> (Vec<Running>, Writers) {
    let options = StoreOptions {
        directory: directory.into(),
        shard_count,
        sync: SyncMode::Interval,
        salvage: false,
        cpus: Vec::new(),
        sizes,
    };
    let store = Store::open(options).unwrap();
    let loaders = store.loaders();
    let (reporters, reports): (Vec<_>, Vec<_>) = (0..shard_count).map(|_| unbounded()).unzip();
    let report = |reporter: Sender<Report>| move |report| reporter.send(report).unwrap();
    let (senders, writers) = store.start_writers(reporters.into_iter().map(report).collect()).unwrap();
    let start = |((loader, batches), reports): ((Loader, _), _)| {
        let mut shard = Shard::new();
        loader.load(&mut shard).unwrap();
        let reader = shard.feed_mut().open_reader();
        Running { shard, reader, batches, reports }
    };
    (loaders.into_iter().zip(senders).zip(reports).map(start).collect(), writers)
}

/// Carries out a mutation on the shards that it concerns; reads are the engine's own matter.
fn execute(shards: &mut [Running], request: &Request<&str>) {
    let owner = |collection: &str| shard_of(collection, shards.len()).0;
    let mut parts: BTreeMap<usize, Request<&str>> = BTreeMap::new();
    match request {
        Request::Insert(records) => {
            for record in records {
                let part = parts.entry(owner(record.collection)).or_insert(Request::Insert(Vec::new()));
                let Request::Insert(part) = part else { unreachable!() };
                part.push(*record);
            }
        }
        Request::DeleteRecords(keys) => {
            for key in keys {
                let part = parts.entry(owner(key.collection)).or_insert(Request::DeleteRecords(Vec::new()));
                let Request::DeleteRecords(part) = part else { unreachable!() };
                part.push(*key);
            }
        }
        Request::DeleteDocument { collection: None, .. } => {
            parts.extend((0..shards.len()).map(|index| (index, request.clone())));
        }
        Request::DeleteDocument { collection: Some(collection), .. }
        | Request::DeleteCollection { collection }
        | Request::DeleteRange { collection, .. }
        | Request::SetValue { collection, .. }
        | Request::RemoveValue { collection, .. } => drop(parts.insert(owner(collection), request.clone())),
        _ => {}
    }
    for (index, part) in parts {
        let shard = &mut shards[index].shard;
        if let Outcome::Change(mut work) = shard.execute(&part, &mut Vec::new()).unwrap() {
            while shard.step(&mut work) == Progress::More {}
        }
    }
}

fn read(shard: &mut Shard, request: &Request<&str>) -> Value {
    let mut out = vec![b'{'];
    if let Outcome::Reply(mut cursor) = shard.execute(request, &mut out).unwrap() {
        while cursor.step(&mut out, PIECE_BYTES) == Progress::More {}
    }
    out.push(b'}');
    let value: Value = serde_json::from_slice(&out).unwrap();
    value.as_object().unwrap().values().next().unwrap().clone()
}

/// Everything is in the shard that owns it, as the oracle has it, and nothing else is anywhere.
fn check(shards: &mut [Running], oracle: &mut Oracle) {
    let counts =
        |count: &dyn Fn(&Shard) -> usize| shards.iter().map(|running| count(&running.shard)).sum::<usize>();
    let documents = || oracle.collections.values().flat_map(|collection| collection.documents.values());
    assert_eq!(counts(&Shard::collection_count), oracle.collections.len());
    assert_eq!(counts(&Shard::document_count), documents().count());
    assert_eq!(counts(&Shard::record_count), documents().map(BTreeMap::len).sum::<usize>());
    for (name, collection) in oracle.collections.clone() {
        let ShardId(index) = shard_of(&name, shards.len());
        let shard = &mut shards[index].shard;
        let all = Request::AllValues { collection: name.as_str() };
        assert!(read(shard, &all) == oracle.execute(&all).unwrap(), "the entries of {name:?}");
        for document in collection.documents.keys() {
            let history = Request::History {
                collection: name.as_str(),
                document,
                from: None,
                to: i64::MAX,
                limit: None,
                reverse: false,
                contains: None,
                excludes: None,
            };
            assert!(read(shard, &history) == oracle.execute(&history).unwrap(), "{name:?} {document:?}");
        }
    }
}

fn run(seed: u64) {
    println!("seed {seed}");
    let directory = TempDir::new();
    let mut random = Random(seed);
    let mut oracle = Oracle::default();
    let mut shard_count = 0;
    for _ in 0..OPENINGS {
        shard_count = (shard_count + random.below(4) as usize) % 5 + 1;
        let (mut shards, writers) = open(&directory.0, shard_count, SIZES[seed as usize % SIZES.len()]);
        check(&mut shards, &mut oracle);
        for _ in 0..random.below(OPERATIONS) {
            let mut texts = Texts::default();
            let indexes = request(&mut random, &mut texts);
            let request = indexes.map(|index| texts.0[index].as_str());
            oracle.execute(&request);
            execute(&mut shards, &request);
            if random.below(200) == 0 {
                let index = random.below(shard_count as u64) as usize;
                shards[index].flush();
            }
        }
        shards.iter_mut().for_each(Running::flush);
        drop(shards);
        writers.join().unwrap();
    }
}

#[test]
fn what_was_stored_is_there_whatever_the_number_of_shards() {
    match std::env::var("FLUXION_SEED") {
        Ok(seed) => run(seed.parse().unwrap()),
        Err(_) => (0..SEEDS).for_each(run),
    }
}
