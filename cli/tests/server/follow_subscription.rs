//! One subscription: what it asks for, and whether each push says what it may at that point.

use crate::follow_model::{COLLECTIONS, Change, Collection, Model, NAMES, Newest, TEXTS};
use crate::support::{Random, Server};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A subscription, and what it has said so far.
pub struct Subscription {
    pub asked: Map<String, Value>,
    collection: &'static str,
    passes: Passes,
    pub is_all: bool,
    /// From where it can be resumed; nothing inside a snapshot.
    pub cursor: Option<String>,
    in_snapshot: bool,
    /// What the pushes fold to, and the first state of the model that it may be.
    pub fold: BTreeMap<String, (i64, String)>,
    pub state: usize,
    /// The changes that may come next.
    pub next: BTreeSet<usize>,
    /// The records of a snapshot of all.
    records: BTreeSet<String>,
    /// The restarts that the server had seen at the cursor.
    pub restarts: usize,
}

/// The searches of a subscription.
#[derive(Clone, Copy)]
struct Passes {
    name: fn(&str) -> bool,
    contains: fn(&str) -> bool,
    excludes: Option<fn(&str) -> bool>,
}

impl Passes {
    fn text(&self, text: &str) -> bool {
        (self.contains)(text) && !self.excludes.is_some_and(|excludes| excludes(text))
    }

    /// Of what is deleted there is no text to look at.
    fn change(&self, change: &Change) -> bool {
        change.document.is_none_or(|name| (self.name)(name))
            && change.text.as_ref().is_none_or(|text| self.text(text))
    }

    fn newest(&self, newest: &Newest, fold: &BTreeMap<String, (i64, String)>) -> bool {
        let mut passing = newest.iter().filter(|(name, (_, text))| (self.name)(name) && self.text(text));
        let mut held = fold.iter();
        loop {
            match (passing.next(), held.next()) {
                (None, None) => return true,
                (Some((name, (ts, text))), Some((held, (held_ts, held_text))))
                    if name == held && ts == held_ts && **text == **held_text => {}
                _ => return false,
            }
        }
    }
}

/// What happened to all readers, so that a test can see that it has tried what it is for.
#[derive(Debug, Default)]
pub struct Seen {
    pub pushes: usize,
    pub resumed: usize,
    pub history: usize,
    pub epoch: usize,
    pub ended: usize,
    pub skipped: u64,
    pub parts: usize,
}

/// The world in which a push is looked at.
pub struct World<'a> {
    pub server: &'a Server,
    pub model: &'a Model,
    /// What the model was when all was quiet last: a subscription that begins now begins there at the earliest.
    pub quiet: &'a BTreeMap<&'static str, (usize, usize)>,
    pub restarts: usize,
    pub seen: &'a mut Seen,
}

impl Subscription {
    /// A subscription of any kind. Where all is not quiet it does not begin with all records, since nobody knows which
    /// those would be.
    pub fn any(random: &mut Random, is_quiet: bool) -> Subscription {
        let collection = random.pick(&COLLECTIONS);
        let (name, contains, excludes) = (random.pick(&NAMES), random.pick(&TEXTS), random.pick(&TEXTS));
        let is_all = random.below(2) == 0;
        let mut asked = json!({"col": collection, "doc": name.0, "where": contains.0, "filter": excludes.0});
        if is_all {
            asked["mode"] = "all".into();
            asked["slow"] = random.pick(&["close", "drop"]).into();
            asked["buffer"] = random.pick(&[4096, 65_536, 1 << 20]).into();
            asked["snapshot"] = (is_quiet && random.below(3) == 0).into();
        } else if is_quiet && random.below(4) == 0 {
            asked["snapshot"] = false.into();
        }
        if random.below(3) == 0 {
            asked["every"] = random.pick(&[1, 5, 20]).into();
        }
        let excludes = (!excludes.0.is_empty()).then_some(excludes.1);
        Subscription {
            asked: asked.as_object().unwrap().clone(),
            collection,
            passes: Passes { name: name.1, contains: contains.1, excludes },
            is_all,
            cursor: None,
            in_snapshot: false,
            fold: BTreeMap::new(),
            state: 0,
            next: BTreeSet::new(),
            records: BTreeSet::new(),
            restarts: 0,
        }
    }

    /// Begins as its reply says.
    pub fn begin(&mut self, reply: &Value, world: &World<'_>) {
        let is_snapshot = self.asked.get("snapshot").and_then(Value::as_bool).unwrap_or(!self.is_all);
        self.begin_with_snapshot(world);
        self.in_snapshot = is_snapshot;
        if !is_snapshot {
            self.cursor = Some(reply["cursor"].as_str().unwrap().into());
            self.fold = self.held(&world.model.collections[self.collection]);
        }
    }

    /// Begins anew with what is there.
    pub fn begin_with_snapshot(&mut self, world: &World<'_>) {
        self.in_snapshot = true;
        self.cursor = None;
        self.records.clear();
        let (state, change) = world.quiet[self.collection];
        self.state = state;
        self.next = (change..=world.model.collections[self.collection].changes.len()).collect();
    }

    /// What `qry` would answer.
    fn held(&self, collection: &Collection) -> BTreeMap<String, (i64, String)> {
        let newest = collection.states.last().unwrap();
        let passing =
            newest.iter().filter(|(name, (_, text))| (self.passes.name)(name) && self.passes.text(text));
        passing.map(|(name, (ts, text))| (name.to_string(), (*ts, text.to_string()))).collect()
    }

    /// Whether it has said all that there is to say.
    pub fn is_caught_up(&self, model: &Model) -> bool {
        let collection = &model.collections[self.collection];
        if self.in_snapshot {
            return false;
        }
        if self.is_all {
            let rest =
                |from: usize| collection.changes[from..].iter().all(|change| !self.passes.change(change));
            return self.next.iter().any(|from| rest(*from));
        }
        self.passes.newest(collection.states.last().unwrap(), &self.fold)
    }

    /// Takes a push, and says what is wrong with it.
    pub fn push(&mut self, push: &Value, world: &mut World<'_>) -> Result<(), String> {
        let collection = &world.model.collections[self.collection];
        let part = push.get("snapshot").and_then(Value::as_str);
        let is_first = push.get("reset") == Some(&json!(true));
        if part.is_some() != self.in_snapshot {
            return Err("a part of a snapshot, or none, where it must not be".into());
        }
        world.seen.parts += usize::from(part == Some("part"));
        if is_first {
            self.fold.clear();
            self.records.clear();
        }
        self.in_snapshot = part == Some("part");
        let cursor = push["cursor"].as_str().ok_or("no cursor")?;
        // What is too large for one push comes in several, which come to a state together.
        let is_whole = !self.in_snapshot && push.get("more").is_none();
        self.cursor = (!self.in_snapshot).then(|| cursor.to_owned());
        self.restarts = world.restarts;
        if !self.is_all {
            return self.fold(push, is_whole, collection);
        }
        let changes = push["changes"].as_array().ok_or("no changes")?;
        if part.is_some() {
            return self.snapshot_of_all(changes, part == Some("done"), collection);
        }
        let skipped = push.get("skipped").and_then(Value::as_u64).unwrap_or(0);
        world.seen.skipped += skipped;
        if skipped > 0 {
            self.skip(skipped as usize, collection);
        }
        changes.iter().try_for_each(|change| self.change(change, collection))
    }

    fn fold(&mut self, push: &Value, is_whole: bool, collection: &Collection) -> Result<(), String> {
        for (name, record) in push["records"].as_object().ok_or("no records")? {
            match record {
                Value::Null => drop(self.fold.remove(name)),
                record => {
                    let text = record["data"].as_str().ok_or("no text")?.to_owned();
                    self.fold.insert(name.clone(), (record["ts"].as_i64().ok_or("no time")?, text));
                }
            }
        }
        if !is_whole {
            return Ok(());
        }
        let states = &collection.states[self.state..];
        match states.iter().position(|state| self.passes.newest(state, &self.fold)) {
            Some(further) => {
                self.state += further;
                Ok(())
            }
            None => Err(format!("after state {} of {}, never was {:?}", self.state, states.len(), self.fold)),
        }
    }

    /// Takes a change, which must be the next one.
    fn change(&mut self, got: &Value, collection: &Collection) -> Result<(), String> {
        let next = |from: &usize| {
            let at =
                (*from..collection.changes.len()).find(|at| self.passes.change(&collection.changes[*at]))?;
            (collection.changes[at].json == *got).then_some(at + 1)
        };
        let behind: BTreeSet<usize> = self.next.iter().filter_map(next).collect();
        if behind.is_empty() {
            let from = *self.next.first().unwrap();
            let rest = collection.changes[from..].iter().filter(|change| self.passes.change(change));
            let expected: Vec<_> = rest.take(3).map(|change| change.json.to_string()).collect();
            return Err(format!("{got} is not next; from {:?} on: {expected:?}", self.next));
        }
        self.next = behind;
        Ok(())
    }

    /// Passes over changes that were dropped: those that would have passed count.
    fn skip(&mut self, count: usize, collection: &Collection) {
        let passing = |from: &usize| {
            let rest =
                (*from..collection.changes.len()).filter(|at| self.passes.change(&collection.changes[*at]));
            rest.take(count).last().map_or(*from, |at| at + 1)
        };
        let all = |from: &usize| (*from + count).min(collection.changes.len());
        self.next = self.next.iter().map(passing).chain(self.next.iter().map(all)).collect();
    }

    /// Takes the records that are there, in any order; it was quiet when they were asked for, or is now.
    fn snapshot_of_all(
        &mut self,
        changes: &[Value],
        is_done: bool,
        collection: &Collection,
    ) -> Result<(), String> {
        for change in changes {
            if !self.records.insert(change.to_string()) {
                return Err(format!("{change} came twice"));
            }
        }
        let begun = *self.next.first().unwrap();
        if !is_done || begun != collection.changes.len() {
            return Ok(());
        }
        let records = collection.records.iter().filter(|(name, _)| (self.passes.name)(name));
        let texts =
            records.flat_map(|(name, records)| records.iter().map(move |(ts, text)| (name, ts, text)));
        let wanted: BTreeSet<String> = texts
            .filter(|(_, _, text)| self.passes.text(text))
            .map(|(name, ts, text)| json!({"doc": name, "ts": ts, "data": **text}).to_string())
            .collect();
        match wanted == self.records {
            true => Ok(()),
            false => Err(format!("the snapshot is {:?} instead of {wanted:?}", self.records)),
        }
    }
}
