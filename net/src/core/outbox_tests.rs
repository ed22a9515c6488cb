use super::*;

const SMALL: Reservation = Reservation { bytes: 0, alone: false };

fn source(ready: &[u8], rest: Option<u64>) -> Source {
    Source { ready: Some(ready.to_vec()), rest: rest.map(|id| (0, StreamId(id))), pulled: false }
}

fn outbox() -> Outbox {
    Outbox::new(Vec::new())
}

#[test]
fn a_large_reply_leaves_in_fragments_and_the_next_reply_waits_for_it() {
    let mut outbox = outbox();
    assert!(outbox.send_pieces([source(b"[1", Some(7)), source(b",3", None)].into(), b"]").is_empty());
    assert!(outbox.draft(false).is_none());
    outbox.send(b"next".to_vec());
    assert_eq!(outbox.pump(), Some((0, StreamId(7))));
    assert_eq!(outbox.pump(), None, "a piece is asked for once");
    outbox.take_piece(StreamId(7), b",2".to_vec(), true);
    assert_eq!(outbox.pump(), None);
    let sent = b"\x01\x02[1\x00\x02,2\x00\x02,3\x80\x01]\x81\x04next";
    assert_eq!(outbox.unsent(), sent);
    outbox.take_piece(StreamId(7), b"late".to_vec(), true);
    assert_eq!(outbox.pump(), None);
    assert_eq!(outbox.unsent(), sent);
}

#[test]
fn a_draft_is_sent_or_leaves_nothing() {
    let mut outbox = outbox();
    for (long, payload) in [(false, vec![b'a'; 3]), (false, vec![b'b'; 200]), (true, vec![b'c'; 3])] {
        let before = outbox.unsent().len();
        let mut draft = outbox.draft(long).unwrap();
        draft.bytes.extend_from_slice(&payload);
        outbox.send_draft(draft);
        let mut expected = Vec::new();
        frame::put_text(&mut expected, &payload);
        assert_eq!(outbox.unsent()[before..], expected);
        let mut draft = outbox.draft(long).unwrap();
        draft.bytes.push(b'x');
        outbox.drop_draft(draft);
        assert_eq!(outbox.unsent().len(), before + expected.len());
    }
}

#[test]
fn nothing_is_pumped_above_the_high_mark() {
    let mut outbox = outbox();
    outbox.send(vec![b'x'; OUT_HIGH_BYTES]);
    assert!(!outbox.admits());
    assert!(outbox.send_pieces([source(b"1", Some(7))].into(), b"").is_empty());
    assert_eq!(outbox.pump(), None);
    outbox.advance(outbox.unsent().len());
    assert_eq!(outbox.pump(), Some((0, StreamId(7))));
    assert!(outbox.admits());
}

#[test]
fn a_long_body_that_others_get_too_is_copied_as_it_is_taken() {
    let body: Arc<[u8]> = vec![b'x'; 2 * PUSHES_WAITING_BYTES].into();
    let mut outbox = outbox();
    assert!(outbox.has_room_for_pushes());
    for _ in 0..3 {
        outbox.send_shared(b"h", &body);
    }
    assert!(!outbox.has_unsent() && !outbox.has_room_for_pushes());
    assert!(outbox.held_bytes() > 3 * body.len(), "what waits is counted");
    let mut sent = Vec::new();
    while outbox.is_backlogged() {
        assert_eq!(outbox.pump(), None);
        assert!(outbox.unsent().len() < 2 * PUSHES_WAITING_BYTES);
        sent.extend_from_slice(outbox.unsent());
        outbox.advance(outbox.unsent().len());
    }
    let mut expected = Vec::new();
    for _ in 0..3 {
        let mut started = false;
        put_fragment(&mut expected, &mut started, false, false, b"h");
        let (first, second) = body.split_at(PUSHES_WAITING_BYTES);
        put_fragment(&mut expected, &mut started, false, false, first);
        put_fragment(&mut expected, &mut started, false, true, second);
    }
    assert!(sent == expected && outbox.has_room_for_pushes());
    outbox.send_shared(b"h", &body[..1].into());
    outbox.send(b"r".to_vec());
    assert_eq!(outbox.unsent(), b"\x81\x02hx\x81\x01r");
}

#[test]
fn the_window_bounds_what_is_in_flight() {
    const BYTES: usize = 64 * 1024;
    let large = Reservation { bytes: BYTES, alone: false };
    let mut outbox = outbox();
    for _ in 0..WINDOW_BYTES / BYTES {
        assert!(outbox.admits());
        outbox.begin(large);
    }
    assert!(!outbox.admits());
    outbox.end(large);
    assert!(outbox.admits());
    for _ in 0..IN_FLIGHT_MAX {
        outbox.begin(SMALL);
    }
    assert!(!outbox.admits());
}

#[test]
fn what_is_to_be_alone_holds_the_next_back() {
    let mut outbox = outbox();
    let alone = Reservation { bytes: 1, alone: true };
    outbox.begin(alone);
    outbox.begin(alone);
    outbox.end(alone);
    assert!(!outbox.admits(), "a part of it is still under way");
    outbox.end(alone);
    assert!(outbox.admits());
}

#[test]
fn a_close_waits_for_replies_and_nothing_follows_it() {
    let mut outbox = outbox();
    outbox.begin(SMALL);
    outbox.close_after_replies(1008, "no");
    assert!(!outbox.has_unsent());
    outbox.pong(b"x");
    assert!(!outbox.has_unsent(), "a peer that is on its way out gets no pongs");
    outbox.end(SMALL);
    outbox.send(b"r".to_vec());
    assert_eq!(outbox.pump(), None);
    assert_eq!(outbox.unsent(), b"\x81\x01r\x88\x04\x03\xf0no");
    outbox.send(b"late".to_vec());
    outbox.ping();
    assert_eq!(outbox.unsent().len(), 9);
}

#[test]
fn closing_at_once_abandons_what_is_being_read() {
    let mut outbox = outbox();
    assert!(outbox.send_pieces([source(b"1", Some(7)), source(b"2", Some(8))].into(), b"").is_empty());
    assert_eq!(outbox.close_now(Some(1002), ""), [(0, StreamId(7)), (0, StreamId(8))]);
    assert_eq!(outbox.send_pieces([source(b"1", Some(9))].into(), b""), [(0, StreamId(9))]);
}
