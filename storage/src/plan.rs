//! The net effect of a batch: each record, entry and key once, as it is in the end, and the older ones that go.
//!
//! A deletion drops what the batch itself had put before, and is noted for what the file holds. So all deletions of
//! collections, then of documents, then of ranges, then all puts, do what the changes in their order would have done.

use fluxion_engine::{Batch, ChangeRef};
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

/// The net effect on one document.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct DocumentPlan<'a> {
    /// All of its records in the file go first.
    pub(crate) cleared: bool,
    /// Times, both inclusive, whose records in the file go then.
    pub(crate) ranges: Vec<(i64, i64)>,
    /// Records by time to be stored at last; none where one is deleted.
    pub(crate) records: BTreeMap<i64, Option<&'a str>>,
}

/// The net effect of a batch.
#[derive(Default)]
pub(crate) struct Plan<'a> {
    /// Collections whose content in the file goes first.
    pub(crate) cleared: Vec<&'a str>,
    /// Documents by collection and name.
    pub(crate) documents: Vec<((&'a str, &'a str), DocumentPlan<'a>)>,
    /// Entries by collection and key; none where it is removed.
    pub(crate) entries: HashMap<&'a str, BTreeMap<&'a str, Option<&'a str>>>,
    /// Scopes of API keys; none where the key is removed.
    pub(crate) api_keys: BTreeMap<&'a str, Option<&'a str>>,
    places: HashMap<&'a str, HashMap<&'a str, usize>>,
    /// The document that the change before was about.
    recent: Option<usize>,
}

impl<'a> Plan<'a> {
    /// Works out the net effect of a batch.
    pub(crate) fn new(batch: &'a Batch) -> Plan<'a> {
        let mut plan = Plan::default();
        batch.changes().for_each(|change| plan.add(change));
        plan
    }

    fn add(&mut self, change: ChangeRef<'a>) {
        match change {
            ChangeRef::Put { collection, document, ts, data } => {
                self.document(collection, document).records.insert(ts, Some(data));
            }
            ChangeRef::DeleteRecord { collection, document, ts } => {
                self.document(collection, document).records.insert(ts, None);
            }
            ChangeRef::DeleteRange { collection, document, from, to } => {
                let document = self.document(collection, document);
                let gone: Vec<i64> = document.records.range(from..=to).map(|(ts, _)| *ts).collect();
                for ts in gone {
                    document.records.remove(&ts);
                }
                if !document.cleared {
                    document.ranges.push((from, to));
                }
            }
            ChangeRef::DeleteDocument { collection, document } => {
                *self.document(collection, document) =
                    DocumentPlan { cleared: true, ..DocumentPlan::default() };
            }
            ChangeRef::DeleteCollection { collection } => self.clear(collection),
            ChangeRef::SetValue { collection, key, value } => {
                self.entries.entry(collection).or_default().insert(key, Some(value));
            }
            ChangeRef::RemoveValue { collection, key } => {
                self.entries.entry(collection).or_default().insert(key, None);
            }
            ChangeRef::SetApiKey { key, scope } => drop(self.api_keys.insert(key, Some(scope))),
            ChangeRef::RemoveApiKey { key } => drop(self.api_keys.insert(key, None)),
        }
    }

    /// Finds the document's place. Changes come in runs over the same document, so the last one is tried first.
    fn document(&mut self, collection: &'a str, document: &'a str) -> &mut DocumentPlan<'a> {
        let known = self.recent.filter(|place| self.documents[*place].0 == (collection, document));
        let place =
            known.unwrap_or_else(|| match self.places.entry(collection).or_default().entry(document) {
                Entry::Occupied(place) => *place.get(),
                Entry::Vacant(vacant) => {
                    self.documents.push(((collection, document), DocumentPlan::default()));
                    *vacant.insert(self.documents.len() - 1)
                }
            });
        self.recent = Some(place);
        &mut self.documents[place].1
    }

    fn clear(&mut self, collection: &'a str) {
        // Its documents stay in the list with nothing to do, so that places remain what they are.
        for place in self.places.remove(collection).into_iter().flat_map(HashMap::into_values) {
            self.documents[place].1 = DocumentPlan::default();
        }
        self.recent = None;
        self.entries.remove(collection);
        self.cleared.push(collection);
    }
}

impl DocumentPlan<'_> {
    /// Whether it leaves the document as it is.
    pub(crate) fn is_empty(&self) -> bool {
        !self.cleared && self.ranges.is_empty() && self.records.is_empty()
    }

    /// Whether it may leave the document without records.
    pub(crate) fn deletes(&self) -> bool {
        self.cleared || !self.ranges.is_empty() || self.records.values().any(Option::is_none)
    }

    /// Whether it stores a record.
    pub(crate) fn puts(&self) -> bool {
        self.records.values().any(Option::is_some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fluxion_engine::Change;

    type State = BTreeMap<(String, String), BTreeMap<i64, String>>;

    fn replay(state: &mut State, change: ChangeRef<'_>) {
        let name = |collection: &str, document: &str| (collection.to_string(), document.to_string());
        match change {
            Change::Put { collection, document, ts, data } => {
                state.entry(name(collection, document)).or_default().insert(ts, data.into());
            }
            Change::DeleteRecord { collection, document, ts } => {
                state.entry(name(collection, document)).or_default().remove(&ts);
            }
            Change::DeleteRange { collection, document, from, to } => {
                state
                    .entry(name(collection, document))
                    .or_default()
                    .retain(|ts, _| !(from..=to).contains(ts));
            }
            Change::DeleteDocument { collection, document } => {
                drop(state.remove(&name(collection, document)))
            }
            Change::DeleteCollection { collection } => state.retain(|(other, _), _| other != collection),
            Change::SetValue { collection, key, value } => {
                state.entry(name(collection, &format!("key {key}"))).or_default().insert(0, value.into());
            }
            Change::RemoveValue { collection, key } => {
                drop(state.remove(&name(collection, &format!("key {key}"))))
            }
            Change::SetApiKey { .. } | Change::RemoveApiKey { .. } => unreachable!("not made here"),
        }
        state.retain(|_, records| !records.is_empty());
    }

    fn carry_out(state: &mut State, plan: &Plan<'_>) {
        for &collection in &plan.cleared {
            replay(state, Change::DeleteCollection { collection });
        }
        for &((collection, document), ref plan) in &plan.documents {
            if plan.cleared {
                replay(state, Change::DeleteDocument { collection, document });
            }
            for &(from, to) in &plan.ranges {
                replay(state, Change::DeleteRange { collection, document, from, to });
            }
            for (&ts, data) in &plan.records {
                match *data {
                    Some(data) => replay(state, Change::Put { collection, document, ts, data }),
                    None => replay(state, Change::DeleteRecord { collection, document, ts }),
                }
            }
        }
        for (&collection, entries) in &plan.entries {
            for (&key, value) in entries {
                match *value {
                    Some(value) => replay(state, Change::SetValue { collection, key, value }),
                    None => replay(state, Change::RemoveValue { collection, key }),
                }
            }
        }
    }

    #[test]
    fn a_plan_does_what_the_changes_do_in_their_order() {
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        let mut below = |bound: u64| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) % bound
        };
        let mut by_changes = State::new();
        let mut by_plans = State::new();
        for _ in 0..2000 {
            let mut batch = Batch::default();
            for _ in 0..below(60) {
                let collection = ["a", "b"][below(2) as usize];
                let document = ["x", "y", "z"][below(3) as usize];
                let ts = below(10) as i64;
                let data = ["1", "2", "3", "4"][below(4) as usize];
                batch.push(match below(20) {
                    0 => Change::DeleteCollection { collection },
                    1 => Change::DeleteDocument { collection, document },
                    2 | 3 => Change::DeleteRange { collection, document, from: ts, to: ts + below(4) as i64 },
                    4..=6 => Change::DeleteRecord { collection, document, ts },
                    7 | 8 => Change::SetValue { collection, key: document, value: data },
                    9 => Change::RemoveValue { collection, key: document },
                    _ => Change::Put { collection, document, ts, data },
                });
            }
            batch.changes().for_each(|change| replay(&mut by_changes, change));
            carry_out(&mut by_plans, &Plan::new(&batch));
            assert_eq!(by_plans, by_changes);
        }
    }

    #[test]
    fn api_keys_end_as_they_were_last() {
        let mut batch = Batch::default();
        batch.push(Change::SetApiKey { key: "a", scope: "readonly" });
        batch.push(Change::SetApiKey { key: "a", scope: "read_write" });
        batch.push(Change::SetApiKey { key: "b", scope: "readonly" });
        batch.push(Change::RemoveApiKey { key: "b" });
        let plan = Plan::new(&batch);
        assert_eq!(plan.api_keys, [("a", Some("read_write")), ("b", None)].into());
    }
}
