//! A random program with subscribers: the fold of what each of them is pushed, against an oracle of plain maps and against
//! the changes that a reader of the feed gets.
//!
//! Subscribers come, go, are slow, are cut off and go on from a cursor. Long changes go on in steps between other requests.
//! `FLUXION_SEED=n cargo test -p fluxion-engine --test subscriptions` runs the program of one seed again.

#![allow(clippy::unwrap_used)]

use fluxion_engine::{
    Change, Mode, Outcome, Packet, Progress, Push, ReaderId, Receiver, Record, RecordKey, Request, Shard,
    Slow, SubscriptionId, Terms, Work,
};
use fluxion_testkit::{Oracle, Random, Texts, request};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const SEEDS: u64 = 5;
const OPERATIONS: u64 = 6_000;
const SUBSCRIBERS_MAX: usize = 12;
/// Which must be known to the oracle.
const DOCUMENTS: [&str; 4] = ["n0", "/[02]$/", "/^N/i", "/home/u1"];
type Test = (&'static str, fn(&str) -> bool);
const TEXTS: [Test; 3] = [
    ("a", |text| text.contains('a')),
    ("/^x/i", |text| text.starts_with(['x', 'X'])),
    ("b\"", |text| text.contains("b\"")),
];

fn is_found(test: Option<&str>, text: &str) -> Option<bool> {
    TEXTS.iter().find(|(known, _)| Some(*known) == test).map(|(_, meaning)| meaning(text))
}

fn is_named(test: Option<&str>, name: &str) -> bool {
    match test {
        None => true,
        Some("/[02]$/") => name.ends_with(['0', '2']),
        Some("/^N/i") => name.starts_with(['n', 'N']),
        Some(literal) => literal == name,
    }
}

type Records = BTreeMap<String, BTreeMap<i64, String>>;

fn passes(terms: &Terms<String>, data: &str) -> bool {
    is_found(terms.contains.as_deref(), data).unwrap_or(true)
        && !is_found(terms.excludes.as_deref(), data).unwrap_or(false)
}

struct Subscriber {
    id: SubscriptionId,
    number: u32,
    terms: Terms<String>,
    cursor: String,
    /// A push has come for which no credit was given.
    owes: bool,
    in_snapshot: bool,
    /// The newest records, as the pushes make them.
    newest: Map<String, Value>,
    /// All records, as the changes make them.
    all: Records,
    /// All records when its snapshot was begun.
    whole: Records,
    /// The changes since the subscription, where it began without a snapshot.
    changes: Vec<Value>,
    expected: Vec<Value>,
}

impl Subscriber {
    fn wants_change(&self, change: &Change<&str>) -> Option<Value> {
        let terms = &self.terms;
        let document = match *change {
            Change::Put { document, .. }
            | Change::DeleteRecord { document, .. }
            | Change::DeleteRange { document, .. }
            | Change::DeleteDocument { document, .. } => Some(document),
            Change::DeleteCollection { .. } => None,
            _ => return None,
        };
        if document.is_some_and(|document| !is_named(terms.document.as_deref(), document)) {
            return None;
        }
        Some(match *change {
            Change::Put { document, ts, data, .. } => {
                if !passes(terms, data) {
                    return None;
                }
                json!({"doc": document, "ts": ts, "data": data})
            }
            Change::DeleteRecord { document, ts, .. } => json!({"doc": document, "ts": ts, "del": true}),
            Change::DeleteRange { document, from, to, .. } => {
                json!({"doc": document, "fromTs": from, "toTs": to, "del": true})
            }
            Change::DeleteDocument { document, .. } => json!({"doc": document, "del": true}),
            _ => json!({"del": true}),
        })
    }

    fn fold(&mut self, push: &Value) {
        if push["reset"] == true {
            self.newest.clear();
            self.all.clear();
            self.changes.clear();
        }
        self.in_snapshot = push["snapshot"] == "part";
        self.cursor = push["cursor"].as_str().unwrap().to_owned();
        for (name, record) in push["records"].as_object().into_iter().flatten() {
            match record {
                Value::Null => drop(self.newest.remove(name)),
                record => drop(self.newest.insert(name.clone(), record.clone())),
            }
        }
        let is_snapshot = push["snapshot"].is_string();
        for change in push["changes"].as_array().into_iter().flatten() {
            self.replay(change);
            if !is_snapshot {
                self.changes.push(change.clone());
            }
        }
    }

    fn replay(&mut self, change: &Value) {
        let Some(name) = change["doc"].as_str() else { return self.all.clear() };
        let series = self.all.entry(name.to_owned()).or_default();
        let number = |member: &str| change[member].as_i64();
        if change["del"] != true {
            series.insert(number("ts").unwrap(), change["data"].as_str().unwrap().to_owned());
        } else if let (Some(from), Some(to)) = (number("fromTs"), number("toTs")) {
            series.retain(|ts, _| !(from..=to).contains(ts));
        } else if let Some(ts) = number("ts") {
            series.remove(&ts);
        } else {
            series.clear();
        }
    }
}

struct Program {
    random: Random,
    shard: Shard,
    oracle: Oracle,
    now_ms: u64,
    reader: ReaderId,
    changes: Vec<(Packet, Work)>,
    subscribers: Vec<Subscriber>,
    /// Those that were cut off.
    lost: Vec<Subscriber>,
    count: u32,
    pushes: u64,
    resumed: u64,
    refolded: u64,
    parts: u64,
}

impl Program {
    fn new(seed: u64) -> Program {
        let mut shard = Shard::new();
        shard.set_epoch(seed, None);
        let reader = shard.feed_mut().open_reader();
        Program {
            random: Random(seed),
            shard,
            oracle: Oracle::default(),
            now_ms: 0,
            reader,
            changes: Vec::new(),
            subscribers: Vec::new(),
            lost: Vec::new(),
            count: 0,
            pushes: 0,
            resumed: 0,
            refolded: 0,
            parts: 0,
        }
    }

    fn operation(&mut self) {
        self.now_ms += self.random.below(3u64);
        match self.random.below(40) {
            0..2 => self.subscribe(),
            2 => self.leave(),
            3..10 => {
                self.pump();
            }
            10..20 => self.credit(),
            20 if self.random.below(20) == 0 => {
                self.now_ms += 31_000;
                self.shard.expire_subscriptions(self.now_ms);
            }
            21 if self.random.below(10) == 0 => self.change_wide(),
            _ => self.request(),
        }
        while !self.changes.is_empty() && self.random.below(3) == 0 {
            self.step();
        }
    }

    fn request(&mut self) {
        let mut texts = Texts::default();
        let indexes = request(&mut self.random, &mut texts);
        let request = indexes.map(|index| texts.0[index].as_str());
        if request.changes() {
            self.execute(&request);
        }
    }

    fn execute(&mut self, request: &Request<&str>) {
        // The oracle carries out a long change at its end.
        while !self.changes.is_empty() {
            self.step();
        }
        match self.shard.execute(request, &mut Vec::new()).unwrap() {
            Outcome::Change(work) => self.changes.push((Packet::new(request), work)),
            Outcome::Done => drop(self.oracle.execute(request)),
            Outcome::Reply(_) => unreachable!(),
        }
    }

    /// Changes a collection of so many documents that its newest records fill several pushes.
    fn change_wide(&mut self) {
        let random = &mut self.random;
        let first = random.below(3000u64);
        let names: Vec<String> =
            (0..1 + random.below(4000u64)).map(|number| format!("n{}", first + number)).collect();
        let data = random.pick(&["a", "xa", "b"]).repeat(60);
        let ts = random.below(5) as i64;
        let names = names.iter().map(String::as_str);
        let record = |document| Record { collection: "wide", document, ts, data: data.as_str() };
        let key = |document| RecordKey { collection: "wide", document, ts };
        match random.below(8) {
            0 => self.execute(&Request::DeleteCollection { collection: "wide" }),
            1 | 2 => self.execute(&Request::DeleteRecords(names.map(key).collect())),
            _ => self.execute(&Request::Insert(names.map(record).collect())),
        }
    }

    fn step(&mut self) {
        if self.shard.step(&mut self.changes[0].1) == Progress::Done {
            let (packet, _) = self.changes.remove(0);
            self.oracle.execute(&packet.request());
        }
    }

    /// Adds what has changed to what those who want all changes are to be pushed.
    fn note_changes(&mut self) {
        while let Some(batch) = self.shard.feed_mut().take(self.reader, usize::MAX) {
            for change in batch.changes() {
                let name = match change {
                    Change::Put { collection, .. }
                    | Change::DeleteRecord { collection, .. }
                    | Change::DeleteRange { collection, .. }
                    | Change::DeleteDocument { collection, .. }
                    | Change::DeleteCollection { collection } => collection,
                    _ => continue,
                };
                for subscriber in self.subscribers.iter_mut().chain(&mut self.lost) {
                    if subscriber.terms.mode == Mode::All && subscriber.terms.collection == name {
                        let wanted = subscriber.wants_change(&change);
                        subscriber.expected.extend(wanted);
                    }
                }
            }
        }
    }

    fn terms(&mut self) -> Terms<String> {
        let random = &mut self.random;
        let some = |random: &mut Random| (random.below(3) == 0).then(|| random.pick(&TEXTS).0.to_owned());
        let mode = random.pick(&[Mode::Latest, Mode::All]);
        Terms {
            collection: random.pick(&["c0", "c0", "c1", "c3", "long", "wide"]).to_owned(),
            document: (random.below(2) == 0).then(|| random.pick(&DOCUMENTS).to_owned()),
            contains: some(random),
            excludes: some(random),
            mode,
            snapshot: random.below(2) == 0,
            since: None,
            every_ms: if random.below(4) == 0 { 20 } else { 0 },
            slow: Slow::Close,
            buffer_bytes: 16 << 20,
        }
    }

    fn subscribe(&mut self) {
        if self.subscribers.len() == SUBSCRIBERS_MAX {
            return self.leave();
        }
        if !self.changes.is_empty() {
            return;
        }
        self.note_changes();
        let old = (!self.lost.is_empty() && self.random.below(3) > 0)
            .then(|| self.lost.swap_remove(self.random.below(self.lost.len())));
        let mut terms = old.as_ref().map_or_else(|| self.terms(), |old| old.terms.clone());
        terms.since = old.as_ref().map(|old| old.cursor.clone());
        let borrowed = terms.map(|text| text.as_str());
        self.count += 1;
        let number = self.count;
        let accepted = self.shard.subscribe(&borrowed, Receiver([0, 0, 0, number]), self.now_ms).unwrap();
        let fresh = Subscriber {
            id: accepted.id,
            number,
            in_snapshot: terms.snapshot,
            terms,
            cursor: accepted.cursor.clone(),
            owes: false,
            newest: Map::new(),
            all: Records::new(),
            whole: Records::new(),
            changes: Vec::new(),
            expected: Vec::new(),
        };
        let subscriber = match (old, accepted.resumed) {
            (Some(old), Some(Ok(()))) => {
                self.resumed += 1;
                assert_eq!(accepted.cursor, old.cursor);
                Subscriber { id: accepted.id, number, owes: false, ..old }
            }
            (Some(_), resumed) => {
                assert!(resumed.is_some_and(|resumed| resumed.is_err()));
                self.refolded += 1;
                Subscriber { in_snapshot: true, ..fresh }
            }
            (None, resumed) => {
                assert!(resumed.is_none());
                let mut fresh = fresh;
                if !fresh.in_snapshot {
                    fresh.newest = self.newest(&fresh.terms);
                }
                fresh
            }
        };
        self.subscribers.push(subscriber);
    }

    fn leave(&mut self) {
        if self.subscribers.is_empty() {
            return;
        }
        let index = self.random.below(self.subscribers.len());
        let subscriber = self.subscribers.swap_remove(index);
        self.shard.unsubscribe(subscriber.id, self.now_ms);
        if self.lost.len() < 6 {
            self.lost.push(subscriber);
        }
    }

    fn newest(&mut self, terms: &Terms<String>) -> Map<String, Value> {
        let terms = terms.map(|text| text.as_str());
        let request = Request::Latest {
            collection: terms.collection,
            document: terms.document,
            ts: i64::MAX,
            from: None,
            contains: terms.contains,
            excludes: terms.excludes,
        };
        self.oracle.execute(&request).unwrap().as_object().unwrap().clone()
    }

    fn pump(&mut self) -> bool {
        self.note_changes();
        let mut pushes = Vec::new();
        let goes_on = self.shard.pump(self.now_ms, &mut pushes);
        for push in pushes {
            self.deliver(&push);
        }
        goes_on
    }

    fn deliver(&mut self, push: &Push) {
        let text = format!("{{\"type\":\"push\"{}", std::str::from_utf8(&push.body).unwrap());
        let value: Value = serde_json::from_str(&text).unwrap();
        assert!(!push.is_end, "buffers are large: {value}");
        for (Receiver([_, _, _, number]), id) in &push.receivers {
            self.pushes += 1;
            let index = self.subscribers.iter().position(|one| one.number == *number).unwrap();
            let subscriber = &mut self.subscribers[index];
            assert!(subscriber.id == *id && !subscriber.owes, "a push without credit");
            subscriber.owes = true;
            let (cursor, terms) = (subscriber.cursor.clone(), subscriber.terms.clone());
            subscriber.fold(&value);
            self.parts += u64::from(subscriber.in_snapshot);
            if value["reset"] == true {
                // Everything up to now is in the snapshot.
                self.subscribers[index].expected.clear();
                self.subscribers[index].whole = self.records(&terms);
            }
            let subscriber = &self.subscribers[index];
            if value["snapshot"] == "done" && terms.mode == Mode::All {
                assert!(subscriber.all == subscriber.whole, "{terms:?}");
            }
            if subscriber.cursor != cursor && value["more"] != true {
                self.check(index);
            }
        }
    }

    /// All records that the terms let through.
    fn records(&self, terms: &Terms<String>) -> Records {
        let mut records = Records::new();
        let found = self.oracle.collections.get(&terms.collection);
        for (name, series) in found.into_iter().flat_map(|found| &found.documents) {
            if is_named(terms.document.as_deref(), name) {
                let mut passing = series.clone();
                passing.retain(|_, data| passes(terms, data));
                if !passing.is_empty() {
                    records.insert(name.clone(), passing);
                }
            }
        }
        records
    }

    fn check(&mut self, index: usize) {
        let subscriber = &self.subscribers[index];
        if subscriber.in_snapshot {
            return;
        }
        match subscriber.terms.mode {
            Mode::Latest => {
                let terms = subscriber.terms.clone();
                let folded = subscriber.newest.clone();
                assert!(self.changes.iter().all(|(_, work)| !work.has_begun()), "a request is half done");
                assert_eq!(Value::Object(folded), Value::Object(self.newest(&terms)), "{terms:?}");
            }
            Mode::All => {
                let Subscriber { changes, expected, .. } = subscriber;
                assert!(expected.starts_with(changes), "{:?}", subscriber.terms);
            }
        }
    }

    fn credit(&mut self) {
        let owing: Vec<usize> =
            (0..self.subscribers.len()).filter(|index| self.subscribers[*index].owes).collect();
        let all = self.random.below(2) == 0;
        for index in owing {
            if !all && self.random.below(3) > 0 {
                continue;
            }
            self.subscribers[index].owes = false;
            self.shard.give_credit(self.subscribers[index].id, self.now_ms);
        }
    }

    /// Brings everybody up to date.
    fn settle(&mut self) {
        while !self.changes.is_empty() {
            self.step();
        }
        loop {
            let before = self.pushes;
            for subscriber in &mut self.subscribers {
                if std::mem::take(&mut subscriber.owes) {
                    self.shard.give_credit(subscriber.id, self.now_ms);
                }
            }
            self.now_ms += 20;
            while self.pump() {}
            if self.pushes == before && self.subscribers.iter().all(|subscriber| !subscriber.owes) {
                break;
            }
        }
        for index in 0..self.subscribers.len() {
            let terms = self.subscribers[index].terms.clone();
            assert!(!self.subscribers[index].in_snapshot, "{terms:?}");
            if terms.mode == Mode::Latest {
                let newest = self.newest(&terms);
                assert_eq!(self.subscribers[index].newest, newest, "{terms:?}");
            } else {
                let Subscriber { changes, expected, terms, .. } = &self.subscribers[index];
                assert!(changes == expected, "{terms:?}");
            }
        }
    }
}

struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("FLUXION_SEED={} runs this program again", self.0);
        }
    }
}

/// Runs the program of one seed; gives how many pushes there were, subscriptions that were resumed, that began anew, and
/// parts of snapshots.
fn run(seed: u64) -> [u64; 4] {
    let seed = Seed(seed);
    let mut program = Program::new(seed.0);
    for operation in 1..=OPERATIONS {
        program.operation();
        if operation % 500 == 0 {
            program.settle();
        }
    }
    let Program { pushes, resumed, refolded, parts, .. } = program;
    println!("{pushes} pushes, {resumed} resumed, {refolded} begun anew, {parts} parts");
    [pushes, resumed, refolded, parts]
}

#[test]
fn what_is_pushed_comes_to_what_is_there() {
    if let Ok(seed) = std::env::var("FLUXION_SEED") {
        run(seed.parse().unwrap());
        return;
    }
    let mut sums = [0; 4];
    for seed in 0..SEEDS {
        sums.iter_mut().zip(run(seed)).for_each(|(sum, count)| *sum += count);
    }
    let enough = sums.iter().zip([3000, 300, 20, 20]).all(|(sum, least)| *sum >= least);
    assert!(enough, "the program must try all: {sums:?}");
}
