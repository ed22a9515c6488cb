//! A random program against an oracle of plain maps: every reply, every count, every snapshot, and the feed.
//!
//! Few names and times, so that everything collides. Most operations are on small data; now and then one is on a collection
//! of long documents and long texts, whose replies need cursors, which are left open across later writes.
//! `FLUXION_SEED=n cargo test -p fluxion-engine --test model` runs the program of one seed again.

#![allow(clippy::unwrap_used)]

use fluxion_engine::{Cursor, Outcome, PIECE_BYTES, Packet, Progress, ReaderId, Request, Shard};
use fluxion_testkit::{Collection, Oracle, Random, Texts, request};
use serde_json::Value;

const SEEDS: u64 = 10;
const OPERATIONS: u64 = 105_000;
const OPEN_CURSORS_MAX: usize = 6;

/// A reply as a value: its one member's, arrays of names sorted.
fn parse(request: &Request<&str>, out: &[u8]) -> Value {
    let text = std::str::from_utf8(out).unwrap();
    let text = if *request == Request::Collections {
        format!("{{\"names\":[{text}]}}")
    } else {
        format!("{{{text}}}")
    };
    let Value::Object(members) = serde_json::from_str(&text).unwrap() else { panic!("not an object") };
    assert_eq!(members.len(), 1);
    let mut value = members.into_iter().next().unwrap().1;
    if matches!(request, Request::Collections | Request::Keys { .. }) {
        value.as_array_mut().unwrap().sort_by(|a, b| a.as_str().cmp(&b.as_str()));
    }
    value
}

/// A reply that isn't complete, and what it must become.
struct Open {
    request: Packet,
    cursor: Cursor,
    out: Vec<u8>,
    expected: Value,
}

struct Program {
    random: Random,
    shard: Shard,
    reader: ReaderId,
    oracle: Oracle,
    replayed: Oracle,
    open: Vec<Open>,
    finished_cursors: u64,
}

impl Program {
    fn operation(&mut self) {
        let mut texts = Texts::default();
        let indexes = request(&mut self.random, &mut texts);
        let request = indexes.map(|index| texts.0[index].as_str());
        let expected = self.oracle.execute(&request);
        let mut out = Vec::new();
        let outcome = self.shard.execute(&request, &mut out).unwrap();
        assert!(out.len() < PIECE_BYTES + 256, "the first step wrote {}", out.len());
        match (expected, outcome) {
            (Some(expected), Outcome::Done) => assert_eq!(parse(&request, &out), expected, "{request:?}"),
            (Some(expected), Outcome::Reply(cursor)) => {
                self.open.push(Open { request: Packet::new(&request), cursor, out, expected });
            }
            (None, Outcome::Change(mut work)) => while self.shard.step(&mut work) == Progress::More {},
            (None, Outcome::Done) => assert!(out.is_empty()),
            _ => panic!("{request:?} has another kind of outcome"),
        }
        while self.open.len() > OPEN_CURSORS_MAX || !self.open.is_empty() && self.random.below(30) == 0 {
            self.step_one();
        }
    }

    fn step_one(&mut self) {
        let index = self.random.below(self.open.len() as u64) as usize;
        let room = 1 + self.random.below(60_000) as usize;
        let open = &mut self.open[index];
        let before = open.out.len();
        let progress = open.cursor.step(&mut open.out, room);
        assert!(open.out.len() - before <= room + 256);
        if progress == Progress::Done {
            let open = self.open.swap_remove(index);
            assert!(parse(&open.request.request(), &open.out) == open.expected, "a cursor's reply is wrong");
            self.finished_cursors += 1;
        }
    }

    fn check(&mut self) {
        let documents =
            || self.oracle.collections.values().flat_map(|collection| collection.documents.values());
        assert_eq!(self.shard.collection_count(), self.oracle.collections.len());
        assert_eq!(self.shard.document_count(), documents().count());
        assert_eq!(self.shard.record_count(), documents().map(|series| series.len()).sum::<usize>());
        assert_eq!(self.shard.bytes(), bytes(&self.oracle));
        while let Some(batch) = self.shard.feed_mut().take(self.reader, 1 << 20) {
            batch.changes().for_each(|change| self.replayed.replay(change));
        }
        assert_eq!(self.shard.feed().waiting_bytes(self.reader), 0);
        assert!(self.replayed == self.oracle, "the feed gives other data");
        while self.shard.collect_garbage() {}
    }
}

fn bytes(oracle: &Oracle) -> usize {
    let collection = |(name, collection): (&String, &Collection)| {
        let series = |(name, series): (&String, &std::collections::BTreeMap<i64, String>)| {
            name.len() + series.values().map(|data| data.len() + 12).sum::<usize>()
        };
        let entries = collection.entries.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
        name.len() + entries + collection.documents.iter().map(series).sum::<usize>()
    };
    oracle.collections.iter().map(collection).sum()
}

/// Says which program failed.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("FLUXION_SEED={} runs this program again", self.0);
        }
    }
}

fn run(seed: u64) -> u64 {
    let seed = Seed(seed);
    let mut shard = Shard::new();
    let mut program = Program {
        random: Random(seed.0),
        reader: shard.feed_mut().open_reader(),
        shard,
        oracle: Oracle::default(),
        replayed: Oracle::default(),
        open: Vec::new(),
        finished_cursors: 0,
    };
    for operation in 1..=OPERATIONS {
        program.operation();
        if operation % 5000 == 0 || program.shard.feed().waiting_bytes(program.reader) > 8 << 20 {
            program.check();
        }
    }
    while !program.open.is_empty() {
        program.step_one();
    }
    program.check();
    program.finished_cursors
}

#[test]
fn the_shard_does_what_plain_maps_do() {
    if let Ok(seed) = std::env::var("FLUXION_SEED") {
        run(seed.parse().unwrap());
        return;
    }
    let finished_cursors: u64 = (0..SEEDS).map(run).sum();
    assert!(
        finished_cursors > 10 * SEEDS,
        "only {finished_cursors} cursors: the program must make long replies"
    );
}
