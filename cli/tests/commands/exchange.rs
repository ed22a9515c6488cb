//! Exports and imports, also those of the Go CLI, and backups.

use crate::support::Server;
use crate::tools::{HARD_NAMES, Scratch, error, files, json, ok, run};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;

const GO_EXPORT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/go-cli-export");

/// A server with names of every kind, an empty document name's neighbour, and a collection of entries alone.
fn full_server() -> Server {
    let server = Server::start(&["--cores", "2"]);
    let mut client = server.client();
    for name in HARD_NAMES {
        let records: Vec<Value> = [-3, 0, 7]
            .into_iter()
            .flat_map(|ts| {
                let record = |doc: &str| json!({"ts": ts, "doc": doc, "data": format!("{name}\n\u{2028}{ts}"), "col": name});
                [record(name), record("_"), record(&"ü".repeat(150))]
            })
            .collect();
        client.done("ins", &json!(records));
        client.done("sval", &json!({"col": name, "key": name, "value": "<&>\u{7f}"}));
    }
    client.done("sval", &json!({"col": "entries only", "key": "", "value": ""}));
    ok(&server, &["set-value", "--col", "apikeys.json", "--key", "k", "--value", "v"]);
    json(&server, &["add-key", "--key", "ops & more", "--scope", "read_write_delete"]);
    json(&server, &["add-key", "--key", "reader"]);
    server
}

#[test]
fn an_export_of_an_import_of_an_export_is_the_same() {
    let (server, scratch) = (full_server(), Scratch::new());
    let (first, second) = (scratch.path("one"), scratch.path("two"));
    let summary = json(&server, &["export", "--out-dir", &first, "--all"]);
    assert_eq!(summary["outputDir"], first.as_str());
    assert_eq!(summary["collections"].as_array().unwrap().len(), HARD_NAMES.len() + 2);
    let slash = summary["collections"].as_array().unwrap().iter().find(|found| found["collection"] == "a/b");
    let dir = format!("{first}/a%2Fb");
    assert_eq!(slash, Some(&json!({"collection": "a/b", "documents": 3, "records": 9, "outputDir": dir})));
    let keys_file = format!("{first}/apikeys.json");
    assert_eq!(summary["apiKeys"], json!({"keys": 2, "outputFile": keys_file}));
    assert_eq!(std::fs::metadata(&keys_file).unwrap().permissions().mode() & 0o777, 0o600);

    let other = Server::start(&["--cores", "1"]);
    for _ in 0..2 {
        let summary = json(&other, &["import", "--in-dir", &first, "--all"]);
        assert_eq!(summary["apiKeys"], json!({"keys": 2, "inputFile": keys_file}));
        let slash =
            summary["collections"].as_array().unwrap().iter().find(|found| found["collection"] == "a/b");
        let expected =
            json!({"collection": "a/b", "documents": 3, "records": 9, "keyValues": 1, "inputDir": dir});
        assert_eq!(slash, Some(&expected));
    }
    json(&other, &["export", "--out-dir", &second, "--all"]);
    let (one, two) = (files(&first), files(&second));
    assert_eq!(one.keys().collect::<Vec<_>>(), two.keys().collect::<Vec<_>>());
    assert!(one == two);
    assert!(one.contains_key("%2E%2E/...jsonl") && one.contains_key("a%2Fb/a%2Fb.jsonl"), "{:?}", one.keys());
    assert_eq!(
        one["a%2Fb/_.jsonl"],
        [-3, 0, 7]
            .map(|ts| format!("{{\"ts\":{ts},\"doc\":\"_\",\"data\":\"a/b\\n\u{2028}{ts}\"}}\n"))
            .concat()
            .as_bytes()
    );
}

#[test]
fn an_export_of_the_go_cli_is_read() {
    let (server, scratch) = (Server::start(&["--cores", "2"]), Scratch::new());
    let summary = json(&server, &["import", "--in-dir", GO_EXPORT, "--all"]);
    let names: Vec<&str> = summary["collections"]
        .as_array()
        .unwrap()
        .iter()
        .map(|found| found["collection"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["a/b", "flights", "old", "sensors", "settings"]);
    // The master key of the server that was exported is in the file, and stays out.
    assert_eq!(summary["apiKeys"]["keys"], 3);
    assert!(!json(&server, &["list-api-keys"]).to_string().contains("\"master\""));
    assert_eq!(json(&server, &["fetch-latest", "--col", "a/b"]).as_object().unwrap().len(), 3);
    let dots = json(&server, &["fetch-document", "--col", "a/b", "--doc", ".."]);
    assert_eq!(dots, json!([{"ts": 6, "data": "dots & <tags>"}]));
    assert_eq!(
        json(&server, &["get-values", "--col", "settings"]),
        json!({"k\n1": "v\"1", "empty-ish": " "})
    );

    let out = scratch.path("out");
    json(&server, &["export", "--out-dir", &out, "--col", "sensors"]);
    let (go, own) = (files(&format!("{GO_EXPORT}/sensors")), files(&format!("{out}/sensors")));
    assert!(go == own, "what has nothing to escape is written byte for byte as the Go CLI writes it");
}

#[test]
fn one_collection_or_the_keys_alone() {
    let (server, scratch) = (full_server(), Scratch::new());
    let out = scratch.path("out");
    for name in HARD_NAMES {
        let summary = json(&server, &["export", "--out-dir", &out, "--col", name]);
        assert_eq!(summary["collections"][0]["records"], 9);
        assert!(summary.get("apiKeys").is_none());
    }
    let other = Server::start(&["--cores", "1"]);
    for name in HARD_NAMES {
        assert_eq!(
            json(&other, &["import", "--in-dir", &out, "--col", name])["collections"][0]["records"],
            9
        );
        assert_eq!(json(&other, &["get-values", "--col", name]), json!({name: "<&>\u{7f}"}));
    }
    let summary = json(&other, &["import", "--in-dir", GO_EXPORT, "--col", "a/b"]);
    assert_eq!(summary["collections"][0]["records"], 3);
    let summary = json(&server, &["export", "--out-dir", &out, "--api-keys"]);
    assert_eq!((summary.get("collections"), &summary["apiKeys"]["keys"]), (None, &json!(2)));
    // What is not there reads as empty.
    let summary = json(&server, &["export", "--out-dir", &out, "--col", "nothing"]);
    assert_eq!(summary["collections"][0]["documents"], 0);
    for command in [["export", "--out-dir", &out], ["import", "--in-dir", &out]] {
        assert!(error(&server, &command).contains("--col, --api-keys, or --all"));
    }
}

#[test]
fn the_older_layout_is_read() {
    let (server, scratch) = (Server::start(&["--cores", "1"]), Scratch::new());
    scratch.write("in/cells/doc-1/1771760179.json", r#"{"data":"content","ts":1}"#);
    scratch.write("in/cells/doc-1/2.json", r#"[{"data":{"a": 1}},{"ts":"3","data":"x"}]"#);
    scratch.write("in/cells/key_value.json", r#"{"k":"v"}"#);
    scratch.write("in/team/prod/a%b/5.json", r#"{"data":"y"}"#);
    scratch.write("in/no-collection/notes.txt", "hello");
    let summary = run(&server, &["import", "--in-dir", &scratch.path("in"), "--all", "--legacy"]);
    assert!(summary.stderr.contains("no API keys are imported"), "{}", summary.stderr);
    let summary: Value = serde_json::from_str(&summary.stdout).unwrap();
    let counts = |index: usize| {
        let found = &summary["collections"][index];
        (
            found["collection"].clone(),
            [&found["documents"], &found["records"], &found["keyValues"]]
                .map(|count| count.as_u64().unwrap()),
        )
    };
    assert_eq!((counts(0), counts(1)), ((json!("cells"), [1, 3, 1]), (json!("team/prod"), [1, 1, 0])));
    let records = json(&server, &["fetch-document", "--col", "cells", "--doc", "doc-1"]);
    assert_eq!(
        records,
        json!([{"ts": 1, "data": "content"}, {"ts": 2, "data": "{\"a\":1}"}, {"ts": 3, "data": "x"}])
    );
    assert_eq!(
        json(&server, &["fetch-latest", "--col", "team/prod"]),
        json!({"a%b": {"ts": 5, "data": "y"}})
    );
}

#[test]
fn a_backup_is_restored_and_both_are_checked() {
    let (server, scratch) = (full_server(), Scratch::new());
    let dir = scratch.path("backup");
    let written = json(&server, &["backup", &dir]);
    let records = HARD_NAMES.len() * 9;
    assert_eq!((&written["records"], &written["apiKeys"]), (&json!(records), &json!(2)));
    assert!(error(&server, &["backup", &dir]).contains("not empty"));
    assert!(error(&server, &["restore", &dir]).contains("not empty"));

    let other = Server::start(&["--cores", "1"]);
    let restored = json(&other, &["restore", &dir]);
    assert_eq!(restored["filesVerified"], written["filesVerified"]);
    assert_eq!(restored["records"], records);
    let again = scratch.path("again");
    json(&other, &["backup", &again]);
    let (mut one, mut two) = (files(&dir), files(&again));
    // Documents are finished in whichever order, and listed so.
    let lines = |manifest: Vec<u8>| {
        let mut lines: Vec<String> = String::from_utf8(manifest).unwrap().lines().map(String::from).collect();
        lines.sort();
        lines
    };
    let manifests =
        [one.remove("manifest.jsonl"), two.remove("manifest.jsonl")].map(|found| lines(found.unwrap()));
    assert!(one == two && manifests[0] == manifests[1]);
}

#[test]
fn a_damaged_backup_is_not_restored() {
    let (server, scratch) = (full_server(), Scratch::new());
    let empty = Server::start(&["--cores", "1"]);
    let dir = scratch.path("backup");
    json(&server, &["backup", &dir]);
    let (file, manifest) = (format!("{dir}/a%2Fb/_.jsonl"), format!("{dir}/manifest.jsonl"));
    let (whole, list) =
        (std::fs::read_to_string(&file).unwrap(), std::fs::read_to_string(&manifest).unwrap());
    for damaged in [whole.replace("\"ts\":7", "\"ts\":8"), whole.lines().next().unwrap().to_owned()] {
        std::fs::write(&file, damaged).unwrap();
        assert!(error(&empty, &["restore", &dir]).contains("_.jsonl is damaged"));
    }
    std::fs::write(&file, whole).unwrap();
    std::fs::write(&manifest, &list[..list.trim_end().rfind('\n').unwrap() + 1]).unwrap();
    assert!(error(&empty, &["restore", &dir]).contains("not complete"));
    std::fs::write(
        &manifest,
        format!("{}{list}", "{\"file\":\"../x\",\"records\":1,\"bytes\":1,\"crc32\":\"0\"}\n"),
    )
    .unwrap();
    assert!(error(&empty, &["restore", &dir]).contains("outside"));
    std::fs::remove_file(&manifest).unwrap();
    assert!(error(&empty, &["restore", &dir]).contains("no complete backup"));
    assert_eq!(json(&empty, &["fetch-collections"]), json!([]));
}
