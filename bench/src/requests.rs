//! The contents of requests: the templates of each kind, and the generator that fills in names and times.
//!
//! Documents are divided among the connections, so that the times of a document ascend although the server reads the
//! connections in any order. With fewer documents than connections some share one, and their times interleave.
//! Invariant: two records of a run have the same collection, document and time only if one is meant to overwrite.

use crate::limits::{LATE_RECORDS_MAX, TIMESTAMP_HEADROOM};
use crate::random::Random;
use crate::template::{Template, TemplateBuilder};
use crate::workload::Workload;

/// Distance between two records made in order; the times between are for those that come late.
const TIMESTAMP_STEP: u64 = 16;

/// The look of a run's data.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Records in a message.
    pub records: u32,
    /// Length of a record's data and of a value.
    pub payload_bytes: usize,
    /// Documents in each collection, and keys.
    pub documents: u64,
    /// Collections.
    pub collections: u64,
    /// Connections, over all threads.
    pub connections: u64,
    /// Records a `qdoc` asks for.
    pub limit: u64,
    /// Time of the first record.
    pub first_ts: u64,
    /// Percentage of records that come late.
    pub out_of_order_percent: u64,
    /// Percentage of records that overwrite an older one.
    pub overwrite_percent: u64,
}

impl Shape {
    /// The number of documents of a collection that this connection writes.
    pub fn documents_of(&self, connection: u64) -> u64 {
        if self.documents < self.connections {
            return 1;
        }
        (self.documents - connection).div_ceil(self.connections)
    }

    /// All keys of all collections.
    pub fn keys(&self) -> u64 {
        self.documents * self.collections
    }

    /// Whether the times of a long run all have as many digits as the first.
    pub fn timestamps_fit(&self) -> bool {
        let last = self.first_ts.saturating_add(TIMESTAMP_HEADROOM);
        last <= i64::MAX as u64 && digits_of(self.first_ts) == digits_of(last)
    }
}

/// The encoded frames of one shape, one of each kind.
#[derive(Debug)]
pub struct Templates([Template; 5]);

impl Templates {
    /// Encodes all kinds.
    pub fn new(shape: &Shape) -> Self {
        Self(Workload::ALL.map(|workload| match workload {
            Workload::Ins => insertion(shape),
            Workload::Qdoc => document_query(shape),
            Workload::Qry => collection_query(shape),
            Workload::Sval => value_setting(shape),
            Workload::Gval => value_reading(shape),
        }))
    }

    /// The frame of this kind.
    pub fn of(&self, workload: Workload) -> &Template {
        &self.0[workload.index()]
    }
}

fn insertion(shape: &Shape) -> Template {
    let mut builder = TemplateBuilder::new("ins");
    for record in 0..shape.records {
        builder.part().text(if record == 0 { r#"[{"ts":"# } else { r#",{"ts":"# });
        builder.timestamp(digits_of(shape.first_ts));
        builder.text(r#","doc":"doc"#).name(digits_of(shape.documents - 1));
        builder.text(r#"","data":""#).text(&payload(shape.payload_bytes, u64::from(record)));
        builder.text(r#"","col":"col"#).collection(digits_of(shape.collections - 1)).text(r#""}"#);
    }
    builder.text("]");
    builder.finish()
}

fn document_query(shape: &Shape) -> Template {
    let mut builder = TemplateBuilder::new("qdoc");
    builder.text(r#"{"col":"col"#).collection(digits_of(shape.collections - 1));
    builder.text(r#"","doc":"doc"#).name(digits_of(shape.documents - 1));
    builder.text(&format!(r#"","from":0,"to":{},"limit":{},"reverse":true}}"#, i64::MAX, shape.limit));
    builder.finish()
}

fn collection_query(shape: &Shape) -> Template {
    let mut builder = TemplateBuilder::new("qry");
    builder.text(r#"{"col":"col"#).collection(digits_of(shape.collections - 1));
    builder.text(&format!(r#"","ts":{}}}"#, i64::MAX));
    builder.finish()
}

fn value_setting(shape: &Shape) -> Template {
    let mut builder = TemplateBuilder::new("sval");
    key(&mut builder, shape);
    builder.text(r#"","value":""#).text(&payload(shape.payload_bytes, 0)).text(r#""}"#);
    builder.finish()
}

fn value_reading(shape: &Shape) -> Template {
    let mut builder = TemplateBuilder::new("gval");
    key(&mut builder, shape);
    builder.text(r#""}"#);
    builder.finish()
}

fn key(builder: &mut TemplateBuilder, shape: &Shape) {
    builder.text(r#"{"col":"col"#).collection(digits_of(shape.collections - 1));
    builder.text(r#"","key":"key"#).name(digits_of(shape.documents - 1));
}

/// Letters and digits, so that nothing needs escaping.
fn payload(bytes: usize, seed: u64) -> String {
    const ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mut random = Random::new(seed);
    (0..bytes).map(|_| char::from(ALPHABET[random.below(ALPHABET.len() as u64) as usize])).collect()
}

fn digits_of(number: u64) -> usize {
    number.checked_ilog10().unwrap_or(0) as usize + 1
}

/// One connection's place in the data: which records it has made and what it asks for next.
#[derive(Debug)]
pub struct Generator {
    shape: Shape,
    connection: u64,
    documents: u64,
    /// Records made so far, of each collection.
    records_made: Vec<u64>,
    insertions: u64,
    values_set: u64,
    random: Random,
}

impl Generator {
    /// The generator of a run's connection with this number.
    pub fn new(shape: &Shape, connection: u64) -> Self {
        Self {
            shape: *shape,
            connection,
            documents: shape.documents_of(connection),
            records_made: vec![0; shape.collections as usize],
            insertions: 0,
            values_set: 0,
            random: Random::new(connection),
        }
    }

    /// The connection's number.
    pub fn connection(&self) -> u64 {
        self.connection
    }

    /// Random numbers that are the connection's own.
    pub fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    /// Fills in what this request is about. Insertions and settings go on in turn, reads go anywhere.
    #[inline]
    pub fn fill(&mut self, workload: Workload, template: &Template, frame: &mut [u8]) {
        if workload == Workload::Ins {
            return self.fill_records(template, frame);
        }
        let key = match workload {
            Workload::Sval => self.next_key(),
            _ => self.random.below(self.shape.keys()),
        };
        for part in template.parts() {
            if let Some(collection) = part.collection {
                collection.write(frame, key / self.shape.documents);
            }
            if let Some(name) = part.name {
                name.write(frame, key % self.shape.documents);
            }
        }
    }

    /// Every connection takes each n-th key, so that one round of all of them sets every key.
    fn next_key(&mut self) -> u64 {
        let key = (self.connection + self.values_set * self.shape.connections) % self.shape.keys();
        self.values_set += 1;
        key
    }

    fn fill_records(&mut self, template: &Template, frame: &mut [u8]) {
        let collection = (self.connection + self.insertions) % self.shape.collections;
        self.insertions += 1;
        for part in template.parts() {
            let (record, late_by) = self.next_record(collection as usize);
            if let Some(place) = part.collection {
                place.write(frame, collection);
            }
            if let Some(name) = part.name {
                name.write(frame, self.document_of(record));
            }
            if let Some(timestamp) = part.timestamp {
                timestamp.write(frame, self.timestamp_of(record) + late_by);
            }
        }
    }

    /// A new record; or an older one of the same document to overwrite, or to come late just after. The latter two make
    /// no record of their own, so that every older one is there to be overwritten.
    fn next_record(&mut self, collection: usize) -> (u64, u64) {
        let next = self.records_made[collection];
        let (overwrite, late) = (self.shape.overwrite_percent, self.shape.out_of_order_percent);
        let older_count =
            if overwrite + late == 0 { 0 } else { (next / self.documents).min(LATE_RECORDS_MAX) };
        if older_count > 0 {
            let dice = self.random.below(100);
            if dice < overwrite + late {
                let older = next - (1 + self.random.below(older_count)) * self.documents;
                let late_by = if dice < overwrite { 0 } else { 1 + self.random.below(TIMESTAMP_STEP - 1) };
                return (older, late_by);
            }
        }
        self.records_made[collection] = next + 1;
        (next, 0)
    }

    fn document_of(&self, record: u64) -> u64 {
        self.connection % self.shape.documents + record % self.documents * self.shape.connections
    }

    fn timestamp_of(&self, record: u64) -> u64 {
        self.shape.first_ts + (record * self.shape.connections + self.connection) * TIMESTAMP_STEP
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use serde_json::Value;

    use super::*;
    use crate::frame::FrameHeader;

    fn shape() -> Shape {
        Shape {
            records: 3,
            payload_bytes: 48,
            documents: 10,
            collections: 2,
            connections: 4,
            limit: 5,
            first_ts: 1_700_000_000_000,
            out_of_order_percent: 0,
            overwrite_percent: 0,
        }
    }

    fn next_request(generator: &mut Generator, workload: Workload, templates: &Templates) -> Value {
        let mut out = Vec::new();
        let template = templates.of(workload);
        let frame = template.append(&mut out, 1);
        generator.fill(workload, template, frame);
        let header = FrameHeader::read(frame).unwrap();
        let request: Value = serde_json::from_slice(&frame[header.header_bytes..]).unwrap();
        assert_eq!(request["type"], workload.name());
        serde_json::from_str(request["data"].as_str().unwrap()).unwrap()
    }

    /// Times by collection and document, in the order in which they were made.
    fn insert_all(shape: &Shape, messages: usize) -> BTreeMap<(String, String), Vec<u64>> {
        let templates = Templates::new(shape);
        let mut times: BTreeMap<_, Vec<u64>> = BTreeMap::new();
        for connection in 0..shape.connections {
            let mut generator = Generator::new(shape, connection);
            for _ in 0..messages {
                for record in next_request(&mut generator, Workload::Ins, &templates).as_array().unwrap() {
                    assert_eq!(record["data"].as_str().unwrap().len(), shape.payload_bytes);
                    let name = |member: &str| record[member].as_str().unwrap().to_owned();
                    times.entry((name("col"), name("doc"))).or_default().push(record["ts"].as_u64().unwrap());
                }
            }
        }
        times
    }

    #[test]
    fn every_document_gets_ascending_times() {
        let times = insert_all(&shape(), 40);
        assert_eq!(times.len(), 20);
        for (document, times) in times {
            assert!(times.is_sorted_by(|earlier, later| earlier < later), "{document:?}: {times:?}");
        }
    }

    #[test]
    fn shared_documents_get_no_time_twice() {
        let times = insert_all(&Shape { documents: 3, ..shape() }, 40);
        assert_eq!(times.len(), 6);
        for times in times.values() {
            assert_eq!(times.iter().collect::<BTreeSet<_>>().len(), times.len());
        }
    }

    #[test]
    fn late_records_are_new_and_overwriting_ones_are_not() {
        let late = insert_all(&Shape { out_of_order_percent: 30, ..shape() }, 300);
        let overwriting = insert_all(&Shape { overwrite_percent: 30, ..shape() }, 300);
        let share = |times: &BTreeMap<_, Vec<u64>>, of: fn(&[u64]) -> usize| {
            let all: usize = times.values().map(Vec::len).sum();
            times.values().map(|times| of(times)).sum::<usize>() as f64 / all as f64
        };
        let descents = |times: &[u64]| times.windows(2).filter(|pair| pair[0] > pair[1]).count();
        let doubles = |times: &[u64]| times.len() - times.iter().collect::<BTreeSet<_>>().len();
        assert!(share(&late, descents) > 0.15, "{}", share(&late, descents));
        assert!(share(&late, doubles) < 0.05, "{}", share(&late, doubles));
        assert!(share(&overwriting, doubles) > 0.25, "{}", share(&overwriting, doubles));
    }

    #[test]
    fn reads_and_settings_name_what_exists() {
        let (shape, templates) = (shape(), Templates::new(&shape()));
        let mut generator = Generator::new(&shape, 3);
        let query = next_request(&mut generator, Workload::Qdoc, &templates);
        assert_eq!((&query["limit"], &query["reverse"]), (&5.into(), &true.into()));
        assert_eq!(query["to"], i64::MAX);
        assert!(query["doc"].as_str().unwrap().strip_prefix("doc").unwrap().parse::<u64>().unwrap() < 10);
        let query = next_request(&mut generator, Workload::Qry, &templates);
        assert!(["col0", "col1"].contains(&query["col"].as_str().unwrap()));
        let reading = next_request(&mut generator, Workload::Gval, &templates);
        assert_eq!(reading["key"].as_str().unwrap().len(), "key0".len());
    }

    #[test]
    fn one_round_of_settings_covers_every_key() {
        let (shape, templates) = (shape(), Templates::new(&shape()));
        let mut keys = BTreeSet::new();
        for connection in 0..shape.connections {
            let mut generator = Generator::new(&shape, connection);
            for _ in 0..shape.keys().div_ceil(shape.connections) {
                let entry = next_request(&mut generator, Workload::Sval, &templates);
                assert_eq!(entry["value"].as_str().unwrap().len(), 48);
                keys.insert((entry["col"].to_string(), entry["key"].to_string()));
            }
        }
        assert_eq!(keys.len(), 20);
    }

    #[test]
    fn documents_are_divided_without_rest() {
        for documents in 1..40 {
            let shape = Shape { documents, ..shape() };
            let owned: u64 = (0..4).map(|connection| shape.documents_of(connection)).sum();
            assert_eq!(owned, documents.max(4));
        }
    }

    #[test]
    fn a_first_time_needs_room_for_more_of_its_width() {
        let fits = |first_ts| Shape { first_ts, ..shape() }.timestamps_fit();
        assert!(fits(1_700_000_000_000) && fits(1_700_000_000_000_000_000));
        assert!(!fits(0) && !fits(999_999_999_999_999) && !fits(u64::MAX) && !fits(i64::MAX as u64));
    }
}
