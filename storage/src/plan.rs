//! The net effect of changes: each record and entry once, as it is in the end, and the older ones that go.
//!
//! A deletion drops what the changes themselves had put before, and is noted for what the tables hold. So all deletions of
//! collections, then of documents, then of ranges, then all puts, do what the changes in their order would have done.

use fluxion_engine::ChangeRef;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

/// The net effect on one document.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct DocumentPlan<'a> {
    /// All of its records in the tables go first.
    pub(crate) cleared: bool,
    /// Times, both inclusive, whose records in the tables go then.
    pub(crate) ranges: Vec<(i64, i64)>,
    /// Records to be stored at last, or deleted.
    pub(crate) records: Records<'a>,
}

/// Records by time; without a text where one is deleted. Most come in order of time.
#[derive(Debug, PartialEq)]
pub(crate) enum Records<'a> {
    Ascending(Vec<(i64, Option<&'a str>)>),
    Any(BTreeMap<i64, Option<&'a str>>),
}

impl Default for Records<'_> {
    fn default() -> Self {
        Records::Ascending(Vec::new())
    }
}

impl<'a> Records<'a> {
    fn put(&mut self, ts: i64, data: Option<&'a str>) {
        match self {
            Records::Ascending(records) => match records.last_mut() {
                Some(last) if last.0 == ts => last.1 = data,
                Some(last) if last.0 > ts => drop(self.any().insert(ts, data)),
                _ => records.push((ts, data)),
            },
            Records::Any(records) => drop(records.insert(ts, data)),
        }
    }

    fn forget_range(&mut self, from: i64, to: i64) {
        if let Records::Ascending(records) = self
            && records.last().is_none_or(|(last, _)| *last < from)
        {
            return;
        }
        let records = self.any();
        let gone: Vec<i64> = records.range(from..=to).map(|(ts, _)| *ts).collect();
        for ts in gone {
            records.remove(&ts);
        }
    }

    fn any(&mut self) -> &mut BTreeMap<i64, Option<&'a str>> {
        if let Records::Ascending(records) = self {
            *self = Records::Any(std::mem::take(records).into_iter().collect());
        }
        match self {
            Records::Any(records) => records,
            Records::Ascending(_) => unreachable!("made so above"),
        }
    }

    /// All of them by time.
    pub(crate) fn into_vec(self) -> Vec<(i64, Option<&'a str>)> {
        match self {
            Records::Ascending(records) => records,
            Records::Any(records) => records.into_iter().collect(),
        }
    }
}

/// The net effect of changes, but those of API keys, which are in their table at once.
#[derive(Default)]
pub(crate) struct Plan<'a> {
    /// Collections whose content in the tables goes first.
    pub(crate) cleared: Vec<&'a str>,
    /// Documents by collection and name.
    pub(crate) documents: Vec<((&'a str, &'a str), DocumentPlan<'a>)>,
    /// Entries by collection and key; none where it is removed.
    pub(crate) entries: HashMap<&'a str, BTreeMap<&'a str, Option<&'a str>>>,
    places: HashMap<&'a str, HashMap<&'a str, usize>>,
    /// The document that the change before was about.
    recent: Option<usize>,
}

impl<'a> Plan<'a> {
    /// Adds the next change.
    pub(crate) fn add(&mut self, change: ChangeRef<'a>) {
        match change {
            ChangeRef::Put { collection, document, ts, data } => {
                self.document(collection, document).records.put(ts, Some(data));
            }
            ChangeRef::DeleteRecord { collection, document, ts } => {
                self.document(collection, document).records.put(ts, None);
            }
            ChangeRef::DeleteRange { collection, document, from, to } => {
                let document = self.document(collection, document);
                document.records.forget_range(from, to);
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
            ChangeRef::SetApiKey { .. } | ChangeRef::RemoveApiKey { .. } => {}
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
        let has_records = match &self.records {
            Records::Ascending(records) => !records.is_empty(),
            Records::Any(records) => !records.is_empty(),
        };
        !self.cleared && self.ranges.is_empty() && !has_records
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fluxion_engine::{Batch, Change};

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
            let records = match &plan.records {
                Records::Ascending(records) => records.clone(),
                Records::Any(records) => records.iter().map(|(ts, data)| (*ts, *data)).collect(),
            };
            assert!(records.is_sorted_by(|a, b| a.0 < b.0));
            for (ts, data) in records {
                match data {
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
            let mut plan = Plan::default();
            batch.changes().for_each(|change| plan.add(change));
            carry_out(&mut by_plans, &plan);
            assert_eq!(by_plans, by_changes);
        }
    }
}
