//! Documents whose chunks are sealed, opened and sealed again.

use super::*;
use crate::chunk::{Blocks, Chunk, ChunkSizes, OpenChunk};
use crate::sealed::Sealer;
use crate::sealing::Unit;

const SIZES: ChunkSizes = ChunkSizes {
    records: 50,
    text_bytes: 100_000,
    sealed_records: 100,
    sealed_text_bytes: 100_000,
    open_records: 20,
    work_records: 400,
    seals: true,
};

type Expected = std::collections::BTreeMap<i64, String>;

fn text(ts: i64) -> String {
    format!("{{\"value\":{ts}.5,\"state\":\"good\"}}")
}

/// A document with records at all even times below twice the count, and what is in it.
fn filled(count: i64) -> (Document, Expected) {
    let mut document = Document::new("d");
    let expected: Expected = (0..count).map(|number| (2 * number, text(number))).collect();
    for (&ts, data) in &expected {
        document.put(ts, data, &SIZES);
    }
    (document, expected)
}

fn put_back(document: &mut Document, units: Vec<Unit>) -> usize {
    let mut sealer = Sealer::default();
    let put = |unit: Unit| {
        let sealed = sealer.seal(unit.iter().flat_map(|chunk| chunk.records().each()), None).unwrap();
        document.put_sealed(&unit, sealed)
    };
    units.into_iter().map(put).sum()
}

/// Seals all that may be.
fn seal(document: &mut Document) -> usize {
    let mut count = 0;
    loop {
        let units = document.take_units(&SIZES);
        if units.is_empty() {
            return count;
        }
        count += put_back(document, units);
    }
}

/// How many chunks are sealed, and how many are not.
fn kinds(document: &Document) -> (usize, usize) {
    let open = document.chunks.iter().filter(|chunk| chunk.unsealed().is_some()).count();
    (document.chunks.len() - open, open)
}

fn assert_holds(document: &Document, expected: &Expected) {
    document.check();
    let records = document.records(&mut Blocks::default());
    assert!(records.iter().map(|(ts, data)| (ts, data)).eq(expected.iter()));
}

#[test]
fn filled_chunks_are_sealed_and_the_newest_stay_open() {
    let (mut document, expected) = filled(1030);
    let bytes = document.bytes();
    assert_eq!((seal(&mut document), kinds(&document)), (1000, (10, 1)));
    assert!(document.bytes() < bytes / 4, "{} of {bytes}", document.bytes());
    assert_holds(&document, &expected);
    let (chunk, index) = document.newest_through(701).unwrap();
    assert_eq!(Blocks::default().one(chunk, index).data(index), text(350));
    assert_eq!(document.newest(), Some((2058, text(1029).as_str())));
}

#[test]
fn a_late_record_opens_a_chunk_that_is_sealed_again_when_left_alone() {
    let (mut document, mut expected) = filled(1030);
    seal(&mut document);
    for ts in [301, 300, 303] {
        document.put(ts, "late", &SIZES);
        expected.insert(ts, "late".into());
        assert_holds(&document, &expected);
        assert_eq!(kinds(&document).0, 9, "one chunk is opened, once");
    }
    assert_eq!(seal(&mut document), 0, "more of them may follow");
    assert!(!document.cool(&SIZES));
    document.put(305, "later", &SIZES);
    expected.insert(305, "later".into());
    assert!(!document.cool(&SIZES), "there was one more");
    assert!(document.cool(&SIZES) && document.is_open_inside());
    assert_eq!((seal(&mut document), kinds(&document)), (103, (10, 1)));
    assert_holds(&document, &expected);
    assert!(!document.cool(&SIZES) && !document.is_open_inside());
}

#[test]
fn whole_chunks_are_deleted_as_they_are_and_a_range_opens_at_most_two() {
    let (mut document, mut expected) = filled(1030);
    seal(&mut document);
    let mut freed = Vec::new();
    let mut delete = |document: &mut Document, from, to| {
        expected.retain(|&ts, _| ts < from || ts > to);
        document.delete_range(from, to, &SIZES, &mut freed);
        assert_holds(document, &expected);
        kinds(document)
    };
    // A sealed chunk has a hundred records, at even times.
    assert_eq!(delete(&mut document, 200, 599), (8, 1));
    assert_eq!(delete(&mut document, 601, 601), (8, 1), "there is none at that time");
    assert_eq!(delete(&mut document, 801, 1201), (5, 4), "the two at the ends are opened");
    assert_eq!(delete(&mut document, 1800, i64::MAX), (3, 5), "the last is open");
    assert_eq!(delete(&mut document, i64::MIN, i64::MAX), (0, 0));
}

#[test]
fn what_was_changed_meanwhile_is_not_put_in_place() {
    let (mut document, mut expected) = filled(430);
    let units = document.take_units(&SIZES);
    assert_eq!(units.len(), 4);
    document.put(300, "changed", &SIZES);
    expected.insert(300, "changed".into());
    document.delete_range(600, 700, &SIZES, &mut Vec::new());
    expected.retain(|&ts, _| !(600..=700).contains(&ts));
    let again = units.clone();
    assert_eq!(put_back(&mut document, units), 200);
    assert_holds(&document, &expected);
    assert_eq!(put_back(&mut document, again), 0, "they are there already");
    assert_holds(&document, &expected);
}

#[test]
fn records_in_any_order_are_sealed_in_the_end() {
    for step in [1, 77, 1029] {
        let (mut document, mut expected) = (Document::new("d"), Expected::new());
        for number in 0..1030 {
            let ts = number * step % 1030;
            document.put(ts, &text(ts), &SIZES);
            expected.insert(ts, text(ts));
            if number % 100 == 0 {
                seal(&mut document);
            }
        }
        for _ in 0..3 {
            document.cool(&SIZES);
            seal(&mut document);
        }
        assert_holds(&document, &expected);
        let open = document.chunks.iter().filter_map(Chunk::unsealed).map(OpenChunk::len).sum::<usize>();
        assert!(open < 200, "{open} records are open with steps of {step}");
    }
}
