//! Builds a packet record by record, for a request that is too long to be read in one go.

use crate::packet::{Packet, Span};
use crate::request::{Record, RecordKey, Request};

/// A packet that is being filled: with records, or with what names records.
#[derive(Default)]
pub struct PacketBuilder {
    text: String,
    records: Vec<Record<Span>>,
    keys: Vec<RecordKey<Span>>,
    /// The names of the newest item: its collection, and its document.
    recent: [Span; 2],
}

impl PacketBuilder {
    /// Adds a record.
    pub fn push_record(&mut self, record: &Record<&str>) {
        let (collection, document) = self.names(record.collection, record.document);
        let data = Span::push(&mut self.text, record.data);
        self.records.push(Record { collection, document, ts: record.ts, data });
    }

    /// Adds what names a record.
    pub fn push_key(&mut self, key: &RecordKey<&str>) {
        let (collection, document) = self.names(key.collection, key.document);
        self.keys.push(RecordKey { collection, document, ts: key.ts });
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.keys.is_empty()
    }

    /// The memory that it takes.
    pub fn bytes(&self) -> usize {
        self.text.capacity()
            + self.records.capacity() * size_of::<Record<Span>>()
            + self.keys.capacity() * size_of::<RecordKey<Span>>()
    }

    /// The packet that inserts the records.
    pub fn insert(self) -> Packet {
        Packet::from_parts(self.text, Request::Insert(self.records))
    }

    /// The packet that deletes the records named.
    pub fn delete_records(self) -> Packet {
        Packet::from_parts(self.text, Request::DeleteRecords(self.keys))
    }

    /// Places for two names, those of the item before where they are the same.
    fn names(&mut self, collection: &str, document: &str) -> (Span, Span) {
        for (recent, name) in self.recent.iter_mut().zip([collection, document]) {
            if recent.of(&self.text) != name {
                *recent = Span::push(&mut self.text, name);
            }
        }
        (self.recent[0], self.recent[1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_built_packet_is_the_request() {
        let record = |collection, document, ts, data| Record { collection, document, ts, data };
        let records = vec![
            record("c", "d", 1, "x"),
            record("c", "d", 2, "ä"),
            record("c", "e", 3, ""),
            record("b", "e", 4, "x"),
        ];
        let mut builder = PacketBuilder::default();
        assert!(builder.is_empty());
        records.iter().for_each(|record| builder.push_record(record));
        assert!(!builder.is_empty() && builder.bytes() > 0);
        assert_eq!(builder.insert().request(), Request::Insert(records));
        let keys = vec![RecordKey { collection: "c", document: "d", ts: 7 }];
        let mut builder = PacketBuilder::default();
        keys.iter().for_each(|key| builder.push_key(key));
        assert_eq!(builder.delete_records().request(), Request::DeleteRecords(keys));
    }
}
