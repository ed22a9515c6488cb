//! The oracle of the crash tests: what one writer sent to each of its collections, in order, what of it was
//! acknowledged and when, and whether what a restarted server holds is the state after one of these operations.

use crate::support::{Client, Collection, Random};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::Instant;

const DOCUMENTS: usize = 3;
const KEYS: usize = 3;
const TIMES: usize = 40;

#[derive(Clone, Debug)]
enum Operation {
    Put { document: String, ts: i64, data: String },
    DeleteRange { document: String, from: i64, to: i64 },
    DeleteDocument { document: String },
    DeleteCollection,
    Set { key: String, value: String },
    Remove { key: String },
}

impl Operation {
    fn apply(&self, state: &mut Collection) {
        match self {
            Operation::Put { document, ts, data } => {
                state.documents.entry(document.clone()).or_default().insert(*ts, data.clone());
            }
            Operation::DeleteRange { document, from, to } => {
                if let Some(records) = state.documents.get_mut(document) {
                    records.retain(|ts, _| !(*from..=*to).contains(ts));
                }
            }
            Operation::DeleteDocument { document } => drop(state.documents.remove(document)),
            Operation::DeleteCollection => *state = Collection::default(),
            Operation::Set { key, value } => drop(state.entries.insert(key.clone(), value.clone())),
            Operation::Remove { key } => drop(state.entries.remove(key)),
        }
        state.documents.retain(|_, records| !records.is_empty());
    }
}

/// Reads a collection from a server.
fn read(client: &mut Client, collection: &str) -> Collection {
    let mut found = Collection::default();
    for index in 0..DOCUMENTS {
        let document = format!("d{index}");
        let reply = client
            .call("qdoc", &json!({"col": collection, "doc": document, "from": i64::MIN, "to": i64::MAX}));
        let records = reply["records"].as_array().unwrap();
        let pairs =
            records.iter().map(|r| (r["ts"].as_i64().unwrap(), r["data"].as_str().unwrap().to_string()));
        let pairs: Vec<(i64, String)> = pairs.collect();
        assert!(pairs.is_sorted_by(|a, b| a.0 < b.0), "twice, or out of order: {pairs:?}");
        if !pairs.is_empty() {
            found.documents.insert(document, pairs.into_iter().collect());
        }
    }
    let reply = client.call("gvals", &json!({"col": collection}));
    let values = reply["values"].as_object().unwrap();
    found.entries = values.iter().map(|(key, value)| (key.clone(), value.as_str().unwrap().into())).collect();
    found
}

/// One collection's operations since the state that is known.
#[derive(Default)]
struct Sequence {
    base: Collection,
    sent: Vec<Operation>,
    acknowledged: Vec<Option<Instant>>,
}

/// Which operations a request stands for: the collection, and the index in its sequence.
pub type Sent = Vec<(usize, usize)>;

/// The outcome of crashes, in operations.
#[derive(Default)]
pub struct Outcome {
    /// Those that had to be there, and were.
    pub owed: usize,
    /// Those that were acknowledged too late for that, and were not there.
    pub lost: usize,
}

impl Outcome {
    pub fn add(&mut self, other: Outcome) {
        self.owed += other.owed;
        self.lost += other.lost;
    }
}

/// All that one writer knows.
pub struct History {
    names: Vec<String>,
    sequences: Vec<Sequence>,
    random: Random,
    count: u64,
}

impl History {
    pub fn new(writer: usize, collection_count: usize, seed: u64) -> History {
        History {
            names: (0..collection_count).map(|index| format!("w{writer}-c{index}")).collect(),
            sequences: (0..collection_count).map(|_| Sequence::default()).collect(),
            random: Random(seed ^ ((writer as u64 + 1) << 32)),
            count: 0,
        }
    }

    fn push(&mut self, collection: usize, operation: Operation) -> (usize, usize) {
        let sequence = &mut self.sequences[collection];
        sequence.sent.push(operation);
        sequence.acknowledged.push(None);
        (collection, sequence.sent.len() - 1)
    }

    /// The next request, and the operations that it stands for.
    pub fn next(&mut self) -> (&'static str, Value, Sent) {
        let collection = self.random.below(self.names.len());
        let document = format!("d{}", self.random.below(DOCUMENTS));
        let key = format!("k{}", self.random.below(KEYS));
        let ts = self.random.below(TIMES) as i64;
        let name = self.names[collection].clone();
        self.count += 1;
        match self.random.below(20) {
            0 => {
                let sent = self.push(collection, Operation::DeleteDocument { document: document.clone() });
                ("ddoc", json!({"doc": document, "col": name}), vec![sent])
            }
            1 => {
                let sent = self.push(collection, Operation::DeleteCollection);
                ("dcol", json!({"col": name}), vec![sent])
            }
            2 | 3 => {
                let to = ts + self.random.below(5) as i64;
                let sent = self
                    .push(collection, Operation::DeleteRange { document: document.clone(), from: ts, to });
                ("drrng", json!({"col": name, "doc": document, "fromTs": ts, "toTs": to}), vec![sent])
            }
            4 | 5 => {
                let value = format!("v{}", self.count);
                let sent = self.push(collection, Operation::Set { key: key.clone(), value: value.clone() });
                ("sval", json!({"col": name, "key": key, "value": value}), vec![sent])
            }
            6 => {
                let sent = self.push(collection, Operation::Remove { key: key.clone() });
                ("rval", json!({"col": name, "key": key}), vec![sent])
            }
            7 | 8 => {
                let sent = self.push(
                    collection,
                    Operation::DeleteRange { document: document.clone(), from: ts, to: ts },
                );
                ("drec", json!({"col": name, "doc": document, "ts": ts}), vec![sent])
            }
            _ => self.insert(),
        }
    }

    fn insert(&mut self) -> (&'static str, Value, Sent) {
        let mut sent = Vec::new();
        let mut records = Vec::new();
        for number in 0..1 + self.random.below(8) {
            let collection = self.random.below(self.names.len());
            let document = format!("d{}", self.random.below(DOCUMENTS));
            let ts = self.random.below(TIMES) as i64;
            let data = format!("{}.{number}", self.count);
            records.push(json!({"ts": ts, "doc": document, "data": data, "col": self.names[collection]}));
            sent.push(self.push(collection, Operation::Put { document, ts, data }));
        }
        ("ins", json!(records), sent)
    }

    pub fn acknowledge(&mut self, sent: &Sent) {
        let now = Instant::now();
        for (collection, index) in sent {
            self.sequences[*collection].acknowledged[*index] = Some(now);
        }
    }

    /// Compares with what a server holds after a crash: of each collection, the state after some operation, and none
    /// of those acknowledged before `safe` may be missing. Goes on from there.
    pub fn verify(&mut self, client: &mut Client, safe: Instant) -> Outcome {
        let mut outcome = Outcome::default();
        for (name, sequence) in self.names.iter().zip(&mut self.sequences) {
            let found = read(client, name);
            let acknowledged = |by: &dyn Fn(Instant) -> bool| {
                sequence.acknowledged.iter().rposition(|at| at.is_some_and(by)).map_or(0, |index| index + 1)
            };
            let (must, all) = (acknowledged(&|at| at <= safe), acknowledged(&|_| true));
            let mut state = sequence.base.clone();
            sequence.sent[..must].iter().for_each(|operation| operation.apply(&mut state));
            let mut matches = (state == found).then_some(must);
            for (index, operation) in sequence.sent.iter().enumerate().skip(must) {
                operation.apply(&mut state);
                if state == found {
                    matches = Some(index + 1);
                }
            }
            let Some(reached) = matches else {
                panic!(
                    "{name}: not the state after any of the operations {must}..={}, of which {all} were acknowledged; found {found:?}\nbase {:?}\nsent {:?}",
                    sequence.sent.len(),
                    sequence.base,
                    sequence.sent
                );
            };
            outcome.owed += must;
            outcome.lost += all.saturating_sub(reached);
            *sequence = Sequence { base: found, ..Sequence::default() };
        }
        outcome
    }
}

/// The collections a server has, sorted.
pub fn collections(client: &mut Client) -> Vec<String> {
    let reply = client.call("cols", &json!({}));
    let mut names: Vec<String> =
        reply["collections"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().into()).collect();
    names.sort();
    names
}

/// The API keys besides the master key, with their scopes.
pub fn api_keys(client: &mut Client) -> BTreeMap<String, String> {
    let reply = client.call("keys", &json!({"action": "list"}));
    let text = |key: &Map<String, Value>, member: &str| key[member].as_str().unwrap().to_string();
    let keys = reply["keys"].as_array().unwrap().iter().map(|key| key.as_object().unwrap());
    keys.filter(|key| key["deletable"] == true).map(|key| (text(key, "key"), text(key, "scope"))).collect()
}
