//! That several cores together behave as one server.

use crate::support::{Client, KEY_QUERY, Server, Session};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Three clients at a time send 12,000 requests each without waiting, in bursts; every reply is what a plain
/// model says, although each request sees what the earlier ones of its connection did on other cores.
#[test]
fn pipelined_requests_see_the_earlier_ones() {
    let server = Server::start(&["--cores", "4"]);
    std::thread::scope(|scope| {
        for (prefix, seed) in [("a", 0x5eed), ("b", 0xbeef), ("c", 0xcafe)] {
            let client = server.client();
            scope.spawn(move || check_against_model(client, prefix, seed));
        }
    });
}

fn check_against_model(mut client: Client, prefix: &str, seed: u64) {
    const BURSTS: usize = 40;
    const BURST: usize = 300;
    let mut session = Session::new(prefix, seed);
    for _ in 0..BURSTS {
        let mut expected = Vec::new();
        for _ in 0..BURST {
            let (kind, data, reply) = session.step();
            let names = session.names();
            expected.push((client.queue(kind, &data), kind, data, reply, names));
        }
        client.flush();
        let replies = client.replies(BURST);
        for (id, kind, data, reply, names) in expected {
            let got = &replies[&id];
            match reply {
                Some(reply) => assert_eq!(*got, reply, "{kind} {data}, seed {seed}"),
                None => assert_eq!(own_names(got, prefix), names, "{kind}, seed {seed}"),
            }
        }
    }
}

/// The collections of one client among those of all.
fn own_names(reply: &Value, prefix: &str) -> BTreeSet<String> {
    let names = reply["collections"].as_array().unwrap().iter().map(|name| name.as_str().unwrap());
    names.filter(|name| name.starts_with(&format!("{prefix}-"))).map(String::from).collect()
}

/// A change of a key holds for its open connections on all cores as soon as it is answered.
#[test]
fn scope_changes_reach_every_core() {
    let server = Server::start(&["--cores", "4"]);
    let mut master = server.client();
    let mut set_scope = |scope: &str| {
        let reply = master.call("keys", &json!({"action": "add", "key": "k", "scope": scope}));
        assert_eq!(reply, json!({"status": "ok", "scope": scope}));
    };
    set_scope("readonly");
    let mut clients: Vec<Client> = (0..16).map(|_| server.client_with("api-key=k")).collect();
    let denied = json!({"error": "permission denied"});
    for round in 0..20 {
        for (scope, may_write, may_delete) in
            [("readonly", false, false), ("read_write", true, false), ("read_write_delete", true, true)]
        {
            set_scope(scope);
            for (index, client) in clients.iter_mut().enumerate() {
                let expected = |may: bool| if may { json!({}) } else { denied.clone() };
                let col = format!("c{round}-{index}");
                let write = client.call("sval", &json!({"col": col, "key": "k", "value": "v"}));
                assert_eq!(write, expected(may_write), "{scope}");
                assert_eq!(
                    client.call("rval", &json!({"col": col, "key": "k"})),
                    expected(may_delete),
                    "{scope}"
                );
                assert!(client.call("gval", &json!({"col": col, "key": "k"})).get("value").is_some());
                let keys = client.call("keys", &json!({"action": "list"}));
                assert_eq!(keys, json!({"error": "only the master key may manage API keys"}));
            }
        }
    }
    assert_eq!(master.call("keys", &json!({"action": "remove", "key": "k"})), json!({"status": "ok"}));
    for client in &mut clients {
        assert_eq!(client.closed(), Some(1008));
    }
}

#[test]
fn connections_of_all_cores_are_listed() {
    let server = Server::start(&["--cores", "4"]);
    let mut clients: Vec<Client> =
        (0..20).map(|index| server.client_with(&format!("{KEY_QUERY}&name=n{index}"))).collect();
    for (index, client) in clients.iter_mut().enumerate() {
        let reply = client.call("conn", &json!({}));
        let connections = reply["connections"].as_array().unwrap();
        assert_eq!(connections.len(), 20);
        let own: Vec<&Value> = connections.iter().filter(|connection| connection["self"] == true).collect();
        assert_eq!(own.len(), 1);
        assert_eq!(own[0]["name"], format!("n{index}"));
        assert_eq!(own[0]["ip"], "127.0.0.1");
    }
}

/// All or nothing, also when the records lie on different cores and the bad one comes last.
#[test]
fn a_refused_insert_leaves_nothing_on_any_core() {
    let server = Server::start(&["--cores", "4"]);
    let mut client = server.client();
    let mut records: Vec<Value> =
        (0..50).map(|index| json!({"ts": 1, "doc": "d", "data": "x", "col": format!("c{index}")})).collect();
    records.push(json!({"ts": 1, "doc": "", "data": "x", "col": "c"}));
    let reply = client.call("ins", &json!(records));
    assert!(reply["error"].as_str().unwrap().contains("50"), "the error names the index: {reply}");
    assert_eq!(client.call("cols", &json!({})), json!({"collections": []}));
}
