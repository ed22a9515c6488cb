//! The random doings of one client, over plain maps: each request comes with the reply that the server must give.

use crate::oracle::Collection;
use crate::random::Random;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// One client's requests and what it has stored. Names begin with its prefix, so that several can share a server.
pub struct Session {
    prefix: String,
    random: Random,
    collections: BTreeMap<String, Collection>,
}

impl Session {
    /// Begins with nothing stored.
    pub fn new(prefix: &str, seed: u64) -> Session {
        Session { prefix: prefix.into(), random: Random(seed), collections: BTreeMap::new() }
    }

    /// Names of what holds a record or an entry.
    pub fn names(&self) -> BTreeSet<String> {
        let full =
            |collection: &Collection| !collection.documents.is_empty() || !collection.entries.is_empty();
        self.collections
            .iter()
            .filter(|(_, collection)| full(collection))
            .map(|(name, _)| name.clone())
            .collect()
    }

    fn collection(&mut self) -> (String, &mut Collection) {
        let name = format!("{}-c{}", self.prefix, self.random.below(40));
        (name.clone(), self.collections.entry(name).or_default())
    }

    fn document(&mut self) -> String {
        format!("{}-d{}", self.prefix, self.random.below(6))
    }

    fn time(&mut self) -> i64 {
        self.random.below(50) as i64
    }

    /// The next request, `data` and reply. `cols` has no reply here: see `names`.
    pub fn step(&mut self) -> (&'static str, Value, Option<Value>) {
        let document = self.document();
        let time = self.time();
        match self.random.below(16) {
            0..=4 => ("ins", self.insert(), Some(json!({}))),
            5 | 6 => {
                let (name, collection) = self.collection();
                let records: Vec<Value> = collection
                    .documents
                    .get(&document)
                    .into_iter()
                    .flat_map(|records| records.range(..=time))
                    .map(|(ts, data)| json!({"ts": ts, "data": data}))
                    .collect();
                ("qdoc", json!({"col": name, "doc": document, "to": time}), Some(json!({"records": records})))
            }
            7 | 8 => {
                let (name, collection) = self.collection();
                let newest: Map<String, Value> = collection
                    .documents
                    .iter()
                    .filter_map(|(document, records)| {
                        let (ts, data) = records.range(..=time).next_back()?;
                        Some((document.clone(), json!({"ts": ts, "data": data})))
                    })
                    .collect();
                ("qry", json!({"col": name, "ts": time}), Some(json!({"records": newest})))
            }
            9 => ("cols", json!({}), None),
            10 => {
                for collection in self.collections.values_mut() {
                    collection.documents.remove(&document);
                }
                ("ddoc", json!({"doc": document}), Some(json!({})))
            }
            11 => {
                let (name, collection) = self.collection();
                collection.documents.remove(&document);
                ("ddoc", json!({"doc": document, "col": name}), Some(json!({})))
            }
            12 => ("dmrec", self.delete_many(), Some(json!({}))),
            13 => {
                let (name, _) = self.collection();
                self.collections.remove(&name);
                ("dcol", json!({"col": name}), Some(json!({})))
            }
            14 => {
                let (name, collection) = self.collection();
                collection.entries.insert(document.clone(), time.to_string());
                ("sval", json!({"col": name, "key": document, "value": time.to_string()}), Some(json!({})))
            }
            _ => {
                let (name, collection) = self.collection();
                let value = collection.entries.get(&document).cloned().unwrap_or_default();
                ("gval", json!({"col": name, "key": document}), Some(json!({"value": value})))
            }
        }
    }

    fn insert(&mut self) -> Value {
        let records = (0..1 + self.random.below(5)).map(|_| {
            let (document, ts) = (self.document(), self.time());
            let data = format!("{{\"value\":{}}}", self.random.next());
            let (name, collection) = self.collection();
            collection.documents.entry(document.clone()).or_default().insert(ts, data.clone());
            json!({"ts": ts, "doc": document, "data": data, "col": name})
        });
        records.collect()
    }

    fn delete_many(&mut self) -> Value {
        let records = (0..1 + self.random.below(4)).map(|_| {
            let (document, ts) = (self.document(), self.time());
            let (name, collection) = self.collection();
            if let Some(records) = collection.documents.get_mut(&document) {
                records.remove(&ts);
                if records.is_empty() {
                    collection.documents.remove(&document);
                }
            }
            json!({"ts": ts, "doc": document, "col": name})
        });
        records.collect()
    }
}
