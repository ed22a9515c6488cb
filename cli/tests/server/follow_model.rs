//! What a server holds, as plain maps, with every state that it has been in and every change that has led there; and random
//! requests that change it.

use crate::support::Random;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::rc::Rc;

pub const COLLECTIONS: [&str; 3] = ["fleet", "ünï/2", "plant"];
const DOCUMENTS: [&str; 8] = ["d0", "d1", "d2", "d3", "d4", "E5", "e\"6", "ü7"];

/// A search as the protocol has it, and what it finds.
pub type Search = (&'static str, fn(&str) -> bool);

/// Searches for documents.
pub const NAMES: [Search; 5] = [
    ("", |_| true),
    ("d1", |name| name == "d1"),
    ("/^d[0-3]$/", |name| ("d0"..="d3").contains(&name)),
    ("/^E/i", |name| name.starts_with(['e', 'E'])),
    ("/", |name| name == "/"),
];

/// Searches in texts, which are a number and a letter or two behind it.
pub const TEXTS: [Search; 4] = [
    ("", |_| true),
    ("a", |text| text.contains('a')),
    ("/b$/", |text| text.ends_with('b')),
    ("/[13579] /", |text| text.split(' ').next().unwrap().ends_with(['1', '3', '5', '7', '9'])),
];

/// The newest record of each document.
pub type Newest = BTreeMap<&'static str, (i64, Rc<str>)>;

/// One change, as a push has it, and what a subscription looks at.
pub struct Change {
    pub json: Value,
    pub document: Option<&'static str>,
    pub text: Option<Rc<str>>,
}

/// A collection with its past.
pub struct Collection {
    pub records: BTreeMap<&'static str, BTreeMap<i64, Rc<str>>>,
    pub states: Vec<Rc<Newest>>,
    pub changes: Vec<Change>,
}

/// All of them.
pub struct Model {
    pub collections: BTreeMap<&'static str, Collection>,
    last_text: u64,
}

impl Collection {
    fn note(&mut self, document: Option<&'static str>, text: Option<Rc<str>>, more: Value) {
        let mut json = json!({});
        let members = json.as_object_mut().unwrap();
        if let Some(document) = document {
            members.insert("doc".into(), document.into());
        }
        if let Some(text) = &text {
            members.insert("data".into(), text.as_ref().into());
        } else {
            members.insert("del".into(), true.into());
        }
        members.extend(more.as_object().unwrap().clone());
        self.changes.push(Change { json, document, text });
    }

    fn put(&mut self, document: &'static str, ts: i64, text: Rc<str>) {
        self.records.entry(document).or_default().insert(ts, text.clone());
        self.note(Some(document), Some(text), json!({"ts": ts}));
    }

    fn delete(&mut self, document: &'static str, from: i64, to: i64, more: Value) {
        let Some(records) = self.records.get_mut(document) else { return };
        let before = records.len();
        records.retain(|ts, _| !(from..=to).contains(ts));
        if records.len() == before {
            return;
        }
        if records.is_empty() {
            self.records.remove(document);
        }
        self.note(Some(document), None, more);
    }

    fn delete_document(&mut self, document: &'static str) {
        if self.records.remove(document).is_some() {
            self.note(Some(document), None, json!({}));
        }
    }

    /// Ends a request: subscriptions see what is then.
    fn settle(&mut self) {
        let newest = |(name, records): (&&'static str, &BTreeMap<i64, Rc<str>>)| {
            let (ts, text) = records.last_key_value().unwrap();
            (*name, (*ts, text.clone()))
        };
        let newest: Newest = self.records.iter().map(newest).collect();
        if **self.states.last().unwrap() != newest {
            self.states.push(Rc::new(newest));
        }
    }
}

impl Model {
    pub fn new() -> Model {
        let empty = || Collection {
            records: BTreeMap::new(),
            states: vec![Rc::new(Newest::new())],
            changes: Vec::new(),
        };
        Model { collections: COLLECTIONS.map(|name| (name, empty())).into(), last_text: 0 }
    }

    /// A text that no other record has.
    fn text(&mut self, random: &mut Random, long: usize) -> Rc<str> {
        self.last_text += 1;
        let letters = random.pick(&["a", "b", "ab", "ba", "c"]);
        let padding = if random.below(20) == 0 { random.below(long.max(1)) } else { 0 };
        format!("{} {}{letters}", self.last_text, "x".repeat(padding)).into()
    }

    /// The next request, carried out here. Some texts are up to so long.
    pub fn step(&mut self, random: &mut Random, long: usize) -> (&'static str, Value) {
        let name = random.pick(&COLLECTIONS);
        let document = random.pick(&DOCUMENTS);
        let ts = random.below(12_u64) as i64;
        let made = match random.below(20) {
            0..=11 => {
                let records = (0..1 + random.below(4)).map(|_| self.insert(random, long)).collect();
                ("ins", records)
            }
            12 | 13 => {
                let collection = self.of(name);
                collection.delete(document, ts, ts, json!({"ts": ts}));
                ("drec", json!({"col": name, "doc": document, "ts": ts}))
            }
            14 | 15 => {
                let (from, to) = (ts - 3, ts + random.below(6_u64) as i64);
                self.of(name).delete(document, from, to, json!({"fromTs": from, "toTs": to}));
                ("drrng", json!({"col": name, "doc": document, "fromTs": from, "toTs": to}))
            }
            16 => {
                self.of(name).delete_document(document);
                ("ddoc", json!({"col": name, "doc": document}))
            }
            17 => {
                self.collections.values_mut().for_each(|found| found.delete_document(document));
                ("ddoc", json!({"doc": document}))
            }
            18 => {
                let keys = (0..1 + random.below(4)).map(|_| {
                    let (document, ts) = (random.pick(&DOCUMENTS), random.below(12_u64) as i64);
                    self.of(name).delete(document, ts, ts, json!({"ts": ts}));
                    json!({"col": name, "doc": document, "ts": ts})
                });
                ("dmrec", keys.collect())
            }
            _ => {
                let collection = self.of(name);
                if !collection.records.is_empty() {
                    collection.records.clear();
                    collection.note(None, None, json!({}));
                }
                ("dcol", json!({"col": name}))
            }
        };
        self.collections.values_mut().for_each(Collection::settle);
        made
    }

    fn insert(&mut self, random: &mut Random, long: usize) -> Value {
        let (name, document) = (random.pick(&COLLECTIONS), random.pick(&DOCUMENTS));
        let ts = random.below(12_u64) as i64 - 2;
        let text = self.text(random, long);
        self.of(name).put(document, ts, text.clone());
        json!({"ts": ts, "doc": document, "data": *text, "col": name})
    }

    /// One record that only this request has; with its text.
    pub fn insert_one(&mut self, random: &mut Random) -> (Value, String) {
        let record = self.insert(random, 0);
        self.collections.values_mut().for_each(Collection::settle);
        let text = record["data"].as_str().unwrap().to_owned();
        (json!([record]), text)
    }

    fn of(&mut self, name: &str) -> &mut Collection {
        self.collections.get_mut(name).unwrap()
    }
}
