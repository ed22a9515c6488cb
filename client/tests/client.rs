//! The client against a server that answers in every way that is allowed, and in some that are not.

#![allow(clippy::unwrap_used, reason = "clippy.toml spares unit tests only, and all of this is tests")]

use fluxion_client::{
    Client, Error, HistoryQuery, IN_FLIGHT_MAX, LatestQuery, NewRecord, Options, Record, Request, Scope,
};
use fluxion_testkit::peer::{KEY, Listener};
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;
use tungstenite::Message;

fn record(ts: i64, data: &str) -> Record {
    Record { ts, data: data.into() }
}

#[test]
fn replies_are_told_apart_by_their_ids() {
    let listener = Listener::start(1, |_, peer| {
        let requests: Vec<_> = (0..4).map(|_| peer.hear().unwrap()).collect();
        for request in requests.iter().rev() {
            peer.say(&json!({"id": request.id, "value": request.data["key"]}));
        }
        peer.hear();
    });
    let mut client = listener.client();
    let keys = ["a", "b", "c", "d"];
    let tickets = keys.map(|key| client.send(&Request::GetValue { collection: "c", key }).unwrap());
    assert_eq!(client.in_flight(), 4);
    assert_eq!(client.wait(tickets[1]).unwrap().value().unwrap(), "b");
    assert_eq!(client.wait(tickets[3]).unwrap().value().unwrap(), "d");
    let mut rest = Vec::new();
    while let Some(reply) = client.receive().unwrap() {
        rest.push((reply.ticket(), reply.value().unwrap()));
    }
    rest.sort();
    assert_eq!(rest, [(tickets[0], "a".to_string()), (tickets[2], "c".to_string())]);
    drop(client);
    listener.finish();
}

#[test]
fn a_reply_may_come_in_frames_with_pings_between() {
    let listener = Listener::start(1, |_, peer| {
        let id = peer.hear().unwrap().id;
        let start = format!(r#"{{"id":"{id}","rec"#);
        let rest = [r#"ords":[{"ts":1,"da"#, "", r#"ta":"a\"#, r#""}"},{"ts":-2,"data":"ü"}"#, "]}", ""];
        peer.say_in_frames(&[&["", start.as_str()], &rest[..]].concat());
        let id = peer.hear().unwrap().id;
        peer.socket.send(Message::Ping(b"there?".to_vec().into())).unwrap();
        peer.say_text(&format!(
            r#"{{"id":"{id}","records":{{"x}}":{{"ts":3,"data":"{{"}},"y":{{"ts":4,"data":""}}}}}}"#
        ));
        peer.hear();
    });
    let mut client = listener.client();
    let records: Result<Vec<_>, _> = client.history(HistoryQuery::new("c", "d")).unwrap().collect();
    assert_eq!(records.unwrap(), [record(1, "a\"}"), record(-2, "ü")]);
    let latest: Result<Vec<_>, _> = client.latest(LatestQuery::new("c", 9)).unwrap().collect();
    assert_eq!(latest.unwrap(), [("x}".to_string(), record(3, "{")), ("y".to_string(), record(4, ""))]);
    drop(client);
    listener.finish();
}

#[test]
fn replies_laid_out_otherwise_are_read_too() {
    let listener = Listener::start(1, |_, peer| {
        let id = peer.hear().unwrap().id;
        peer.say_text("{\"type\":\"news\"}");
        peer.say_text(&format!(
            "{{ \"records\" : [ {{\"data\":\"x\",\"more\":[1],\"ts\":1}} ],\n\"id\":\"{id}\" }}"
        ));
        let id = peer.hear().unwrap().id;
        peer.say_text(&format!("{{\"error\":\"no \\\"d\\\"\",\"id\":\"{id}\"}}"));
        peer.hear();
    });
    let mut client = listener.client();
    let records: Result<Vec<_>, _> = client.history(HistoryQuery::new("c", "d")).unwrap().collect();
    assert_eq!(records.unwrap(), [record(1, "x")]);
    let error = client.history(HistoryQuery::new("c", "d")).err().unwrap();
    assert!(matches!(&error, Error::Server(text) if text == "no \"d\""), "{error}");
    assert!(client.is_connected());
    drop(client);
    listener.finish();
}

#[test]
fn what_is_left_of_a_stream_is_skipped() {
    let listener = Listener::start(1, |_, peer| {
        let id = peer.hear().unwrap().id;
        let records: Vec<_> = (0..50_000).map(|ts| json!({"ts": ts, "data": "some text"})).collect();
        peer.say(&json!({"id": id, "records": records}));
        let id = peer.hear().unwrap().id;
        peer.say(&json!({"id": id, "value": "v"}));
        peer.hear();
    });
    let mut client = listener.client();
    let first = client.history(HistoryQuery::new("c", "d")).unwrap().next().unwrap().unwrap();
    assert_eq!(first.ts, 0);
    assert_eq!(client.value("c", "k").unwrap(), "v");
    drop(client);
    listener.finish();
}

#[test]
fn a_write_on_a_lost_connection_fails_and_the_next_call_connects_again() {
    let listener = Listener::start(3, |number, peer| {
        let request = peer.hear().unwrap();
        assert_eq!(request.kind, ["gval", "ins", "ins"][number]);
        // The first two connections end instead of an answer.
        if number == 2 {
            peer.say(&json!({"id": request.id}));
            peer.hear();
        }
    });
    let mut client = listener.client();
    let records = [NewRecord { ts: 1, document: "d", data: "", collection: "c" }];
    let read = client.send(&Request::GetValue { collection: "c", key: "k" }).unwrap();
    assert!(client.wait(read).err().unwrap().is_disconnect());
    assert!(matches!(client.send(&Request::Collections), Err(Error::NotConnected)));
    let error = client.insert(&records).unwrap_err();
    assert!(matches!(error, Error::Closed { .. } | Error::Broken(_)), "{error}");
    client.insert(&records).unwrap();
    drop(client);
    listener.finish();
}

#[test]
fn a_call_that_reads_survives_a_lost_connection() {
    let listener = Listener::start(2, |number, peer| {
        let request = peer.hear().unwrap();
        if number == 1 {
            peer.say(&json!({"id": request.id, "value": "v"}));
            peer.hear();
        }
    });
    let mut client = listener.client();
    assert_eq!(client.value("c", "k").unwrap(), "v");
    drop(client);
    listener.finish();
}

#[test]
fn a_silent_server_is_an_error() {
    let listener = Listener::start(1, |_, peer| while peer.hear().is_some() {});
    let mut client = Client::connect(listener.options().timeout(Duration::from_millis(50))).unwrap();
    let error = client.value("c", "k").unwrap_err();
    assert_eq!(error.to_string(), "the server was silent for 0.05 s");
    assert!(!client.is_connected());
    listener.finish();
}

#[test]
fn a_close_says_why() {
    let listener = Listener::start(1, |_, peer| {
        peer.hear();
        let code = tungstenite::protocol::frame::coding::CloseCode::Policy;
        peer.socket
            .close(Some(tungstenite::protocol::CloseFrame { code, reason: "go away".into() }))
            .unwrap();
        peer.hear();
    });
    let mut client = listener.client();
    let error = client.add_api_key("new", Scope::ReadOnly).unwrap_err();
    assert!(matches!(&error, Error::Closed { code: Some(1008), reason } if reason == "go away"), "{error}");
    listener.finish();
}

#[test]
fn pings_are_timed() {
    let listener = Listener::start(1, |_, peer| while peer.hear().is_some() {});
    let mut client = listener.client();
    for _ in 0..3 {
        assert!(client.ping().unwrap() < Duration::from_secs(10));
    }
    drop(client);
    listener.finish();
}

#[test]
fn only_so_many_requests_may_be_in_flight() {
    let listener = Listener::start(1, |_, peer| while peer.hear().is_some() {});
    let mut client = listener.client();
    for _ in 0..IN_FLIGHT_MAX {
        client.send(&Request::Collections).unwrap();
    }
    assert!(matches!(client.send(&Request::Collections), Err(Error::TooManyInFlight)));
    assert!(client.is_connected());
    drop(client);
    listener.finish();
}

/// Answers one handshake with `answer`, and returns what was asked and what the client made of it.
fn refused_with(answer: &str) -> (String, Error) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let client = std::thread::spawn(move || Client::connect(Options::new(url, KEY).name("a b")));
    let (mut stream, _) = listener.accept().unwrap();
    let mut asked = Vec::new();
    while !asked.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        asked.push(byte[0]);
    }
    stream.write_all(answer.as_bytes()).unwrap();
    drop(stream);
    (String::from_utf8(asked).unwrap(), client.join().unwrap().unwrap_err())
}

#[test]
fn a_refusal_says_what_the_server_said() {
    let (asked, error) =
        refused_with("HTTP/1.1 401 Unauthorized\r\ncontent-length: 15\r\n\r\nUnknown API key");
    assert!(asked.starts_with("GET /?api-key=top%2Bsecret&name=a%20b HTTP/1.1\r\n"), "{asked}");
    assert_eq!(error.to_string(), "the server refused the connection: Unknown API key (status 401)");
    let (_, error) = refused_with("HTTP/1.1 502 Bad Gateway\r\n\r\n");
    assert_eq!(error.to_string(), "the server refused the connection: Bad Gateway (status 502)");
    let wrong = "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\n\r\n";
    for answer in ["SSH-2.0-OpenSSH\r\n\r\n", "HTTP/1.1 200\r\n\r\n", wrong, ""] {
        let (_, error) = refused_with(answer);
        assert!(error.is_disconnect() && !error.to_string().contains("secret"), "{error}");
    }
}

#[test]
fn nothing_shows_the_key() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/?x=1", listener.local_addr().unwrap());
    drop(listener);
    let error = Client::connect(Options::new(&url, KEY)).unwrap_err();
    assert!(error.to_string().starts_with("can't connect to 127.0.0.1:"), "{error}");
    let listener = Listener::start(1, |_, peer| while peer.hear().is_some() {});
    let client = listener.client();
    for shown in [format!("{error:?}"), format!("{client:?}")] {
        assert!(!shown.contains("secret"), "{shown}");
    }
    drop(client);
    listener.finish();
}
