//! Exports that are interrupted, and imports of what is broken or hostile.

use crate::support::Server;
use crate::tools::{Scratch, error, files, json, ok, operator};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Stdio};

#[test]
fn a_bad_line_is_named_and_the_import_can_be_run_again() {
    let (server, scratch) = (Server::start(&["--cores", "1"]), Scratch::new());
    let good: String =
        (0..2500).map(|ts| format!("{{\"ts\":{ts},\"doc\":\"d\",\"data\":\"x\"}}\n")).collect();
    let file = scratch.path("in/c/d.jsonl");
    for (bad, word) in [
        ("{\"ts\":1,\"doc\":\"d\"", "EOF"),
        ("{\"ts\":1,\"doc\":\"other\",\"data\":\"x\"}\n", "other"),
        ("{\"ts\":1.5,\"data\":\"x\"}\n", "1.5"),
    ] {
        scratch.write("in/c/d.jsonl", &format!("{good}{bad}"));
        let text = error(&server, &["import", "--in-dir", &scratch.path("in"), "--col", "c"]);
        assert!(text.contains(&format!("{file}:2501: ")) && text.contains(word), "{text}");
    }
    scratch.write("in/c/d.jsonl", &format!("{good}\n  \n"));
    let summary = json(&server, &["import", "--in-dir", &scratch.path("in"), "--col", "c"]);
    assert_eq!(summary["collections"][0]["records"], 2500);
    let records = json(&server, &["fetch-document", "--col", "c", "--doc", "d"]);
    assert_eq!(records.as_array().unwrap().len(), 2500);
}

#[test]
fn what_the_server_refuses_is_named() {
    let server = Server::start(&["--cores", "1", "--max-message-bytes", "64k"]);
    let scratch = Scratch::new();
    scratch.write("in/c/d.jsonl", &format!("{{\"ts\":1,\"data\":\"{}\"}}\n", "x".repeat(100_000)));
    let text = error(&server, &["import", "--in-dir", &scratch.path("in"), "--col", "c"]);
    assert!(text.contains("d.jsonl: lines 1 to 1: ") && text.contains("--max-message-bytes"), "{text}");
    json(&server, &["add-key", "--key", "reader"]);
    scratch.write("in/c/d.jsonl", "{\"ts\":1,\"data\":\"x\"}\n");
    let text =
        error(&server, &["--apikey", "reader", "import", "--in-dir", &scratch.path("in"), "--col", "c"]);
    assert!(text.contains("permission denied"), "{text}");
}

#[test]
fn broken_files_beside_the_documents_are_named() {
    let (server, scratch) = (Server::start(&["--cores", "1"]), Scratch::new());
    scratch.write("in/c/key_value.json", "{\"k\":5}");
    let import = |more: &str| error(&server, &["import", "--in-dir", &scratch.path("in"), more]);
    assert!(import("--all").contains("key_value.json"));
    scratch.write("in/c/key_value.json", "");
    scratch.write("in/c/50%.jsonl", "");
    assert!(import("--all").contains("50%.jsonl"));
    scratch.write("in/apikeys.json", "[{\"key\":\"hidden-key\",\"scope\":\"admin\",\"deletable\":true}]");
    let text = import("--api-keys");
    assert!(text.contains("apikeys.json") && !text.contains("hidden-key"), "{text}");
    assert!(error(&server, &["import", "--in-dir", "/nonexistent", "--all"]).contains("/nonexistent"));
}

#[test]
fn no_name_leads_out_of_the_directory() {
    let (server, scratch) = (Server::start(&["--cores", "1"]), Scratch::new());
    scratch.write("outside/d.jsonl", "{\"ts\":1,\"data\":\"x\"}\n");
    scratch.write("in/c/d.jsonl", "{\"ts\":1,\"data\":\"x\"}\n");
    let absolute = scratch.path("outside");
    for name in ["../outside", "c/../../outside", &absolute] {
        let text = error(&server, &["import", "--in-dir", &scratch.path("in"), "--col", name]);
        assert!(text.contains("not found") && text.contains("not followed"), "{text}");
    }
    symlink(scratch.path("outside"), scratch.path("in/link")).unwrap();
    for more in [&["--all"][..], &["--col", "link"]] {
        let text = error(&server, &[&["import", "--in-dir", &scratch.path("in")], more].concat());
        assert!(text.contains("symbolic link"), "{text}");
    }
    assert_eq!(json(&server, &["fetch-collections"]), json!([]));
    for name in ["../x", "/tmp/x"] {
        json(&server, &["insert-record", "--col", name, "--doc", "../../y", "--data", "x"]);
    }
    json(&server, &["export", "--out-dir", &scratch.path("out/deep"), "--all"]);
    let inside = files(&scratch.path("out"));
    assert!(inside.keys().all(|name| name.starts_with("deep/")), "{:?}", inside.keys());
    let documents = inside.keys().filter(|name| name.ends_with("/..%2F..%2Fy.jsonl")).count();
    assert_eq!((documents, inside.len()), (2, 7), "{:?}", inside.keys());
}

/// A server with a document that takes a while to export.
fn large_server() -> Server {
    let server = Server::start(&["--cores", "1"]);
    let mut client = server.client();
    let text = "x".repeat(1000);
    for part in 0..100 {
        let records: Vec<_> = (0..2000)
            .map(|ts| json!({"ts": part * 2000 + ts, "doc": "d", "data": text, "col": "c"}))
            .collect();
        client.done("ins", &json!(records));
    }
    server
}

/// Begins an export, and waits until it is in the middle of a file.
fn begin_export(server: &Server, command: &[&str], out: &str) -> Child {
    let mut export = operator(server);
    let mut export = export.args(command).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    while !Path::new(&format!("{out}/c/d.jsonl.partial")).exists() {
        assert!(export.try_wait().unwrap().is_none(), "the export ended too early");
        std::thread::yield_now();
    }
    export
}

#[test]
fn a_killed_export_leaves_nothing_that_looks_complete() {
    let (server, scratch) = (large_server(), Scratch::new());
    let out = scratch.path("out");
    let mut export = begin_export(&server, &["export", "--all", "--out-dir", &out], &out);
    export.kill().unwrap();
    export.wait().unwrap();
    assert_eq!(files(&out).into_keys().collect::<Vec<_>>(), ["c/d.jsonl.partial"]);
    // The next one takes the place of what is left.
    let summary = json(&server, &["export", "--out-dir", &out, "--all", "--replace"]);
    assert_eq!(summary["collections"][0]["records"], 200_000);
    let complete = ["apikeys.json", "c/d.jsonl", "c/key_value.json"];
    assert_eq!(files(&out).into_keys().collect::<Vec<_>>(), complete);
}

#[test]
fn an_interrupted_export_says_so_and_leaves_no_partial_file() {
    let (server, scratch) = (large_server(), Scratch::new());
    for (command, signal, code) in [("export", Signal::INT, 130), ("backup", Signal::TERM, 143)] {
        let out = scratch.path(command);
        let line = match command {
            "export" => vec!["export", "--all", "--out-dir", &out],
            _ => vec!["backup", &out],
        };
        let export = begin_export(&server, &line, &out);
        kill_process(Pid::from_child(&export), signal).unwrap();
        let output = export.wait_with_output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains(&format!("the {command} in {out} was interrupted")), "{text}");
        assert_eq!(files(&out).into_keys().collect::<Vec<_>>(), Vec::<String>::new());
    }
}

#[test]
fn an_import_of_nothing_fails() {
    let (server, scratch) = (Server::start(&[]), Scratch::new());
    let empty = scratch.path("empty");
    std::fs::create_dir(&empty).unwrap();
    let wrong = error(&server, &["import", "--all", "--in-dir", &empty]);
    assert!(wrong.contains("there is nothing to import in") && wrong.contains("--legacy"), "{wrong}");
}

/// On the wire an empty collection means all of them; in a script it is a variable that was not set.
#[test]
fn an_empty_collection_deletes_nothing() {
    let server = Server::start(&[]);
    ok(&server, &["insert-record", "--col", "c", "--doc", "d", "--ts", "1", "--data", "x"]);
    let wrong = error(&server, &["delete-document", "--col", "", "--doc", "d"]);
    assert!(wrong.contains("--col is empty"), "{wrong}");
    assert_eq!(json(&server, &["fetch-latest", "--col", "c"])["d"]["data"], "x");
}
