//! A document of a million records, out and in.

use crate::support::{Server, alone};
use crate::tools::{Scratch, json, operator};
use serde_json::{Value, json};
use std::io::Write;

const RECORDS: usize = 1_000_000;
/// A record of it is about 80 bytes in a file: all of them would not fit.
const MEMORY_KIB_MAX: usize = 48 * 1024;

/// Runs a command under a limit of its memory, and gives what it prints.
fn limited(server: &Server, arguments: &[&str]) -> Value {
    let binary = operator(server);
    let script = format!("ulimit -d {MEMORY_KIB_MAX}; exec \"$0\" \"$@\"");
    let mut shell = std::process::Command::new("sh");
    shell.arg("-c").arg(script).arg(binary.get_program()).args(arguments);
    for (name, value) in binary.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    let output = shell.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_million_records_go_in_and_out_in_little_memory() {
    let _alone = alone();
    let (server, scratch) = (Server::start(&["--cores", "1"]), Scratch::new());
    scratch.write("in/c/key_value.json", "{}\n");
    let mut file = std::io::BufWriter::new(std::fs::File::create(scratch.path("in/c/d.jsonl")).unwrap());
    for ts in 0..RECORDS {
        writeln!(
            file,
            "{{\"ts\":{ts},\"doc\":\"d\",\"data\":\"{{\\\"temperature\\\":{}.{}}}\"}}",
            ts % 50,
            ts % 10
        )
        .unwrap();
    }
    file.into_inner().unwrap();
    let summary = limited(&server, &["import", "--in-dir", &scratch.path("in"), "--col", "c"]);
    assert_eq!(summary["collections"][0]["records"], RECORDS);
    let summary = limited(&server, &["export", "--out-dir", &scratch.path("out"), "--col", "c"]);
    assert_eq!(summary["collections"][0]["records"], RECORDS);
    let read = |name: &str| std::fs::read(scratch.path(name)).unwrap();
    assert!(read("in/c/d.jsonl") == read("out/c/d.jsonl"));
    let newest = json(&server, &["fetch-document", "--col", "c", "--doc", "d", "--limit", "1", "--reverse"]);
    assert_eq!(newest, json!([{"ts": RECORDS - 1, "data": "{\"temperature\":49.9}"}]));
}
