//! That many busy connections leave the others, and those who manage keys, their turn.

use crate::support::raw::{self, RawSocket, TEXT};
use crate::support::{Client, KEY_QUERY, Server, alone, alongside};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// 150 ms, and as much again as a busy machine takes from a process now and then.
const WAIT_MAX: Duration = Duration::from_millis(600);

fn frame(kind: &str, data: &Value) -> Vec<u8> {
    raw::frame(0x80 | TEXT, json!({"id": "x", "type": kind, "data": data.to_string()}).to_string().as_bytes())
}

/// Connections that each keep 256 inserts in flight until `done`.
fn load(server: &Server, connections: usize, done: &AtomicBool) {
    const IN_FLIGHT: usize = 256;
    std::thread::scope(|scope| {
        for number in 0..connections {
            scope.spawn(move || {
                let record =
                    json!([{"ts": 1, "doc": "d", "col": format!("c{number}"), "data": "x".repeat(48)}]);
                let burst = frame("ins", &record).repeat(IN_FLIGHT);
                let mut socket = RawSocket::open(server.port, KEY_QUERY);
                socket.stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
                // Replies are all of one length.
                let mut replies = vec![0; IN_FLIGHT * br#"..{"id":"x"}"#.len()];
                while !done.load(Ordering::Relaxed) {
                    socket.stream.write_all(&burst).unwrap();
                    socket.stream.read_exact(&mut replies).unwrap();
                }
            });
        }
    });
}

#[test]
fn busy_connections_leave_others_and_changes_of_keys_their_turn() {
    let _alone = alone();
    let server = Server::start(&["--cores", "2"]);
    let mut others: Vec<Client> = (0..2).map(|_| server.client()).collect();
    let mut master = server.client();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| load(&server, 128, &done));
        let mut number = 0;
        let mut changes = Duration::ZERO;
        let ask = |clients: &mut Vec<Client>, number: usize| {
            let col = format!("other{}", number % 16);
            let reply = clients[number % 2].call("gval", &json!({"col": col, "key": "k"}));
            assert_eq!(reply, json!({"value": ""}));
        };
        let (count, longest) = alongside(
            || {
                ask(&mut others, number);
                number += 1;
            },
            || {
                for round in 0..20 {
                    let key = format!("k{round}");
                    master.call("keys", &json!({"action": "add", "key": key, "scope": "readonly"}));
                    let started = Instant::now();
                    master.call("keys", &json!({"action": "remove", "key": key}));
                    changes = changes.max(started.elapsed());
                }
            },
        );
        done.store(true, Ordering::Relaxed);
        println!(
            "{count} small requests, the longest took {longest:?}; the longest change of keys {changes:?}"
        );
        assert!(longest < WAIT_MAX && changes < WAIT_MAX, "{longest:?} {changes:?}");
    });
}

/// A write that is on its way between two cores when its key is removed must not take effect after the reply says that the
/// key is gone.
#[test]
fn nothing_that_a_removed_key_allowed_takes_effect_after_the_reply() {
    const ROUNDS: usize = 300;
    let _alone = alone();
    let server = Server::start(&["--cores", "8", "--no-pin"]);
    let mut master = server.client();
    let mut readers: Vec<Client> = (0..4).map(|_| server.client()).collect();
    for round in 0..ROUNDS {
        let key = format!("k{round}");
        master.call("keys", &json!({"action": "add", "key": key, "scope": "read_write"}));
        let mut writer = RawSocket::open(server.port, &format!("api-key={key}"));
        let values = |from: usize| -> Vec<u8> {
            let one = |n: usize| {
                frame("sval", &json!({"col": format!("c{}", n % 16), "key": "k", "value": format!("{n}")}))
            };
            (from..from + 64).flat_map(one).collect()
        };
        let stop = writer.stream.try_clone().unwrap();
        let writing = std::thread::spawn(move || {
            let mut from = round * 1_000_000;
            while writer.stream.write_all(&values(from)).is_ok() {
                from += 64;
            }
        });
        std::thread::yield_now();
        assert_eq!(master.call("keys", &json!({"action": "remove", "key": key})), json!({"status": "ok"}));
        let state = |client: &mut Client| -> Vec<Value> {
            (0..16).map(|n| client.call("gval", &json!({"col": format!("c{n}"), "key": "k"}))).collect()
        };
        let first = state(&mut readers[round % 4]);
        let later = state(&mut readers[(round + 1) % 4]);
        assert_eq!(first, later, "round {round}");
        let _ = stop.shutdown(Shutdown::Both);
        writing.join().unwrap();
        assert_eq!(first, state(&mut master), "round {round}");
    }
}

/// Inserts that the server has begun to carry out.
fn inserts(client: &mut Client) -> u64 {
    let stats = client.call("stats", &json!({}));
    let cores = stats["stats"]["cores"].as_array().unwrap();
    cores.iter().map(|core| core["requests"]["ins"].as_u64().unwrap()).sum()
}

/// A long message is read in steps; its key may lose its scope meanwhile.
#[test]
fn a_long_insert_is_stored_before_its_key_loses_the_scope_or_not_at_all() {
    const ROUNDS: usize = 4;
    let _alone = alone();
    let server = Server::start(&["--cores", "2", "--max-message-bytes", "64MiB"]);
    let mut master = server.client();
    let mut refused = 0;
    for round in 0..ROUNDS {
        let col = format!("c{round}");
        master.call("keys", &json!({"action": "add", "key": "writer", "scope": "read_write"}));
        let mut writer = RawSocket::open(server.port, "api-key=writer");
        let record = |ts: usize| json!({"ts": ts, "doc": "d", "col": col, "data": ""});
        let records = Value::from((0..200_000).map(record).collect::<Vec<_>>());
        writer.stream.write_all(&frame("ins", &records)).unwrap();
        // It is counted when its beginning is looked at.
        while inserts(&mut master) <= round as u64 {}
        master.call("keys", &json!({"action": "add", "key": "writer", "scope": "readonly"}));
        let newest = json!({"col": col, "ts": 1_000_000});
        let first = master.call("qry", &newest);
        let (_, reply) = writer.read_frame().unwrap();
        let stored = reply == br#"{"id":"x"}"#;
        refused += usize::from(!stored);
        assert_eq!(first, master.call("qry", &newest), "round {round}");
        assert_eq!(stored, first != json!({"records": {}}), "round {round}");
    }
    println!("{refused} of {ROUNDS} were refused");
}
