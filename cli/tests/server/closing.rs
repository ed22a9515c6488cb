//! Connections that ask for much at a time, and how they are ended: nobody waits for what never comes.

use crate::support::raw::{self, CLOSE, RawSocket, TEXT};
use crate::support::{KEY_QUERY, Server, alone, alongside};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::time::{Duration, Instant};

fn frame(kind: &str, data: &Value) -> Vec<u8> {
    raw::frame(0x80 | TEXT, json!({"id": "x", "type": kind, "data": data.to_string()}).to_string().as_bytes())
}

fn texts(socket: &mut RawSocket, count: usize) {
    for number in 0..count {
        assert_eq!(socket.read_frame().map(|(opcode, _)| opcode), Some(TEXT), "{number} of {count}");
    }
}

#[test]
fn every_pipelined_read_of_a_long_value_is_answered() {
    const READS: usize = 60;
    let _alone = alone();
    let server = Server::start(&["--cores", "1"]);
    for bytes in [70_000, 250_000] {
        let key = format!("k{bytes}");
        server.client().done("sval", &json!({"col": "c", "key": key, "value": "v".repeat(bytes)}));
        for _ in 0..12 {
            let mut socket = RawSocket::open(server.port, KEY_QUERY);
            socket.stream.write_all(&frame("gval", &json!({"col": "c", "key": key})).repeat(READS)).unwrap();
            texts(&mut socket, READS);
        }
    }
}

/// Replies that were held back to the end of the round were lost.
#[test]
fn who_sends_nothing_more_is_answered_still() {
    const READS: usize = 20;
    let server = Server::start(&["--cores", "1"]);
    for _ in 0..50 {
        let mut socket = RawSocket::open(server.port, KEY_QUERY);
        socket.stream.write_all(&frame("gval", &json!({"col": "c", "key": "k"})).repeat(READS)).unwrap();
        socket.stream.shutdown(std::net::Shutdown::Write).unwrap();
        texts(&mut socket, READS);
    }
}

#[test]
fn a_close_that_is_answered_ends_the_connection_at_once() {
    const END_MAX: Duration = Duration::from_millis(700);
    let _alone = alone();
    let server = Server::start(&["--cores", "1"]);
    let mut socket = RawSocket::open(server.port, KEY_QUERY);
    socket.send(TEXT, b"no request");
    let (opcode, payload) = socket.read_frame().unwrap();
    assert_eq!((opcode, &payload[..2]), (CLOSE, &1008u16.to_be_bytes()[..]));
    let answered = Instant::now();
    socket.send(CLOSE, &payload);
    assert_eq!(socket.stream.read(&mut [0; 16]).unwrap(), 0);
    assert!(answered.elapsed() < END_MAX, "{:?}", answered.elapsed());
}

#[test]
fn a_member_given_again_and_again_holds_up_nobody() {
    const WAIT_MAX: Duration = Duration::from_millis(150);
    let _alone = alone();
    let server = Server::start(&["--cores", "1"]);
    let mut other = server.client();
    let mut socket = RawSocket::open(server.port, KEY_QUERY);
    let message = format!(r#"{{"id":"1","type":"cols",{}"data":"{{}}"}}"#, r#""data":"","#.repeat(51_000));
    let (count, longest) = alongside(
        || assert_eq!(other.call("gval", &json!({"col": "c", "key": "k"})), json!({"value": ""})),
        || {
            for _ in 0..5 {
                socket.send(TEXT, message.as_bytes());
                texts(&mut socket, 1);
            }
        },
    );
    println!("{count} small requests, the longest took {longest:?}");
    assert!(longest < WAIT_MAX, "{longest:?}");
}

#[test]
fn long_messages_of_other_kinds_are_read_too() {
    let server = Server::start(&["--cores", "1"]);
    let mut socket = RawSocket::open(server.port, KEY_QUERY);
    let filler = "x".repeat(600_000);
    for (kind, data) in [
        ("keys", r#"{\"action\":\"list\"}"#),
        ("cols", "{}"),
        ("gval", r#"{\"col\":\"c\",\"key\":\"k\"}"#),
        ("ins", "[]"),
    ] {
        socket
            .send(TEXT, format!(r#"{{"x":"{filler}","id":"1","type":"{kind}","data":"{data}"}}"#).as_bytes());
        let (_, reply) = socket.read_frame().unwrap();
        let reply: Value = serde_json::from_slice(&reply).unwrap();
        assert!(reply.get("error").is_none(), "{kind}: {reply}");
    }
}

#[test]
fn who_holds_little_is_not_closed_for_what_others_hold() {
    let _alone = alone();
    let server = Server::start(&["--cores", "2", "--max-connection-memory", "16MiB"]);
    let mut idle: Vec<_> = (0..12).map(|_| server.client()).collect();
    // Not one of those: it may still hold the buffer that these came in.
    let mut writer = server.client();
    for number in 0..8 {
        let records: Vec<Value> = (0..200)
            .map(|ts| json!({"ts": ts, "doc": "d", "col": format!("c{number}"), "data": "ab".repeat(2000)}))
            .collect();
        writer.done("ins", &json!(records));
    }
    let mut asking: Vec<RawSocket> = (0..10).map(|_| RawSocket::open(server.port, KEY_QUERY)).collect();
    for (number, socket) in asking.iter_mut().enumerate() {
        let query =
            json!({"col": format!("c{}", number % 8), "doc": "d", "to": 999, "where": "/(a|b|ab)*c/"});
        socket.stream.write_all(&frame("qdoc", &query).repeat(40)).unwrap();
    }
    for socket in &mut asking {
        // Answered, or closed for the windows of all.
        let (opcode, payload) = socket.read_frame().unwrap();
        assert!(opcode == TEXT || payload.starts_with(&1013u16.to_be_bytes()), "{opcode}");
    }
    for client in &mut idle {
        assert_eq!(client.call("gval", &json!({"col": "c", "key": "k"})), json!({"value": ""}));
    }
}
