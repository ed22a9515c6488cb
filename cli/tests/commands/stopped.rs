//! Commands on the data directory of a stopped server: the same files as from the running one, and what is damaged.

use crate::support::{Server, TempDir, command};
use crate::tools::{HARD_NAMES, Outcome, Scratch, files, json};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::Stdio;

fn run(arguments: &[&str]) -> Outcome {
    command().args(arguments).stdin(Stdio::null()).output().unwrap().into()
}

fn start(data: &TempDir) -> Server {
    Server::start(&["--data", data.text(), "--cores", "3", "--sync", "always"])
}

fn fill(server: &Server) {
    let mut client = server.client();
    for (number, name) in HARD_NAMES.iter().enumerate() {
        let record = |ts: i64| {
            let doc = if ts % 2 == 0 { name } else { "_" };
            json!({"ts": ts, "doc": doc, "data": format!("{name}\n\u{2028}{ts}"), "col": name})
        };
        let last = if number == 0 { 3000 } else { 5 };
        client.done("ins", &(-3..last).map(record).collect());
        client.done("sval", &json!({"col": name, "key": name, "value": "<&>\u{7f}"}));
    }
    client.done("sval", &json!({"col": "entries only", "key": "", "value": ""}));
    json(server, &["add-key", "--key", "ops & more", "--scope", "read_write_delete"]);
    json(server, &["add-key", "--key", "reader"]);
}

#[test]
fn a_stopped_server_is_exported_and_backed_up_like_a_running_one() {
    for killed in [false, true] {
        let (data, scratch) = (TempDir::new(), Scratch::new());
        let mut server = start(&data);
        fill(&server);
        let (running, stopped) = (scratch.path("running"), scratch.path("stopped"));
        let told = json(&server, &["export", "--out-dir", &running, "--all"]);
        let wrong = run(&["export", "--all", "--out-dir", &stopped, "--data", data.text()]);
        assert_eq!(wrong.code, Some(1));
        assert!(wrong.stderr.contains("in use"), "{}", wrong.stderr);
        if killed {
            server.kill();
        } else {
            server.stop();
        }
        let outcome = run(&["export", "--out-dir", &stopped, "--all", "--data", data.text()]);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
        let told_then: Value = serde_json::from_str(&outcome.stdout.replace(&stopped, &running)).unwrap();
        assert_eq!(told_then, told);
        assert!(files(&running) == files(&stopped));

        let backup = scratch.path("backup");
        let outcome = run(&["backup", &backup, "--data", data.text()]);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
        let other = Server::start(&["--cores", "1"]);
        json(&other, &["restore", &backup]);
        let restored = scratch.path("restored");
        json(&other, &["export", "--out-dir", &restored, "--all"]);
        assert!(files(&running) == files(&restored));
    }
}

#[test]
fn a_dump_has_a_line_for_each_record_and_entry() {
    let data = TempDir::new();
    let server = start(&data);
    fill(&server);
    server.stop();
    let outcome = run(&["dump", data.text()]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    let lines: Vec<Value> = outcome.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3003 + 5 * 8 + 6 + 1);
    assert_eq!(lines.last(), Some(&json!({"col": "ünï \"q\"", "key": "ünï \"q\"", "value": "<&>\u{7f}"})));
    let record = json!({"col": "a/b", "doc": "_", "ts": -3, "data": "a/b\n\u{2028}-3"});
    assert!(lines.contains(&record), "{:?}", lines[0]);
    let mut counts = BTreeMap::new();
    for line in &lines {
        *counts.entry(line["col"].as_str().unwrap()).or_insert(0) += 1;
    }
    assert_eq!((counts["a/b"], counts["entries only"], counts["50%"]), (3004, 1, 9));
    let one = run(&["dump", data.text(), "--col", "entries only"]);
    assert_eq!(one.stdout, "{\"col\":\"entries only\",\"key\":\"\",\"value\":\"\"}\n");
    assert!(!outcome.stdout.contains("ops & more"));
    let wrong = run(&["dump", &format!("{}/none", data.text())]);
    assert_eq!(wrong.code, Some(1));
    assert!(wrong.stderr.contains("none"), "{}", wrong.stderr);
}

#[test]
fn a_check_names_what_is_damaged_and_a_start_goes_on_without_it() {
    let data = TempDir::new();
    let server = start(&data);
    fill(&server);
    server.stop();
    let outcome = run(&["check", data.text()]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    let found: Value = serde_json::from_str(&outcome.stdout).unwrap();
    let expected = json!({
        "dir": data.text(), "files": 3, "documents": 12, "records": 3043, "entries": 7, "apiKeys": 2,
        "changesInLog": 0, "damage": [],
    });
    assert_eq!(found, expected);

    let files = (0..3).map(|index| data.file(&format!("shard-{index:03}.db")));
    let damage = "UPDATE chunks SET bytes = zeroblob(length(bytes)) WHERE document =
                  (SELECT id FROM documents WHERE collection = '..' AND document = '_')";
    let changed: usize = files.map(|path| Connection::open(path).unwrap().execute(damage, []).unwrap()).sum();
    assert_eq!(changed, 1);
    let outcome = run(&["check", data.text()]);
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.stderr.contains("one part is damaged"), "{}", outcome.stderr);
    let found: Value = serde_json::from_str(&outcome.stdout).unwrap();
    let part = &found["damage"][0];
    assert_eq!((&part["collection"], &part["document"]), (&json!(".."), &json!("_")));
    assert_eq!((&part["from"], &part["to"]), (&json!(-3), &json!(3)));
    assert!(part["what"].as_str().unwrap().contains("4 records"), "{part}");
    assert!(run(&["dump", data.text()]).stderr.contains("damaged"));

    let refused = run(&["--secret-key", "k", "--port", "0", "--cores", "3", "--data", data.text()]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("damaged") && refused.stderr.contains("--salvage"), "{}", refused.stderr);
    let server = Server::start(&["--data", data.text(), "--cores", "3", "--salvage"]);
    let left = server.client().call("qdoc", &json!({"col": "..", "doc": "..", "to": i64::MAX}));
    assert_eq!(left["records"].as_array().unwrap().len(), 4);
    server.stop();
    assert_eq!(run(&["check", data.text()]).code, Some(0));
    assert_eq!(run(&["dump", data.text()]).stdout.lines().count(), 3003 + 5 * 8 + 6 + 1 - 4);
    let kept = data.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(kept.filter(|name| name.to_str().unwrap().ends_with(".damaged")).count(), 1);
}
