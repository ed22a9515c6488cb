//! Signals: the first ends the server in good order and in time, the second at once.

use crate::support::raw::{CLOSE, RawSocket, TEXT};
use crate::support::{Client, KEY_QUERY, Server, alone};
use rustix::process::Signal;
use serde_json::json;
use std::sync::mpsc;
use std::time::{Duration, Instant};
use tungstenite::Message;

const STOP_MAX: Duration = Duration::from_secs(5);

#[test]
fn ends_in_time_under_load() {
    let _alone = alone();
    let mut server = Server::start(&[]);
    let mut idle: Vec<RawSocket> = (0..500).map(|_| RawSocket::open(server.port, KEY_QUERY)).collect();
    let (running, started) = mpsc::channel();
    std::thread::scope(|scope| {
        for index in 0..4 {
            let (client, running) = (server.client(), running.clone());
            scope.spawn(move || load(client, index, running));
        }
        (0..4).for_each(|_| started.recv().unwrap());
        let signalled = Instant::now();
        server.signal(Signal::TERM);
        for socket in &mut idle {
            let (opcode, payload) = socket.read_frame().expect("a close frame comes first");
            assert_eq!((opcode, &payload[..2]), (CLOSE, &1001u16.to_be_bytes()[..]));
            socket.send(CLOSE, &payload[..2]);
        }
        assert_eq!(server.wait().code(), Some(0));
        let took = signalled.elapsed();
        println!("stopped after {took:?}");
        assert!(took < STOP_MAX, "{took:?}");
    });
}

/// Inserts in bursts until the server ends the connection; reports when it is well under way.
fn load(mut client: Client, index: usize, running: mpsc::Sender<()>) {
    let record = json!([{"ts": 1, "doc": "d", "data": "x", "col": format!("c{index}")}]).to_string();
    let request = json!({"id": "1", "type": "ins", "data": record}).to_string();
    for burst in 0.. {
        for _ in 0..50 {
            if client.socket.write(Message::text(request.as_str())).is_err() {
                return;
            }
        }
        if client.socket.flush().is_err() {
            return;
        }
        for _ in 0..50 {
            match client.socket.read() {
                Ok(Message::Text(_)) => {}
                _ => return,
            }
        }
        if burst == 10 {
            running.send(()).unwrap();
        }
    }
}

#[test]
fn an_interrupt_ends_it_too() {
    let mut server = Server::start(&[]);
    let mut client = server.client();
    server.signal(Signal::INT);
    assert_eq!(client.closed(), Some(1001));
    drop(client);
    assert_eq!(server.wait().code(), Some(0));
}

/// A client that takes nothing of its large reply keeps the server from ending at once; a second signal
/// doesn't wait for it.
#[test]
fn a_second_signal_ends_it_at_once() {
    let mut server = Server::start(&["--cores", "1"]);
    let mut client = server.client();
    for ts in 0..64 {
        client.done("ins", &json!([{"ts": ts, "doc": "d", "data": "x".repeat(1 << 20), "col": "c"}]));
    }
    let mut stuck = RawSocket::open(server.port, KEY_QUERY);
    stuck.send(TEXT, br#"{"id":"1","type":"qdoc","data":"{\"col\":\"c\",\"doc\":\"d\",\"to\":99}"}"#);
    // The first bytes of its reply say that the server is at it.
    let mut byte = [0];
    std::io::Read::read_exact(&mut stuck.stream, &mut byte).unwrap();
    server.signal(Signal::TERM);
    assert_eq!(client.closed(), Some(1001));
    server.signal(Signal::INT);
    assert_eq!(server.wait().code(), Some(128 + Signal::INT.as_raw()));
}
