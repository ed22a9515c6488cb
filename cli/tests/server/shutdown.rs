//! Signals: the first ends the server in good order and in time, the second at once, and a hangup only with a terminal.

use crate::support::raw::{CLOSE, RawSocket, TEXT};
use crate::support::{Client, KEY, KEY_QUERY, Server, alone, command};
use rustix::fs::OFlags;
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::json;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use tungstenite::Message;

const STOP_MAX: Duration = Duration::from_secs(5);

#[test]
fn ends_in_time_under_load() {
    let _alone = alone();
    let mut server = Server::start(&[]);
    let mut idle: Vec<RawSocket> = (0..500).map(|_| RawSocket::open(server.port, KEY_QUERY)).collect();
    let (running, started) = mpsc::channel();
    std::thread::scope(|scope| {
        for index in 0..4 {
            let (client, running) = (server.client(), running.clone());
            scope.spawn(move || load(client, index, running));
        }
        (0..4).for_each(|_| started.recv().unwrap());
        let signalled = Instant::now();
        server.signal(Signal::TERM);
        for socket in &mut idle {
            let (opcode, payload) = socket.read_frame().expect("a close frame comes first");
            assert_eq!((opcode, &payload[..2]), (CLOSE, &1001u16.to_be_bytes()[..]));
            socket.send(CLOSE, &payload[..2]);
        }
        assert_eq!(server.wait().code(), Some(0));
        let took = signalled.elapsed();
        println!("stopped after {took:?}");
        assert!(took < STOP_MAX, "{took:?}");
    });
}

/// Inserts in bursts until the server ends the connection; reports when it is well under way.
fn load(mut client: Client, index: usize, running: mpsc::Sender<()>) {
    let record = json!([{"ts": 1, "doc": "d", "data": "x", "col": format!("c{index}")}]).to_string();
    let request = json!({"id": "1", "type": "ins", "data": record}).to_string();
    for burst in 0.. {
        for _ in 0..50 {
            if client.socket.write(Message::text(request.as_str())).is_err() {
                return;
            }
        }
        if client.socket.flush().is_err() {
            return;
        }
        for _ in 0..50 {
            match client.socket.read() {
                Ok(Message::Text(_)) => {}
                _ => return,
            }
        }
        if burst == 10 {
            running.send(()).unwrap();
        }
    }
}

#[test]
fn an_interrupt_ends_it_too() {
    let mut server = Server::start(&[]);
    let mut client = server.client();
    server.signal(Signal::INT);
    assert_eq!(client.closed(), Some(1001));
    drop(client);
    assert_eq!(server.wait().code(), Some(0));
}

/// A client that takes nothing of its large reply keeps the server from ending at once; a second signal
/// doesn't wait for it.
#[test]
fn a_second_signal_ends_it_at_once() {
    let mut server = Server::start(&["--cores", "1"]);
    let mut client = server.client();
    for ts in 0..64 {
        client.done("ins", &json!([{"ts": ts, "doc": "d", "data": "x".repeat(1 << 20), "col": "c"}]));
    }
    let mut stuck = RawSocket::open(server.port, KEY_QUERY);
    stuck.send(TEXT, br#"{"id":"1","type":"qdoc","data":"{\"col\":\"c\",\"doc\":\"d\",\"to\":99}"}"#);
    // The first bytes of its reply say that the server is at it.
    let mut byte = [0];
    std::io::Read::read_exact(&mut stuck.stream, &mut byte).unwrap();
    server.signal(Signal::TERM);
    assert_eq!(client.closed(), Some(1001));
    server.signal(Signal::INT);
    assert_eq!(server.wait().code(), Some(128 + Signal::INT.as_raw()));
}

/// A terminal: the end that a window would hold, and the end that a program gets.
fn terminal() -> (OwnedFd, File) {
    let window = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&window).unwrap();
    unlockpt(&window).unwrap();
    let name = ptsname(&window, Vec::new()).unwrap().into_string().unwrap();
    let options = File::options().read(true).write(true).custom_flags(OFlags::NOCTTY.bits() as i32).clone();
    (window, options.open(name).unwrap())
}

/// A server in a session of its own, whose terminal is stdin if that is one; the words stand before the binary.
fn in_session(words: &[&str], stdin: Stdio) -> (Child, u16) {
    let server = command();
    let mut command = Command::new("setsid");
    command.args(words).arg(server.get_program());
    for (name, _) in server.get_envs() {
        command.env_remove(name);
    }
    command.args(["--secret-key", KEY, "--port", "0", "--cores", "1"]);
    let mut child = command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let port = line.split(',').next().and_then(|head| head.rsplit(':').next()?.parse().ok());
    (child, port.unwrap_or_else(|| panic!("no port in {line:?}")))
}

fn connected(port: u16) -> Client {
    let mut client = Client::connect(port, "/", KEY_QUERY);
    client.receive().unwrap();
    client
}

#[test]
fn a_terminal_that_is_closed_ends_it_in_good_order() {
    let (window, stdin) = terminal();
    let (mut child, port) = in_session(&["--ctty"], stdin.into());
    let mut client = connected(port);
    drop(window);
    assert_eq!(client.closed(), Some(1001));
    drop(client);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// As a service manager asks for a reload.
#[test]
fn a_hangup_without_a_terminal_ends_nothing() {
    let (mut child, port) = in_session(&[], Stdio::null());
    let mut client = connected(port);
    kill_process(Pid::from_child(&child), Signal::HUP).unwrap();
    let log = BufReader::new(child.stderr.take().unwrap());
    let told = log.lines().map(Result::unwrap).find(|line| line.contains("SIGHUP"));
    assert!(told.expect("it ended").contains("nothing to reload"));
    client.done("sval", &json!({"col": "c", "key": "k", "value": "v"}));
    child.kill().unwrap();
    child.wait().unwrap();
}

/// With `nohup` the user has said that a closed terminal is to end nothing.
#[test]
fn a_hangup_that_was_ignored_at_the_start_stays_so() {
    let (window, stdin) = terminal();
    let (mut child, port) = in_session(&["--ctty", "nohup"], stdin.into());
    let mut client = connected(port);
    kill_process(Pid::from_child(&child), Signal::HUP).unwrap();
    drop(window);
    client.done("sval", &json!({"col": "c", "key": "k", "value": "v"}));
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(client.closed(), Some(1001));
    drop(client);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
