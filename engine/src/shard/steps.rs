//! Changes that are more than one step: large insertions, long lists and ranges of deletions, and a document in every
//! collection.
//!
//! A change goes from its beginning to its end; other requests may come in between and see what is done of it so far.
//! Records that they put behind its position stay.

use super::state::Shard;
use crate::limits::{
    CHANGE_AT_ONCE_ITEMS, CHANGE_CHUNKS, CHANGE_COLLECTIONS, CHANGE_ITEMS, CHANGE_TEXT_BYTES,
};
use crate::packet::Packet;
use crate::request::{Record, Request};
use crate::scan::Progress;

/// A change that goes on in steps. Once begun it must be stepped to its end, or no reader of the feed gets on.
#[must_use = "a change does nothing unless it is stepped to its end"]
pub struct Work {
    packet: Packet,
    has_begun: bool,
    position: Position,
}

/// The place that a change has come to.
#[derive(Clone, Copy)]
enum Position {
    /// The next record, key or collection.
    Index(usize),
    /// The earliest time that is still to be deleted.
    Time(i64),
}

impl Work {
    pub(super) fn new(packet: Packet) -> Self {
        let position = match packet.spans() {
            Request::DeleteRange { from, .. } => Position::Time(*from),
            _ => Position::Index(0),
        };
        Self { packet, has_begun: false, position }
    }

    /// Whether anything of it is done; until then it may be dropped.
    pub fn has_begun(&self) -> bool {
        self.has_begun
    }
}

impl Shard {
    /// Does a bounded part of a change, or nothing while it has to wait for others to end.
    pub fn step(&mut self, work: &mut Work) -> Progress {
        if !work.has_begun && !self.feed.begin_steps() {
            return Progress::More;
        }
        work.has_begun = true;
        match self.advance(&work.packet, work.position) {
            Some(position) => {
                work.position = position;
                Progress::More
            }
            None => {
                self.feed.end_steps();
                Progress::Done
            }
        }
    }

    /// Whether a request is a change of more than one step.
    pub(super) fn takes_steps<'a, S: Copy>(
        &self,
        request: &Request<S>,
        text: impl Fn(S) -> &'a str + Copy,
    ) -> bool {
        match *request {
            Request::Insert(ref records) => !is_done_at_once(records, text),
            Request::DeleteRecords(ref keys) => keys.len() > CHANGE_AT_ONCE_ITEMS,
            Request::DeleteDocument { collection: None, .. } => {
                self.collections.slots_end() > CHANGE_COLLECTIONS
            }
            Request::DeleteRange { collection, document, from, to } => {
                self.step_end(text(collection), text(document), from, to) < to
            }
            Request::DeleteDocument { .. }
            | Request::DeleteCollection { .. }
            | Request::SetValue { .. }
            | Request::RemoveValue { .. } => false,
            Request::Latest { .. }
            | Request::History { .. }
            | Request::Collections
            | Request::GetValue { .. }
            | Request::MatchValues { .. }
            | Request::AllValues { .. }
            | Request::Keys { .. } => false,
        }
    }

    /// Does a part of a change; gives where it goes on.
    fn advance(&mut self, packet: &Packet, position: Position) -> Option<Position> {
        let text = |span| packet.text(span);
        match (packet.spans(), position) {
            (Request::Insert(records), Position::Index(next)) => {
                let end = next + step_len(&records[next..], text);
                let part: Vec<_> = records[next..end].iter().map(|record| record.map(text)).collect();
                self.insert(&part);
                (end < records.len()).then_some(Position::Index(end))
            }
            (Request::DeleteRecords(keys), Position::Index(next)) => {
                let end = keys.len().min(next + CHANGE_ITEMS);
                let part: Vec<_> = keys[next..end].iter().map(|key| key.map(text)).collect();
                self.delete_records(&part);
                (end < keys.len()).then_some(Position::Index(end))
            }
            (&Request::DeleteDocument { document, collection: None }, Position::Index(next)) => {
                let end = self.collections.slots_end().min(next + CHANGE_COLLECTIONS);
                self.delete_document_in(next..end, text(document));
                (end < self.collections.slots_end()).then_some(Position::Index(end))
            }
            (&Request::DeleteRange { collection, document, to, .. }, Position::Time(from)) => {
                let (collection, document) = (text(collection), text(document));
                let end = self.step_end(collection, document, from, to);
                self.delete_range(collection, document, from, end);
                (end < to).then(|| Position::Time(end + 1))
            }
            // Nothing else takes steps.
            _ => None,
        }
    }

    /// The latest time up to which a range can be deleted in one step.
    fn step_end(&self, collection: &str, document: &str, from: i64, to: i64) -> i64 {
        let documents = self.collections.get(collection).map(|collection| &collection.documents);
        let found = documents.and_then(|documents| documents.get(documents.find(document)?));
        found.map_or(to, |document| document.end_of_chunks(from, to, CHANGE_CHUNKS))
    }
}

impl Request<&str> {
    /// Whether it may be a change of more than one step, as far as the request alone tells.
    pub fn may_take_steps(&self) -> bool {
        match self {
            Self::Insert(records) => !is_done_at_once(records, |text| text),
            Self::DeleteRecords(keys) => keys.len() > CHANGE_AT_ONCE_ITEMS,
            Self::DeleteDocument { collection, .. } => collection.is_none(),
            Self::DeleteRange { .. } => true,
            Self::DeleteCollection { .. }
            | Self::SetValue { .. }
            | Self::RemoveValue { .. }
            | Self::Latest { .. }
            | Self::History { .. }
            | Self::Collections
            | Self::GetValue { .. }
            | Self::MatchValues { .. }
            | Self::AllValues { .. }
            | Self::Keys { .. } => false,
        }
    }
}

/// Whether these records are few and short enough to be inserted without steps, which copy them first.
fn is_done_at_once<'a, S: Copy>(records: &[Record<S>], text: impl Fn(S) -> &'a str) -> bool {
    records.len() <= CHANGE_AT_ONCE_ITEMS
        && records.iter().map(|record| text(record.data).len()).sum::<usize>() <= CHANGE_TEXT_BYTES
}

/// The number of records at the beginning that make a step: at least one.
fn step_len<'a, S: Copy>(records: &[Record<S>], text: impl Fn(S) -> &'a str) -> usize {
    let mut text_bytes = 0;
    let fits = |record: &&Record<S>| {
        text_bytes += text(record.data).len();
        text_bytes <= CHANGE_TEXT_BYTES
    };
    records.iter().take(CHANGE_ITEMS).take_while(fits).count().max(1).min(records.len())
}

#[cfg(test)]
mod tests {
    use super::super::Outcome;
    use super::*;
    use crate::feed::ReaderId;
    use crate::request::RecordKey;

    const ALL: usize = usize::MAX;

    fn begin(shard: &mut Shard, request: &Request<&str>) -> Work {
        match shard.execute(request, &mut Vec::new()) {
            Ok(Outcome::Change(work)) => work,
            _ => panic!("{request:?} is done in one step"),
        }
    }

    /// Steps a change to its end; after each step but the last, `between` gets the shard.
    fn carry_out(shard: &mut Shard, request: &Request<&str>, mut between: impl FnMut(&mut Shard)) -> usize {
        let mut steps = 1;
        if let Ok(Outcome::Change(mut work)) = shard.execute(request, &mut Vec::new()) {
            while shard.step(&mut work) == Progress::More {
                between(shard);
                steps += 1;
            }
        }
        steps
    }

    fn records<'a>(names: &'a [String], data: &'a str) -> Vec<Record<&'a str>> {
        let record = |name: &'a String| Record { collection: name.as_str(), document: "d", ts: 1, data };
        names.iter().map(record).collect()
    }

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|number| number.to_string()).collect()
    }

    fn taken(shard: &mut Shard, reader: ReaderId) -> usize {
        shard.feed_mut().take(reader, ALL).map_or(0, |batch| batch.len())
    }

    #[test]
    fn a_long_insertion_and_its_deletion_let_others_in_between() {
        let mut shard = Shard::new();
        let reader = shard.feed_mut().open_reader();
        let names = names(10 * CHANGE_COLLECTIONS);
        let request = Request::Insert(records(&names, "x"));
        let mut work = begin(&mut shard, &request);
        assert_eq!(shard.record_count(), 0, "it hasn't begun");
        assert_eq!(shard.step(&mut work), Progress::More);
        assert_eq!(shard.record_count(), CHANGE_ITEMS);
        let one = Request::SetValue { collection: "other", key: "k", value: "v" };
        assert!(matches!(shard.execute(&one, &mut Vec::new()), Ok(Outcome::Done)));
        assert_eq!(taken(&mut shard, reader), 0, "no batch has a part of a request");
        while shard.step(&mut work) == Progress::More {}
        assert_eq!((shard.record_count(), taken(&mut shard, reader)), (names.len(), names.len() + 1));

        let everywhere = Request::DeleteDocument { document: "d", collection: None };
        let mut left = names.len();
        let steps = carry_out(&mut shard, &everywhere, |shard| {
            assert!((left - shard.record_count()) <= CHANGE_COLLECTIONS);
            left = shard.record_count();
        });
        assert!(steps >= 10, "{steps}");
        assert_eq!((shard.collection_count(), taken(&mut shard, reader)), (1, names.len()));
    }

    #[test]
    fn a_list_that_is_not_long_is_done_at_once() {
        let names = names(CHANGE_AT_ONCE_ITEMS);
        let request = Request::Insert(records(&names, "x"));
        let mut shard = Shard::new();
        assert!(!request.may_take_steps());
        assert!(matches!(shard.execute(&request, &mut Vec::new()), Ok(Outcome::Done)));
        assert_eq!(shard.record_count(), CHANGE_AT_ONCE_ITEMS);
    }

    #[test]
    fn a_step_takes_so_much_text_but_always_a_record() {
        let data = "x".repeat(CHANGE_TEXT_BYTES / 2 + 1);
        let names = names(6);
        let mut shard = Shard::new();
        let request = Request::Insert(records(&names, &data));
        assert_eq!(carry_out(&mut shard, &request, |_| ()), 6);
        assert_eq!(shard.record_count(), 6);
    }

    #[test]
    fn a_range_goes_in_steps_from_its_beginning() {
        let data = "x".repeat(crate::limits::CHUNK_TEXT_BYTES);
        let count = (3 * CHANGE_CHUNKS + 10) as i64;
        let mut shard = Shard::new();
        let mut document = shard.load_document("c", "d");
        (0..count).for_each(|ts| document.put(ts, &data));
        drop(document);
        let reader = shard.feed_mut().open_reader();
        let range = |from, to| Request::DeleteRange { collection: "c", document: "d", from, to };
        let mut steps_seen = 0;
        let steps = carry_out(&mut shard, &range(0, count - 3), |shard| {
            // What was put behind its position in between is not deleted.
            let put = usize::from(steps_seen > 0);
            steps_seen += 1;
            assert_eq!(shard.record_count() - put, count as usize - steps_seen * CHANGE_CHUNKS);
            let record = Record { collection: "c", document: "d", ts: 0, data: "new" };
            carry_out(shard, &Request::Insert(vec![record]), |_| ());
        });
        assert_eq!((steps, shard.record_count()), (4, 3));
        assert_eq!(taken(&mut shard, reader), 4 + 3);
        carry_out(&mut shard, &range(0, 0), |_| ());
        assert!(
            matches!(shard.execute(&range(0, 9), &mut Vec::new()), Ok(Outcome::Done)),
            "nothing is there"
        );
    }

    #[test]
    fn single_deletions_go_in_steps_and_a_packet_is_not_copied() {
        let mut shard = Shard::new();
        let names = names(CHANGE_AT_ONCE_ITEMS + CHANGE_ITEMS);
        carry_out(&mut shard, &Request::Insert(records(&names, "x")), |_| ());
        let keys = names.iter().map(|name| RecordKey { collection: name.as_str(), document: "d", ts: 1 });
        let packet = Packet::new(&Request::DeleteRecords(keys.collect()));
        let Ok(Outcome::Change(mut work)) = shard.execute_packet(packet, &mut Vec::new()) else {
            panic!("it is done in one step")
        };
        let mut steps = 1;
        while shard.step(&mut work) == Progress::More {
            steps += 1;
        }
        assert_eq!((steps, shard.collection_count()), (CHANGE_AT_ONCE_ITEMS / CHANGE_ITEMS + 1, 0));
    }

    #[test]
    fn a_reader_that_waits_lets_no_further_change_begin() {
        let mut shard = Shard::new();
        let reader = shard.feed_mut().open_reader();
        let names = names(CHANGE_AT_ONCE_ITEMS + CHANGE_ITEMS);
        let request = Request::Insert(records(&names, "x"));
        let mut first = begin(&mut shard, &request);
        let mut second = begin(&mut shard, &request);
        assert_eq!(shard.step(&mut first), Progress::More);
        assert_eq!(taken(&mut shard, reader), 0);
        let before = shard.feed().next_number();
        assert_eq!((shard.step(&mut second), shard.feed().next_number()), (Progress::More, before));
        while shard.step(&mut first) == Progress::More {}
        assert_eq!(shard.step(&mut second), Progress::More);
        assert_eq!(taken(&mut shard, reader), names.len(), "the first change alone");
        while shard.step(&mut second) == Progress::More {}
        assert_eq!(taken(&mut shard, reader), names.len());
    }
}
