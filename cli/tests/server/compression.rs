//! permessage-deflate: what is agreed on, messages compressed both ways, and those that are not what they say.

use crate::support::raw::{CLOSE, PING, PONG, RawSocket, TEXT, frame, upgrade};
use crate::support::{KEY_QUERY, Server};
use serde_json::{Value, json};
use std::io::Write;
use zlib_rs::{Deflate, DeflateFlush, Inflate, InflateFlush};

const COMPRESSED: u8 = 0x40;
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// A client that compresses.
struct Packed {
    socket: RawSocket,
    inflate: Inflate,
    deflate: Deflate,
    /// What the server agreed to.
    agreed: String,
    /// The bytes of the payloads of the message that came last, as they came.
    received_bytes: usize,
    last_id: u32,
}

impl Packed {
    fn open(server: &Server, offer: &str) -> Packed {
        let mut socket = RawSocket::connect(server.port);
        let header = format!("Sec-WebSocket-Extensions: {offer}\r\n");
        let response = socket.ask(&upgrade(&format!("/?{KEY_QUERY}"), &header));
        assert_eq!(response.status(), 101);
        let agreed = response.header("sec-websocket-extensions").unwrap_or_default().to_owned();
        let (inflate, deflate) = (Inflate::new(false, 15), Deflate::new(6, false, 15));
        let mut packed = Packed { socket, inflate, deflate, agreed, received_bytes: 0, last_id: 0 };
        let (is_compressed, ready) = packed.receive();
        assert!(!is_compressed && ready["type"] == "ready");
        packed
    }

    fn keeps(&self, side: &str) -> bool {
        !self.agreed.contains(&format!("{side}_no_context_takeover"))
    }

    fn pack(&mut self, payload: &[u8]) -> Vec<u8> {
        if !self.keeps("client") {
            self.deflate.reset();
        }
        let mut packed = vec![0; payload.len() + payload.len() / 8 + 100];
        let before = self.deflate.total_out();
        self.deflate.compress(payload, &mut packed, DeflateFlush::SyncFlush).unwrap();
        packed.truncate((self.deflate.total_out() - before) as usize);
        assert!(packed.ends_with(&TAIL));
        packed.truncate(packed.len() - TAIL.len());
        packed
    }

    fn request(&mut self, kind: &str, data: &Value) -> String {
        self.last_id += 1;
        json!({"id": self.last_id.to_string(), "type": kind, "data": data.to_string()}).to_string()
    }

    fn send(&mut self, kind: &str, data: &Value) {
        let request = self.request(kind, data);
        let packed = self.pack(request.as_bytes());
        self.socket.stream.write_all(&frame(0x80 | COMPRESSED | TEXT, &packed)).unwrap();
    }

    /// The next message, and whether it came compressed.
    fn receive(&mut self) -> (bool, Value) {
        let (mut payload, mut is_compressed, mut is_first) = (Vec::new(), false, true);
        loop {
            let (first, part) = self.socket.read_whole_frame().expect("it ended");
            assert!(matches!(first & 0x0f, 0 | TEXT), "a frame of kind {first:#x}: {part:?}");
            if std::mem::take(&mut is_first) {
                is_compressed = first & COMPRESSED != 0;
            } else {
                assert_eq!(first & COMPRESSED, 0, "only the first frame says so");
            }
            payload.extend(part);
            if first & 0x80 != 0 {
                break;
            }
        }
        self.received_bytes = payload.len();
        let text = if is_compressed { self.unpack(payload) } else { payload };
        (is_compressed, serde_json::from_slice(&text).unwrap())
    }

    fn unpack(&mut self, mut payload: Vec<u8>) -> Vec<u8> {
        payload.extend(TAIL);
        if !self.keeps("server") {
            self.inflate.reset(false);
        }
        let (mut text, mut used) = (vec![0; 1 << 16], 0);
        let start = self.inflate.total_out();
        loop {
            let made = (self.inflate.total_out() - start) as usize;
            if made == text.len() {
                text.resize(2 * made, 0);
            }
            let before = self.inflate.total_in();
            self.inflate.decompress(&payload[used..], &mut text[made..], InflateFlush::SyncFlush).unwrap();
            used += (self.inflate.total_in() - before) as usize;
            let made = (self.inflate.total_out() - start) as usize;
            if used == payload.len() && made < text.len() {
                text.truncate(made);
                return text;
            }
        }
    }

    fn call(&mut self, kind: &str, data: &Value) -> (bool, Value) {
        self.send(kind, data);
        self.receive()
    }

    /// The code with which the server ends the connection.
    fn closed(mut self) -> u16 {
        loop {
            let (first, payload) = self.socket.read_whole_frame().expect("it ended without a close");
            if first & 0x0f == CLOSE {
                return u16::from_be_bytes([payload[0], payload[1]]);
            }
        }
    }
}

fn sensor(seed: usize) -> String {
    format!(
        "{{\"temperature\":{}.{},\"state\":\"on\",\"note\":\"\\u00e4 {seed}\"}}",
        seed % 50,
        seed * 7919 % 97
    )
}

#[test]
fn each_setting_agrees_to_what_it_says() {
    let all = "permessage-deflate; client_max_window_bits";
    for (setting, agreed) in [
        ("off", ""),
        ("shared", "permessage-deflate; server_no_context_takeover; client_no_context_takeover"),
        ("dedicated", "permessage-deflate"),
    ] {
        let server = Server::start(&["--cores", "1", "--compression", setting]);
        assert_eq!(Packed::open(&server, all).agreed, agreed);
        assert_eq!(Packed::open(&server, "x-unknown").agreed, "");
    }
    let server = Server::start(&["--cores", "1"]);
    assert!(Packed::open(&server, all).agreed.contains("server_no_context_takeover"), "by default");
}

#[test]
fn messages_are_compressed_both_ways_and_short_ones_are_not() {
    for (setting, offer) in [
        ("shared", "permessage-deflate"),
        ("shared", "permessage-deflate; server_max_window_bits=9"),
        ("dedicated", "permessage-deflate"),
        ("dedicated", "permessage-deflate; server_no_context_takeover"),
        ("dedicated", "permessage-deflate; client_no_context_takeover; server_max_window_bits=10"),
    ] {
        let server = Server::start(&["--cores", "2", "--compression", setting]);
        let mut plain = server.client();
        let mut packed = Packed::open(&server, offer);
        let mut sizes = Vec::new();
        for (round, length) in [0, 10, 500, 2000, 2000, 70_000, 800_000, 5_000_000].into_iter().enumerate() {
            let value: String =
                (0..).map(sensor).flat_map(String::into_bytes).map(char::from).take(length).collect();
            let entry = json!({"col": "c", "key": format!("k{round}"), "value": value});
            assert_eq!(packed.call("sval", &entry).1.get("error"), None);
            let asked = json!({"col": "c", "key": format!("k{round}")});
            assert_eq!(plain.call("gval", &asked)["value"], value);
            let (is_compressed, reply) = packed.call("gval", &asked);
            assert!(reply["value"] == value, "{offer} {length}");
            // Of the longest, what another core sends in pieces says that it is compressed, and is not.
            if length < 1 << 20 {
                assert_eq!(is_compressed, length > 1000, "{offer} {length}");
            }
            sizes.push(packed.received_bytes);
        }
        assert!(sizes[3] < 1000, "{sizes:?}");
        let keeps = setting == "dedicated" && !offer.contains("server_no") && !offer.contains("bits");
        assert_eq!(sizes[4] < sizes[3] / 2, keeps, "the same again: {sizes:?}");
    }
}

#[test]
fn replies_in_pieces_are_compressed_piece_by_piece() {
    for (setting, offer) in [
        ("shared", "permessage-deflate"),
        ("shared", "permessage-deflate; server_max_window_bits=12"),
        ("dedicated", "permessage-deflate"),
    ] {
        let server = Server::start(&["--cores", "2", "--compression", setting]);
        let mut plain = server.client();
        for from in (0..40_000).step_by(10_000) {
            let records: Vec<Value> = (from..from + 10_000)
                .map(|ts| json!({"ts": ts, "doc": format!("d{}", ts % 2), "data": sensor(ts), "col": "c"}))
                .collect();
            plain.done("ins", &json!(records));
        }
        // Longer than what is compressed in one go.
        plain
            .done("ins", &json!([{"ts": 50_000, "doc": "d1", "data": sensor(1).repeat(40_000), "col": "c"}]));
        let mut packed = Packed::open(&server, offer);
        for (kind, asked) in [
            ("qdoc", json!({"col": "c", "doc": "d0", "from": 0, "to": 99_999})),
            ("qdoc", json!({"col": "c", "doc": "d1", "from": 0, "to": 99_999})),
            ("qry", json!({"col": "c", "ts": 99_999})),
        ] {
            let mut expected = plain.call(kind, &asked);
            packed.send(kind, &asked);
            let id = packed.last_id.to_string();
            packed.send("gval", &json!({"col": "c", "key": "none"}));
            // The second may be answered before it.
            let replies = [packed.receive(), packed.receive()];
            let (is_compressed, mut reply) =
                replies.into_iter().find(|(_, reply)| reply["id"] == id).unwrap();
            reply.as_object_mut().unwrap().remove("id");
            expected.as_object_mut().unwrap().remove("id");
            assert!(reply == expected, "{offer} {kind}");
            // One that comes as a whole, and is too long for one go, is not.
            assert!(is_compressed || kind == "qry", "{offer} {kind}");
        }
    }
}

#[test]
fn a_push_is_the_same_for_those_who_compress_and_those_who_do_not() {
    for setting in ["shared", "dedicated"] {
        let server = Server::start(&["--cores", "2", "--compression", setting]);
        let mut writer = server.client();
        let offers = ["permessage-deflate", "permessage-deflate; server_max_window_bits=9", "x-none"];
        let mut subscribers: Vec<Packed> =
            offers.iter().cycle().take(12).map(|offer| Packed::open(&server, offer)).collect();
        for (number, subscriber) in subscribers.iter_mut().enumerate() {
            let asked = json!({"col": "c", "mode": "all"});
            subscriber.last_id = number as u32;
            // What is not compressed is taken from everybody.
            let request = subscriber.request("sub", &asked);
            subscriber.socket.send(TEXT, request.as_bytes());
            assert!(subscriber.receive().1["error"].is_null());
        }
        for (ts, length) in [1, 20, 400, 5000].into_iter().enumerate() {
            let data: String = (0..length).map(sensor).collect();
            writer.done("ins", &json!([{"ts": ts, "doc": "d", "data": data, "col": "c"}]));
            for subscriber in &mut subscribers {
                let (is_compressed, push) = loop {
                    let (is_compressed, push) = subscriber.receive();
                    if push["changes"].as_array().is_some_and(|changes| !changes.is_empty()) {
                        break (is_compressed, push);
                    }
                };
                assert_eq!(push["changes"][0]["data"], data);
                assert_eq!(is_compressed, !subscriber.agreed.is_empty() && length > 10, "{length}");
            }
        }
    }
}

#[test]
fn a_message_that_inflates_too_far_is_refused_before_it_takes_memory() {
    let server = Server::start(&["--cores", "1", "--max-message-bytes", "1MiB"]);
    let mut packed = Packed::open(&server, "permessage-deflate");
    let bomb = packed.pack(&vec![b' '; 200 << 20]);
    assert!(bomb.len() < 1 << 20);
    drop(packed);
    let mut witness = server.client();
    witness.done("sval", &json!({"col": "c", "key": "k", "value": "v"}));
    let before = server.rss_bytes();
    for _ in 0..20 {
        let mut packed = Packed::open(&server, "permessage-deflate");
        packed.socket.stream.write_all(&frame(0x80 | COMPRESSED | TEXT, &bomb)).unwrap();
        assert_eq!(packed.closed(), 1009);
    }
    let held = server.rss_bytes().saturating_sub(before);
    assert!(held < 32 << 20, "{held} bytes");
    assert_eq!(witness.call("gval", &json!({"col": "c", "key": "k"})), json!({"value": "v"}));
}

#[test]
fn fragments_control_frames_between_and_empty_ones_make_one_message() {
    let server = Server::start(&["--cores", "1"]);
    let mut packed = Packed::open(&server, "permessage-deflate");
    let request = packed.request("sval", &json!({"col": "c", "key": "k", "value": sensor(1).repeat(100)}));
    let message = packed.pack(request.as_bytes());
    for piece_bytes in [1, 2, 7, message.len() - 1, message.len()] {
        let mut frames = frame(COMPRESSED | TEXT, b"");
        for piece in message.chunks(piece_bytes) {
            frames.extend(frame(0, piece));
            frames.extend(frame(0x80 | PING, b"p"));
            frames.extend(frame(0, b""));
        }
        frames.extend(frame(0x80, b""));
        let pings = message.chunks(piece_bytes).count();
        packed.socket.stream.write_all(&frames).unwrap();
        for _ in 0..pings {
            assert_eq!(packed.socket.read_whole_frame().unwrap(), (0x80 | PONG, b"p".to_vec()));
        }
        assert_eq!(packed.receive().1["error"], Value::Null);
    }
}

#[test]
fn what_was_not_agreed_on_or_is_not_compressed_ends_the_connection() {
    let server = Server::start(&["--cores", "1"]);
    let ends = |offer: &str, bytes: &[u8]| {
        let mut packed = Packed::open(&server, offer);
        packed.socket.stream.write_all(bytes).unwrap();
        packed.closed()
    };
    let compressed = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    assert_eq!(ends("x-none", &frame(0x80 | COMPRESSED | TEXT, &compressed)), 1002);
    assert_eq!(ends("permessage-deflate", &frame(0x80 | COMPRESSED | PING, b"")), 1002);
    assert_eq!(ends("permessage-deflate", &frame(0x80 | COMPRESSED | TEXT, &[0xff; 40])), 1007);
    // Two bytes that are no text, stored.
    let stored = [0x00, 0x02, 0x00, 0xfd, 0xff, 0xff, 0xfe, 0x00];
    assert_eq!(ends("permessage-deflate", &frame(0x80 | COMPRESSED | TEXT, &stored)), 1007);
    assert_eq!(ends("permessage-deflate", &frame(0x80 | COMPRESSED | 2, &compressed)), 1003);
    server.client().call("conn", &json!({}));
}
