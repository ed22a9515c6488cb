//! Exports and imports, also those of the Go CLI, and backups.

use crate::support::{KEY, Server};
use crate::tools::{HARD_NAMES, Scratch, error, files, json, ok, run};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;

const GO_EXPORT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/go-cli-export");

/// Names that no path can hold, and those of the export's own files, which any key that writes can make.
fn reserved_names() -> Vec<String> {
    let names = [
        "apikeys.json",
        "apikeys.json.partial",
        "key_value.json",
        "manifest.jsonl",
        "manifest.jsonl.partial",
        "collection_name.json",
        "a/b/..",
        "/",
        "a//b",
        "a/b/d.jsonl",
        "a/b/key_value.json",
        "nul\0",
    ];
    names.map(String::from).into_iter().chain(["x".repeat(256), "deep/".repeat(1000)]).collect()
}

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
    for name in reserved_names() {
        client.done("sval", &json!({"col": name, "key": "k", "value": name}));
        client.done("ins", &json!([{"ts": 1, "doc": "d", "data": name, "col": name}]));
    }
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
    assert_eq!(
        summary["collections"].as_array().unwrap().len(),
        HARD_NAMES.len() + 1 + reserved_names().len()
    );
    let slash = summary["collections"].as_array().unwrap().iter().find(|found| found["collection"] == "a/b");
    let dir = format!("{first}/a/b");
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
    assert!(one.contains_key("a/b/a%2Fb.jsonl") && !one.contains_key("a/b/collection_name.json"));
    let dots = one.iter().find(|(name, text)| name.ends_with("collection_name.json") && *text == b"\"..\"\n");
    assert!(dots.is_some_and(|(name, _)| name.starts_with("~..~")), "{:?}", one.keys());
    assert_eq!(
        one["a/b/_.jsonl"],
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

    // Written again it is the same, byte for byte but for the escapes that Go's JSON has and the master key.
    let out = scratch.path("out");
    json(&server, &["export", "--out-dir", &out, "--all"]);
    let (go, own) = (files(GO_EXPORT), files(&out));
    assert_eq!(go.keys().collect::<Vec<_>>(), own.keys().collect::<Vec<_>>());
    for (name, text) in go.iter().filter(|(name, _)| name.as_str() != "apikeys.json") {
        assert_eq!(values(text), values(&own[name]), "{name}");
    }
    assert!(go["sensors/device-1.jsonl"] == own["sensors/device-1.jsonl"]);
}

/// The JSON values of a file, one after the other.
fn values(text: &[u8]) -> Vec<Value> {
    serde_json::Deserializer::from_slice(text).into_iter().map(Result::unwrap).collect()
}

#[test]
fn names_of_folders_are_taken_literally() {
    let (server, scratch) = (Server::start(&["--cores", "1"]), Scratch::new());
    let record = "{\"ts\":1,\"doc\":\"d\",\"data\":\"x\"}\n";
    for name in ["a%2Fb", "a/b/c%2E", "x.jsonl", "%2E%2E", "a/y.jsonl"] {
        scratch.write(&format!("in/{name}/d.jsonl"), record);
    }
    scratch.write("in/apikeys.json", "[]");
    json(&server, &["import", "--in-dir", &scratch.path("in"), "--all"]);
    assert_eq!(
        json(&server, &["fetch-collections"]),
        json!(["%2E%2E", "a%2Fb", "a/b/c%2E", "a/y.jsonl", "x.jsonl"])
    );
    let other = Server::start(&["--cores", "1"]);
    json(&other, &["import", "--in-dir", &scratch.path("in"), "--col", "a/y.jsonl"]);
    assert_eq!(json(&other, &["fetch-collections"]), json!(["a/y.jsonl"]));
}

#[test]
fn an_older_export_is_refused_or_replaced_as_a_whole() {
    let (server, scratch) = (Server::start(&["--cores", "1"]), Scratch::new());
    let insert = |col: &str, doc: &str| {
        ok(&server, &["insert-record", "--col", col, "--doc", doc, "--data", "x", "--ts", "1"]);
    };
    insert("a/b", "gone");
    insert("a/b", "stays");
    insert("gone", "d");
    let out = scratch.path("out");
    json(&server, &["export", "--out-dir", &out, "--all"]);
    ok(&server, &["delete-document", "--col", "a/b", "--doc", "gone"]);
    ok(&server, &["delete-collection", "--col", "gone"]);
    let before = files(&out);
    let refused = error(&server, &["export", "--out-dir", &out, "--all"]);
    assert!(refused.contains("is not empty") && refused.contains("--replace"), "{refused}");
    assert!(files(&out) == before);
    // What an interrupted one left goes too.
    scratch.write("out/a/b/left.jsonl.partial", "{");
    json(&server, &["export", "--out-dir", &out, "--all", "--replace"]);
    let names = |dir: &str| files(dir).into_keys().collect::<Vec<_>>();
    assert_eq!(names(&out), ["a/b/key_value.json", "a/b/stays.jsonl", "apikeys.json"]);
    assert!(!std::path::Path::new(&scratch.path("out/gone")).exists());
    // One collection: the others stay.
    insert("other", "d");
    json(&server, &["export", "--out-dir", &out, "--col", "other"]);
    insert("a/b", "new");
    ok(&server, &["delete-document", "--col", "a/b", "--doc", "stays"]);
    json(&server, &["export", "--out-dir", &out, "--col", "a/b", "--replace"]);
    assert_eq!(
        names(&out),
        ["a/b/key_value.json", "a/b/new.jsonl", "apikeys.json", "other/d.jsonl", "other/key_value.json"]
    );
    // What no export wrote is not removed.
    scratch.write("out/notes.txt", "mine");
    let refused = error(&server, &["export", "--out-dir", &out, "--all", "--replace"]);
    assert!(refused.contains("notes.txt is no file of an export"), "{refused}");
}

#[test]
fn keys_are_checked_before_collections_are_imported() {
    let (server, scratch) = (Server::start(&["--cores", "1"]), Scratch::new());
    scratch.write("in/c/d.jsonl", "{\"ts\":1,\"data\":\"x\"}\n");
    let keys = |text: &str| scratch.write("in/apikeys.json", text);
    let dir = scratch.path("in");
    let import = |key: &str| error(&server, &["import", "--in-dir", &dir, "--all", "--apikey", key]);
    json(&server, &["add-key", "--key", "writer", "--scope", "read_write"]);
    keys("[{\"key\":\"k\",\"scope\":\"admin\"}]");
    assert!(import(KEY).contains("admin"));
    keys("[{\"key\":\"k\",\"scope\":\"READ_WRITE\"}]");
    assert!(import("writer").contains("only the master key"));
    assert_eq!(json(&server, &["fetch-collections"]), json!([]));
    // Without `deletable`, and with this server's own master key among them.
    keys(&format!(
        "[{{\"key\":\"k\",\"scope\":\"READ_WRITE\"}},{{\"key\":\"{KEY}\",\"scope\":\"read_write_delete\"}}]"
    ));
    let summary = json(&server, &["import", "--in-dir", &dir, "--all"]);
    assert_eq!(summary["apiKeys"]["keys"], 1);
    let added = json(&server, &["list-api-keys"]);
    assert!(
        added.as_array().unwrap().contains(&json!({"key": "k", "scope": "read_write", "deletable": true}))
    );
}

#[test]
fn one_collection_or_the_keys_alone() {
    let (server, scratch) = (full_server(), Scratch::new());
    let out = scratch.path("out");
    for name in HARD_NAMES {
        let summary = json(&server, &["export", "--out-dir", &out, "--col", name]);
        assert_eq!(summary["collections"][0]["records"], 9);
        let refused = error(&server, &["export", "--out-dir", &out, "--col", name]);
        assert!(refused.contains("is not empty") && refused.contains("--replace"), "{refused}");
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
    let refused = error(&server, &["export", "--out-dir", &scratch.path("typo"), "--col", "typo"]);
    assert!(refused.contains("no collection \"typo\""), "{refused}");
    assert!(!std::path::Path::new(&scratch.path("typo")).exists());
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
    let records = HARD_NAMES.len() * 9 + reserved_names().len();
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
    let (file, manifest) = (format!("{dir}/a/b/_.jsonl"), format!("{dir}/manifest.jsonl"));
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
