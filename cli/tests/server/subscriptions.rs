//! Subscriptions over real connections: what is pushed, in which order, and how they end.

use crate::support::{Client, Server, TempDir};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

pub fn put(client: &mut Client, col: &str, doc: &str, ts: i64, data: &str) {
    client.done("ins", &json!([{"ts": ts, "doc": doc, "data": data, "col": col}]));
}

/// Subscribes; gives the name of the subscription and the rest of the reply.
pub fn subscribe(client: &mut Client, data: &Value) -> (String, Value) {
    let id = client.queue("sub", data);
    client.flush();
    let mut reply = client.receive().unwrap();
    assert_eq!(reply["id"], id.as_str(), "{reply}");
    reply.as_object_mut().unwrap().remove("id");
    (id, reply)
}

/// The next message, which must be a push of this subscription; without what all have.
pub fn pushed(client: &mut Client, name: &str) -> (Value, String) {
    let mut push = client.receive().unwrap();
    assert_eq!((&push["type"], &push["sub"]), (&json!("push"), &json!(name)), "{push}");
    let members = push.as_object_mut().unwrap();
    members.remove("type");
    members.remove("sub");
    let cursor = members.remove("cursor").unwrap().as_str().unwrap().to_owned();
    (push, cursor)
}

fn expect(client: &mut Client, name: &str, push: Value) -> String {
    let (got, cursor) = pushed(client, name);
    assert_eq!(got, push);
    cursor
}

fn cores() -> impl Iterator<Item = Server> {
    ["1", "2", "4"].into_iter().map(|count| Server::start(&["--cores", count]))
}

#[test]
fn the_newest_records_are_pushed_as_they_change() {
    for server in cores() {
        let (mut writer, mut reader) = (server.client(), server.client());
        put(&mut writer, "c", "d1", 5, "five");
        put(&mut writer, "c", "d2", 5, "x");
        put(&mut writer, "c", "other", 5, "x");
        let (name, reply) = subscribe(&mut reader, &json!({"col": "c", "doc": "/^d/"}));
        assert!(reply["cursor"].is_string() && reply.get("resumed").is_none(), "{reply}");
        let (push, _) = pushed(&mut reader, &name);
        let records = json!({"d1": {"ts": 5, "data": "five"}, "d2": {"ts": 5, "data": "x"}});
        assert_eq!(push, json!({"reset": true, "snapshot": "done", "records": records}));
        put(&mut writer, "c", "d1", 4, "late");
        put(&mut writer, "c", "other", 9, "not asked for");
        put(&mut writer, "c", "d1", 5, "five again");
        expect(&mut reader, &name, json!({"records": {"d1": {"ts": 5, "data": "five again"}}}));
        writer.done("drec", &json!({"col": "c", "doc": "d1", "ts": 5}));
        expect(&mut reader, &name, json!({"records": {"d1": {"ts": 4, "data": "late"}}}));
        writer.done("ddoc", &json!({"doc": "d1"}));
        expect(&mut reader, &name, json!({"records": {"d1": null}}));
        writer.done("dcol", &json!({"col": "c"}));
        expect(&mut reader, &name, json!({"records": {"d2": null}}));
        put(&mut writer, "c", "d9", -1, "again");
        expect(&mut reader, &name, json!({"records": {"d9": {"ts": -1, "data": "again"}}}));
    }
}

#[test]
fn what_a_filter_holds_back_is_told_once() {
    let server = Server::start(&["--cores", "2"]);
    let (mut writer, mut reader) = (server.client(), server.client());
    let (name, _) = subscribe(&mut reader, &json!({"col": "c", "where": "on", "filter": "/^x/"}));
    expect(&mut reader, &name, json!({"reset": true, "snapshot": "done", "records": {}}));
    for (ts, data) in [(1, "on"), (2, "off"), (3, "off"), (4, "xon"), (5, "on")] {
        put(&mut writer, "c", "d", ts, data);
        match ts {
            1 | 5 => expect(&mut reader, &name, json!({"records": {"d": {"ts": ts, "data": "on"}}})),
            2 => expect(&mut reader, &name, json!({"records": {"d": null}})),
            _ => continue,
        };
    }
}

#[test]
fn every_change_is_pushed_in_order() {
    for server in cores() {
        let (mut writer, mut reader) = (server.client(), server.client());
        put(&mut writer, "c", "d", 1, "before");
        let (name, _) = subscribe(&mut reader, &json!({"col": "c", "mode": "all"}));
        let mut expected = Vec::new();
        let mut change = |writer: &mut Client, kind: &str, data: Value, change: Value| {
            writer.done(kind, &data);
            expected.push(change);
        };
        for ts in [3, 2, 3] {
            let data = json!([{"ts": ts, "doc": "d", "data": "x\"", "col": "c"}]);
            change(&mut writer, "ins", data, json!({"doc": "d", "ts": ts, "data": "x\""}));
        }
        writer.done("drec", &json!({"col": "c", "doc": "d", "ts": 77}));
        writer.done("sval", &json!({"col": "c", "key": "k", "value": "v"}));
        let deleted = json!({"doc": "d", "ts": 3, "del": true});
        change(&mut writer, "drec", json!({"col": "c", "doc": "d", "ts": 3}), deleted);
        let range = json!({"doc": "d", "fromTs": 0, "toTs": 1, "del": true});
        change(&mut writer, "drrng", json!({"col": "c", "doc": "d", "fromTs": 0, "toTs": 1}), range);
        change(&mut writer, "ddoc", json!({"col": "c", "doc": "d"}), json!({"doc": "d", "del": true}));
        change(&mut writer, "dcol", json!({"col": "c"}), json!({"del": true}));
        let mut changes = Vec::new();
        while changes.len() < expected.len() {
            changes.extend(pushed(&mut reader, &name).0["changes"].as_array().unwrap().iter().cloned());
        }
        assert_eq!(changes, expected);
    }
}

#[test]
fn all_changes_can_begin_with_all_records() {
    let server = Server::start(&["--cores", "2"]);
    let (mut writer, mut reader) = (server.client(), server.client());
    let count = 20_000;
    let record =
        |ts: i64| json!({"ts": ts, "doc": format!("d{}", ts % 7), "data": "x".repeat(50), "col": "c"});
    writer.done("ins", &(0..count).map(record).collect());
    let (name, _) = subscribe(&mut reader, &json!({"col": "c", "mode": "all", "snapshot": true}));
    put(&mut writer, "c", "d1", 1_000_000, "behind");
    let (mut times, mut parts) = (Vec::new(), 0);
    loop {
        let (push, _) = pushed(&mut reader, &name);
        assert_eq!(push.get("reset").is_some(), parts == 0);
        parts += 1;
        times.extend(push["changes"].as_array().unwrap().iter().map(|change| change["ts"].as_i64().unwrap()));
        if push["snapshot"] == "done" {
            break;
        }
        assert_eq!(push["snapshot"], "part");
    }
    times.sort_unstable();
    assert!(times.into_iter().eq(0..count) && parts > 3, "{parts}");
    expect(&mut reader, &name, json!({"changes": [{"doc": "d1", "ts": 1_000_000, "data": "behind"}]}));
}

#[test]
fn what_can_not_be_subscribed_to_is_said() {
    let server = Server::start(&["--cores", "2"]);
    let mut client = server.client();
    for (kind, data, wrong) in [
        ("sub", json!({}), "\"col\" is missing"),
        (
            "sub",
            json!({"col": "c", "mode": "x"}),
            "\"mode\" must be \"latest\" or \"all\", not the text \"x\"",
        ),
        ("sub", json!({"col": "c", "doc": "/(/"}), "bad pattern /(/: "),
        ("sub", json!({"col": "c", "where": "/(/"}), "bad pattern /(/: "),
        ("sub", json!({"col": "c", "since": "what"}), "\"since\" is no cursor: what"),
        ("unsub", json!({}), "\"sub\" is missing"),
        ("unsub", json!({"sub": "x"}), "there is no subscription \"x\""),
    ] {
        let reply = client.call(kind, &data);
        assert!(reply["error"].as_str().unwrap().starts_with(wrong), "{reply}");
    }
    // What was refused left no name behind.
    for _ in 0..2 {
        let request =
            json!({"id": "s", "type": "sub", "data": json!({"col": "c", "since": "x"}).to_string()});
        client.socket.send(request.to_string().into()).unwrap();
        assert_eq!(client.receive().unwrap()["error"], "\"since\" is no cursor: x");
    }
    let request =
        json!({"id": "s", "type": "sub", "data": json!({"col": "c", "snapshot": false}).to_string()});
    client.socket.send(request.to_string().into()).unwrap();
    assert!(client.receive().unwrap()["cursor"].is_string());
    client.socket.send(request.to_string().into()).unwrap();
    assert_eq!(client.receive().unwrap()["error"], "there is a subscription \"s\" already");
}

#[test]
fn a_connection_has_so_many_subscriptions() {
    let server = Server::start(&["--cores", "2"]);
    let mut client = server.client();
    let terms = |number: usize| json!({"col": format!("c{number}"), "snapshot": false});
    let names: Vec<String> = (0..64).map(|number| subscribe(&mut client, &terms(number)).0).collect();
    let wrong = client.call("sub", &terms(64));
    assert_eq!(wrong["error"], "too many subscriptions: this connection has 64, and 64 are allowed");
    client.done("unsub", &json!({"sub": names[7]}));
    subscribe(&mut client, &terms(64));
}

/// A request that several cores carry out is answered when all have; what one of them pushes meanwhile must wait.
#[test]
fn a_push_never_overtakes_the_reply_to_what_caused_it() {
    let server = Server::start(&["--cores", "4"]);
    let mut client = server.client();
    let names: Vec<String> = (0..8)
        .map(|number| {
            let mode = if number % 2 == 0 { "latest" } else { "all" };
            subscribe(&mut client, &json!({"col": format!("c{number}"), "mode": mode, "snapshot": false})).0
        })
        .collect();
    let mut answered = Vec::new();
    let mut seen: BTreeMap<String, i64> = BTreeMap::new();
    let rounds = 300;
    for round in 0..rounds {
        let record = |number: i64| {
            let padding = if round % 50 == 0 { "x".repeat(20_000) } else { String::new() };
            json!({"ts": round, "doc": "d", "data": padding, "col": format!("c{number}")})
        };
        let ids: Vec<String> = match round % 3 {
            0 => vec![client.queue("ins", &(0..8).map(record).collect())],
            1 => (0..8).map(|number| client.queue("ins", &json!([record(number)]))).collect(),
            _ => vec![
                client.queue("ins", &(0..4).map(record).collect()),
                client.queue("ins", &(4..8).map(record).collect()),
            ],
        };
        client.flush();
        let mut open: Vec<String> = ids;
        let is_over = |seen: &BTreeMap<String, i64>| names.iter().all(|name| seen.get(name) == Some(&round));
        while !open.is_empty() || !is_over(&seen) {
            let message = client.receive().unwrap();
            if let Some(id) = message["id"].as_str() {
                open.retain(|known| known != id);
                answered.push(id.to_owned());
                continue;
            }
            let name = message["sub"].as_str().unwrap().to_owned();
            let records = message["records"].as_object().into_iter().flatten().map(|(_, record)| record);
            let changes = message["changes"].as_array().into_iter().flatten();
            let newest = records.chain(changes).map(|record| record["ts"].as_i64().unwrap()).max().unwrap();
            if round % 3 == 0 && newest == round {
                assert!(open.is_empty(), "a push of round {round} came before its reply");
            }
            let before = seen.insert(name, newest);
            assert!(before.is_none_or(|before| before < newest));
        }
    }
    assert!(answered.len() > 300);
}

#[test]
fn nothing_is_pushed_behind_the_reply_to_unsub() {
    let server = Server::start(&["--cores", "2"]);
    let (mut writer, mut reader) = (server.client(), server.client());
    for round in 0..100 {
        let (name, _) = subscribe(&mut reader, &json!({"col": "c", "mode": "all"}));
        for ts in 0..20 {
            writer.queue("ins", &json!([{"ts": ts, "doc": "d", "data": round.to_string(), "col": "c"}]));
        }
        writer.flush();
        let id = reader.queue("unsub", &json!({"sub": name}));
        reader.flush();
        while reader.receive().unwrap()["id"] != id.as_str() {}
        assert!(reader.call("gval", &json!({"col": "c", "key": "k"}))["value"].is_string());
        writer.replies(20);
        assert!(reader.call("gval", &json!({"col": "c", "key": "k"}))["value"].is_string());
    }
}

/// Over half a MiB, so it goes in steps, with others in between.
#[test]
fn a_long_request_is_pushed_as_a_whole() {
    let server = Server::start(&["--cores", "1"]);
    let (mut writer, mut other, mut reader) = (server.client(), server.client(), server.client());
    let (name, _) = subscribe(&mut reader, &json!({"col": "c"}));
    pushed(&mut reader, &name);
    for round in 1..5 {
        let record = |number: i64| json!({"ts": round, "doc": format!("d{}", number % 5000), "data": "x".repeat(100), "col": "c"});
        let id = writer.queue("ins", &(0..10_000).map(record).collect());
        writer.flush();
        put(&mut other, "c", "single", round, "");
        assert_eq!(writer.receive().unwrap()["id"], id.as_str());
        let mut newest = BTreeMap::new();
        while newest.len() < 5001 {
            let (push, _) = pushed(&mut reader, &name);
            for (doc, record) in push["records"].as_object().unwrap() {
                assert_eq!(record["ts"].as_i64(), Some(round));
                newest.insert(doc.clone(), round);
            }
            // Either none of it or, with the last part, all of it.
            if push.get("more").is_none() {
                assert!(newest.len() == 1 || newest.len() >= 5000, "{}", newest.len());
            }
        }
    }
}

#[test]
fn who_was_cut_off_goes_on_where_it_was() {
    let server = Server::start(&["--cores", "2"]);
    let mut writer = server.client();
    for mode in ["latest", "all"] {
        let col = format!("c-{mode}");
        let terms = |since: &str| json!({"col": col, "mode": mode, "snapshot": false, "since": since});
        let mut reader = server.client();
        let (_, reply) = subscribe(&mut reader, &json!({"col": col, "mode": mode, "snapshot": false}));
        let mut cursor = reply["cursor"].as_str().unwrap().to_owned();
        for round in 0..30 {
            drop(reader);
            put(&mut writer, &col, "d", round, "missed");
            reader = server.client();
            let (name, reply) = subscribe(&mut reader, &terms(&cursor));
            assert_eq!((&reply["resumed"], reply.get("why")), (&json!(true), None), "{reply}");
            let record = json!({"ts": round, "data": "missed"});
            let expected = match mode {
                "latest" => json!({"records": {"d": record}}),
                _ => json!({"changes": [{"doc": "d", "ts": round, "data": "missed"}]}),
            };
            cursor = expect(&mut reader, &name, expected);
        }
        // Of another collection, or of none that there ever was.
        let mut other = server.client();
        let reply = subscribe(&mut other, &json!({"col": "other", "mode": mode, "since": cursor})).1;
        assert_eq!((&reply["resumed"], &reply["why"]), (&json!(false), &json!("epoch")));
        let (name, reply) =
            subscribe(&mut reader, &terms(&format!("{}-0", cursor.split_once('-').unwrap().0)));
        assert_eq!((&reply["resumed"], &reply["why"]), (&json!(false), &json!("history")));
        let (push, _) = pushed(&mut reader, &name);
        assert_eq!((&push["reset"], &push["snapshot"]), (&json!(true), &json!("done")), "{push}");
    }
}

#[test]
fn pushes_keep_their_distance() {
    let server = Server::start(&["--cores", "2"]);
    let (mut writer, mut reader) = (server.client(), server.client());
    let (name, _) = subscribe(&mut reader, &json!({"col": "c", "snapshot": false, "every": 100}));
    let begun = Instant::now();
    let mut count = 0;
    let mut ts = 0;
    while begun.elapsed() < Duration::from_millis(1000) {
        put(&mut writer, "c", "d", ts, "");
        ts += 1;
    }
    loop {
        let (push, _) = pushed(&mut reader, &name);
        count += 1;
        if push["records"]["d"]["ts"] == ts - 1 {
            break;
        }
    }
    let elapsed = begun.elapsed().as_millis() as i64;
    assert!(count >= 3 && count <= 2 + elapsed / 100, "{count} pushes in {elapsed} ms");
}

#[test]
fn a_push_leaves_after_what_it_tells_of_is_stored() {
    let directory = TempDir::new();
    let data = directory.path().to_str().unwrap();
    let server = Server::start(&["--cores", "2", "--data", data, "--sync", "always"]);
    let (mut writer, mut reader) = (server.client(), server.client());
    let (name, _) = subscribe(&mut reader, &json!({"col": "c"}));
    pushed(&mut reader, &name);
    let (own, _) = subscribe(&mut writer, &json!({"col": "c", "mode": "all"}));
    for ts in 0..100 {
        let id = writer.queue("ins", &json!([{"ts": ts, "doc": "d", "data": "", "col": "c"}]));
        writer.flush();
        assert_eq!(writer.receive().unwrap()["id"], id.as_str());
        expect(&mut writer, &own, json!({"changes": [{"doc": "d", "ts": ts, "data": ""}]}));
        expect(&mut reader, &name, json!({"records": {"d": {"ts": ts, "data": ""}}}));
    }
    drop((writer, reader));
    server.stop();
}

#[test]
fn a_restart_is_gone_over_where_nothing_was_missed() {
    let directory = TempDir::new();
    let arguments = ["--cores", "1", "--data", directory.path().to_str().unwrap()];
    let server = Server::start(&arguments);
    let (mut writer, mut reader) = (server.client(), server.client());
    let (name, _) = subscribe(&mut reader, &json!({"col": "c"}));
    pushed(&mut reader, &name);
    put(&mut writer, "c", "d", 1, "x");
    let (_, cursor) = pushed(&mut reader, &name);
    drop((writer, reader));
    server.stop();

    let mut server = Server::start(&arguments);
    let mut reader = server.client();
    let (name, reply) = subscribe(&mut reader, &json!({"col": "c", "since": cursor}));
    assert_eq!(reply["resumed"], true, "{reply}");
    put(&mut server.client(), "c", "d", 2, "y");
    let (push, cursor) = pushed(&mut reader, &name);
    assert_eq!(push, json!({"records": {"d": {"ts": 2, "data": "y"}}}));
    server.kill();

    // What was pushed may be lost.
    let server = Server::start(&arguments);
    let mut reader = server.client();
    let (name, reply) = subscribe(&mut reader, &json!({"col": "c", "since": cursor}));
    assert_eq!((&reply["resumed"], &reply["why"]), (&json!(false), &json!("epoch")));
    assert_eq!(pushed(&mut reader, &name).0["reset"], true);
}

/// The sum of a counter over all cores.
fn sum(client: &mut Client, name: &str) -> u64 {
    let stats = client.call("stats", &json!({}));
    stats["stats"]["cores"].as_array().unwrap().iter().map(|core| core[name].as_u64().unwrap()).sum()
}

#[test]
fn what_is_gone_leaves_nothing_behind() {
    let server = Server::start(&["--cores", "2"]);
    let mut writer = server.client();
    for round in 0..20 {
        let mut readers: Vec<Client> = (0..10).map(|_| server.client()).collect();
        for (number, reader) in readers.iter_mut().enumerate() {
            for mode in ["latest", "all"] {
                let doc = format!("/{number}|x/");
                subscribe(
                    reader,
                    &json!({"col": format!("c{}", number % 3), "mode": mode, "doc": doc, "snapshot": false}),
                );
            }
        }
        for number in 0..3 {
            put(&mut writer, &format!("c{number}"), "x", round, "x");
        }
        assert_eq!(sum(&mut writer, "subscriptions"), 20);
        assert!(sum(&mut writer, "subscription_bytes") > 0);
        drop(readers);
        while sum(&mut writer, "subscriptions") > 0 {}
    }
}
