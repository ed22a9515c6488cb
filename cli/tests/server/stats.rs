//! The counters of the cores, and what is told of connections that are turned down.

use crate::support::raw::{self, RawSocket};
use crate::support::{KEY, KEY_QUERY, Server, alone, command};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::Stdio;

/// The sum of a counter over all cores; a name of two parts, such as `requests.ins`, is looked up in steps.
fn sum(stats: &Value, name: &str) -> u64 {
    let cores = stats["stats"]["cores"].as_array().unwrap();
    let counter = |core: &Value| name.split('.').fold(core.clone(), |value, part| value[part].clone());
    cores.iter().map(|core| counter(core).as_u64().unwrap_or_else(|| panic!("{name}: {core}"))).sum()
}

#[test]
fn requests_bytes_and_refusals_are_counted() {
    let server = Server::start(&["--cores", "2"]);
    let mut client = server.client();
    for number in 0..10 {
        client.done("ins", &json!([{"ts": 1, "doc": "d", "data": "x", "col": format!("c{number}")}]));
    }
    client.call("keys", &json!({"action": "add", "key": "reader", "scope": "readonly"}));
    let mut reader = server.client_with("api-key=reader");
    assert!(reader.call("dcol", &json!({"col": "c1"}))["error"].is_string());
    assert!(client.call("qry", &json!({"col": "c1"}))["error"].is_string());
    let response = RawSocket::connect(server.port).handshake(&raw::upgrade("/?api-key=wrong", ""));
    assert_eq!(response.0, 401);
    let stats = reader.call("stats", &json!({}));
    assert_eq!(stats["stats"]["cores"].as_array().map(Vec::len), Some(2));
    for (name, count) in [
        ("requests.ins", 10),
        ("requests.keys", 1),
        ("requests.stats", 1),
        ("refusals.permission", 1),
        ("refusals.key", 1),
        ("errors", 2),
        ("connections", 2),
        ("records", 10),
        ("collections", 10),
    ] {
        assert_eq!(sum(&stats, name), count, "{name} {stats}");
    }
    assert!(sum(&stats, "bytes_in") > 1000 && sum(&stats, "bytes_out") > 400, "{stats}");
}

#[test]
fn handshakes_under_way_have_a_cap_of_their_own() {
    const CAP: usize = 1024;
    let _alone = alone();
    let server = Server::start(&["--cores", "1"]);
    let mut open = server.client();
    let mut waiting: Vec<RawSocket> = (0..CAP).map(|_| RawSocket::connect(server.port)).collect();
    // The server accepts in order, so this one is past the cap when it is answered at all before its request is sent.
    let mut refused = RawSocket::connect(server.port);
    assert_eq!(refused.handshake("").0, 503);
    assert_eq!(open.call("gval", &json!({"col": "c", "key": "k"})), json!({"value": ""}));
    let first = waiting[0].handshake(&raw::upgrade(&format!("/?{KEY_QUERY}"), ""));
    assert_eq!(first.0, 101, "those that wait are served");
}

#[test]
fn refused_connections_are_told_in_few_lines() {
    const ATTEMPTS: usize = 200;
    let mut child = command()
        .args(["--secret-key", KEY, "--port", "0", "--cores", "1", "--log", "warn"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let port = line.split(',').next().and_then(|head| head.rsplit(':').next()?.parse().ok()).unwrap();
    for _ in 0..ATTEMPTS {
        let response = RawSocket::connect(port).handshake(&raw::upgrade("/?api-key=wrong", ""));
        assert_eq!(response.0, 401);
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let lines: Vec<String> =
        BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap).collect();
    let told = lines.iter().filter(|line| line.contains("refused")).count();
    assert!((1..20).contains(&told), "{told} lines for {ATTEMPTS} attempts: {lines:?}");
    assert!(lines.iter().all(|line| !line.contains("wrong")), "a key is never shown: {lines:?}");
}
