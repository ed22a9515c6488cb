//! What the log tells of connections, keys, deletions and requests, and that neither a key nor what clients store is in it.

use crate::support::raw::{RawSocket, upgrade};
use crate::support::{Client, KEY, TempDir, command};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

const OTHER_KEY: &str = "another-secret";
const WRONG_KEY: &str = "guessed-secret";
const LINES_APART: Duration = Duration::from_millis(1200);
const PAYLOAD: &str = "stored-secret";

fn spawn(arguments: &[&str]) -> (Child, u16) {
    let mut command = command();
    command
        .env("FLUXIONDB_SECRET_KEY", KEY)
        .env("FLUXIONDB_CORES", "2")
        .args(["--port", "0"])
        .args(arguments);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let port = line.split(',').next().and_then(|head| head.rsplit(':').next()?.parse().ok());
    (child, port.unwrap_or_else(|| panic!("no port in {line:?}")))
}

/// Ends the server, and gives its log. It must be short: nobody reads it before.
fn log_of(mut child: Child) -> String {
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let mut log = String::new();
    child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    log
}

fn client(port: u16, query: &str) -> Client {
    let mut client = Client::connect(port, "/", query);
    client.receive().unwrap();
    client
}

/// Does everything that is told, with keys and data that must not be.
fn exercise(port: u16) {
    let mut master = client(port, "api-key=s3cret%2Bkey&name=the%0Amaster");
    master.call("keys", &json!({"action": "add", "key": OTHER_KEY, "scope": "readonly"}));
    let mut reader = client(port, &format!("api-key={OTHER_KEY}"));
    assert!(reader.call("sval", &json!({"col": "c", "key": "k", "value": PAYLOAD}))["error"].is_string());
    let refused = RawSocket::connect(port).handshake(&upgrade(&format!("/?api-key={WRONG_KEY}"), ""));
    assert_eq!(refused.0, 401);
    // Too long to be carried out within a millisecond, and together too long for a small reply.
    let data = PAYLOAD.repeat((4 << 20) / PAYLOAD.len());
    // Longer than the time between two lines of a kind, so that the last are not of the requests above.
    let began = Instant::now();
    for ts in (0..5).cycle() {
        if ts == 0 && began.elapsed() > LINES_APART {
            break;
        }
        master.done("ins", &json!([{"ts": ts, "doc": "d", "data": data, "col": "large\ncollection"}]));
    }
    let history = master.call("qdoc", &json!({"col": "large\ncollection", "doc": "d", "to": 9}));
    assert_eq!(history["records"].as_array().map(Vec::len), Some(5));
    master.done("dcol", &json!({"col": "large\ncollection"}));
    master.call("keys", &json!({"action": "remove", "key": OTHER_KEY}));
    assert_eq!(reader.closed(), Some(1008));
}

fn assert_holds_no_secret(log: &str) {
    for secret in [KEY, "s3cret%2Bkey", OTHER_KEY, WRONG_KEY, PAYLOAD] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

#[test]
fn each_line_is_json_and_none_holds_a_secret() {
    let data = TempDir::new();
    let arguments = ["--log-level", "debug", "--log-format", "json", "--slow-ms", "1", "--data", data.text()];
    let (child, port) = spawn(&arguments);
    exercise(port);
    let log = log_of(child);
    assert_holds_no_secret(&log);
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let find = |message: &str| {
        let told =
            |line: &&Value| line["fields"]["message"].as_str().is_some_and(|text| text.starts_with(message));
        lines.iter().find(told).unwrap_or_else(|| panic!("no line says {message:?}: {log}"))["fields"].clone()
    };
    assert_eq!(find("starting")["data"], data.text());
    assert_eq!(
        (&find("starting")["cores"], &find("starting")["version"]),
        (&json!(2), &json!(env!("CARGO_PKG_VERSION")))
    );
    assert!(find("listening")["address"].as_str().unwrap().ends_with(&format!(":{port}")));
    let opened = find("connection opened");
    assert_eq!((&opened["ip"], &opened["scope"]), (&json!("127.0.0.1"), &json!("read_write_delete")));
    assert_eq!(opened["name"], "\"the\\nmaster\"", "{opened}");
    let closed = find("connection closed");
    assert!(closed["requests"].as_u64() >= Some(1) && closed["bytes_in"].as_u64() >= Some(1), "{closed}");
    assert_eq!(find("connection refused")["reason"], "key");
    assert_eq!(find("API keys changed")["change"], "readonly");
    assert_eq!(find("collection deleted")["collection"], "\"large\\ncollection\"");
    let slow = lines.iter().rfind(|line| line["fields"]["type"] == "ins").map(|line| &line["fields"]);
    let slow = slow.unwrap_or_else(|| panic!("no slow insertion is told: {log}"));
    assert!(
        slow["duration_ms"].as_u64() >= Some(1) && slow["request_bytes"].as_u64() > Some(4_000_000),
        "{slow}"
    );
    assert!(slow["waiting_ms"].is_u64() && slow["collection"] == "\"large\\ncollection\"", "{slow}");
    let large = find("large reply");
    assert!(large["reply_bytes"].as_u64() >= Some(16 << 20) && large["type"] == "qdoc", "{large}");
}

#[test]
fn lines_of_text_hold_no_secret_either() {
    let (child, port) = spawn(&["--log", "debug", "--slow-ms", "1"]);
    exercise(port);
    let log = log_of(child);
    assert_holds_no_secret(&log);
    for words in ["connection opened", "collection deleted", "slow request", "API keys changed"] {
        assert!(log.contains(words), "{words}: {log}");
    }
}

/// What was sent past the task of a connection was left out.
#[test]
fn all_that_a_connection_was_sent_is_told() {
    let (child, port) = spawn(&["--log", "debug", "--log-format", "json", "--cores", "1"]);
    let mut client = client(port, "api-key=s3cret%2Bkey");
    client.done("sval", &json!({"col": "c", "key": "k", "value": "x".repeat(1000)}));
    for _ in 0..100 {
        client.call("gval", &json!({"col": "c", "key": "k"}));
    }
    drop(client);
    let log = log_of(child);
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let sent = lines.filter(|line| line["fields"]["message"] == "connection closed");
    let sent: Vec<_> = sent.map(|line| line["fields"]["bytes_out"].as_u64().unwrap()).collect();
    assert!(sent.len() == 1 && (100_000..120_000).contains(&sent[0]), "{sent:?}");
}

#[test]
fn connections_are_told_only_to_who_asks() {
    let (child, port) = spawn(&["--slow-ms", "0"]);
    exercise(port);
    let log = log_of(child);
    assert!(!log.contains("connection opened") && !log.contains("slow request"), "{log}");
}

#[test]
fn what_a_setting_does_not_protect_from_is_said_at_the_start() {
    const WARNINGS: [&str; 3] = ["memory only", "all addresses", "not encrypted"];
    let log = log_of(spawn(&["--bind", "0.0.0.0", "--log", "warn"]).0);
    assert!(WARNINGS.iter().all(|warning| log.contains(warning)), "{log}");
    let data = TempDir::new();
    let log = log_of(spawn(&["--bind", "127.0.0.1", "--data", data.text()]).0);
    assert!(log.contains("listening") && WARNINGS.iter().all(|warning| !log.contains(warning)), "{log}");
}

/// The last line of a server that can't start is in the form of the others.
#[test]
fn a_failure_is_told_as_json_too() {
    let data = TempDir::new();
    std::fs::write(data.path().join("shard-000.db"), "x".repeat(10_000)).unwrap();
    let mut command = command();
    command.args(["--secret-key", KEY, "--port", "0", "--log-format", "json", "--data", data.text()]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let log = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = lines.last().unwrap();
    assert_eq!(last["level"], "ERROR");
    assert!(last["timestamp"].as_str().is_some_and(|time| time.ends_with('Z')), "{last}");
    assert!(last["fields"]["message"].as_str().unwrap().contains("shard-000.db"), "{last}");
}
