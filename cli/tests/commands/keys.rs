//! API keys, connections, pings and what the binary says of itself.

use crate::support::{KEY, Server, command};
use crate::tools::{Outcome, error, json, ok, operator, text};
use serde_json::json;
use std::io::Write;
use std::process::Stdio;

#[test]
fn keys_are_added_listed_and_removed() {
    let server = Server::start(&["--cores", "1"]);
    let added = text(&server, &["add-key", "--key", "reader"]);
    assert_eq!(added, "{\n  \"scope\": \"readonly\",\n  \"status\": \"ok\"\n}\n");
    assert_eq!(json(&server, &["add-key", "-key", "w", "-scope", "READ_WRITE"])["scope"], "read_write");
    assert_eq!(
        json(&server, &["list-api-keys"]),
        json!([
            {"key": "reader", "scope": "readonly", "deletable": true},
            {"key": KEY, "scope": "read_write_delete", "deletable": false},
            {"key": "w", "scope": "read_write", "deletable": true},
        ])
    );
    assert!(
        error(&server, &["set-value", "--apikey", "reader", "--col", "c", "--key", "k", "--value", "v"])
            .contains("permission denied")
    );
    assert!(error(&server, &["--apikey", "w", "list-api-keys"]).contains("only the master key"));
    ok(&server, &["remove-key", "--key", "reader"]);
    assert!(error(&server, &["remove-key", "--key", "reader"]).contains("api key not found"));
    let refused = error(&server, &["--apikey=reader", "fetch-collections"]);
    assert!(refused.contains("Unknown API key"), "{refused}");
    let refused = error(&server, &["add-key", "--key", "x", "--scope", "admin"]);
    assert!(refused.contains("\"admin\"") && refused.contains("read_write_delete"), "{refused}");
}

#[test]
fn keys_need_not_show_in_the_command_line() {
    let server = Server::start(&["--cores", "1"]);
    let given = |arguments: &[&str], variable: Option<&str>, input: &str| {
        let mut command = operator(&server);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.envs(variable.map(|value| ("FLUXIONDB_KEY", value)));
        let mut child = command.spawn().unwrap();
        // It may not be read at all.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        Outcome::from(child.wait_with_output().unwrap())
    };
    assert_eq!(given(&["add-key", "--key", "-"], None, "from stdin \r\nmore").code, Some(0));
    assert_eq!(given(&["add-key"], Some("from variable"), "").code, Some(0));
    let keys = json(&server, &["list-api-keys"]).to_string();
    assert!(keys.contains("\"from stdin \"") && keys.contains("\"from variable\""), "{keys}");
    assert_eq!(given(&["remove-key", "--key", "-"], None, "from stdin \n").code, Some(0));
    assert!(given(&["add-key", "--key", "-"], None, "\n").stderr.contains("the key on stdin is blank"));
    assert!(given(&["add-key", "--key", "-"], None, &"x".repeat(5000)).stderr.contains("longer than 4096"));
    assert!(error(&server, &["add-key", "--key", " "]).contains("--key is blank"));
}

#[test]
fn connections_show_their_names() {
    let server = Server::start(&["--cores", "1"]);
    let connections = json(&server, &["connections", "--name", "nightly run"]);
    let [connection] = connections.as_array().unwrap().as_slice() else { panic!("{connections}") };
    assert_eq!((&connection["name"], &connection["self"]), (&json!("nightly run"), &json!(true)));
    assert!(text(&server, &["connections", "--format", "table"]).starts_with("IP "));
}

#[test]
fn pings_are_timed() {
    let server = Server::start(&["--cores", "1"]);
    let ping = json(&server, &["ping", "--count", "20"]);
    let micros = |name: &str| ping["microseconds"][name].as_f64().unwrap();
    assert_eq!(ping["count"], 20);
    assert!(
        0.0 < micros("min") && micros("min") <= micros("median") && micros("p99") <= micros("max"),
        "{ping}"
    );
    // Of so few, the longest is the 99th percentile.
    assert_eq!(micros("p99"), micros("max"), "{ping}");
    let table = text(&server, &["ping", "--format", "table"]);
    assert!(table.contains("P99 µs"), "{table}");
}

#[test]
fn what_is_missing_is_named() {
    let server = Server::start(&["--cores", "1"]);
    let mut without_key = operator(&server);
    let output = without_key.env("FLUXIONDB_APIKEY", "").arg("fetch-collections").output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("--apikey") && text.contains("FLUXIONDB_APIKEY"), "{text}");
    assert!(error(&server, &["fetch-document", "--col", "c"]).contains("--doc"));
    assert!(error(&server, &["fetch-latest", "--col", "c", "--nope"]).contains("--nope"));
    assert!(error(&server, &["fetch-latest", "--col", "c", "--ts", "noon"]).contains("noon"));
    assert!(error(&server, &["--url", "https://x", "ping"]).contains("or with wss:// for TLS"));
    let refused = error(&server, &["--url", "ws://127.0.0.1:1", "ping"]);
    assert!(refused.contains("127.0.0.1:1") && refused.matches("refused").count() == 1, "{refused}");
}

#[test]
fn the_servers_settings_do_not_concern_commands() {
    let server = Server::start(&["--cores", "1"]);
    let mut crowded = operator(&server);
    crowded.env("FLUXIONDB_PORT", "tcp://10.0.0.1:8080").env("FLUXIONDB_SECRET_KEY", "x");
    let output = crowded.args(["fetch-collections"]).output().unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), &b"[]\n"[..]));
    let output = command().args(["--secret-key", "k", "fetch-collections"]).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && text.contains("none of the server's flags"), "{text}");
}

#[test]
fn help_and_completions() {
    let plain = |arguments: &[&str]| {
        let output = command().env("FLUXIONDB_APIKEY", "do-not-show").args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(!text.contains("do-not-show"), "{text}");
        text
    };
    assert!(plain(&["--help"]).contains("fetch-collections"));
    for arguments in [["export", "--help"], ["help", "export"]] {
        let help = plain(&arguments);
        assert!(
            ["--out-dir", "--url", "FLUXIONDB_APIKEY", "Examples:"].iter().all(|word| help.contains(word))
        );
    }
    assert!(plain(&["ping", "--help"]).contains("ws://localhost:8080"));
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let script = plain(&["completion", shell]);
        assert!(script.contains("fetch-collections"), "{shell}");
        assert_eq!(plain(&["completions", shell]), script);
    }
    let described =
        |more: &[&str]| plain(&[&["completion", "fish"], more].concat()).contains("Delete one record");
    assert!(described(&[]) && !described(&["--no-descriptions"]));
}
