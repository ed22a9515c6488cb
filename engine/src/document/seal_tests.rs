//! Documents whose chunks are sealed, opened and sealed again.

use super::*;
use crate::chunk::{Blocks, Chunk, ChunkSizes, OpenChunk};
use crate::limits::{PATCHES_COLD, PATCHES_DUE};
use crate::sealed::{Sealed, Sealer};
use crate::sealing::{Place, SealingWork, Unit};

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
        let sealed = seal_unit(&mut sealer, &unit);
        document.put_sealed(&unit, sealed)
    };
    units.into_iter().map(put).sum()
}

fn seal_unit(sealer: &mut Sealer, unit: &Unit) -> Sealed {
    let place = Place { collection: 0, document: 0 };
    let work = SealingWork { place, units: vec![unit.clone()] };
    work.run(sealer).units.pop().unwrap().1.unwrap()
}

/// Looks at all of it once, as a round does; returns whether something is to be sealed.
fn cool(document: &mut Document) -> bool {
    loop {
        match document.cool(&SIZES, &mut 3) {
            Looked::Partly => {}
            looked => return looked == Looked::Due,
        }
    }
}

/// Seals all that may be.
fn seal(document: &mut Document) -> usize {
    let mut count = 0;
    loop {
        let (units, has_more) = document.take_units(&SIZES);
        if units.is_empty() && !has_more {
            return count;
        }
        count += put_back(document, units);
    }
}

/// How many chunks are sealed, and how many are not.
fn kinds(document: &Document) -> (usize, usize) {
    let open = document.chunks.iter().filter(|chunk| chunk.unsealed().is_some()).count();
    (document.chunks.iter().count() - open, open)
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

/// How many chunks have patches.
fn patched(document: &Document) -> usize {
    document.chunks.iter().filter(|chunk| chunk.patch_count() > 0).count()
}

#[test]
fn late_records_are_noted_beside_a_sealed_chunk_and_sealed_with_it_when_they_are_many() {
    let (mut document, mut expected) = filled(1030);
    seal(&mut document);
    for (number, ts) in [301, 300, 303, 305, 301].into_iter().enumerate() {
        assert!(!document.put(ts, &"late".repeat(number), &SIZES));
        expected.insert(ts, "late".repeat(number));
        assert_holds(&document, &expected);
        assert_eq!((kinds(&document), patched(&document)), ((10, 1), 1), "nothing is opened");
    }
    document.delete_range(302, 302, &SIZES, &mut Vec::new());
    expected.remove(&302);
    assert_holds(&document, &expected);
    for _ in 0..5 {
        cool(&mut document);
        seal(&mut document);
    }
    assert_eq!(patched(&document), 1, "few are left where they are");
    let mut is_due = false;
    for number in 0..PATCHES_DUE as i64 {
        let ts = 400 + 2 * number + 1;
        is_due |= document.put(ts, "more", &SIZES);
        expected.insert(ts, "more".into());
    }
    assert!(is_due);
    assert_eq!((seal(&mut document), patched(&document)), (100 + PATCHES_DUE, 1));
    assert_holds(&document, &expected);
    for number in 0..PATCHES_COLD as i64 {
        document.put(601 + 2 * number, "more", &SIZES);
        expected.insert(601 + 2 * number, "more".into());
    }
    assert!(!cool(&mut document) && seal(&mut document) == 0, "more may follow");
    assert!(cool(&mut document));
    assert_eq!((seal(&mut document), patched(&document)), (100 + PATCHES_COLD, 1));
    assert_holds(&document, &expected);
}

#[test]
fn a_chunk_with_too_many_late_records_is_opened_and_sealed_again_when_left_alone() {
    let (mut document, mut expected) = filled(1030);
    seal(&mut document);
    let mut was_opened = false;
    for number in 0..400 {
        let ts = 1001 + number % 100 * 2;
        let data = "late ".repeat(200 + number as usize);
        document.put(ts, &data, &SIZES);
        expected.insert(ts, data);
        was_opened |= kinds(&document).1 > 1;
        if number % 50 == 0 {
            assert_holds(&document, &expected);
        }
    }
    assert!(was_opened && kinds(&document).1 > 1);
    for _ in 0..4 {
        cool(&mut document);
        seal(&mut document);
    }
    assert_holds(&document, &expected);
    assert_eq!(kinds(&document).1, 1, "all but the newest record is sealed");
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
    assert_eq!(delete(&mut document, 801, 1241), (5, 4), "the two at the ends are opened");
    assert_eq!(delete(&mut document, 1800, i64::MAX), (3, 5), "the last is open");
    assert_eq!(delete(&mut document, i64::MIN, i64::MAX), (0, 0));
}

#[test]
fn what_was_changed_meanwhile_is_not_put_in_place() {
    let (mut document, mut expected) = filled(430);
    let (units, _) = document.take_units(&SIZES);
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
            cool(&mut document);
            seal(&mut document);
        }
        assert_holds(&document, &expected);
        let open = document.chunks.iter().filter_map(Chunk::unsealed).map(OpenChunk::len).sum::<usize>();
        assert!(open < 200, "{open} records are open with steps of {step}");
    }
}

#[test]
fn the_newest_but_one_are_sealed_when_nothing_comes_and_small_parts_become_one() {
    let (mut document, mut expected) = filled(70);
    let mut parts = Vec::new();
    for round in 0..8 {
        assert!(!cool(&mut document) && !cool(&mut document), "something came");
        assert_eq!(seal(&mut document), 0);
        assert!(cool(&mut document));
        seal(&mut document);
        assert_holds(&document, &expected);
        let (sealed, open) = kinds(&document);
        assert_eq!((open, document.newest().map(|(ts, _)| ts)), (1, expected.keys().last().copied()));
        parts.push(sealed);
        for number in 0..17 {
            let ts = 1000 * (round + 1) + number;
            document.put(ts, "more", &SIZES);
            expected.insert(ts, "more".into());
        }
    }
    assert!(parts.iter().all(|&parts| parts <= 4), "{parts:?}");
    assert_holds(&document, &expected);
}

#[test]
fn a_chunk_given_out_in_vain_is_sealed_later() {
    let (mut document, mut expected) = filled(430);
    document.put(301, "late", &SIZES);
    expected.insert(301, "late".into());
    let (units, _) = document.take_units(&SIZES);
    // Its neighbour in the unit is changed, so it stays, full and warm.
    document.put(201, "meanwhile", &SIZES);
    expected.insert(201, "meanwhile".into());
    put_back(&mut document, units);
    for _ in 0..4 {
        cool(&mut document);
        seal(&mut document);
    }
    assert_holds(&document, &expected);
    assert_eq!(kinds(&document).1, 1, "only the newest record is open");
}

#[test]
fn a_document_of_many_chunks_is_looked_at_in_parts() {
    let sizes = ChunkSizes { records: 1, sealed_records: 1, open_records: 1, work_records: 20_000, ..SIZES };
    let mut document = Document::new("d");
    for ts in 0..5000 {
        document.put(2 * ts, "x", &sizes);
    }
    let mut sealer = Sealer::default();
    let mut rounds = 0;
    loop {
        let (units, has_more) = document.take_units(&sizes);
        assert!(units.len() <= crate::limits::SEALING_LOOK_CHUNKS + 1, "{}", units.len());
        if units.is_empty() && !has_more {
            break;
        }
        rounds += 1;
        for unit in units {
            let sealed = seal_unit(&mut sealer, &unit);
            document.put_sealed(&unit, sealed);
        }
    }
    assert!(rounds >= 4 && kinds(&document) == (4999, 1), "{rounds}");
    document.put(1001, "late", &sizes);
    document.put(8001, "late", &sizes);
    let mut steps = 0;
    loop {
        let mut looks = 100;
        steps += 1;
        if document.cool(&sizes, &mut looks) != Looked::Partly {
            break;
        }
        assert_eq!(looks, 0);
    }
    assert!(steps > 40, "{steps}");
}

#[test]
fn more_stays_open_for_a_while_where_records_keep_coming_late() {
    let (mut document, mut expected) = filled(430);
    for lateness in 1..=3 {
        let late = 860 + 2 * lateness;
        for number in 0..200 {
            let ts = 1000 * lateness + 2 * number;
            document.put(ts, "more", &SIZES);
            expected.insert(ts, "more".into());
        }
        let (units, _) = document.take_units(&SIZES);
        let first = 1000 * (lateness - 1);
        let late = if lateness == 1 { 301 } else { first + late % 2 + 201 };
        document.put(late, "late", &SIZES);
        expected.insert(late, "late".into());
        put_back(&mut document, units);
        assert_eq!(i64::from(document.sealing.lateness), lateness);
        assert_holds(&document, &expected);
    }
    for number in 0..2000 {
        document.put(5000 + number, "more", &SIZES);
        expected.insert(5000 + number, "more".into());
        seal(&mut document);
        let open = document.chunks.iter().filter_map(Chunk::unsealed).map(OpenChunk::len).sum::<usize>();
        assert!(open >= SIZES.open_records << 3, "{open}");
    }
    cool(&mut document);
    assert_eq!(document.sealing.lateness, 2, "until it has been seen no more");
    assert_holds(&document, &expected);
}
