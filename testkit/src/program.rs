//! Random requests. Few names and times, so that everything collides; now and then one is on a collection of long
//! documents and long texts.

use crate::oracle::{NAMES, SEARCHES};
use crate::random::Random;
use fluxion_engine::{Record, RecordKey, Request};
use std::num::NonZeroU64;

const NAMES_USED: [&str; 6] = ["n0", "n1", "N2", "/home/u1", "né\"3", "n4"];

impl Random {
    fn text(&mut self, len_max: u64) -> String {
        let len = self.below(len_max + 1);
        (0..len).map(|_| self.pick(&['a', 'b', 'x', 'X', '"', '\\', '\n', '/', 'é', '\u{1}'])).collect()
    }

    fn search(&mut self, texts: &mut Texts) -> Option<usize> {
        (self.below(2) == 0).then(|| texts.add(self.pick(&SEARCHES).0))
    }

    fn name_test(&mut self) -> String {
        if self.below(2) == 0 { self.pick(&NAMES_USED).to_owned() } else { self.pick(&NAMES).0.to_owned() }
    }
}

/// Where an operation plays: names, and how far its times reach.
struct Place {
    collection: &'static str,
    ts_max: u64,
    is_long: bool,
}

fn place(random: &mut Random) -> Place {
    if random.below(80) == 0 {
        return Place { collection: random.pick(&["long", "other"]), ts_max: 9000, is_long: true };
    }
    Place { collection: random.pick(&["c0", "c1", "ü\\2", "c3"]), ts_max: 30, is_long: false }
}

fn time(random: &mut Random, place: &Place) -> i64 {
    match random.below(100) {
        0 => random.pick(&[i64::MIN, i64::MAX, -1]),
        _ => random.below(place.ts_max) as i64,
    }
}

/// The texts of one request, which refers to them by index.
#[derive(Default)]
pub struct Texts(pub Vec<String>);

impl Texts {
    fn add(&mut self, text: impl Into<String>) -> usize {
        self.0.push(text.into());
        self.0.len() - 1
    }
}

fn records(random: &mut Random, place: &Place, texts: &mut Texts) -> Vec<Record<usize>> {
    let is_long = place.is_long;
    let count = if is_long { random.below(9000) } else { 1 + random.below(4) };
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

/// The next request; its texts are indexes.
pub fn request(random: &mut Random, texts: &mut Texts) -> Request<usize> {
    let place = place(random);
    let collection = texts.add(place.collection);
    let document = texts.add(random.pick(&NAMES_USED));
    let key = texts.add(random.pick(&NAMES_USED));
    let (contains, excludes) = (random.search(texts), random.search(texts));
    let (from, to) = (time(random, &place), time(random, &place));
    let is_long = place.is_long;
    match random.below(100) {
        // Long data must be left to grow, be read whole, and be cut down so far that small chunks are joined.
        7..10 if is_long => {
            let (from, to) = (random.below(200) as i64, 8800 + random.below(200) as i64);
            Request::DeleteRange { collection, document, from, to }
        }
        10..30 if is_long => {
            let (from, to, limit, reverse) = (None, i64::MAX, None, random.below(2) == 0);
            Request::History { collection, document, from, to, limit, reverse, contains, excludes }
        }
        30..40 | 75 if is_long => {
            Request::Latest { collection, document: None, ts: to, from: None, contains, excludes }
        }
        0..40 => Request::Insert(records(random, &place, texts)),
        40..52 => {
            let document = (random.below(3) > 0).then(|| texts.add(random.name_test()));
            let from = (random.below(2) == 0).then_some(from);
            Request::Latest { collection, document, ts: to, from, contains, excludes }
        }
        52..70 => {
            let (from, to) = match random.below(4) {
                0 => (None, i64::MAX),
                1 => (Some(i64::MIN), i64::MAX),
                _ => (Some(from), to),
            };
            let (limit, reverse) = (NonZeroU64::new(random.below(8) / 2), random.below(2) == 0);
            Request::History { collection, document, from, to, limit, reverse, contains, excludes }
        }
        70..72 => Request::Collections,
        72 if !is_long && random.below(4) == 0 => Request::DeleteDocument { document, collection: None },
        72..75 => Request::DeleteDocument { document, collection: Some(collection) },
        75 => Request::DeleteCollection { collection },
        76..82 => {
            let count = if is_long { random.below(6000) } else { 4 };
            let key = |_| RecordKey { collection, document, ts: time(random, &place) };
            Request::DeleteRecords((0..count).map(key).collect())
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
