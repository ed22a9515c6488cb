//! A server process that ends with the test.

use crate::client::Client;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

/// The master key.
pub const KEY: &str = "s3cret+key";
/// The master key as it stands in a URL.
pub const KEY_QUERY: &str = "api-key=s3cret%2Bkey";

/// The binary, with an environment that sets none of its flags.
pub fn command() -> Command {
    let mut command = Command::new(binary());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("FLUXIONDB_") {
            command.env_remove(name);
        }
    }
    command
}

/// The path of the binary: as Cargo says, or where it puts it when a test's program is run by hand.
fn binary() -> PathBuf {
    std::env::var_os("CARGO_BIN_EXE_fluxiondb").map_or_else(
        || std::env::current_exe().unwrap().parent().unwrap().with_file_name("fluxiondb"),
        PathBuf::from,
    )
}

/// A running server; killed when dropped.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub port: u16,
    /// Where it serves health and metrics, if that was asked for.
    pub pages_port: Option<u16>,
    /// Where it speaks TLS, if that is another port.
    pub tls_port: Option<u16>,
    /// Kept open, so that the server's end of it is.
    _stdout: BufReader<ChildStdout>,
}

impl Server {
    /// Starts a server, and waits until it listens.
    pub fn start(arguments: &[&str]) -> Server {
        Server::start_with(arguments, &[])
    }

    /// The same, with these variables in its environment.
    pub fn start_with(arguments: &[&str], environment: &[(&str, &str)]) -> Server {
        let mut child = Server::spawn(arguments, environment);
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let port_in = |part: &str| part.trim().rsplit(':').next().and_then(|port| port.parse().ok());
        let pages_port = line.split("metrics on").nth(1).and_then(port_in);
        let tls_port = line.split("TLS on").nth(1).and_then(|rest| rest.split(',').next()).and_then(port_in);
        match line.split(',').next().and_then(port_in) {
            Some(port) => Server { child, port, pages_port, tls_port, _stdout: stdout },
            None => panic!("the server did not start: {line:?} {:?}", child.wait()),
        }
    }

    /// Starts the process only.
    pub fn spawn(arguments: &[&str], environment: &[(&str, &str)]) -> Child {
        command()
            .args(["--secret-key", KEY, "--port", "0", "--log", "error"])
            .args(arguments)
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ends it in good order.
    pub fn stop(mut self) {
        self.signal(Signal::TERM);
        assert_eq!(self.wait().code(), Some(0));
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until it has ended.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// Memory that the process holds.
    pub fn rss_bytes(&self) -> usize {
        let text = std::fs::read_to_string(format!("/proc/{}/statm", self.child.id())).unwrap();
        text.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * rustix::param::page_size()
    }

    /// A client with the master key.
    pub fn client(&self) -> Client {
        self.client_with(KEY_QUERY)
    }

    /// A connected client that has had its ready message.
    pub fn client_with(&self, query: &str) -> Client {
        let mut client = Client::connect(self.port, "/", query);
        assert_eq!(
            client.receive().unwrap(),
            json!({"message": "Authentication successful", "type": "ready"})
        );
        client
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The answer to `GET /health`: status and body.
pub fn health(port: u16) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    let status = response.split(' ').nth(1).unwrap().parse().unwrap();
    (status, response.split("\r\n\r\n").nth(1).unwrap().to_string())
}
