//! stderr and stdout that take nothing: full, without a reader, or with one that doesn't read. The server goes on, and
//! its end loses nothing.

use crate::support::{KEY, Server, TempDir, command};
use rustix::pipe::fcntl_setpipe_size;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use std::fs::File;
use std::io::{BufRead, BufReader, PipeReader, Read, Write};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

const STOP_MAX: Duration = Duration::from_secs(5);
const PIPE_BYTES: usize = 4096;

/// A pipe with no room left.
fn full_pipe() -> (PipeReader, Stdio) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let bytes = fcntl_setpipe_size(&writer, PIPE_BYTES).unwrap();
    writer.write_all(&vec![b'.'; bytes]).unwrap();
    (reader, writer.into())
}

fn spawn(data: &TempDir, arguments: &[&str], stdout: Stdio, stderr: Stdio) -> Child {
    let mut command = command();
    command.args(["--secret-key", KEY, "--port", "0", "--cores", "2", "--data", data.text()]).args(arguments);
    command.stdout(stdout).stderr(stderr).spawn().unwrap()
}

/// The address's port in the line that says that the server is ready.
fn port(line: &str) -> u16 {
    let head = line.split("listening on").nth(1).and_then(|rest| rest.split(',').next());
    head.and_then(|head| head.rsplit(':').next()?.parse().ok())
        .unwrap_or_else(|| panic!("no port in {line:?}"))
}

fn read_line(reader: impl Read) -> String {
    let mut line = String::new();
    BufReader::new(reader).read_line(&mut line).unwrap();
    line
}

/// Writes a value, ends the server, and reads it from another one.
fn write_and_stop(child: &mut Child, port: u16, data: &TempDir) {
    let mut client = crate::support::Client::connect(port, "/", crate::support::KEY_QUERY);
    client.receive().unwrap();
    client.done("sval", &json!({"col": "c", "key": "k", "value": "v"}));
    let signalled = Instant::now();
    kill_process(Pid::from_child(child), Signal::TERM).unwrap();
    assert_eq!(client.closed(), Some(1001));
    drop(client);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(signalled.elapsed() < STOP_MAX, "{:?}", signalled.elapsed());
    let server = Server::start(&["--data", data.text()]);
    assert_eq!(server.client().call("gval", &json!({"col": "c", "key": "k"})), json!({"value": "v"}));
}

fn goes_on_with(stderr: impl Fn() -> (Option<PipeReader>, Stdio)) {
    for format in ["text", "json"] {
        let data = TempDir::new();
        let (reader, stderr) = stderr();
        let mut child = spawn(&data, &["--log", "trace", "--log-format", format], Stdio::piped(), stderr);
        let port = port(&read_line(child.stdout.take().unwrap()));
        write_and_stop(&mut child, port, &data);
        drop(reader);
    }
}

#[test]
fn a_full_stderr_ends_nothing() {
    goes_on_with(|| (None, File::options().write(true).open("/dev/full").unwrap().into()));
}

#[test]
fn a_stderr_whose_reader_is_gone_ends_nothing() {
    goes_on_with(|| (None, std::io::pipe().unwrap().1.into()));
}

#[test]
fn a_stderr_that_is_not_read_stops_nothing() {
    goes_on_with(|| {
        let (reader, stderr) = full_pipe();
        (Some(reader), stderr)
    });
}

#[test]
fn lines_wait_for_a_reader_that_reads_later() {
    let data = TempDir::new();
    let (mut reader, stderr) = full_pipe();
    let mut child = spawn(&data, &["--log-format", "json"], Stdio::piped(), stderr);
    let port = port(&read_line(child.stdout.take().unwrap()));
    let log = std::thread::spawn(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text
    });
    write_and_stop(&mut child, port, &data);
    let log = log.join().unwrap();
    let last: serde_json::Value =
        serde_json::from_str(log.lines().last().unwrap().trim_start_matches('.')).unwrap();
    assert!(last["fields"]["message"].as_str().unwrap().starts_with("stopping"), "{log}");
}

/// Where stdout takes nothing, the line that would be there is on the log.
#[test]
fn a_stdout_that_takes_nothing_ends_nothing() {
    let closed = || (None, std::io::pipe().unwrap().1.into());
    let full = || (None, Stdio::from(File::options().write(true).open("/dev/full").unwrap()));
    let not_read = || {
        let (reader, stdout) = full_pipe();
        (Some(reader), stdout)
    };
    let kinds: [&dyn Fn() -> (Option<PipeReader>, Stdio); 3] = [&closed, &full, &not_read];
    for kind in kinds {
        let data = TempDir::new();
        let (reader, stdout) = kind();
        let mut child = spawn(&data, &["--log", "warn"], stdout, Stdio::piped());
        let line = read_line(child.stderr.take().unwrap());
        assert!(line.contains("stdout does not take the line"), "{line}");
        write_and_stop(&mut child, port(&line), &data);
        drop(reader);
    }
}

/// The reason of a failure is the last line also where nothing is logged.
#[test]
fn a_failure_is_told_after_the_log() {
    let data = TempDir::new();
    std::fs::write(data.path().join("shard-000.db"), "x".repeat(10_000)).unwrap();
    let child = spawn(&data, &["--log", "off"], Stdio::piped(), Stdio::piped());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.starts_with("fluxiondb: ") && text.contains("shard-000.db"), "{text}");
}
