//! Subscriptions against a server that loses them at every point, ends them, and misbehaves.

#![allow(clippy::unwrap_used, reason = "clippy.toml spares unit tests only, and all of this is tests")]

use fluxion_client::{
    Change, Error, Event, Mode, Push, Record, Reset, SnapshotPart, Subscription, SubscriptionQuery,
};
use fluxion_testkit::peer::{Listener, Peer};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};
use tungstenite::Message;
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{Data, OpCode};

fn latest() -> SubscriptionQuery {
    SubscriptionQuery::new("c")
}

fn open(listener: &Listener, query: SubscriptionQuery) -> Subscription {
    Subscription::open(listener.options(), query).unwrap()
}

/// The next event in short: the cursor of a push, or a word.
fn next(subscription: &mut Subscription) -> String {
    match subscription.next() {
        Some(Ok(Event::Push(push))) => push.cursor,
        Some(Ok(Event::Lost(_))) => "lost".into(),
        Some(Ok(Event::Ended(reason))) => format!("ended: {reason}"),
        Some(Ok(Event::Resumed)) => "resumed".into(),
        Some(Ok(Event::Reset(why))) => format!("reset: {why:?}"),
        Some(Ok(other)) => panic!("{other:?}"),
        Some(Err(error)) => format!("error: {error}"),
        None => "over".into(),
    }
}

fn push(subscription: &mut Subscription) -> Push {
    match subscription.next().unwrap().unwrap() {
        Event::Push(push) => push,
        other => panic!("{other:?} instead of a push"),
    }
}

fn record(ts: i64) -> Value {
    json!({"ts": ts, "data": "x"})
}

#[test]
fn what_is_there_comes_first_and_changes_follow() {
    let listener = Listener::start(1, |_, peer| {
        let request = peer.accept("1-5", json!({}));
        assert_eq!(request.data, json!({"col": "c", "doc": "/^t/", "every": 250}));
        let name = request.id;
        peer.push(
            &name,
            "1-5",
            json!({"snapshot": "part", "reset": true, "records": {"t1": record(1), "t2": record(2)}}),
        );
        peer.push(&name, "1-5", json!({"snapshot": "done", "records": {"t3": record(3)}}));
        peer.say(&json!({"type": "news", "of": "a later version"}));
        peer.push("another", "1-6", json!({"records": {"t1": null}}));
        peer.push(&name, "1-7", json!({"records": {"t1": record(9), "t2": null}}));
        peer.hear();
    });
    let mut subscription = open(&listener, latest().document("/^t/").every(Duration::from_millis(250)));
    let mut newest = BTreeMap::new();
    let first = push(&mut subscription);
    assert!(first.reset && first.snapshot == Some(SnapshotPart::Part) && subscription.cursor().is_none());
    first.fold_into(&mut newest);
    push(&mut subscription).fold_into(&mut newest);
    assert_eq!((newest.len(), subscription.cursor()), (3, Some("1-5")));
    push(&mut subscription).fold_into(&mut newest);
    let times: Vec<_> = newest.iter().map(|(document, record)| (document.as_str(), record.ts)).collect();
    assert_eq!((times, subscription.cursor()), (vec![("t1", 9), ("t3", 3)], Some("1-7")));
    drop(subscription);
    listener.finish();
}

/// The whole conversation that the next test cuts: a snapshot in two parts, and two changes. With a cursor, it goes on
/// behind that.
fn converse(peer: &mut Peer, pushes: usize) {
    let request = peer.hear().unwrap();
    let steps = [
        ("5", json!({"snapshot": "part", "reset": true, "records": {"a": record(1)}})),
        ("5", json!({"snapshot": "done", "records": {"b": record(1)}})),
        ("6", json!({"records": {"a": null}})),
        ("7", json!({"records": {"c": record(3)}})),
    ];
    let behind = match request.data.get("since").and_then(Value::as_str) {
        None => 0,
        Some("5") => 2,
        Some("6") => 3,
        Some("7") => 4,
        Some(other) => panic!("since {other}"),
    };
    let resumed = if behind == 0 { json!({}) } else { json!({"resumed": true}) };
    let mut reply = json!({"id": request.id, "cursor": "7"});
    reply.as_object_mut().unwrap().extend(resumed.as_object().unwrap().clone());
    peer.say(&reply);
    for (cursor, members) in steps.iter().skip(behind).take(pushes) {
        peer.push(&request.id, cursor, members.clone());
    }
}

#[test]
fn a_connection_may_be_lost_at_every_point() {
    for lost_after in 0..=4 {
        let listener = Listener::start(2, move |number, peer| {
            converse(peer, if number == 0 { lost_after } else { 4 });
            if number == 1 {
                peer.hear();
            }
        });
        let mut subscription = open(&listener, latest());
        let mut newest = BTreeMap::new();
        let mut told = Vec::new();
        while !told.contains(&"resumed") && !told.contains(&"cut short") || subscription.cursor() != Some("7")
        {
            match subscription.next().unwrap().unwrap() {
                Event::Push(push) => {
                    told.push("push");
                    push.fold_into(&mut newest);
                }
                Event::Lost(error) => {
                    assert!(matches!(error, Error::Closed { .. } | Error::Broken(_)), "{error}");
                    told.push("lost");
                }
                Event::Resumed => told.push("resumed"),
                Event::Reset(Reset::CutShort) => told.push("cut short"),
                other => panic!("{other:?}"),
            }
        }
        let again = if lost_after < 2 { "cut short" } else { "resumed" };
        // Inside the snapshot all of it comes again, behind it only what is missing.
        let missing = if lost_after < 2 { 4 } else { 4 - lost_after };
        let expected = [vec!["push"; lost_after], vec!["lost", again], vec!["push"; missing]].concat();
        assert_eq!(told, expected, "lost after {lost_after}");
        assert_eq!(newest.keys().collect::<Vec<_>>(), ["b", "c"], "lost after {lost_after}");
        drop(subscription);
        listener.finish();
    }
}

#[test]
fn nothing_pushed_yet_is_resumed_from_the_reply() {
    let listener = Listener::start(3, |number, peer| {
        let (since, more) =
            [(json!(null), json!({})), (json!("3"), json!({"resumed": true}))][number.min(1)].clone();
        // The second reply is ahead of what it still has to push: the cursor stays where it is.
        let request = peer.accept(["3", "8", "9"][number], more);
        assert_eq!(request.data["since"], since, "connection {number}");
        if number == 2 {
            peer.push(&request.id, "8", json!({"changes": [{"doc": "d", "ts": 1, "del": true}]}));
            peer.hear();
        }
    });
    let mut subscription = open(&listener, latest().mode(Mode::All));
    assert_eq!(subscription.cursor(), Some("3"));
    let told: Vec<String> = (0..4).map(|_| next(&mut subscription)).collect();
    assert_eq!(told, ["lost", "resumed", "lost", "resumed"]);
    let changes = push(&mut subscription).changes;
    assert_eq!(changes, [Change::DeleteRecord { document: "d".into(), ts: 1 }]);
    drop(subscription);
    listener.finish();
}

#[test]
fn history_that_is_missing_is_told() {
    let listener = Listener::start(2, |number, peer| {
        let why = ["history", "epoch"][number];
        let request = peer.accept("9", json!({"resumed": false, "why": why}));
        assert_eq!(request.data["since"], ["old", "9"][number]);
        let part = json!({"snapshot": "done", "reset": true, "records": {"a": record(1)}});
        peer.push(&request.id, "9", part);
        if number == 1 {
            peer.hear();
        }
    });
    let mut subscription = open(&listener, latest().mode(Mode::All).since("old"));
    let told: Vec<String> = (0..5).map(|_| next(&mut subscription)).collect();
    assert_eq!(told, ["reset: History", "9", "lost", "reset: Epoch", "9"]);
    drop(subscription);
    listener.finish();
}

#[test]
fn an_ended_subscription_is_resumed_on_its_connection() {
    let listener = Listener::start(1, |_, peer| {
        let first = peer.accept("1", json!({})).id;
        peer.push(&first, "2", json!({"changes": []}));
        peer.say(&json!({"type": "end", "sub": first, "error": "too slow", "cursor": "4"}));
        let again = peer.accept("9", json!({"resumed": true}));
        assert_eq!(again.data["since"], "4");
        assert_ne!(again.id, first);
        peer.push(&first, "5", json!({}));
        peer.push(&again.id, "6", json!({"changes": [], "skipped": 3}));
        for _ in 0..2 {
            peer.say(&json!({"type": "end", "sub": again.id, "error": "too slow", "cursor": "6"}));
        }
        let last = peer.accept("9", json!({"resumed": true})).id;
        peer.say(&json!({"type": "end", "sub": last, "error": "permission denied", "cursor": "6"}));
        peer.hear();
    });
    let mut subscription = open(&listener, latest().mode(Mode::All));
    let told: Vec<String> = (0..4).map(|_| next(&mut subscription)).collect();
    assert_eq!(told, ["2", "ended: too slow", "resumed", "6"]);
    let told: Vec<String> = (0..4).map(|_| next(&mut subscription)).collect();
    let error = "error: the server ended the subscription: permission denied";
    assert_eq!(told, ["ended: too slow", "resumed", error, "over"]);
    assert!(matches!(subscription.next_within(Duration::ZERO), Err(Error::NotConnected)));
    drop(subscription);
    listener.finish();
}

#[test]
fn a_refusal_is_the_end() {
    let listener = Listener::start(3, |number, peer| match number {
        0 => {
            let id = peer.hear().unwrap().id;
            peer.say(&json!({"id": id, "error": "\"mode\" must be …"}));
            peer.hear();
        }
        1 => drop(peer.accept("1", json!({}))),
        _ => {
            let id = peer.hear().unwrap().id;
            peer.say(&json!({"id": id, "error": "permission denied"}));
        }
    });
    let refused = Subscription::open(listener.options(), latest()).err().unwrap();
    assert!(matches!(&refused, Error::Server(text) if text.contains("mode")), "{refused}");
    let mut subscription = open(&listener, latest());
    let told: Vec<String> = (0..3).map(|_| next(&mut subscription)).collect();
    assert_eq!(told, ["lost", "error: permission denied", "over"]);
    listener.finish();
}

#[test]
fn a_removed_key_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut peer = Peer { socket: tungstenite::accept(stream).unwrap() };
        peer.say(&json!({"type": "ready"}));
        peer.accept("1", json!({}));
        drop(peer);
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]).unwrap();
        stream.write_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 15\r\n\r\nUnknown API key").unwrap();
    });
    let options = fluxion_client::Options::new(url, "k");
    let mut subscription = Subscription::open(options, latest()).unwrap();
    let told: Vec<String> = (0..3).map(|_| next(&mut subscription)).collect();
    assert_eq!(
        told,
        ["lost", "error: the server refused the connection: Unknown API key (status 401)", "over"]
    );
    server.join().unwrap();
}

#[test]
fn attempts_that_lead_nowhere_are_bounded() {
    // It accepts each subscription, and is gone before it has pushed anything.
    let listener = Listener::start(4, |number, peer| {
        let more = if number == 0 { json!({}) } else { json!({"resumed": true}) };
        drop(peer.accept("1", more));
    });
    let query = latest().mode(Mode::All);
    let mut subscription = Subscription::open(listener.options().attempts(3), query).unwrap();
    let told: Vec<String> = (0..8).map(|_| next(&mut subscription)).collect();
    assert_eq!(told[..6], ["lost", "resumed"].repeat(3), "{told:?}");
    assert!(told[6].starts_with("error: ") && told[7] == "over", "{told:?}");
    listener.finish();
}

#[test]
fn without_attempts_the_first_loss_is_the_end() {
    let listener = Listener::start(1, |_, peer| drop(peer.accept("1", json!({}))));
    let mut subscription = Subscription::open(listener.options().attempts(0), latest()).unwrap();
    assert!(subscription.next().unwrap().is_err());
    assert!(subscription.next().is_none());
    listener.finish();
}

#[test]
fn nobody_waits_longer_than_asked() {
    let listener = Listener::start(1, |_, peer| {
        let name = peer.accept("1", json!({})).id;
        // It begins, and does not go on.
        let start = format!("{{\"type\":\"push\",\"sub\":\"{name}\"");
        peer.say_frame(Data::Text, start.into(), false);
        peer.hear();
    });
    let mut subscription = open(&listener, latest());
    let started = Instant::now();
    for _ in 0..3 {
        assert!(subscription.next_within(Duration::from_millis(20)).unwrap().is_none());
    }
    assert!(started.elapsed() >= Duration::from_millis(60));
    drop(subscription);
    listener.finish();
}

#[test]
fn a_message_in_pieces_is_gone_on_with() {
    let (go_on, wait) = std::sync::mpsc::channel();
    let listener = Listener::start(1, move |_, peer| {
        let name = peer.accept("1", json!({})).id;
        let text =
            json!({"type": "push", "sub": name, "cursor": "2", "records": {"a": record(1)}}).to_string();
        let (start, end) = text.split_at(20);
        peer.say_frame(Data::Text, start.into(), false);
        wait.recv().unwrap();
        peer.say_frame(Data::Continue, end.into(), true);
        peer.hear();
    });
    let mut subscription = open(&listener, latest());
    assert!(subscription.next_within(Duration::from_millis(50)).unwrap().is_none());
    go_on.send(()).unwrap();
    assert_eq!(push(&mut subscription).records["a"].as_ref().unwrap(), &Record { ts: 1, data: "x".into() });
    drop(subscription);
    listener.finish();
}

#[test]
fn a_quiet_server_is_pinged_and_a_dead_one_is_noticed() {
    let listener = Listener::start(2, |number, peer| {
        let name = peer.accept("1", json!({})).id;
        if number == 0 {
            // Reading answers pings.
            peer.hear();
            return;
        }
        peer.push(&name, "2", json!({"snapshot": "done", "reset": true, "records": {}}));
        // Not answering them, until the client has gone.
        while peer.socket.get_mut().read(&mut [0; 64]).is_ok_and(|count| count > 0) {}
    });
    let options = || listener.options().timeout(Duration::from_millis(40)).attempts(1);
    let mut quiet = Subscription::open(options(), latest()).unwrap();
    assert!(quiet.next_within(Duration::from_millis(400)).unwrap().is_none(), "it answers pings");
    drop(quiet);
    let mut dead = Subscription::open(options(), latest()).unwrap();
    assert_eq!(next(&mut dead), "2");
    match dead.next().unwrap().unwrap() {
        Event::Lost(Error::Silent(_)) => {}
        other => panic!("{other:?}"),
    }
    drop(dead);
    listener.finish();
}

#[test]
fn a_server_without_end_is_bounded() {
    let listener = Listener::start(3, |number, peer| {
        let name = peer.accept("1", json!({})).id;
        let start = format!("{{\"type\":\"push\",\"sub\":\"{name}\",\"cursor\":\"");
        let mut kind = Data::Text;
        for _ in 0..1 << 20 {
            let frame = match number {
                0 => start.clone().into_bytes().repeat(1000),
                1 => b" ".to_vec(),
                _ => br#"{"type":"news"}"#.to_vec(),
            };
            let opcode = OpCode::Data(kind);
            let frame = Frame::message(frame, opcode, number == 2);
            if peer.socket.send(Message::Frame(frame)).is_err() {
                return;
            }
            if number != 2 {
                kind = Data::Continue;
            }
        }
        panic!("the client takes any amount");
    });
    let options = || listener.options().reply_bytes_max(4 << 20).reply_time_max(Duration::from_millis(200));
    let long = Subscription::open(options(), latest()).unwrap().next().unwrap().unwrap_err();
    assert!(matches!(long, Error::TooLong(_)), "{long}");
    let endless =
        Subscription::open(options(), latest()).unwrap().next_within(Duration::from_secs(20)).unwrap_err();
    assert!(matches!(endless, Error::Endless(_) | Error::TooLong(_)), "{endless}");
    let mut news = Subscription::open(options(), latest()).unwrap();
    assert!(news.next_within(Duration::from_millis(100)).unwrap().is_none());
    drop(news);
    listener.finish();
}
