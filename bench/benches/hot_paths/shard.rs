//! The engine: records stored in and out of order, and read again.

use divan::Bencher;
use divan::counter::ItemsCount;
use fluxion_engine::{Outcome, PIECE_BYTES, Progress, Record, Request, Shard};
use std::num::NonZeroU64;

const DOCUMENTS: usize = 100;
const DATA: &str = "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijkl";

/// Records stored in one turn.
const RECORDS: usize = 10_000;

/// Records of each document that is read.
const RECORDS_PER_DOCUMENT: usize = 1_000;

fn names() -> Vec<String> {
    (0..DOCUMENTS).map(|number| format!("doc{number:02}")).collect()
}

/// Insertions of so many records each, which take turns among the documents; `time` is that of the n-th record.
fn insertions(
    names: &[String],
    records: usize,
    in_message: usize,
    time: impl Fn(usize) -> i64,
) -> Vec<Request<&str>> {
    let record = |number: usize| Record {
        collection: "col",
        document: names[number % DOCUMENTS].as_str(),
        ts: time(number),
        data: DATA,
    };
    let all: Vec<_> = (0..records).map(record).collect();
    all.chunks(in_message).map(|records| Request::Insert(records.to_vec())).collect()
}

fn carry_out(shard: &mut Shard, requests: &[Request<&str>], out: &mut Vec<u8>) {
    for request in requests {
        if let Outcome::Change(mut work) = shard.execute(request, out).unwrap() {
            while shard.step(&mut work) == Progress::More {}
        }
    }
}

/// A shard whose changes are kept, for a reader that never comes.
fn shard_with_reader() -> Shard {
    let mut shard = Shard::new();
    shard.feed_mut().open_reader();
    shard
}

fn insert(bencher: Bencher<'_, '_>, shard: fn() -> Shard, in_message: usize, time: impl Fn(usize) -> i64) {
    let names = names();
    let requests = insertions(&names, RECORDS, in_message, time);
    bencher.counter(ItemsCount::new(RECORDS)).with_inputs(shard).bench_local_refs(|shard| {
        carry_out(shard, &requests, &mut Vec::new());
    });
}

/// An order that visits every number below `RECORDS` and looks random.
fn scattered(number: usize) -> i64 {
    (number * 7_919 % RECORDS) as i64
}

#[divan::bench(args = [1, 100])]
fn append_in_order(bencher: Bencher<'_, '_>, in_message: usize) {
    insert(bencher, Shard::new, in_message, |number| number as i64);
}

#[divan::bench(args = [1, 100])]
fn append_in_order_with_reader(bencher: Bencher<'_, '_>, in_message: usize) {
    insert(bencher, shard_with_reader, in_message, |number| number as i64);
}

#[divan::bench(args = [1, 100])]
fn append_out_of_order(bencher: Bencher<'_, '_>, in_message: usize) {
    insert(bencher, Shard::new, in_message, scattered);
}

#[divan::bench]
fn overwrite(bencher: Bencher<'_, '_>) {
    insert(bencher, Shard::new, 100, |number| (number / DOCUMENTS % 10) as i64);
}

/// Reads from a full shard until the reply is complete; `items` are the records in it.
fn read(bencher: Bencher<'_, '_>, request: &Request<&str>, items: usize) {
    let (names, mut shard, mut out) = (names(), Shard::new(), Vec::new());
    let records = DOCUMENTS * RECORDS_PER_DOCUMENT;
    carry_out(
        &mut shard,
        &insertions(&names, records, 1_000, |number| (number / DOCUMENTS) as i64),
        &mut out,
    );
    bencher.counter(ItemsCount::new(items)).bench_local(|| {
        out.clear();
        if let Outcome::Reply(mut cursor) = shard.execute(request, &mut out).unwrap() {
            while cursor.step(&mut out, PIECE_BYTES) == Progress::More {}
        }
        assert!(out.len() > items * DATA.len());
    });
}

#[divan::bench(args = [1, 100, RECORDS_PER_DOCUMENT])]
fn read_range_newest_first(bencher: Bencher<'_, '_>, limit: usize) {
    let request = Request::History {
        collection: "col",
        document: "doc42",
        from: None,
        to: i64::MAX,
        limit: NonZeroU64::new(limit as u64),
        reverse: true,
        contains: None,
        excludes: None,
    };
    read(bencher, &request, limit);
}

fn latest_of(document: Option<&str>) -> Request<&str> {
    Request::Latest { collection: "col", document, ts: i64::MAX, from: None, contains: None, excludes: None }
}

#[divan::bench]
fn latest_of_one(bencher: Bencher<'_, '_>) {
    read(bencher, &latest_of(Some("doc42")), 1);
}

#[divan::bench]
fn latest_of_all(bencher: Bencher<'_, '_>) {
    read(bencher, &latest_of(None), DOCUMENTS);
}
