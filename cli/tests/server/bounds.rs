//! That no client can hold up a core or fill the memory, whatever it sends and however little it reads. Each of these
//! held up others for seconds, or took hundreds of MiB, before there was a bound.
//!
//! The server is to let nobody wait for more than 50 ms; what the machine itself adds, when it is shared, is allowed for.

use crate::support::raw::{self, CLOSE, RawSocket, TEXT};
use crate::support::{Client, KEY_QUERY, Server, alone, alongside};
use serde_json::{Value, json};
use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

/// 50 ms, and as much again as a busy machine takes from a process now and then.
const WAIT_MAX: Duration = Duration::from_millis(250);
const MIB: usize = 1 << 20;

fn request(kind: &str, data: &Value) -> Vec<u8> {
    raw::frame(0x80 | TEXT, json!({"id": "x", "type": kind, "data": data.to_string()}).to_string().as_bytes())
}

fn small_request(client: &mut Client) {
    assert_eq!(client.call("gval", &json!({"col": "small", "key": "k"})), json!({"value": "v"}));
}

/// A server of one core, and a client that only ever asks for something small.
fn one_core() -> (Server, Client) {
    one_core_with(&[])
}

fn one_core_with(arguments: &[&str]) -> (Server, Client) {
    let server = Server::start(&[&["--cores", "1"], arguments].concat());
    let mut other = server.client();
    other.done("sval", &json!({"col": "small", "key": "k", "value": "v"}));
    (server, other)
}

/// Waits until the server has ended the connection, and discards what it sends until then.
fn wait_for_end(socket: &mut RawSocket) {
    let mut bytes = vec![0; 64 << 10];
    while socket.stream.read(&mut bytes).is_ok_and(|count| count > 0) {}
}

#[test]
fn who_is_to_be_closed_and_reads_nothing_is_cut_off() {
    const GROWTH_MAX: usize = 16 * MIB;
    let _alone = alone();
    let (server, mut other) = one_core();
    for ts in 0..32 {
        other.done("ins", &json!([{"ts": ts, "doc": "d", "col": "c", "data": "x".repeat(MIB)}]));
    }
    let before = server.rss_bytes();
    let mut stuck = RawSocket::open(server.port, KEY_QUERY);
    stuck.stream.write_all(&request("qdoc", &json!({"col": "c", "doc": "d", "to": 99}))).unwrap();
    stuck.stream.write_all(&raw::frame(0x82, b"binary")).unwrap();
    let pings = raw::frame(0x89, &[b'p'; 125]).repeat(1000);
    stuck.stream.set_write_timeout(Some(Duration::from_secs(30))).unwrap();
    let started = Instant::now();
    let error = loop {
        if let Err(error) = stuck.stream.write_all(&pings) {
            break error.kind();
        }
        let growth = server.rss_bytes().saturating_sub(before);
        assert!(growth < GROWTH_MAX, "{} KiB after {:?}", growth >> 10, started.elapsed());
    };
    println!("cut off after {:?}: {error:?}", started.elapsed());
    assert!(matches!(error, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{error:?}");
    small_request(&mut other);
}

#[test]
fn an_envelope_that_is_none_holds_up_nobody() {
    const GROWTH_MAX: usize = 96 * MIB;
    let _alone = alone();
    let (server, mut other) = one_core();
    let before = server.rss_bytes();
    let bodies = ["[".repeat(16 * MIB - 1), format!("[{}", "1,".repeat(8 * MIB - 1)), {
        let start = r#"{"id":"1","type":"qry","x":["#;
        format!("{start}{}", "1,".repeat(8 * MIB - start.len()))
    }];
    let (count, longest) = alongside(
        || small_request(&mut other),
        || {
            for body in bodies {
                let mut socket = RawSocket::open(server.port, KEY_QUERY);
                socket.send(TEXT, body.as_bytes());
                assert_eq!(socket.read_frame().map(|(opcode, _)| opcode), Some(CLOSE));
            }
        },
    );
    let growth = server.rss_bytes().saturating_sub(before);
    println!("{count} small requests, the longest took {longest:?}; {} MiB more", growth / MIB);
    assert!(longest < WAIT_MAX && growth < GROWTH_MAX, "{longest:?} {growth}");
}

#[test]
fn long_lists_are_read_and_stored_in_steps() {
    const RECORDS: usize = 900_000;
    let _alone = alone();
    let (server, mut other) = one_core_with(&["--max-message-bytes", "64MiB"]);
    let mut writer = server.client();
    let record = |ts: usize| json!({"ts": ts, "doc": "d", "col": "l", "data": ""});
    let data = Value::from((0..RECORDS).map(record).collect::<Vec<_>>());
    let (count, longest) = alongside(|| small_request(&mut other), || writer.done("ins", &data));
    println!("{RECORDS} records in one message: {count} small requests, the longest took {longest:?}");
    assert!(longest < WAIT_MAX, "{longest:?}");
    let newest = json!({"ts": RECORDS - 1, "data": ""});
    let reply =
        writer.call("qdoc", &json!({"col": "l", "doc": "d", "to": RECORDS, "limit": 1, "reverse": true}));
    assert_eq!(reply, json!({"records": [newest]}));
    // What follows on the same connection sees all of it.
    let ids: Vec<String> = vec![
        writer.queue("ins", &Value::from((0..100_000).map(record).collect::<Vec<_>>())),
        writer.queue("drrng", &json!({"col": "l", "doc": "d", "fromTs": 0, "toTs": RECORDS - 2})),
        writer.queue("qdoc", &json!({"col": "l", "doc": "d", "to": RECORDS})),
    ];
    writer.flush();
    let replies = writer.replies(3);
    assert_eq!(replies[&ids[2]], json!({"records": [newest]}));
}

#[test]
fn changes_of_many_collections_let_others_in_between() {
    const COLLECTIONS: usize = 260_000;
    let _alone = alone();
    let (server, mut other) = one_core();
    let mut writer = server.client();
    let record = |number: usize| json!({"ts": 1, "doc": "d", "col": format!("c{number}"), "data": "x"});
    let data = Value::from((0..COLLECTIONS).map(record).collect::<Vec<_>>());
    let (count, longest) = alongside(|| small_request(&mut other), || writer.done("ins", &data));
    println!(
        "an insert over {COLLECTIONS} collections: {count} small requests, the longest took {longest:?}"
    );
    assert!(longest < WAIT_MAX, "{longest:?}");
    let (count, longest) = alongside(
        || small_request(&mut other),
        || {
            for number in 0..200 {
                writer.queue("ddoc", &json!({"doc": format!("none{number}")}));
            }
            writer.flush();
            assert_eq!(writer.replies(200).len(), 200);
        },
    );
    println!("200 deletions in all of them: {count} small requests, the longest took {longest:?}");
    assert!(longest < WAIT_MAX, "{longest:?}");
}

#[test]
fn many_large_patterns_hold_up_nobody() {
    let _alone = alone();
    let (server, mut other) = one_core();
    let mut asking = server.client();
    asking.done("ins", &json!([{"ts": 1, "doc": "d", "col": "c", "data": "ab".repeat(30_000)}]));
    let (count, longest) = alongside(
        || small_request(&mut other),
        || {
            for number in 0..700 {
                let words: Vec<String> =
                    (0..12).map(|word| format!("[a-y]{{{}}}z{word}", number + word)).collect();
                asking.queue("qry", &json!({"col": "c", "ts": 9, "where": format!("/{}/", words.join("|"))}));
            }
            asking.flush();
            assert_eq!(asking.replies(700).len(), 700);
        },
    );
    println!("700 large patterns: {count} small requests, the longest took {longest:?}");
    assert!(longest < WAIT_MAX, "{longest:?}");
}

#[test]
fn a_pattern_of_much_work_is_searched_in_steps() {
    const STOP_MAX: Duration = Duration::from_secs(5);
    let _alone = alone();
    let (server, mut other) = one_core();
    let mut asking = server.client();
    asking.done("ins", &json!([{"ts": 1, "doc": "d", "col": "c", "data": "ab".repeat(30_000)}]));
    let patterns = ["/[ab]*a[ab]{14000}c/", "/[ab]*a[ab]{900}c/", "/(a|b|ab)*c/"];
    let (count, longest) = alongside(
        || small_request(&mut other),
        || {
            for pattern in patterns {
                let reply = asking.call("qry", &json!({"col": "c", "ts": 9, "where": pattern}));
                assert!(reply["error"].is_string() || reply == json!({"records": {}}), "{reply}");
            }
        },
    );
    println!("patterns of much work: {count} small requests, the longest took {longest:?}");
    assert!(longest < WAIT_MAX, "{longest:?}");
    for _ in 0..200 {
        asking.queue("qry", &json!({"col": "c", "ts": 9, "where": "/[ab]*a[ab]{900}c/"}));
    }
    asking.flush();
    let started = Instant::now();
    server.stop();
    assert!(started.elapsed() < STOP_MAX, "{:?}", started.elapsed());
}

#[test]
fn lists_of_connections_that_nobody_reads_cost_little() {
    const GROWTH_MAX: usize = 64 * MIB;
    let _alone = alone();
    let server = Server::start(&["--cores", "2"]);
    let name = "n".repeat(250);
    let idle: Vec<RawSocket> =
        (0..300).map(|_| RawSocket::open(server.port, &format!("{KEY_QUERY}&name={name}"))).collect();
    let mut other = server.client();
    other.done("sval", &json!({"col": "small", "key": "k", "value": "v"}));
    let before = server.rss_bytes();
    let burst = request("conn", &json!({})).repeat(5000);
    let mut asking: Vec<RawSocket> = (0..10).map(|_| RawSocket::open(server.port, KEY_QUERY)).collect();
    for socket in &mut asking {
        socket.stream.set_nonblocking(true).unwrap();
        // As much as the server takes.
        let _ = socket.stream.write_all(&burst);
    }
    for _ in 0..2000 {
        small_request(&mut other);
    }
    let growth = server.rss_bytes().saturating_sub(before);
    println!("{} connections listed over and over, unread: {} KiB", idle.len(), growth >> 10);
    assert!(growth < GROWTH_MAX, "{growth}");
}

#[test]
fn who_has_not_authenticated_sends_short_messages_only() {
    const GROWTH_MAX: usize = 8 * MIB;
    let _alone = alone();
    let server = Server::start(&["--cores", "1", "--legacy-auth"]);
    let before = server.rss_bytes();
    let mut sockets: Vec<RawSocket> = (0..12).map(|_| RawSocket::connect(server.port)).collect();
    for socket in &mut sockets {
        assert_eq!(socket.handshake(&raw::upgrade("/", "")).0, 101);
        let unfinished = &raw::frame(0x80 | TEXT, &vec![b'x'; 15 * MIB])[..14 * MIB];
        // The server may have ended the connection before all is written.
        let _ = socket.stream.write_all(unfinished);
    }
    let growth = server.rss_bytes().saturating_sub(before);
    println!("12 unfinished messages of 15 MiB: {} KiB", growth >> 10);
    assert!(growth < GROWTH_MAX, "{growth}");
    let mut good = RawSocket::connect(server.port);
    assert_eq!(good.handshake(&raw::upgrade("/", "")).0, 101);
    good.send(TEXT, br#"{"id":"1","type":"auth","data":"s3cret+key"}"#);
    assert_eq!(good.read_frame(), Some((TEXT, br#"{"id":"1"}"#.to_vec())));
    sockets.iter_mut().for_each(wait_for_end);
}

#[test]
fn all_connections_together_have_a_bound() {
    const LIMIT: usize = 64 * MIB;
    let _alone = alone();
    let server = Server::start(&["--cores", "2", "--max-connection-memory", "64MiB"]);
    let mut other = server.client();
    other.done("sval", &json!({"col": "small", "key": "k", "value": "v"}));
    let before = server.rss_bytes();
    let unfinished = &raw::frame(0x80 | TEXT, &vec![b'x'; 15 * MIB])[..14 * MIB];
    let mut holders: Vec<RawSocket> = (0..40).map(|_| RawSocket::open(server.port, KEY_QUERY)).collect();
    let mut largest = 0;
    for socket in &mut holders {
        let _ = socket.stream.write_all(unfinished);
        small_request(&mut other);
        largest = largest.max(server.rss_bytes().saturating_sub(before));
    }
    println!("40 unfinished messages of 15 MiB: {} MiB at most", largest / MIB);
    // What has been freed goes back to the system only a moment later.
    assert!(largest < 3 * LIMIT, "{largest}");
    let mut closed = 0;
    for socket in &mut holders {
        socket.stream.set_read_timeout(Some(Duration::from_millis(1500))).unwrap();
        closed +=
            usize::from(socket.read_frame().is_some_and(|(opcode, payload)| {
                opcode == CLOSE && payload.starts_with(&1013u16.to_be_bytes())
            }));
    }
    println!("{closed} were told 1013");
    assert!(closed >= 30, "{closed}");
    small_request(&mut other);
}
