//! Servers that send without end, and the counters of those that do not.

#![allow(clippy::unwrap_used, reason = "clippy.toml spares unit tests only, and all of this is tests")]

use fluxion_client::{Client, Error, HistoryQuery, Request};
use fluxion_testkit::peer::{Listener, Peer};
use serde_json::json;
use std::time::Duration;
use tungstenite::Message;
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{Data, OpCode};

/// Far above what is sent before the client finds out, on a machine of any speed.
const PIECES_MAX: usize = 1 << 20;

/// Sends the start of a message, and the same piece behind it until the client has gone.
fn say_without_end(peer: &mut Peer, start: &str, piece: &str) {
    let mut frame = Frame::message(start.as_bytes().to_vec(), OpCode::Data(Data::Text), false);
    for _ in 0..PIECES_MAX {
        if peer.socket.send(Message::Frame(frame)).is_err() {
            return;
        }
        frame = Frame::message(piece.as_bytes().to_vec(), OpCode::Data(Data::Continue), false);
    }
    panic!("the client takes any amount");
}

#[test]
fn a_reply_without_end_is_given_up() {
    for start in
        ["{\"id\":\"1\",\"value\":\"", "{\"id\":\"1\",\"records\":[{\"ts\":1,\"data\":\"", "{\"x\":\""]
    {
        let listener = Listener::start(1, move |_, peer| {
            peer.hear();
            say_without_end(peer, start, &"x".repeat(100_000));
        });
        let mut client = Client::connect(listener.options().reply_bytes_max(1 << 20)).unwrap();
        let error = match start.contains("records") {
            true => client.history(HistoryQuery::new("c", "d")).unwrap().next().unwrap().unwrap_err(),
            false => client.value("c", "k").unwrap_err(),
        };
        assert!(matches!(error, Error::TooLong(bytes) if bytes == 1 << 20), "{error}");
        assert!(!client.is_connected());
        drop(client);
        listener.finish();
    }
}

#[test]
fn a_history_without_end_is_given_up_in_time() {
    for abandoned in [false, true] {
        let listener = Listener::start(1, |_, peer| {
            peer.hear();
            say_without_end(
                peer,
                "{\"id\":\"1\",\"records\":[",
                &"{\"ts\":1,\"data\":\"x\"},".repeat(10_000),
            );
        });
        let options = listener.options().reply_time_max(Duration::from_millis(200));
        let mut client = Client::connect(options).unwrap();
        let error = if abandoned {
            client.history(HistoryQuery::new("c", "d")).unwrap().next().unwrap().unwrap();
            client.ping().unwrap_err()
        } else {
            client.history(HistoryQuery::new("c", "d")).unwrap().find_map(Result::err).unwrap()
        };
        assert_eq!(error.to_string(), "a reply did not end within 0.2 s");
        drop(client);
        listener.finish();
    }
}

#[test]
fn a_reply_that_trickles_is_given_up_in_time() {
    let listener = Listener::start(1, |_, peer| {
        peer.hear();
        // A ping now and then is no silence.
        while peer.socket.send(Message::Ping(Vec::new().into())).is_ok() {
            peer.socket.read().ok();
        }
    });
    let options = listener.options().reply_time_max(Duration::from_millis(200));
    let mut client = Client::connect(options).unwrap();
    let error = client.value("c", "k").unwrap_err();
    assert!(matches!(error, Error::Endless(_)), "{error}");
    drop(client);
    listener.finish();
}

#[test]
fn replies_that_wait_to_be_taken_count_together() {
    let listener = Listener::start(1, |_, peer| {
        let ids: Vec<String> = (0..5).map(|_| peer.hear().unwrap().id).collect();
        for id in ids.iter().rev() {
            let reply = json!({"id": id, "value": "x".repeat(300_000)}).to_string();
            if peer.socket.send(Message::text(reply)).is_err() {
                return;
            }
        }
        peer.hear();
    });
    let mut client = Client::connect(listener.options().reply_bytes_max(1_000_000)).unwrap();
    let tickets: Vec<_> =
        (0..5).map(|_| client.send(&Request::GetValue { collection: "c", key: "k" }).unwrap()).collect();
    let error = client.wait(tickets[0]).err().unwrap();
    assert!(matches!(error, Error::TooLong(1_000_000)), "{error}");
    drop(client);
    listener.finish();
}

#[test]
fn counters_are_asked_for() {
    let listener = Listener::start(1, |_, peer| {
        let request = peer.hear().unwrap();
        assert_eq!((request.kind.as_str(), request.data), ("stats", json!({})));
        peer.say(&json!({"id": request.id, "stats": {"uptime_ms": 5, "cores": [{"core": 0, "records": 9}]}}));
        let request = peer.hear().unwrap();
        peer.say(&json!({"id": request.id, "error": "unknown message type"}));
        peer.hear();
    });
    let mut client = listener.client();
    let stats = client.stats().unwrap();
    assert_eq!((stats.uptime_ms, stats.cores[0].records), (5, 9));
    assert!(matches!(client.stats().unwrap_err(), Error::Server(_)));
    drop(client);
    listener.finish();
}
