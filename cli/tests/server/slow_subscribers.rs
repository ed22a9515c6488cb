//! Subscribers that are slow or stuck, and pushes while others write all the time.

use crate::subscriptions::{pushed, subscribe};
use crate::support::raw::{RawSocket, TEXT};
use crate::support::{Client, KEY_QUERY, Server, TempDir};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Reads frames until one of them is the end of a subscription; gives what the pushes before it held.
fn read_to_end(socket: &mut RawSocket) -> (Vec<Value>, Value) {
    let mut pushes = Vec::new();
    loop {
        let payload = socket.read_text().unwrap();
        let message: Value = serde_json::from_slice(&payload).unwrap();
        match message["type"].as_str() {
            Some("push") => pushes.push(message),
            Some("end") => return (pushes, message),
            _ => {}
        }
    }
}

fn times(pushes: &[Value]) -> Vec<i64> {
    let changes = pushes.iter().flat_map(|push| push["changes"].as_array().unwrap());
    changes.map(|change| change["ts"].as_i64().unwrap()).collect()
}

fn ask(socket: &mut RawSocket, id: &str, kind: &str, data: &Value) {
    let request = json!({"id": id, "type": kind, "data": data.to_string()});
    socket.send(TEXT, request.to_string().as_bytes());
}

/// Writes far more than sockets take on the way.
fn write_much(writer: &mut Client, count: i64) {
    for ts in 0..count {
        writer.queue("ins", &json!([{"ts": ts, "doc": "d", "data": "x".repeat(10_000), "col": "c"}]));
        if ts % 50 == 49 {
            writer.flush();
            writer.replies(50);
        }
    }
}

/// Waits until the server has only so many subscriptions.
fn wait_until_left(client: &mut Client, count: u64) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let stats = client.call("stats", &json!({}));
        let cores = stats["stats"]["cores"].as_array().unwrap();
        if cores.iter().map(|core| core["subscriptions"].as_u64().unwrap()).sum::<u64>() == count {
            return;
        }
        assert!(Instant::now() < deadline, "{count} subscriptions are to be left: {stats}");
    }
}

#[test]
fn who_takes_nothing_is_told_and_can_go_on() {
    let server = Server::start(&["--cores", "2"]);
    let mut writer = server.client();
    let mut stuck = RawSocket::open(server.port, KEY_QUERY);
    ask(&mut stuck, "s", "sub", &json!({"col": "c", "mode": "all", "buffer": 100_000}));
    stuck.read_text().unwrap();
    write_much(&mut writer, 1500);
    wait_until_left(&mut writer, 0);
    let (pushes, end) = read_to_end(&mut stuck);
    assert_eq!(end["sub"], "s");
    assert!(end["error"].as_str().unwrap().starts_with("too slow: "), "{end}");
    let seen = times(&pushes);
    assert!(seen.iter().copied().eq(0..seen.len() as i64) && seen.len() < 1500, "{}", seen.len());
    // The name is free again.
    ask(&mut stuck, "s", "sub", &json!({"col": "c", "mode": "all", "since": end["cursor"]}));
    let reply: Value = serde_json::from_slice(&stuck.read_text().unwrap()).unwrap();
    assert_eq!(reply["resumed"], true, "{reply}");
    let mut rest = Vec::new();
    while rest.last() != Some(&1499) {
        let payload = stuck.read_text().unwrap();
        rest.extend(times(&[serde_json::from_slice(&payload).unwrap()]));
    }
    assert!(rest.into_iter().eq(seen.len() as i64..1500));
}

#[test]
fn who_would_rather_lose_the_oldest_is_told_how_many() {
    let server = Server::start(&["--cores", "2"]);
    let mut writer = server.client();
    let mut stuck = RawSocket::open(server.port, KEY_QUERY);
    ask(&mut stuck, "s", "sub", &json!({"col": "c", "mode": "all", "slow": "drop", "buffer": 100_000}));
    let reply: Value = serde_json::from_slice(&stuck.read_text().unwrap()).unwrap();
    write_much(&mut writer, 1500);
    // Who is ended for being as far behind shows that both have been looked at since.
    let mut other = RawSocket::open(server.port, KEY_QUERY);
    let from_there = json!({"col": "c", "mode": "all", "buffer": 100_000, "since": reply["cursor"]});
    ask(&mut other, "s", "sub", &from_there);
    let resumed: Value = serde_json::from_slice(&other.read_text().unwrap()).unwrap();
    assert_eq!(resumed["resumed"], true, "{resumed}");
    wait_until_left(&mut writer, 1);
    let (mut next, mut skipped) = (0, 0);
    while next < 1500 {
        let payload = stuck.read_text().unwrap();
        let push: Value = serde_json::from_slice(&payload).unwrap();
        let lost = push["skipped"].as_i64().unwrap_or(0);
        (next, skipped) = (next + lost, skipped + lost);
        for ts in times(&[push]) {
            assert_eq!(ts, next);
            next += 1;
        }
    }
    assert!(skipped > 100, "{skipped}");
}

/// Who learned of changes only when nothing waited to be stored was pushed nothing for as long as others wrote.
#[test]
fn pushes_come_while_writers_keep_the_disk_busy() {
    let directory = TempDir::new();
    let server = Server::start(&["--cores", "1", "--data", directory.text(), "--sync", "always"]);
    let mut reader = server.client();
    let (name, _) = subscribe(&mut reader, &json!({"col": "c"}));
    pushed(&mut reader, &name);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for document in 0..4 {
            let (server, is_over) = (&server, &is_over);
            scope.spawn(move || {
                let mut writer = server.client();
                let put = |writer: &mut Client, ts: i64| {
                    writer.queue(
                        "ins",
                        &json!([{"ts": ts, "doc": format!("d{document}"), "data": "x", "col": "c"}]),
                    );
                    writer.flush();
                };
                // Some are always under way.
                (0..16).for_each(|ts| put(&mut writer, ts));
                let mut ts = 16;
                while !is_over.load(Ordering::SeqCst) {
                    writer.replies(1);
                    put(&mut writer, ts);
                    ts += 1;
                }
                writer.replies(16);
            });
        }
        let pushes = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            (0..100).for_each(|_| drop(pushed(&mut reader, &name)));
        }));
        is_over.store(true, Ordering::SeqCst);
        assert!(pushes.is_ok(), "no push came while others wrote");
    });
}
