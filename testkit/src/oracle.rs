//! The oracle: the same data as plain ordered maps, and every request answered the slow and obvious way.
//!
//! Texts come from a small alphabet and patterns from a fixed list, each with a predicate written by hand, so that the
//! oracle needs no regex engine. It also replays the changes of a feed.

use std::collections::BTreeMap;

use fluxion_engine::{ChangeRef, Request};
use serde_json::{Map, Value, json};

/// A text a request may hold, and what it means.
type Meaning = (&'static str, fn(&str) -> bool);

/// Searches of a record, with their meaning.
pub const SEARCHES: [Meaning; 7] = [
    (r"/\\/", |text| text.contains('\\')),
    ("a", |text| text.contains('a')),
    ("b\"", |text| text.contains("b\"")),
    ("/^x/i", |text| text.starts_with(['x', 'X'])),
    ("/a.*b/s", |text| text.find('a').is_some_and(|at| text[at..].contains('b'))),
    (r"/\/é|\n/", |text| text.contains("/é") || text.contains('\n')),
    ("/a/b", |text| text.contains("/a/b")),
];

/// Patterns for names, with their meaning.
pub const NAMES: [Meaning; 3] = [
    ("/[02]$/", |name| name.ends_with(['0', '2'])),
    ("/^N/i", |name| name.starts_with(['n', 'N'])),
    (r"/\/home/", |name| name.contains("/home")),
];

/// One collection: plain maps.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Collection {
    /// Records by time, by document.
    pub documents: BTreeMap<String, BTreeMap<i64, String>>,
    /// Values by key.
    pub entries: BTreeMap<String, String>,
}

/// All data.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Oracle {
    /// Those that hold something, by name.
    pub collections: BTreeMap<String, Collection>,
}

fn searched(pattern: &str, text: &str) -> bool {
    SEARCHES.iter().find(|(known, _)| *known == pattern).unwrap().1(text)
}

fn passes(contains: Option<&str>, excludes: Option<&str>, text: &str) -> bool {
    contains.is_none_or(|contains| searched(contains, text))
        && excludes.is_none_or(|excludes| !searched(excludes, text))
}

fn named(test: &str, name: &str) -> bool {
    match NAMES.iter().find(|(known, _)| *known == test) {
        Some((_, matches)) => matches(name),
        None => test == name,
    }
}

impl Oracle {
    /// Carries out a request; a read's reply is the value of its one member.
    pub fn execute(&mut self, request: &Request<&str>) -> Option<Value> {
        let nothing = Collection::default();
        let found = |name: &str| self.collections.get(name).unwrap_or(&nothing);
        Some(match *request {
            Request::Latest { collection, document, ts, from, contains, excludes } => {
                let mut records = Map::new();
                for (name, series) in &found(collection).documents {
                    if let Some((at, data)) = series.range(..=ts).next_back()
                        && document.is_none_or(|document| named(document, name))
                        && from.is_none_or(|from| *at >= from)
                        && passes(contains, excludes, data)
                    {
                        records.insert(name.clone(), json!({"ts": at, "data": data}));
                    }
                }
                Value::Object(records)
            }
            Request::History { collection, document, from, to, limit, reverse, contains, excludes } => {
                let empty = BTreeMap::new();
                let series = found(collection).documents.get(document).unwrap_or(&empty);
                let mut records: Vec<_> = series.range(..=to).collect();
                records.retain(|(at, _)| from.is_none_or(|from| **at >= from));
                if reverse {
                    records.reverse();
                }
                let limit = limit.map_or(usize::MAX, |limit| limit.get() as usize);
                let records =
                    records.into_iter().filter(|(_, data)| passes(contains, excludes, data)).take(limit);
                records.map(|(at, data)| json!({"ts": at, "data": data})).collect()
            }
            Request::Collections => self.collections.keys().cloned().collect(),
            Request::GetValue { collection, key } => {
                json!(found(collection).entries.get(key).map_or("", |value| value))
            }
            Request::MatchValues { collection, key } => {
                let entries = found(collection).entries.iter().filter(|(name, _)| named(key, name));
                let mut values: Map<_, _> = entries.map(|(key, value)| (key.clone(), json!(value))).collect();
                let is_pattern = NAMES.iter().any(|(known, _)| *known == key);
                if !is_pattern && self.collections.contains_key(collection) {
                    values.entry(key).or_insert(json!(""));
                }
                Value::Object(values)
            }
            Request::AllValues { collection } => json!(found(collection).entries),
            Request::Keys { collection } => found(collection).entries.keys().cloned().collect(),
            _ => {
                self.mutate(request);
                return None;
            }
        })
    }

    fn mutate(&mut self, request: &Request<&str>) {
        match request {
            Request::Insert(records) => {
                for record in records {
                    self.put(record.collection, record.document, record.ts, record.data);
                }
            }
            Request::DeleteDocument { document, collection } => {
                for (name, found) in &mut self.collections {
                    if collection.is_none_or(|collection| collection == name) {
                        found.documents.remove(*document);
                    }
                }
            }
            Request::DeleteCollection { collection } => drop(self.collections.remove(*collection)),
            Request::DeleteRecords(keys) => {
                for key in keys {
                    self.delete(key.collection, key.document, key.ts, key.ts);
                }
            }
            Request::DeleteRange { collection, document, from, to } => {
                self.delete(collection, document, *from, *to);
            }
            Request::SetValue { collection, key, value } => self.set(collection, key, value),
            Request::RemoveValue { collection, key } => self.remove(collection, key),
            _ => unreachable!("reads are answered before"),
        }
        self.tidy();
    }

    /// Carries out one change of a feed, which must have an effect.
    pub fn replay(&mut self, change: ChangeRef<'_>) {
        let before = self.size();
        match change {
            ChangeRef::Put { collection, document, ts, data } => self.put(collection, document, ts, data),
            ChangeRef::DeleteRecord { collection, document, ts } => self.delete(collection, document, ts, ts),
            ChangeRef::DeleteRange { collection, document, from, to } => {
                self.delete(collection, document, from, to);
            }
            ChangeRef::DeleteDocument { collection, document } => {
                self.collections.get_mut(collection).unwrap().documents.remove(document).unwrap();
            }
            ChangeRef::DeleteCollection { collection } => drop(self.collections.remove(collection).unwrap()),
            ChangeRef::SetValue { collection, key, value } => self.set(collection, key, value),
            ChangeRef::RemoveValue { collection, key } => self.remove(collection, key),
            ChangeRef::SetApiKey { .. } | ChangeRef::RemoveApiKey { .. } => {
                unreachable!("no shard holds API keys")
            }
        }
        let is_put = matches!(change, ChangeRef::Put { .. } | ChangeRef::SetValue { .. });
        assert!(is_put || self.size() < before, "{change:?} had no effect");
        self.tidy();
    }

    fn put(&mut self, collection: &str, document: &str, ts: i64, data: &str) {
        let collection = self.collections.entry(collection.to_owned()).or_default();
        collection.documents.entry(document.to_owned()).or_default().insert(ts, data.to_owned());
    }

    fn delete(&mut self, collection: &str, document: &str, from: i64, to: i64) {
        let Some(collection) = self.collections.get_mut(collection) else { return };
        if let Some(series) = collection.documents.get_mut(document) {
            series.retain(|ts, _| !(from..=to).contains(ts));
        }
    }

    fn set(&mut self, collection: &str, key: &str, value: &str) {
        let collection = self.collections.entry(collection.to_owned()).or_default();
        collection.entries.insert(key.to_owned(), value.to_owned());
    }

    fn remove(&mut self, collection: &str, key: &str) {
        if let Some(collection) = self.collections.get_mut(collection) {
            collection.entries.remove(key);
        }
    }

    /// The number of records and entries.
    fn size(&self) -> usize {
        let one = |found: &Collection| {
            found.documents.values().map(BTreeMap::len).sum::<usize>() + found.entries.len()
        };
        self.collections.values().map(one).sum()
    }

    /// Takes away whatever is empty.
    fn tidy(&mut self) {
        for collection in self.collections.values_mut() {
            collection.documents.retain(|_, series| !series.is_empty());
        }
        self.collections.retain(|_, found| !found.documents.is_empty() || !found.entries.is_empty());
    }
}
