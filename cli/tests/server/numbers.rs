//! Numbers that have no 64 bits: an error where they are used, and of no concern where they are not.

use crate::support::{Client, Server};
use serde_json::{Value, json};
use tungstenite::Message;

/// Numbers that no 64-bit type takes, as JSON may hold them.
const HUGE: [&str; 4] = ["123456789012345678901234567890", "-99999999999999999999", "1e400", "-1.5e999"];

fn ask(client: &mut Client, message: &str) -> Value {
    client.socket.send(Message::text(message)).unwrap();
    client.receive().unwrap_or_else(|code| panic!("closed with {code:?} after {message}"))
}

fn insert(client: &mut Client, records: &str) -> Value {
    ask(client, &json!({"id": "1", "type": "ins", "data": records}).to_string())
}

#[test]
fn members_that_are_not_looked_at_may_hold_any_number() {
    let server = Server::start(&["--cores", "1"]);
    let mut client = server.client();
    for huge in HUGE {
        let gval = r#""type":"gval","data":"{\"col\":\"c\",\"key\":\"k\"}""#;
        for message in [
            format!(r#"{{"seen":{huge},"id":"1",{gval}}}"#),
            format!(r#"{{"id":"1",{gval},"more":{{"list":[1,{huge}]}}}}"#),
        ] {
            assert_eq!(ask(&mut client, &message), json!({"id": "1", "value": ""}), "{message}");
        }
        for record in [
            format!(r#"{{"weight":{huge},"ts":1,"doc":"d","data":"x","col":"c"}}"#),
            format!(r#"{{"ts":1,"doc":"d","data":"x","col":"c","more":[{{"deep":{huge}}}]}}"#),
        ] {
            assert_eq!(insert(&mut client, &format!("[{record}]")), json!({"id": "1"}), "{record}");
        }
    }
    let history = client.call("qdoc", &json!({"col": "c", "doc": "d", "to": 9}));
    assert_eq!(history, json!({"records": [{"ts": 1, "data": "x"}]}));
}

#[test]
fn a_time_outside_64_bits_names_its_record() {
    let server = Server::start(&["--cores", "1"]);
    let mut client = server.client();
    for huge in HUGE.into_iter().chain(["9223372036854775808", "-9223372036854775809"]) {
        let good = r#"{"ts":1,"doc":"d","data":"x","col":"c"}"#;
        let bad = format!(r#"{{"ts":{huge},"doc":"d","data":"x","col":"c"}}"#);
        let reply = insert(&mut client, &format!("[{good},{good},{bad}]"));
        let error = reply["error"].as_str().unwrap_or_default();
        assert!(error.contains("record 2") && error.contains("ts"), "{huge}: {reply}");
        let history = json!({"col": "c", "doc": "d", "to": 5}).to_string().replace('5', huge);
        let reply = ask(&mut client, &json!({"id": "1", "type": "qdoc", "data": history}).to_string());
        assert!(reply["error"].as_str().unwrap_or_default().contains("\"to\""), "{huge}: {reply}");
    }
    assert_eq!(client.call("cols", &json!({})), json!({"collections": []}), "nothing was stored");
}
