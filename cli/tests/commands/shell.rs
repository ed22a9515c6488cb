//! The shell, fed from a pipe.

use crate::support::{KEY, Server, command};
use crate::tools::{Outcome, operator};
use rustix::process::Signal;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

fn shell(server: &Server, lines: &str) -> Outcome {
    let mut command = operator(server);
    command.arg("shell").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    child.wait_with_output().unwrap().into()
}

#[test]
fn lines_are_run_over_one_connection() {
    let server = Server::start(&["--cores", "1"]);
    let lines = "insert-record --col 'a b' -doc \"d\\\"\" --ts -1 --data '{\"v\": 1}'\n\n\
                 fetch-latest --col 'a b' --format csv\nconnections --format csv\nexit\nnot reached\n";
    let outcome = shell(&server, lines);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    assert!(outcome.stdout.contains("doc,ts,data\n\"d\"\"\",-1,\"{\"\"v\"\": 1}\"\n"), "{}", outcome.stdout);
    assert_eq!(outcome.stdout.matches("127.0.0.1,").count(), 1, "{}", outcome.stdout);
}

#[test]
fn an_error_does_not_end_it_but_is_told() {
    let server = Server::start(&["--cores", "1"]);
    let outcome =
        shell(&server, "fetch-latest\nnonsense\nset-value --col 'x\nshell\nhelp\nfetch-collections\n");
    assert_eq!(outcome.code, Some(1));
    for word in ["--col", "nonsense", "not closed", "shell already", "4 of the commands failed"] {
        assert!(outcome.stderr.contains(word), "{word}: {}", outcome.stderr);
    }
    assert!(
        outcome.stdout.ends_with("[]\n") && outcome.stdout.contains("fetch-document"),
        "{}",
        outcome.stdout
    );
}

#[test]
fn a_lost_connection_is_made_again() {
    let mut server = Server::start(&["--cores", "1"]);
    let mut shell = operator(&server);
    let mut shell = shell.arg("shell").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = shell.stdin.take().unwrap();
    let mut output = BufReader::new(shell.stdout.take().unwrap());
    let mut set_value = |value: &str| {
        writeln!(input, "set-value --col c --key k --value {value}").unwrap();
        let mut lines = [const { String::new() }; 3];
        for line in &mut lines {
            output.read_line(line).unwrap();
        }
        assert!(lines.concat().contains("ok"), "{lines:?}");
    };
    set_value("one");
    server.signal(Signal::TERM);
    server.wait();
    let mut again = command();
    again.args(["--secret-key", KEY, "--cores", "1", "--log", "error", "--port", &server.port.to_string()]);
    let mut again = again.stdout(Stdio::piped()).spawn().unwrap();
    let mut ready = String::new();
    BufReader::new(again.stdout.as_mut().unwrap()).read_line(&mut ready).unwrap();
    set_value("two");
    drop(input);
    assert!(shell.wait().unwrap().success());
    again.kill().unwrap();
    again.wait().unwrap();
}
