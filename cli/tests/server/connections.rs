//! Tests of how connections begin and end: keys, limits, silence.

use crate::support::raw::{CLOSE, PING, PONG, RawSocket, TEXT, upgrade};
use crate::support::{KEY, KEY_QUERY, Server, alone};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use tungstenite::Message;

#[test]
fn a_bearer_header_serves_as_key() {
    let server = Server::start(&[]);
    let bearer = |path: &str, key: &str| {
        let mut socket = RawSocket::connect(server.port);
        (socket.handshake(&upgrade(path, &format!("Authorization: Bearer {key}\r\n"))).0, socket)
    };
    let (status, mut socket) = bearer("/", KEY);
    assert_eq!(status, 101);
    assert_eq!(socket.read_frame().unwrap().0, TEXT);
    assert_eq!(bearer("/", "wrong").0, 401);
    assert_eq!(bearer("/?api-key=wrong", KEY).0, 401, "the key in the URL wins");
    assert_eq!(bearer(&format!("/?{KEY_QUERY}"), "wrong").0, 101, "the key in the URL wins");
}

/// One published generation of clients sends it there.
#[test]
fn a_key_header_serves_as_key() {
    let server = Server::start(&[]);
    let status =
        |path: &str, headers: &str| RawSocket::connect(server.port).handshake(&upgrade(path, headers)).0;
    assert_eq!(status("/", &format!("X-API-Key: {KEY}\r\n")), 101);
    assert_eq!(status("/", "X-API-Key: wrong\r\n"), 401);
    assert_eq!(status("/?api-key=wrong", &format!("X-API-Key: {KEY}\r\n")), 401, "the key in the URL wins");
}

/// Browsers, Node and others end a connection whose offer isn't answered, or answered with what they didn't offer.
#[test]
fn the_first_subprotocol_on_offer_is_echoed() {
    let server = Server::start(&[]);
    let path = format!("/?{KEY_QUERY}");
    for (offer, answer) in [("one", "one"), ("chat.v2, other", "chat.v2")] {
        let headers = format!("Sec-WebSocket-Protocol: {offer}\r\n");
        let response = RawSocket::connect(server.port).ask(&upgrade(&path, &headers));
        assert_eq!((response.status(), response.header("Sec-WebSocket-Protocol")), (101, Some(answer)));
    }
    let response = RawSocket::connect(server.port).ask(&upgrade(&path, ""));
    assert_eq!(response.header("Sec-WebSocket-Protocol"), None);
}

#[test]
fn a_message_over_the_limit_closes_with_1009() {
    let server = Server::start(&["--max-message-bytes", "1k"]);
    let mut client = server.client();
    client.done("sval", &json!({"col": "c", "key": "k", "value": "x".repeat(500)}));
    client.socket.send(Message::text("x".repeat(1025))).unwrap();
    assert_eq!(client.closed(), Some(1009));
}

#[test]
fn connections_over_the_limit_are_refused() {
    let server = Server::start(&["--max-connections", "2", "--cores", "2"]);
    let mut first = server.client();
    let _second = server.client();
    let mut third = RawSocket::connect(server.port);
    assert_eq!(third.handshake(&upgrade(&format!("/?{KEY_QUERY}"), "")).0, 503);
    first.done("sval", &json!({"col": "c", "key": "k", "value": "v"}));
}

/// A silent client is pinged and dropped; one that only answers pings stays.
#[test]
fn silence_ends_a_connection() {
    let server = Server::start(&["--idle-timeout", "1"]);
    let mut silent = RawSocket::open(server.port, KEY_QUERY);
    let mut patient = RawSocket::open(server.port, KEY_QUERY);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..5 {
                let (opcode, payload) = patient.read_frame().expect("a client that answers pings must stay");
                assert_eq!(opcode, PING);
                patient.send(PONG, &payload);
            }
        });
        let mut pings = 0;
        while let Some((opcode, _)) = silent.read_frame() {
            assert!([PING, CLOSE].contains(&opcode), "{opcode}");
            pings += usize::from(opcode == PING);
        }
        assert!(pings > 0, "dropped without a ping");
    });
    patient.send(TEXT, br#"{"id":"1","type":"cols","data":"{}"}"#);
    loop {
        match patient.read_frame().unwrap() {
            (PING, payload) => patient.send(PONG, &payload),
            (opcode, payload) => {
                assert_eq!((opcode, payload), (TEXT, br#"{"id":"1","collections":[]}"#.to_vec()));
                break;
            }
        }
    }
}

#[test]
fn ten_thousand_idle_connections() {
    const COUNT: usize = 10_000;
    const FILES_MIN: u64 = 12_000;
    const BYTES_MAX: usize = 16 << 10;
    let _alone = alone();
    let limit = getrlimit(Resource::Nofile);
    if limit.maximum.is_some_and(|files| files < FILES_MIN) {
        println!("skipped: only {:?} files may be open, and {FILES_MIN} are needed", limit.maximum);
        return;
    }
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
    let server = Server::start(&["--max-connections", "11000"]);
    let mut warm: Vec<RawSocket> = (0..100).map(|_| RawSocket::open(server.port, KEY_QUERY)).collect();
    warm.iter_mut().for_each(ask);
    let before = server.rss_bytes();
    let mut sockets: Vec<RawSocket> = (0..COUNT).map(|_| RawSocket::open(server.port, KEY_QUERY)).collect();
    let idle = server.rss_bytes().saturating_sub(before) / COUNT;
    sockets.iter_mut().for_each(ask);
    let used = server.rss_bytes().saturating_sub(before) / COUNT;
    println!("bytes per connection: {idle} when idle from the start, {used} after a request each");
    assert!(idle < BYTES_MAX && used < BYTES_MAX, "{idle} {used}");
}

fn ask(socket: &mut RawSocket) {
    socket.send(TEXT, br#"{"id":"1","type":"gval","data":"{\"col\":\"c\",\"key\":\"k\"}"}"#);
    assert_eq!(socket.read_frame().unwrap(), (TEXT, br#"{"id":"1","value":""}"#.to_vec()));
}
