//! A random program against an oracle of plain maps: every reply, every count, every snapshot, and the feed.
//!
//! Few names and times, so that everything collides. Most operations are on small data; now and then one is on a collection
//! of long documents and long texts: their replies need cursors and their changes go on in steps, and both are left open
//! across later requests. Readers of the feed take batches at random.
//! `FLUXION_SEED=n cargo test -p fluxion-engine --test model` runs the program of one seed again.
//!
//! The same runs with chunks of few records that are sealed as soon as they may be: taken, sealed and put back at random, so
//! that what comes back meets chunks that have been changed, split, deleted or sealed meanwhile.

#![allow(clippy::unwrap_used)]

use fluxion_engine::sealed::Sealer;
use fluxion_engine::{
    ChunkSizes, Cursor, Outcome, PIECE_BYTES, Packet, Progress, ReaderId, Request, SealedWork, SealingWork,
    Shard, Work,
};
use fluxion_testkit::{Collection, Oracle, Random, Texts, request};
use serde_json::Value;
use std::collections::BTreeSet;

const SEEDS: u64 = 10;
const OPERATIONS: u64 = 105_000;
const SEALED_OPERATIONS: u64 = 60_000;
const OPEN_REPLIES_MAX: usize = 6;
const READERS_MAX: usize = 3;

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
struct OpenReply {
    request: Packet,
    cursor: Cursor,
    out: Vec<u8>,
    expected: Value,
}

/// A change that goes on in steps; the oracle carries it out at its end.
struct OpenChange {
    request: Packet,
    work: Work,
}

/// A reader of the feed, and what the changes that it took come to.
struct Reader {
    id: ReaderId,
    replayed: Oracle,
}

struct Program {
    random: Random,
    shard: Shard,
    oracle: Oracle,
    replies: Vec<OpenReply>,
    changes: Vec<OpenChange>,
    readers: Vec<Reader>,
    /// The numbers at which a batch may end: no request is under way there.
    ends: BTreeSet<u64>,
    finished: Finished,
    sealing: Sealing,
}

/// Chunks on their way to being sealed and back.
#[derive(Default)]
struct Sealing {
    is_on: bool,
    sealer: Sealer,
    taken: Vec<SealingWork>,
    sealed: Vec<SealedWork>,
}

/// Counts of the events that make the test worth something.
#[derive(Default)]
struct Finished {
    replies: u64,
    changes: u64,
    interleaved: u64,
    batches: u64,
    sealed_records: usize,
    sealed_in_vain: usize,
}

impl Program {
    fn new(seed: u64, sizes: ChunkSizes) -> Program {
        Program {
            random: Random(seed),
            shard: Shard::with_sizes(sizes),
            oracle: Oracle::default(),
            replies: Vec::new(),
            changes: Vec::new(),
            readers: Vec::new(),
            ends: BTreeSet::new(),
            finished: Finished::default(),
            sealing: Sealing { is_on: sizes.seals, ..Sealing::default() },
        }
    }

    fn operation(&mut self) {
        let mut texts = Texts::default();
        let indexes = request(&mut self.random, &mut texts);
        let request = indexes.map(|index| texts.0[index].as_str());
        self.finish_changes_before(&request);
        self.finished.interleaved += u64::from(!self.changes.is_empty());
        self.execute(&request);
        self.note_end();
        while !self.changes.is_empty() && self.random.below(3) == 0 {
            self.step_a_change();
        }
        while self.replies.len() > OPEN_REPLIES_MAX || !self.replies.is_empty() && self.random.below(30) == 0
        {
            self.step_a_reply();
        }
        match self.random.below(600) {
            0..4 if !self.readers.is_empty() => self.take_a_batch(),
            4 => self.change_readers(),
            _ => {}
        }
        if self.sealing.is_on {
            self.step_sealing();
        }
    }

    /// Takes, does or brings back some of the sealing, in any order.
    fn step_sealing(&mut self) {
        let Sealing { sealer, taken, sealed, .. } = &mut self.sealing;
        match self.random.below(8) {
            0..3 => taken.extend(self.shard.take_sealing_work()),
            3 | 4 if !taken.is_empty() => {
                let work = taken.swap_remove(self.random.below(taken.len() as u64) as usize);
                sealed.push(work.run(sealer));
            }
            5 | 6 if !sealed.is_empty() => {
                let work = sealed.swap_remove(self.random.below(sealed.len() as u64) as usize);
                let record_count = work.record_count();
                let replaced = self.shard.put_sealed(work);
                self.finished.sealed_records += replaced;
                self.finished.sealed_in_vain += record_count - replaced;
            }
            7 if self.random.below(4) == 0 => {
                self.shard.cool();
            }
            _ => {}
        }
    }

    fn execute(&mut self, request: &Request<&str>) {
        let mut out = Vec::new();
        let outcome = match self.random.below(4) {
            0 => self.shard.execute_packet(Packet::new(request), &mut out).unwrap(),
            _ => self.shard.execute(request, &mut out).unwrap(),
        };
        assert!(out.len() < PIECE_BYTES + 256, "the first step wrote {}", out.len());
        if let Outcome::Change(work) = outcome {
            self.changes.push(OpenChange { request: Packet::new(request), work });
            return;
        }
        match (self.oracle.execute(request), outcome) {
            (Some(expected), Outcome::Done) => assert_eq!(parse(request, &out), expected, "{request:?}"),
            (Some(expected), Outcome::Reply(cursor)) => {
                self.replies.push(OpenReply { request: Packet::new(request), cursor, out, expected });
            }
            (None, Outcome::Done) => assert!(out.is_empty() && request.changes()),
            _ => panic!("{request:?} has another kind of outcome"),
        }
    }

    /// The oracle has nothing of a change that is under way, so what concerns the same collections waits for its end.
    fn finish_changes_before(&mut self, request: &Request<&str>) {
        let concerned = collections(request);
        let meets = |change: &OpenChange| match (&concerned, collections(&change.request.request())) {
            (Some(some), Some(others)) => !some.is_disjoint(&others),
            _ => true,
        };
        while self.changes.iter().any(meets) {
            self.step_a_change();
        }
    }

    fn step_a_change(&mut self) {
        let index = self.random.below(self.changes.len() as u64) as usize;
        if self.shard.step(&mut self.changes[index].work) == Progress::Done {
            let change = self.changes.swap_remove(index);
            assert_eq!(self.oracle.execute(&change.request.request()), None);
            self.finished.changes += 1;
            self.note_end();
        }
    }

    fn note_end(&mut self) {
        if !self.changes.iter().any(|change| change.work.has_begun()) {
            self.ends.insert(self.shard.feed().next_number());
        }
    }

    fn step_a_reply(&mut self) {
        let index = self.random.below(self.replies.len() as u64) as usize;
        let room = 1 + self.random.below(60_000) as usize;
        let open = &mut self.replies[index];
        let before = open.out.len();
        let progress = open.cursor.step(&mut open.out, room);
        assert!(open.out.len() - before <= room + 256);
        if progress == Progress::Done {
            let open = self.replies.swap_remove(index);
            assert!(parse(&open.request.request(), &open.out) == open.expected, "a cursor's reply is wrong");
            self.finished.replies += 1;
        }
    }

    fn take_a_batch(&mut self) {
        let index = self.random.below(self.readers.len() as u64) as usize;
        let about_bytes = self.random.pick(&[1, 10_000, 1 << 20, usize::MAX]);
        self.take(index, about_bytes);
    }

    /// Takes a batch of a reader's; false if there is none.
    fn take(&mut self, index: usize, about_bytes: usize) -> bool {
        let Reader { id, replayed } = &mut self.readers[index];
        let waiting = self.shard.feed().waiting_bytes(*id);
        let Some(batch) = self.shard.feed_mut().take(*id, about_bytes) else {
            assert!(!self.changes.is_empty() || self.shard.feed().is_caught_up(*id));
            return false;
        };
        assert_eq!(self.shard.feed().waiting_bytes(*id) + batch.bytes(), waiting);
        let end = batch.first_number() + batch.len() as u64;
        assert!(self.ends.contains(&end), "a batch ends inside a request, before change {end}");
        batch.changes().for_each(|change| replayed.replay(change));
        self.finished.batches += 1;
        true
    }

    /// Opens a reader, or closes one, where the state that it begins with is known.
    fn change_readers(&mut self) {
        if self.readers.len() == READERS_MAX {
            let reader = self.readers.swap_remove(self.random.below(READERS_MAX as u64) as usize);
            self.shard.feed_mut().close_reader(reader.id);
        } else if self.changes.is_empty() {
            let id = self.shard.feed_mut().open_reader();
            self.readers.push(Reader { id, replayed: self.oracle.clone() });
        }
    }

    fn check(&mut self) {
        while !self.changes.is_empty() {
            self.step_a_change();
        }
        let documents =
            || self.oracle.collections.values().flat_map(|collection| collection.documents.values());
        assert_eq!(self.shard.collection_count(), self.oracle.collections.len());
        assert_eq!(self.shard.document_count(), documents().count());
        assert_eq!(self.shard.record_count(), documents().map(|series| series.len()).sum::<usize>());
        if !self.sealing.is_on {
            assert_eq!(self.shard.bytes(), bytes(&self.oracle));
        }
        for index in 0..self.readers.len() {
            while self.take(index, 1 << 20) {}
            assert_eq!(self.shard.feed().waiting_bytes(self.readers[index].id), 0);
            assert!(self.readers[index].replayed == self.oracle, "the feed gives other data");
        }
        self.ends = BTreeSet::from([self.shard.feed().next_number()]);
        while self.shard.collect_garbage() {}
    }
}

/// The collections that a request concerns; none for all.
fn collections<'a>(request: &Request<&'a str>) -> Option<BTreeSet<&'a str>> {
    match request {
        Request::Insert(records) => Some(records.iter().map(|record| record.collection).collect()),
        Request::DeleteRecords(keys) => Some(keys.iter().map(|key| key.collection).collect()),
        Request::Collections | Request::DeleteDocument { collection: None, .. } => None,
        Request::DeleteDocument { collection: Some(collection), .. }
        | Request::Latest { collection, .. }
        | Request::History { collection, .. }
        | Request::DeleteCollection { collection }
        | Request::DeleteRange { collection, .. }
        | Request::SetValue { collection, .. }
        | Request::GetValue { collection, .. }
        | Request::MatchValues { collection, .. }
        | Request::AllValues { collection }
        | Request::Keys { collection }
        | Request::RemoveValue { collection, .. } => Some(BTreeSet::from([*collection])),
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

fn run(seed: u64, sizes: ChunkSizes, operations: u64) {
    let seed = Seed(seed);
    let mut program = Program::new(seed.0, sizes);
    for operation in 1..=operations {
        program.operation();
        let waits_long = |reader: &Reader| program.shard.feed().waiting_bytes(reader.id) > 8 << 20;
        if operation % 5000 == 0 || program.readers.iter().any(waits_long) {
            program.check();
        }
    }
    while !program.replies.is_empty() {
        program.step_a_reply();
    }
    program.check();
    let Finished { replies, changes, interleaved, batches, sealed_records, sealed_in_vain } =
        program.finished;
    println!(
        "{replies} long replies, {changes} long changes, {interleaved} requests in between, {batches} batches, \
         {sealed_records} records sealed, {sealed_in_vain} in vain"
    );
    assert!(
        replies > 10 && changes > 50 && interleaved > 1000 && batches > operations / 210,
        "the program must try all"
    );
    assert!(!sizes.seals || sealed_records > 5000 && sealed_in_vain > 100, "it must seal");
    let names: Vec<_> = program.oracle.collections.keys().cloned().collect();
    for collection in &names {
        program.shard.execute(&Request::DeleteCollection { collection }, &mut Vec::new()).unwrap();
    }
    assert_eq!(program.shard.bytes(), 0, "what is deleted is not counted");
}

#[test]
fn the_shard_does_what_plain_maps_do() {
    match std::env::var("FLUXION_SEED") {
        Ok(seed) => run(seed.parse().unwrap(), ChunkSizes::default(), OPERATIONS),
        Err(_) => (0..SEEDS).for_each(|seed| run(seed, ChunkSizes::default(), OPERATIONS)),
    }
}

/// Chunks of so many records, of which so many are sealed together, with so many of the newest left open.
fn sealed(records: usize, sealed_records: usize, open_records: usize) -> ChunkSizes {
    let text_bytes = 200 * records;
    ChunkSizes {
        records,
        text_bytes,
        sealed_records,
        open_records,
        work_records: 4 * sealed_records,
        seals: true,
        ..ChunkSizes::default()
    }
}

#[test]
fn it_does_so_with_chunks_that_are_sealed() {
    let all = [sealed(1, 1, 1), sealed(2, 2, 1), sealed(7, 7, 1), sealed(7, 30, 10), sealed(512, 1024, 128)];
    for (seed, sizes) in all.into_iter().enumerate() {
        let seed = std::env::var("FLUXION_SEED").map_or(seed as u64, |seed| seed.parse().unwrap());
        run(seed, sizes, SEALED_OPERATIONS);
    }
}
