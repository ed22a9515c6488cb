//! Following a collection from the command line.

use crate::support::peer::Listener;
use crate::support::{KEY, Server, TempDir, command};
use crate::tools::{error, ok, operator};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};

/// A `tail` that runs.
struct Tail {
    child: Child,
    stdout: BufReader<ChildStdout>,
    stderr: BufReader<ChildStderr>,
}

impl Tail {
    fn start(mut command: Command, arguments: &[&str]) -> Tail {
        let command = command.arg("tail").args(arguments).stdin(Stdio::null());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Tail { child, stdout, stderr }
    }

    fn of(server: &Server, arguments: &[&str]) -> Tail {
        Tail::start(operator(server), arguments)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim_end_matches('\n').to_owned()
    }

    fn json(&mut self) -> Value {
        let line = self.line();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    fn told(&mut self) -> String {
        let mut line = String::new();
        self.stderr.read_line(&mut line).unwrap();
        line
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Its exit code, and what was left on stdout and stderr.
    fn end(mut self) -> (Option<i32>, String, String) {
        let (mut out, mut told) = (String::new(), String::new());
        self.stdout.read_to_string(&mut out).unwrap();
        self.stderr.read_to_string(&mut told).unwrap();
        (self.child.wait().unwrap().code(), out, told)
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn insert(server: &Server, doc: &str, ts: &str, data: &str) {
    ok(server, &["insert-record", "--col", "c", "--doc", doc, "--ts", ts, "--data", data]);
}

/// The cursor that the end of a `tail` tells.
fn cursor(told: &str) -> String {
    let (_, cursor) = told.trim().rsplit_once("--since ").unwrap_or_else(|| panic!("no cursor in {told:?}"));
    cursor.to_owned()
}

#[test]
fn the_newest_records_come_as_lines() {
    let server = Server::start(&["--cores", "2"]);
    insert(&server, "d", "5", "{\"v\": 1}");
    insert(&server, "e", "1", "no");
    let mut tail = Tail::of(&server, &["c", "--doc", "/^[df]$/", "--filter", "no", "--every", "1"]);
    assert_eq!(tail.line(), r#"{"doc":"d","ts":5,"data":"{\"v\": 1}"}"#);
    insert(&server, "d", "4", "late");
    insert(&server, "e", "9", "x");
    insert(&server, "f", "-1", "line\n\u{1b}[2J");
    assert_eq!(tail.line(), r#"{"doc":"f","ts":-1,"data":"line\n\u001b[2J"}"#);
    ok(&server, &["delete-document", "--col", "c", "--doc", "d"]);
    assert_eq!(tail.json(), json!({"doc": "d", "del": true}));
    tail.signal(Signal::INT);
    let (code, out, told) = tail.end();
    assert_eq!((code, out.as_str()), (Some(130), ""));
    // What is missed meanwhile comes when it goes on, and nothing else.
    insert(&server, "f", "7", "missed");
    let mut tail = Tail::of(&server, &["--col", "c", "-since", &cursor(&told), "-doc=/^[df]$/"]);
    assert_eq!(tail.json(), json!({"doc": "f", "ts": 7, "data": "missed"}));
    tail.signal(Signal::TERM);
    let (code, out, told) = tail.end();
    assert_eq!((code, out.as_str()), (Some(143), ""));
    assert!(told.starts_with("fluxiondb: resumed; nothing was missed\n"), "{told}");
}

#[test]
fn all_changes_come_with_cursors() {
    let server = Server::start(&["--cores", "1"]);
    insert(&server, "old", "1", "x");
    let mut tail = Tail::of(&server, &["c", "--all", "--cursor", "--snapshot", "--slow", "drop"]);
    assert_eq!(tail.json(), json!({"reset": true}));
    assert_eq!(tail.json(), json!({"doc": "old", "ts": 1, "data": "x"}));
    let first = tail.json()["cursor"].as_str().unwrap().to_owned();
    insert(&server, "d", "1", "x");
    ok(&server, &["delete-range", "--col", "c", "--doc", "d", "--from", "-2", "--to", "3"]);
    ok(&server, &["delete-collection", "--col", "c"]);
    let changes = [
        json!({"doc": "d", "ts": 1, "data": "x"}),
        json!({"doc": "d", "fromTs": -2, "toTs": 3, "del": true}),
        json!({"del": true}),
    ];
    for change in &changes {
        assert_eq!(tail.json(), *change);
        assert!(tail.json()["cursor"].is_string());
    }
    drop(tail);
    let mut tail = Tail::of(&server, &["c", "--all", "--since", &first]);
    assert_eq!([tail.json(), tail.json(), tail.json()], changes);
    drop(tail);
    let mut tail = Tail::of(&server, &["c", "--all", "--format", "csv", "--since", &first]);
    let lines: Vec<String> = (0..4).map(|_| tail.line()).collect();
    assert_eq!(lines, ["change,doc,ts,data", "put,d,1,x", "delete,d,-2..3,", "delete,,,"]);
}

#[test]
fn a_lost_connection_is_told_and_resumed() {
    let listener = Listener::start(3, |number, peer| match number {
        // The first connection is the command's own.
        0 => drop(peer.hear()),
        1 => {
            let name = peer.accept("1-1", json!({})).id;
            let records = json!({"d\u{1b}": {"ts": 1, "data": "x"}});
            peer.push(&name, "1-2", json!({"snapshot": "done", "reset": true, "records": records}));
        }
        _ => {
            let request = peer.accept("1-9", json!({"resumed": false, "why": "history"}));
            assert_eq!(request.data["since"], "1-2");
            let records = json!({"e": {"ts": 2, "data": "y"}});
            peer.push(&request.id, "1-9", json!({"snapshot": "done", "reset": true, "records": records}));
            peer.say(&json!({"type": "end", "sub": request.id, "error": "too\u{1b} slow", "cursor": "1-9"}));
            let id = peer.hear().unwrap().id;
            peer.say(&json!({"id": id, "error": "permission denied"}));
            peer.hear();
        }
    });
    let mut command = command();
    command.env("FLUXIONDB_URL", &listener.url).env("FLUXIONDB_APIKEY", "k");
    let mut tail = Tail::start(command, &["c"]);
    assert_eq!(tail.line(), r#"{"doc":"d\u001b","ts":1,"data":"x"}"#);
    assert!(tail.told().ends_with("; connecting again\n"));
    assert!(tail.told().contains("something may have been missed"));
    assert_eq!(tail.json(), json!({"doc": "e", "ts": 2, "data": "y"}));
    let (code, out, told) = tail.end();
    assert_eq!((code, out.as_str()), (Some(1), ""));
    let expected = "fluxiondb: the server ended it (too\\u{1b} slow); resuming\n\
                    fluxiondb: it goes on from here with --since 1-9\nfluxiondb: permission denied\n";
    assert_eq!(told, expected);
    listener.finish();
}

#[test]
fn it_finds_a_server_again_that_has_restarted() {
    let directory = TempDir::new();
    let mut server = Server::start(&["--cores", "1", "--data", directory.text()]);
    insert(&server, "d", "1", "x");
    let mut tail = Tail::of(&server, &["c"]);
    assert_eq!(tail.json()["ts"], 1);
    server.signal(Signal::TERM);
    server.wait();
    assert!(tail.told().contains("connecting again"));
    let mut again = command();
    again.args(["--secret-key", KEY, "--cores", "1", "--log", "error", "--data", directory.text()]);
    let mut again = again.args(["--port", &server.port.to_string()]).stdout(Stdio::piped()).spawn().unwrap();
    let told = tail.told();
    insert(&server, "d", "2", "y");
    // It may not know what was before its start, and then says again what is there.
    let mut lines = vec![tail.json()];
    while lines.last().unwrap()["ts"] != 2 {
        lines.push(tail.json());
    }
    again.kill().unwrap();
    again.wait().unwrap();
    assert!(told.contains("resumed; nothing was missed"), "{told}");
    assert_eq!(lines.len(), 1, "{lines:?}");
}

#[test]
fn nobody_reads_it_any_more() {
    let server = Server::start(&["--cores", "1"]);
    insert(&server, "d", "1", "x");
    let mut tail = Tail::of(&server, &["c"]);
    assert_eq!(tail.json()["ts"], 1);
    // Nothing more comes that it could write, and it ends all the same.
    let Tail { child, stdout, stderr } = &mut tail;
    drop(std::mem::replace(stdout, BufReader::new(spare_pipe())));
    let mut told = String::new();
    stderr.read_to_string(&mut told).unwrap();
    assert_eq!((child.wait().unwrap().code(), told.as_str()), (Some(0), ""));
}

/// The stdout of a process that has ended.
fn spare_pipe() -> ChildStdout {
    let mut child = Command::new("true").stdout(Stdio::piped()).spawn().unwrap();
    child.wait().unwrap();
    child.stdout.take().unwrap()
}

#[test]
fn what_is_wrong_is_told() {
    let server = Server::start(&["--cores", "1"]);
    for (arguments, word) in [
        (&["tail"][..], "COLLECTION"),
        (&["tail", "c", "--doc", "/[/"], "bad pattern"),
        (&["tail", "c", "--since", "yesterday"], "yesterday"),
        (&["tail", "c", "--every", "60001"], "60001"),
        (&["tail", "c", "--slow", "drop"], "--all"),
        (&["tail", "c", "--snapshot", "--no-snapshot"], "--no-snapshot"),
        (&["tail", "c", "--cursor", "--format", "table"], "--cursor"),
    ] {
        let told = error(&server, arguments);
        assert!(told.contains(word), "{arguments:?}: {told}");
    }
}
