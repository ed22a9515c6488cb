//! The limits on connections by key, by address, and of handshakes under way: each is hit, says so, and lets others in when
//! there is room again.

use crate::support::raw::{RawSocket, upgrade};
use crate::support::{Client, KEY, KEY_QUERY, Server};
use serde_json::{Value, json};

/// Tries until the server has noticed that another is gone.
fn eventually_open(server: &Server, query: &str) -> RawSocket {
    loop {
        let mut socket = RawSocket::connect(server.port);
        if socket.handshake(&upgrade(&format!("/?{query}"), "")).0 == 101 {
            return socket;
        }
    }
}

fn refusals(client: &mut Client, reason: &str) -> u64 {
    let stats = client.call("stats", &json!({}));
    let cores = stats["stats"]["cores"].as_array().unwrap();
    cores.iter().filter_map(|core| core["refusals"][reason].as_u64()).sum()
}

#[test]
fn connections_with_one_key_have_a_limit() {
    let server = Server::start(&["--cores", "2", "--max-connections-per-key", "2"]);
    let mut master = server.client();
    master.call("keys", &json!({"action": "add", "key": "reader", "scope": "readonly"}));
    let first = RawSocket::open(server.port, "api-key=reader");
    let second = RawSocket::open(server.port, "api-key=reader");
    let refused = RawSocket::connect(server.port).ask(&upgrade("/?api-key=reader", ""));
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.body, "too many connections with this API key: 2 are allowed");
    let _another = server.client();
    assert_eq!(refusals(&mut master, "key_connections"), 1);
    drop(first);
    let third = eventually_open(&server, "api-key=reader");
    drop((second, third));
    let (_third, _fourth) =
        (eventually_open(&server, "api-key=reader"), eventually_open(&server, "api-key=reader"));
    assert_eq!(RawSocket::connect(server.port).handshake(&upgrade("/?api-key=reader", "")).0, 429);
}

#[test]
fn a_key_in_the_first_message_counts_too() {
    let server = Server::start(&["--cores", "2", "--legacy-auth", "--max-connections-per-key", "2"]);
    let authenticate = || {
        let mut client = Client::connect(server.port, "/", "");
        let request = json!({"id": "a", "type": "auth", "data": KEY}).to_string();
        client.socket.send(tungstenite::Message::text(request)).unwrap();
        let reply = client.receive();
        (client, reply)
    };
    let (first, second) = (authenticate(), authenticate());
    let accepted: [Result<Value, Option<u16>>; 2] = [first.1, second.1];
    assert_eq!(accepted, [Ok(json!({"id": "a"})), Ok(json!({"id": "a"}))]);
    assert_eq!(authenticate().1, Err(Some(1008)));
    drop(first.0);
    eventually_open(&server, KEY_QUERY);
}

#[test]
fn connections_from_one_address_have_a_limit() {
    let server = Server::start(&["--cores", "2", "--max-connections-per-address", "2"]);
    let mut first = server.client();
    let second = RawSocket::open(server.port, KEY_QUERY);
    let refused = RawSocket::connect(server.port).ask(&upgrade(&format!("/?{KEY_QUERY}"), ""));
    assert_eq!(
        (refused.status(), refused.body.as_str()),
        (429, "too many connections from this address: 2 are allowed")
    );
    assert_eq!(refusals(&mut first, "address_connections"), 1);
    drop(second);
    eventually_open(&server, KEY_QUERY);
}

#[test]
fn handshakes_under_way_have_the_limit_that_is_asked_for() {
    let server = Server::start(&["--cores", "1", "--max-handshakes", "3"]);
    let mut open = server.client();
    let mut waiting: Vec<RawSocket> = (0..3).map(|_| RawSocket::connect(server.port)).collect();
    // The server accepts in order, so this one is past the limit when it is answered at all before its request is sent.
    let refused = RawSocket::connect(server.port).ask("");
    assert_eq!(refused.status(), 503);
    assert_eq!(refusals(&mut open, "handshakes"), 1);
    let request = upgrade(&format!("/?{KEY_QUERY}"), "");
    assert!(
        waiting.iter_mut().all(|socket| socket.handshake(&request).0 == 101),
        "those that wait are served"
    );
    RawSocket::open(server.port, KEY_QUERY);
}
