//! Tests of what the command line takes and refuses, and what it says then.

use crate::support::{KEY, Server, TempDir, command};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Output, Stdio};

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command().args(arguments).stdin(Stdio::null()).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn help_names_every_flag_and_has_examples() {
    let (code, stdout, _) = run(&["--help"]);
    assert_eq!(code, Some(0));
    let flags = [
        "--secret-key",
        "--secret-key-file",
        "--port",
        "--bind",
        "--metrics-bind",
        "--tls-cert",
        "--tls-key",
        "--tls-port",
        "--cores",
        "--pin",
        "--no-pin",
        "--spin-us",
        "--max-message-bytes",
        "--compression",
        "--max-connections",
        "--max-connections-per-key",
        "--max-connections-per-address",
        "--max-handshakes",
        "--idle-timeout",
        "--legacy-auth",
        "--log",
        "--log-format",
        "--slow-ms",
        "FLUXIONDB_SECRET_KEY",
        "Examples:",
    ];
    for flag in flags {
        assert!(stdout.contains(flag), "{flag} is missing in\n{stdout}");
    }
}

#[test]
fn the_key_does_not_show_in_help() {
    let output = command().arg("--help").env("FLUXIONDB_SECRET_KEY", "do-not-show").output().unwrap();
    assert!(!String::from_utf8(output.stdout).unwrap().contains("do-not-show"));
}

/// `docker run -e NAME=` and unit files set variables to nothing.
#[test]
fn an_empty_variable_is_no_flag() {
    let names = [
        "CORES",
        "DATA",
        "PORT",
        "PIN",
        "NO_PIN",
        "MAX_CONNECTIONS",
        "LEGACY_AUTH",
        "LOG",
        "SECRET_KEY_FILE",
    ];
    let variables = names.map(|name| (format!("FLUXIONDB_{name}"), ""));
    let environment: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (&**name, *value)).collect();
    let server = Server::start_with(&["--cores", "1"], &environment);
    server.client().done("sval", &serde_json::json!({"col": "c", "key": "k", "value": "v"}));
    let output = command().env("FLUXIONDB_SECRET_KEY", "").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("a secret key is required"));
}

#[test]
fn bad_options_exit_with_2() {
    for (arguments, word) in [
        (&[][..], "secret key is required"),
        (&["--secret-key", ""], "empty"),
        (&["--secret-key", "k", "--secret-key-file", "f"], "both"),
        (&["--secret-key-file", "/nonexistent"], "/nonexistent"),
        (&["--secret-key", "k", "--sync", "sometimes"], "sometimes"),
        (&["--secret-key", "k", "--flush-interval", "0"], "--sync always"),
        (&["--secret-key", "k", "--cores", "none"], "--cores"),
        (&["--secret-key", "k", "--port", "http"], "--port"),
        (&["--secret-key", "k", "-p", "abc"], "a number from 0 to 65535"),
        (&["--secret-key", " "], "--secret-key is blank"),
        (&["--secret-key", "k", "--pin", "--no-pin"], "--pin and --no-pin"),
        (&["--secret-key", "k", "--bind", "localhost"], "--bind"),
        (&["--secret-key", "k", "--metrics-bind", "9100"], "127.0.0.1:9100"),
        (&["--secret-key", "k", "--max-message-bytes", "1GiB"], "512MiB"),
        (&["--secret-key", "k", "--log", "loud"], "loud"),
        (&["--secret-key", "k", "--sync", "always"], "--sync"),
        (&["--frobnicate"], "--frobnicate"),
    ] {
        let (code, stdout, stderr) = run(arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {stderr}");
        assert!(stderr.contains(word), "{arguments:?}: {stderr}");
        assert_eq!(stdout, "");
    }
}

/// `setarch` has a kernel call itself Linux 2.6.
#[test]
fn an_old_kernel_is_refused_by_its_version() {
    let mut old = Command::new("setarch");
    old.args([
        std::env::consts::ARCH,
        "--uname-2.6",
        env!("CARGO_BIN_EXE_fluxiondb"),
        "--secret-key",
        "k",
        "--port",
        "0",
    ]);
    let Ok(Output { status, stderr, .. }) = old.output() else {
        eprintln!("left out: setarch is not installed");
        return;
    };
    let stderr = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("Linux 2.6") && stderr.contains("5.8 is the least"), "{stderr}");
}

#[test]
fn a_taken_port_is_named() {
    let server = Server::start(&[]);
    let port = server.port.to_string();
    let (code, stdout, stderr) = run(&["--secret-key", "k", "--port", &port]);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains(&format!("port {port} is taken")), "{stderr}");
    assert_eq!(stdout, "");
}

#[test]
fn a_cpu_that_is_not_there_is_named() {
    let (code, _, stderr) = run(&["--secret-key", "k", "--port", "0", "--cores", "1000-1000"]);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("--cores names CPU 1000"), "{stderr}");
    let dir = TempDir::new();
    for data in [&["--data", dir.text()][..], &[]] {
        let (code, _, stderr) =
            run(&[&["--secret-key", "k", "--port", "0", "--storage-cpus", "1000"], data].concat());
        assert_eq!(code, Some(1), "{stderr}");
        assert!(stderr.contains("--storage-cpus names CPU 1000"), "{stderr}");
    }
}

#[test]
fn listens_on_the_address_it_is_told() {
    let server =
        Server::start(&["--bind", "127.0.0.1", "--cores", "0-0", "--log-format", "json", "--no-pin"]);
    server.client().done("sval", &serde_json::json!({"col": "c", "key": "k", "value": KEY}));
}

/// A refused handshake is closed by the server, whose end then lingers in TIME_WAIT. That made the check for a
/// free port say that another process had it, for a minute after a stop.
#[test]
fn starts_again_on_its_port_at_once() {
    let server = Server::start(&[]);
    let port = server.port.to_string();
    let mut refused = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    refused.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut response = String::new();
    refused.read_to_string(&mut response).unwrap();
    assert!(response.starts_with("HTTP/1.1 426 "), "{response}");
    drop((refused, server));

    let mut child =
        command().args(["--secret-key", "k", "--port", &port]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(line.contains(&format!(":{port},")), "{line}");
}
