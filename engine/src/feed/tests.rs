use super::*;
use crate::limits::SEGMENT_CHANGES;

const ALL: usize = usize::MAX;

fn push(feed: &mut Feed, times: std::ops::Range<i64>) {
    for ts in times {
        feed.push(Change::Put { collection: "c", document: "d", ts, data: "x" });
    }
}

fn request(feed: &mut Feed, times: std::ops::Range<i64>) {
    push(feed, times);
    feed.end_request();
}

/// The times of the changes that a reader takes.
fn take(feed: &mut Feed, reader: ReaderId, about_bytes: usize) -> Option<(u64, Vec<i64>)> {
    let batch = feed.take(reader, about_bytes)?;
    let time = |change| match change {
        Change::Put { ts, .. } => ts,
        other => panic!("{other:?}"),
    };
    Some((batch.first_number(), batch.changes().map(time).collect()))
}

#[test]
fn nothing_is_kept_without_a_reader_but_all_is_numbered() {
    let mut feed = Feed::new();
    feed.start(100);
    request(&mut feed, 0..3);
    assert_eq!((feed.next_number(), feed.open.bytes(), feed.closed.len()), (103, 0, 0));
    let reader = feed.open_reader();
    assert!(feed.is_caught_up(reader) && feed.take(reader, ALL).is_none());
    request(&mut feed, 3..5);
    assert!(!feed.is_caught_up(reader) && feed.waiting_bytes(reader) > 0);
    assert_eq!(take(&mut feed, reader, ALL), Some((103, vec![3, 4])));
    assert_eq!((feed.is_caught_up(reader), feed.waiting_bytes(reader)), (true, 0));
    request(&mut feed, 5..6);
    feed.close_reader(reader);
    assert_eq!((feed.next_number(), feed.open.bytes(), feed.closed.len()), (106, 0, 0));
    assert!(feed.take(reader, ALL).is_none() && feed.waiting_bytes(reader) == 0 && feed.is_caught_up(reader));
}

#[test]
fn each_reader_has_its_own_position() {
    let mut feed = Feed::new();
    let slow = feed.open_reader();
    request(&mut feed, 0..2);
    let late = feed.open_reader();
    request(&mut feed, 2..4);
    assert_eq!(take(&mut feed, late, ALL), Some((3, vec![2, 3])));
    request(&mut feed, 4..5);
    assert!(feed.waiting_bytes(slow) > feed.waiting_bytes(late));
    assert_eq!(take(&mut feed, slow, ALL), Some((1, vec![0, 1, 2, 3, 4])));
    assert_eq!(feed.closed.len(), 1, "what all have taken is dropped");
    feed.close_reader(late);
    assert_eq!((feed.closed.len(), feed.waiting_bytes(slow)), (0, 0));
}

#[test]
fn a_batch_has_about_so_many_bytes_and_never_a_part_of_a_request() {
    let mut feed = Feed::new();
    let reader = feed.open_reader();
    let long = 2 * SEGMENT_CHANGES + 5;
    request(&mut feed, 0..10);
    request(&mut feed, 10..long as i64);
    for ts in long..2 * long {
        request(&mut feed, ts as i64..ts as i64 + 1);
    }
    let waiting = feed.waiting_bytes(reader);
    let first = feed.take(reader, 1).unwrap();
    // It was cut into three segments, the last of which then had room for shorter requests.
    assert_eq!((first.first_number(), first.len()), (1, 3 * SEGMENT_CHANGES), "the long request is whole");
    assert_eq!(waiting, first.bytes() + feed.waiting_bytes(reader));
    let second = feed.take(reader, 1).unwrap();
    assert_eq!((second.first_number() as usize, second.len()), (first.len() + 1, SEGMENT_CHANGES));
    let rest = feed.take(reader, ALL).unwrap();
    assert_eq!(rest.len(), 2 * long - first.len() - second.len());
    assert!(feed.is_caught_up(reader));
}

#[test]
fn no_batch_ends_while_a_change_goes_on_in_steps() {
    let mut feed = Feed::new();
    let reader = feed.open_reader();
    request(&mut feed, 0..2);
    assert!(feed.begin_steps());
    push(&mut feed, 2..3);
    request(&mut feed, 3..4);
    assert_eq!(take(&mut feed, reader, ALL), Some((1, vec![0, 1])), "up to where the change began");
    let in_the_middle = feed.open_reader();
    assert!(feed.begin_steps(), "nobody waits yet");
    push(&mut feed, 4..5);
    assert_eq!(take(&mut feed, reader, ALL), None);
    assert!(!feed.begin_steps(), "a reader waits for a place to end at");
    feed.end_steps();
    assert_eq!(take(&mut feed, reader, ALL), None);
    assert!(!feed.begin_steps());
    feed.end_steps();
    assert!(feed.begin_steps());
    push(&mut feed, 5..6);
    assert_eq!(take(&mut feed, reader, ALL), Some((3, vec![2, 3, 4])));
    assert_eq!(take(&mut feed, in_the_middle, ALL), Some((5, vec![4])));
    feed.end_steps();
    assert_eq!(take(&mut feed, reader, ALL), Some((6, vec![5])));
}

#[test]
fn a_change_whose_steps_entered_nothing_more_can_be_taken() {
    let mut feed = Feed::new();
    let reader = feed.open_reader();
    assert!(feed.begin_steps());
    push(&mut feed, 0..1);
    let other = feed.open_reader();
    assert_eq!(take(&mut feed, reader, ALL), None);
    feed.end_steps();
    assert_eq!(take(&mut feed, reader, ALL), Some((1, vec![0])));
    assert_eq!((feed.is_caught_up(other), take(&mut feed, other, ALL)), (true, None));
}
