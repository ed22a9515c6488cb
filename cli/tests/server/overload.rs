//! That what one client does, or sends, or leaves unread, is no concern of the others.

use crate::support::raw::{self, RawSocket, TEXT};
use crate::support::{Client, KEY_QUERY, Random, Server, alone, alongside};
use serde_json::{Value, json};
use std::io::Write;
use std::time::Duration;
use tungstenite::Message;

/// Far more than an answer takes, far less than a large reply would hold up others if it weren't cut up.
const LATENCY_MAX: Duration = Duration::from_secs(1);

/// Stores `count` records of `bytes` each.
fn fill(client: &mut Client, document: &str, count: usize, bytes: usize) {
    for first in (0..count).step_by(500) {
        let records: Vec<Value> = (first..count.min(first + 500))
            .map(|ts| json!({"ts": ts, "doc": document, "data": text(ts, bytes), "col": "large"}))
            .collect();
        client.done("ins", &json!(records));
    }
}

fn text(ts: usize, bytes: usize) -> String {
    format!("{ts:0>width$}", width = bytes)
}

fn small_request(client: &mut Client) {
    let reply = client.call("gval", &json!({"col": "small", "key": "k"}));
    assert_eq!(reply, json!({"value": "v"}));
}

#[test]
fn a_large_history_arrives_whole_and_holds_up_nobody() {
    const COUNT: usize = 65_536;
    const BYTES: usize = 1024;
    let _alone = alone();
    let server = Server::start(&[]);
    let (mut reader, mut other) = (server.client(), server.client());
    fill(&mut reader, "d", COUNT, BYTES);
    other.done("sval", &json!({"col": "small", "key": "k", "value": "v"}));
    let id = reader.queue("qdoc", &json!({"col": "large", "doc": "d", "to": COUNT}));
    let mut history = String::new();
    let (count, longest) = alongside(
        || small_request(&mut other),
        || {
            reader.flush();
            history = reader.socket.read().unwrap().into_text().unwrap().to_string();
        },
    );
    println!("{} MiB; meanwhile {count} small requests, the longest took {longest:?}", history.len() >> 20);
    assert!(count > 1 && longest < LATENCY_MAX, "{count} {longest:?}");
    let reply: Value = serde_json::from_str(&history).unwrap();
    assert_eq!(reply["id"], id.as_str());
    let records = reply["records"].as_array().unwrap();
    assert_eq!(records.len(), COUNT);
    for (ts, record) in records.iter().enumerate() {
        assert_eq!(*record, json!({"ts": ts, "data": text(ts, BYTES)}));
    }
}

#[test]
fn who_does_not_read_holds_up_nobody_and_costs_little() {
    const GROWTH_MAX: usize = 32 << 20;
    let _alone = alone();
    let server = Server::start(&["--cores", "1"]);
    let mut client = server.client();
    fill(&mut client, "d", 16_384, 1024);
    client.done("sval", &json!({"col": "small", "key": "k", "value": "v"}));
    let query = json!({"col": "large", "doc": "d", "to": 99_999});
    client.call("qdoc", &query);
    let before = server.rss_bytes();
    let mut stuck = RawSocket::open(server.port, KEY_QUERY);
    let request = json!({"id": "1", "type": "qdoc", "data": query.to_string()}).to_string();
    (0..200).for_each(|_| stuck.send(TEXT, request.as_bytes()));
    // Part of the first reply: from here on the server has all it needs to fill its buffers.
    let mut bytes = [0; 1024];
    std::io::Read::read_exact(&mut stuck.stream, &mut bytes).unwrap();
    for _ in 0..3000 {
        small_request(&mut client);
    }
    let growth = server.rss_bytes().saturating_sub(before);
    println!("a client that doesn't read, and asks for 3 GiB: {} KiB", growth >> 10);
    assert!(growth < GROWTH_MAX, "{growth}");
}

/// A million of them: requests that are refused, in bursts on connections that survive; and broken frames
/// and messages, each of which ends its connection.
#[test]
fn a_million_malformed_requests_and_frames() {
    const BROKEN: usize = 20_000;
    const REFUSED: usize = 980_000;
    let _alone = alone();
    let server = Server::start(&[]);
    let mut good = server.client();
    good.done("sval", &json!({"col": "small", "key": "k", "value": "v"}));
    let (count, longest) = alongside(
        || small_request(&mut good),
        || {
            std::thread::scope(|scope| {
                scope.spawn(|| send_broken(&server, BROKEN));
                send_refused(&server, REFUSED);
            });
        },
    );
    println!("meanwhile {count} good requests, the longest took {longest:?}");
    assert_eq!(good.call("cols", &json!({})), json!({"collections": ["small"]}), "nothing bad was stored");
}

fn send_refused(server: &Server, count: usize) {
    const BURST: usize = 1000;
    const CONNECTIONS: usize = 20;
    let mut random = Random(0xbad);
    let mut sockets: Vec<RawSocket> =
        (0..CONNECTIONS).map(|_| RawSocket::open(server.port, KEY_QUERY)).collect();
    let requests: Vec<Vec<u8>> = (0..5000).map(|_| raw::frame(0x80 | TEXT, &refused(&mut random))).collect();
    for burst in 0..count / BURST {
        let socket = &mut sockets[burst % CONNECTIONS];
        let bytes: Vec<u8> =
            (0..BURST).flat_map(|_| requests[random.below(requests.len())].iter().copied()).collect();
        let mut writer = socket.stream.try_clone().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(move || writer.write_all(&bytes).unwrap());
            for _ in 0..BURST {
                let (opcode, payload) =
                    socket.read_frame().expect("a refused request must not end the connection");
                assert_eq!(opcode, TEXT);
                let start = br#"{"id":"x","error":""#;
                assert!(payload.starts_with(start), "{}", String::from_utf8_lossy(&payload));
            }
        });
    }
}

/// A request that can't be carried out.
fn refused(random: &mut Random) -> Vec<u8> {
    const TYPES: [&str; 11] =
        ["ins", "qry", "qdoc", "ddoc", "dcol", "drec", "dmrec", "drrng", "sval", "gval", "keys"];
    // Each of these is refused whatever the type.
    const DATA: [&str; 12] = [
        "7",
        "\"text\"",
        "null",
        "[7]",
        "[[[[[[[[]]]]]]]]",
        "[{}]",
        "{}",
        "{\"col\":",
        "{\"col\":\"\"}",
        "{\"ts\":\"soon\",\"doc\":7}",
        "[{\"ts\":true,\"doc\":\"d\",\"col\":\"c\",\"data\":\"x\"}]",
        "{\"col\":{\"a\":[1,2,{\"b\":null}]},\"doc\":[],\"ts\":1e999}",
    ];
    let (kind, data) = match random.below(4) {
        0 => (format!("type{}", random.next()), "{}".to_string()),
        1 => {
            // Text cut off or spoilt is no JSON any more.
            let whole = r#"[{"ts":1,"doc":"d","col":"c","data":"x"}"#;
            (random.pick(&TYPES).to_string(), whole[..1 + random.below(whole.len() - 1)].to_string())
        }
        _ => (random.pick(&TYPES).to_string(), random.pick(&DATA).to_string()),
    };
    json!({"id": "x", "type": kind, "data": data}).to_string().into_bytes()
}

/// Opens many connections at a time; each sends one thing that ends it.
fn send_broken(server: &Server, count: usize) {
    const AT_ONCE: usize = 100;
    let mut random = Random(0xf00d);
    let request = raw::upgrade(&format!("/?{KEY_QUERY}"), "");
    for _ in 0..count / AT_ONCE {
        let sockets: Vec<RawSocket> = (0..AT_ONCE)
            .map(|_| {
                let mut socket = RawSocket::connect(server.port);
                let mut bytes = request.clone().into_bytes();
                spoil(&mut random, &mut bytes);
                // The server may have ended the connection before all is written.
                let _ = socket.stream.write_all(&bytes);
                socket
            })
            .collect();
        sockets.into_iter().for_each(RawSocket::finish);
    }
}

/// Breaks the handshake, or adds a broken frame or message to it.
fn spoil(random: &mut Random, bytes: &mut Vec<u8>) {
    let noise: Vec<u8> = (0..1 + random.below(60)).map(|_| random.next() as u8).collect();
    match random.below(10) {
        0 => {
            let at = random.below(bytes.len());
            bytes[at] = random.next() as u8;
        }
        1 => bytes.truncate(random.below(bytes.len())),
        2 => *bytes = noise,
        3 => bytes.extend(noise),
        // Reserved bits, unknown opcodes, control frames in pieces, a continuation of nothing.
        4 => bytes
            .extend(raw::frame(random.pick(&[0xc1, 0xa1, 0x91, 0x83, 0x87, 0x8b, 0x8f, 0x09, 0x80]), &noise)),
        // No mask.
        5 => bytes.extend([0x81, 2, b'h', b'i']),
        // A length of 2^63 or so, and a control frame that is too long.
        6 => bytes.extend([0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4]),
        7 => bytes.extend(raw::frame(0x89, &[0; 126])),
        // Text that is no UTF-8, and text that is no request.
        8 => bytes.extend(raw::frame(0x81, &[b"\xff\xfe", &noise[..]].concat())),
        _ => bytes.extend(raw::frame(
            0x81,
            random.pick(&["[]", "{", "7", "{\"id\":\"\"}", "{\"id\":\"1\"}"]).as_bytes(),
        )),
    }
}

/// Frames that a proper client may send, however odd.
#[test]
fn a_message_in_many_pieces() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.socket.send(Message::Ping("hello".into())).unwrap();
    let mut socket = RawSocket::open(server.port, KEY_QUERY);
    let request = br#"{"id":"1","type":"gval","data":"{\"col\":\"c\",\"key\":\"k\"}"}"#;
    let mut bytes = raw::frame(TEXT, &[]);
    for byte in request {
        bytes.extend(raw::frame(0, &[*byte]));
    }
    bytes.extend(raw::frame(0x80, &[]));
    for byte in bytes {
        socket.stream.write_all(&[byte]).unwrap();
    }
    assert_eq!(socket.read_frame().unwrap(), (TEXT, br#"{"id":"1","value":""}"#.to_vec()));
}
