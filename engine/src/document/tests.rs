//! Documents of chunks that are open.

use super::*;
use crate::chunk::{Chunk, ChunkSizes};
use crate::limits::{CHUNK_RECORDS, CHUNK_TEXT_BYTES};

fn text(chunk: &Chunk, index: usize) -> &str {
    chunk.unsealed().unwrap().records().data(index)
}

fn filled(times: impl Iterator<Item = i64>) -> Document {
    let mut document = Document::new("d");
    times.for_each(|ts| {
        document.put(ts, &format!("{ts:048}"), &ChunkSizes::default());
    });
    document.check();
    document
}

#[test]
fn any_order_gives_the_same_records() {
    let scattered = filled((0..5000).map(|number| number * 1777 % 5000));
    let backwards = filled((0..5000).rev());
    for document in [&filled(0..5000), &scattered, &backwards] {
        assert_eq!(document.record_count(), 5000);
        assert!(
            document.chunks.iter().count() <= 2 * 5000 / CHUNK_RECORDS + 2,
            "{}",
            document.chunks.iter().count()
        );
        let (chunk, index) = document.newest_through(4321).unwrap();
        assert_eq!(chunk.ts(index), 4321);
    }
    assert!(scattered.newest_through(-1).is_none());
}

#[test]
fn large_records_take_chunks_of_their_own() {
    let mut document = filled(0..100);
    let large = "x".repeat(2 * CHUNK_TEXT_BYTES);
    for ts in [50, 1000, -5, 75, 50] {
        document.put(ts, &large, &ChunkSizes::default());
        document.check();
        let (chunk, index) = document.newest_through(ts).unwrap();
        assert_eq!((text(chunk, index).len(), chunk.len()), (large.len(), 1));
    }
    document.put(50, "small", &ChunkSizes::default());
    document.check();
    assert_eq!(document.record_count(), 102);
}

#[test]
fn ranges_vanish_and_neighbours_join() {
    let mut freed = Vec::new();
    let mut document = filled(0..5000);
    assert_eq!(document.delete_range(10, 4989, &ChunkSizes::default(), &mut freed), 4980);
    document.check();
    assert_eq!((document.chunks.iter().count(), document.record_count()), (1, 20));
    for ts in (0..10).chain(4990..5000) {
        let (chunk, index) = document.newest_through(ts).unwrap();
        assert_eq!(text(chunk, index), format!("{ts:048}"));
    }
    assert_eq!(
        document.delete_range(11, 10, &ChunkSizes::default(), &mut freed)
            + document.delete_range(10, 4989, &ChunkSizes::default(), &mut freed),
        0
    );
    assert_eq!(document.delete_range(5, 5, &ChunkSizes::default(), &mut freed), 1);
    assert_eq!(document.delete_range(i64::MIN, i64::MAX, &ChunkSizes::default(), &mut freed), 19);
    assert!(document.is_empty());
}

/// Backed by the count of what the allocator is asked for: the capacity of the columns, not their length.
#[test]
fn a_record_costs_its_text_and_at_most_fourteen_bytes() {
    let document = filled(0..17_000);
    let bytes: usize = document.chunks.iter().map(|chunk| chunk.unsealed().unwrap().allocated_bytes()).sum();
    let per_record = (bytes + document.chunks.iter().count() * size_of::<Chunk>()) as f64 / 17_000.0;
    println!("{per_record:.2} bytes a record");
    assert!(per_record <= 62.0, "{per_record}");
}
