//! One connection's place in the data: which records it has made, and what it asks for next.
//!
//! Documents are divided among the connections, so that the times of a document ascend although the server reads the
//! connections in any order. With fewer documents than connections some share one, and their times interleave.
//! An insertion is about one collection, and its records go round the connection's documents there: as a gateway sends
//! what its devices have told since it sent last.
//! Invariant: two records of a run have the same collection, document and time only if one is meant to overwrite.

use crate::limits::{LATE_RECORDS_MAX, TIMESTAMP_STEP};
use crate::random::Random;
use crate::requests::{Shape, Templates};
use crate::template::{Subject, Template};
use crate::texts::Texts;
use crate::workload::Workload;

/// Within that distance times scatter below this, as clocks do; those from here on are for records that come late.
const TIMESTAMP_SCATTER: u64 = 8;

/// Makes the requests of one connection.
#[derive(Debug)]
pub struct Generator {
    shape: Shape,
    connection: u64,
    documents: u64,
    /// The next record of each collection.
    next: Vec<Place>,
    insertions: u64,
    values_set: u64,
    random: Random,
    stamps: Option<Stamps>,
}

/// Times that say when a record was sent, for finding out how long it took to those who are told of it.
#[derive(Clone, Copy, Debug)]
struct Stamps {
    base: u64,
    now_ns: u64,
    last: u64,
}

impl Stamps {
    /// The time now, or one more than the last: no document gets a time twice.
    fn next(&mut self) -> u64 {
        self.last = (self.base + self.now_ns).max(self.last + 1);
        self.last
    }
}

/// A record among those that a connection makes for one collection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Place {
    /// Counts them all.
    record: u64,
    /// Its document among the connection's own: the rest of the division by their number.
    document: u64,
    /// Its number within the document: the quotient.
    round: u64,
}

impl Place {
    fn of(record: u64, documents: u64) -> Self {
        Self { record, document: record % documents, round: record / documents }
    }

    /// The one after it; a division would take longer than the rest.
    #[inline]
    fn after(self, documents: u64) -> Self {
        let (record, document) = (self.record + 1, self.document + 1);
        if document == documents {
            Self { record, document: 0, round: self.round + 1 }
        } else {
            Self { record, document, ..self }
        }
    }
}

impl Generator {
    /// The generator of a run's connection with this number.
    pub fn new(shape: &Shape, connection: u64) -> Self {
        Self {
            shape: *shape,
            connection,
            documents: shape.documents_of(connection),
            next: vec![Place::default(); shape.collections as usize],
            insertions: 0,
            values_set: 0,
            random: Random::new(connection),
            stamps: None,
        }
    }

    /// The connection's number.
    pub fn connection(&self) -> u64 {
        self.connection
    }

    /// The number of documents that it writes, of each collection.
    pub fn documents(&self) -> u64 {
        self.documents
    }

    /// From here on, times of records are this and the nanoseconds since the phase began.
    pub fn stamp_from(&mut self, base: u64) {
        self.stamps = Some(Stamps { base, now_ns: 0, last: 0 });
    }

    /// Says what time it is, for records with stamps.
    #[inline]
    pub fn set_now(&mut self, now_ns: u64) {
        if let Some(stamps) = &mut self.stamps {
            stamps.now_ns = now_ns;
        }
    }

    /// Random numbers that are the connection's own.
    pub fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    /// Appends a request as a frame. Insertions and settings go on in turn, reads go anywhere.
    #[inline]
    pub fn append(&mut self, workload: Workload, templates: &Templates, id: u64, out: &mut Vec<u8>) {
        let template = templates.of(workload);
        let start = template.begin(out, id);
        match workload {
            Workload::Ins => self.append_records(template, &templates.texts, out),
            Workload::Sval => {
                let (key, round) = self.next_key();
                template.part(out, true, self.key_subject(key), templates.texts.of(key, round));
            }
            Workload::Qdoc | Workload::Qry | Workload::Gval => {
                let key = self.any_key();
                template.part(out, true, self.key_subject(key), b"");
            }
        }
        template.finish(out, start);
    }

    fn append_records(&mut self, template: &Template, texts: &Texts, out: &mut Vec<u8>) {
        let collection = self.next_collection();
        for index in 0..template.parts() {
            let (subject, text) = self.next_record(collection, texts);
            template.part(out, index == 0, subject, text);
        }
    }

    /// The collection of the next insertion.
    pub fn next_collection(&mut self) -> u64 {
        self.insertions += 1;
        (self.connection + self.insertions - 1) % self.shape.collections
    }

    /// The next key to set, and how often this connection has set it. Every connection takes each n-th, so that one round
    /// of all of them sets every key.
    pub fn next_key(&mut self) -> (u64, u64) {
        let key = (self.connection + self.values_set * self.shape.connections) % self.shape.keys();
        self.values_set += 1;
        (key, self.values_set * self.shape.connections / self.shape.keys())
    }

    /// A key, or document, to read.
    pub fn any_key(&mut self) -> u64 {
        self.random.below(self.shape.keys())
    }

    /// Where a key is.
    pub fn key_subject(&self, key: u64) -> Subject {
        let documents = self.shape.documents;
        Subject { collection: key / documents, name: key % documents, timestamp: 0 }
    }

    /// What the next record of this collection is about, and its text.
    #[inline]
    pub fn next_record<'texts>(&mut self, collection: u64, texts: &'texts Texts) -> (Subject, &'texts [u8]) {
        let (place, late_by) = self.next_place(collection as usize);
        let name = self.connection % self.shape.documents + place.document * self.shape.connections;
        let timestamp = match &mut self.stamps {
            None => self.timestamp_of(place.record, late_by),
            Some(stamps) => stamps.next(),
        };
        // A late record, and one that overwrites, says something else than the one before it.
        let step = place.round + late_by.map_or(0, |by| by + 1);
        (Subject { collection, name, timestamp }, texts.of(collection * self.shape.documents + name, step))
    }

    /// A new record; or an older one of the same document, to overwrite it or to come late just after it. The latter two
    /// make no record of their own, so that every older one is there to be overwritten.
    #[inline]
    fn next_place(&mut self, collection: usize) -> (Place, Option<u64>) {
        let next = self.next[collection];
        let (overwrite, late) = (self.shape.overwrite_percent, self.shape.out_of_order_percent);
        let older_count = if overwrite + late == 0 { 0 } else { next.round.min(LATE_RECORDS_MAX) };
        if older_count > 0 {
            let dice = self.random.below(100);
            if dice < overwrite + late {
                let older = next.record - (1 + self.random.below(older_count)) * self.documents;
                let scatter = TIMESTAMP_STEP - TIMESTAMP_SCATTER;
                let late_by =
                    if dice < overwrite { 0 } else { TIMESTAMP_SCATTER + self.random.below(scatter) };
                return (Place::of(older, self.documents), Some(late_by));
            }
        }
        self.next[collection] = next.after(self.documents);
        (next, None)
    }

    /// The time of a record, which is always the same; or of one that comes so much later than a multiple of the step.
    #[inline]
    fn timestamp_of(&self, record: u64, late_by: Option<u64>) -> u64 {
        let scatter = match late_by {
            None | Some(0) => (record.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) % TIMESTAMP_SCATTER,
            Some(late_by) => late_by,
        };
        self.shape.first_ts + (record * self.shape.connections + self.connection) * TIMESTAMP_STEP + scatter
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use serde_json::Value;

    use std::sync::Arc;

    use super::*;
    use crate::frame::FrameHeader;
    use crate::payload::Payload;
    use crate::texts::Form;

    const LETTERS: usize = 48;

    fn templates(shape: &Shape) -> Templates {
        Templates::new(shape, &Arc::new(Texts::new(&Payload::Letters(LETTERS), Form::EscapedTwice)))
    }

    fn shape() -> Shape {
        Shape {
            records: 3,
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
        let mut frame = Vec::new();
        generator.append(workload, templates, 1, &mut frame);
        let header = FrameHeader::read(&frame).unwrap();
        let request: Value = serde_json::from_slice(&frame[header.header_bytes..]).unwrap();
        assert_eq!(request["type"], workload.name());
        serde_json::from_str(request["data"].as_str().unwrap()).unwrap()
    }

    /// Times by collection and document, in the order in which they were made.
    fn insert_all(shape: &Shape, messages: usize) -> BTreeMap<(String, String), Vec<u64>> {
        let templates = templates(shape);
        let mut times: BTreeMap<_, Vec<u64>> = BTreeMap::new();
        for connection in 0..shape.connections {
            let mut generator = Generator::new(shape, connection);
            for _ in 0..messages {
                for record in next_request(&mut generator, Workload::Ins, &templates).as_array().unwrap() {
                    assert_eq!(record["data"].as_str().unwrap().len(), LETTERS);
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
        let (shape, templates) = (shape(), templates(&shape()));
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
        let (shape, templates) = (shape(), templates(&shape()));
        let mut keys = BTreeSet::new();
        for connection in 0..shape.connections {
            let mut generator = Generator::new(&shape, connection);
            for _ in 0..shape.keys().div_ceil(shape.connections) {
                let entry = next_request(&mut generator, Workload::Sval, &templates);
                assert_eq!(entry["value"].as_str().unwrap().len(), LETTERS);
                keys.insert((entry["col"].to_string(), entry["key"].to_string()));
            }
        }
        assert_eq!(keys.len(), 20);
    }
}
