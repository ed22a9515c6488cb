//! Commands against servers of other kinds: with counters or without, and hostile ones.

use crate::support::command;
use crate::support::peer::{Listener, Peer};
use crate::tools::{Outcome, Scratch};
use serde_json::{Value, json};
use std::process::Stdio;

/// Bytes that a terminal would obey: a title, a cleared screen in C1, text from right to left.
const HOSTILE: &str = "x\u{1b}]0;title\u{7}\u{9b}2J\u{202e}\u{2066}\u{7f}\r";

/// Runs a command against a server that answers each request as `reply` says.
fn run(arguments: &[&str], reply: impl Fn(&str, &Value) -> Value + Send + 'static) -> Outcome {
    let listener = Listener::start(1, move |_, peer: &mut Peer| {
        while let Some(request) = peer.hear() {
            let mut message = reply(&request.kind, &request.data);
            message["id"] = request.id.into();
            peer.say(&message);
        }
    });
    let mut command = command();
    command.env("FLUXIONDB_URL", &listener.url).env("FLUXIONDB_APIKEY", "k").stdin(Stdio::null());
    let outcome = command.args(arguments).output().unwrap().into();
    listener.finish();
    outcome
}

fn is_shown(text: &str) -> bool {
    text.chars()
        .all(|letter| letter == '\n' || !(letter.is_control() || ['\u{202e}', '\u{2066}'].contains(&letter)))
}

#[test]
fn counters_are_shown() {
    let stats = json!({
        "uptime_ms": 5000,
        "cores": [
            {"core": 0, "connections": 3, "requests": {"ins": 5, "qry": 2}, "errors": 1, "bytes_in": 10, "bytes_out": 20,
             "refusals": {"full": 4}, "waits": {"storage": 6, "mailbox": 1}, "records": 7, "documents": 8,
             "collections": 9, "data_bytes": 11, "later": [1]},
            {"core": 1},
        ],
        "version": "9",
    });
    let asked = stats.clone();
    let outcome = run(&["stats"], move |kind, data| {
        assert_eq!((kind, data), ("stats", &json!({})));
        json!({"stats": asked})
    });
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let shown: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!((&shown["cores"][0], &shown["version"]), (&stats["cores"][0], &json!("9")));
    let outcome = run(&["stats", "--format", "table"], move |_, _| json!({"stats": stats}));
    let rows: Vec<Vec<&str>> = outcome.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0][..3], ["CORE", "CONNECTIONS", "REQUESTS"], "{}", outcome.stdout);
    assert_eq!(rows[1], ["0", "3", "7", "1", "10", "20", "4", "7", "7", "8", "9", "11"]);
    assert_eq!(rows[2], ["1", "0", "0", "0", "0", "0", "0", "0", "0", "0", "0", "0"]);
}

#[test]
fn a_server_without_counters_is_named_so() {
    let outcome = run(&["stats"], |_, _| json!({"error": "unknown message type"}));
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), ""));
    assert!(outcome.stderr.contains("this server does not count"), "{}", outcome.stderr);
    let outcome = run(&["stats"], |_, _| json!({"error": "permission denied"}));
    assert_eq!(outcome.stderr, "fluxiondb: permission denied\n");
}

#[test]
fn a_servers_text_does_not_command_the_terminal() {
    let scratch = Scratch::new();
    let out = scratch.path("out");
    for arguments in [
        &["fetch-collections"][..],
        &["fetch-collections", "--format", "table"],
        &["fetch-collections", "--format", "csv"],
        &["fetch-latest", "--col", "c"],
        &["fetch-latest", "--col", "c", "--format", "csv"],
        &["fetch-document", "--col", "c", "--doc", "d"],
        &["fetch-document", "--col", "c", "--doc", "d", "--format", "table"],
        &["get-values", "--col", "c", "--format", "csv"],
        &["list-api-keys", "--format", "table"],
        &["connections", "--format", "csv"],
        &["delete-collection", "--col", "c"],
        &["export", "--all", "--out-dir", &out],
    ] {
        let outcome = run(arguments, |kind, _| match kind {
            "cols" => json!({"collections": [HOSTILE]}),
            "qry" => json!({"records": {HOSTILE: {"ts": 1, "data": HOSTILE}}}),
            "qdoc" => json!({"records": [{"ts": 1, "data": HOSTILE}]}),
            "gvals" => json!({"values": {HOSTILE: HOSTILE}}),
            "keys" => json!({"keys": [{"key": HOSTILE, "scope": "readonly", "deletable": true}]}),
            "conn" => json!({"connections": [{"ip": HOSTILE, "since": 1, "self": true, "name": HOSTILE}]}),
            _ => json!({"error": HOSTILE}),
        });
        assert!(is_shown(&outcome.stdout) && is_shown(&outcome.stderr), "{arguments:?}: {outcome:?}");
        let (code, shown) = match outcome.code {
            Some(1) => (Some(1), outcome.stderr),
            code => (code, outcome.stdout),
        };
        assert_eq!(code, Some(i32::from(arguments[0] == "delete-collection")), "{shown}");
        assert!(shown.contains("title") || arguments[0] == "export", "{shown}");
        if shown.starts_with(['[', '{']) && arguments[0] == "fetch-collections" {
            assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), json!([HOSTILE]));
        }
    }
}

#[test]
fn an_error_that_ends_the_connection_is_told_once_and_fails() {
    let listener = Listener::start(1, |_, peer| {
        peer.hear();
    });
    let mut command = command();
    command.env("FLUXIONDB_APIKEY", "k").stdin(Stdio::null());
    let line = ["set-value", "--col", "c", "--key", "k", "--value", "v", "--url", &listener.url];
    let outcome: Outcome = command.args(line).output().unwrap().into();
    listener.finish();
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome.stderr.contains("the connection broke") || outcome.stderr.contains("ended the connection")
    );
}
