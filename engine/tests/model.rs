//! A random program against an oracle of plain maps: every reply, every count, every snapshot, and the dirty log.
//!
//! Few names and times, so that everything collides. Most operations are on small data; now and then one is on a collection
//! of long documents and long texts, whose replies need cursors, which are left open across later writes.
//! `FLUXION_SEED=n cargo test -p fluxion-engine --test model` runs the program of one seed again.

#![allow(clippy::unwrap_used)]

mod oracle;

use fluxion_engine::{Cursor, LogMode, PIECE_BYTES, Packet, Progress, Record, RecordKey, Request, Shard};
use oracle::{NAMES, Oracle, SEARCHES};
use serde_json::Value;

const SEEDS: u64 = 10;
const OPERATIONS: u64 = 105_000;
const OPEN_CURSORS_MAX: usize = 6;
const NAMES_USED: [&str; 6] = ["n0", "n1", "N2", "/home/u1", "né\"3", "n4"];

/// SplitMix64: random enough, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }

    fn text(&mut self, len_max: u64) -> String {
        let len = self.below(len_max + 1);
        (0..len).map(|_| self.pick(&['a', 'b', 'x', 'X', '"', '\\', '\n', '/', 'é', '\u{1}'])).collect()
    }

    fn search(&mut self) -> String {
        if self.below(2) == 0 { String::new() } else { self.pick(&SEARCHES).0.to_owned() }
    }

    fn name_test(&mut self) -> String {
        if self.below(2) == 0 { self.pick(&NAMES_USED).to_owned() } else { self.pick(&NAMES).0.to_owned() }
    }
}

/// Where an operation plays: names, and how far its times reach.
struct Place {
    collection: &'static str,
    ts_max: u64,
}

fn place(random: &mut Random) -> Place {
    if random.below(80) == 0 {
        return Place { collection: "long", ts_max: 9000 };
    }
    Place { collection: random.pick(&["c0", "c1", "ü\\2", "c3"]), ts_max: 30 }
}

fn time(random: &mut Random, place: &Place) -> i64 {
    match random.below(100) {
        0 => random.pick(&[i64::MIN, i64::MAX, -1]),
        _ => random.below(place.ts_max) as i64,
    }
}

/// The texts of one request, which refers to them by index.
#[derive(Default)]
struct Texts(Vec<String>);

impl Texts {
    fn add(&mut self, text: impl Into<String>) -> usize {
        self.0.push(text.into());
        self.0.len() - 1
    }
}

fn records(random: &mut Random, place: &Place, texts: &mut Texts) -> Vec<Record<usize>> {
    let is_long = place.collection == "long";
    let count = if is_long { random.below(6000) } else { 1 + random.below(4) };
    let order = random.below(3);
    let mut collection = place.collection;
    let mut document = random.pick(&NAMES_USED);
    let start = time(random, place);
    let record = |index: u64| {
        if !is_long && random.below(3) == 0 {
            document = random.pick(&NAMES_USED);
            collection = random.pick(&["c0", "c1", "ü\\2", "c3"]);
        }
        let ts = match order {
            0 => time(random, place),
            1 => start.saturating_add(index as i64),
            _ => start.saturating_sub(index as i64),
        };
        let len_max = if is_long && random.below(2000) == 0 { 150_000 } else { 24 };
        let data = texts.add(random.text(len_max));
        Record { collection: texts.add(collection), document: texts.add(document), ts, data }
    };
    (0..count).map(record).collect()
}

fn request(random: &mut Random, texts: &mut Texts) -> Request<usize> {
    let place = place(random);
    let collection = texts.add(place.collection);
    let document = texts.add(random.pick(&NAMES_USED));
    let key = texts.add(random.pick(&NAMES_USED));
    let (contains, excludes) = (texts.add(random.search()), texts.add(random.search()));
    let (from, to) = (time(random, &place), time(random, &place));
    let is_long = place.collection == "long";
    match random.below(100) {
        // Long data must be left to grow, be read whole, and be cut down so far that small chunks are joined.
        7..10 if is_long => {
            let (from, to) = (random.below(200) as i64, 8800 + random.below(200) as i64);
            Request::DeleteRange { collection, document, from, to }
        }
        10..30 if is_long => {
            let (from, to, limit, reverse) = (i64::MIN, i64::MAX, 0, random.below(2) == 0);
            Request::History { collection, document, from, to, limit, reverse, contains, excludes }
        }
        30..40 | 75 if is_long => {
            let document = texts.add("");
            Request::Latest { collection, document, ts: to, from: 0, contains, excludes }
        }
        0..40 => Request::Insert(records(random, &place, texts)),
        40..52 => {
            let document = if random.below(3) == 0 { String::new() } else { random.name_test() };
            let from = if random.below(2) == 0 { from } else { 0 };
            Request::Latest { collection, document: texts.add(document), ts: to, from, contains, excludes }
        }
        52..70 => {
            let (from, to) = if random.below(3) == 0 { (i64::MIN, i64::MAX) } else { (from, to) };
            let (limit, reverse) = (random.below(8) as i64 - 4, random.below(2) == 0);
            Request::History { collection, document, from, to, limit, reverse, contains, excludes }
        }
        70..72 => Request::Collections,
        72 if !is_long && random.below(4) == 0 => Request::DeleteDocument { document, collection: None },
        72..75 => Request::DeleteDocument { document, collection: Some(collection) },
        75 => Request::DeleteCollection { collection },
        76..82 => {
            let key = |_| RecordKey { collection, document, ts: time(random, &place) };
            Request::DeleteRecords((0..4).map(key).collect())
        }
        82..86 => Request::DeleteRange { collection, document, from, to },
        86..91 => {
            let len_max = if random.below(2000) == 0 { 300_000 } else { 20 };
            Request::SetValue { collection, key, value: texts.add(random.text(len_max)) }
        }
        91..93 => Request::GetValue { collection, key },
        93..95 => Request::MatchValues { collection, key: texts.add(random.name_test()) },
        95 => Request::AllValues { collection },
        96 => Request::Keys { collection },
        _ => Request::RemoveValue { collection, key },
    }
}

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
        let cursor = self.shard.execute(&request, &mut out).unwrap();
        assert!(out.len() < PIECE_BYTES + 256, "the first step wrote {}", out.len());
        match (expected, cursor) {
            (Some(expected), None) => assert_eq!(parse(&request, &out), expected, "{request:?}"),
            (Some(expected), Some(cursor)) => {
                self.open.push(Open { request: Packet::new(&request), cursor, out, expected });
            }
            (None, cursor) => assert!(cursor.is_none() && out.is_empty()),
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
        self.shard.take_dirty().changes().for_each(|change| self.replayed.replay(change));
        assert_eq!(self.shard.dirty_bytes(), 0);
        assert!(self.replayed == self.oracle, "the dirty log gives other data");
        while self.shard.collect_garbage() {}
    }
}

fn bytes(oracle: &Oracle) -> usize {
    let collection = |(name, collection): (&String, &oracle::Collection)| {
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
    let mut program = Program {
        random: Random(seed.0),
        shard: Shard::new(LogMode::On),
        oracle: Oracle::default(),
        replayed: Oracle::default(),
        open: Vec::new(),
        finished_cursors: 0,
    };
    for operation in 1..=OPERATIONS {
        program.operation();
        if operation % 5000 == 0 || program.shard.dirty_bytes() > 8 << 20 {
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
