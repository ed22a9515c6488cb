//! What the tests of the binary stand on: a server process that ends with the test, a client that speaks the
//! protocol, and a raw socket for what no proper client would do.

#![allow(dead_code, reason = "each test program uses a part of it")]

pub mod cases;
pub mod model;
pub mod raw;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Message, WebSocket};

pub const KEY: &str = "s3cret+key";
/// How the key stands in a URL.
pub const KEY_QUERY: &str = "api-key=s3cret%2Bkey";
/// Longer than anything takes that works; a test that meets it has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);

static ALONE: Mutex<()> = Mutex::new(());

/// Tests that measure, or that load the machine, take turns.
pub fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// The binary, with an environment that sets none of its flags.
pub fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fluxiondb"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("FLUXIONDB_") {
            command.env_remove(name);
        }
    }
    command
}

/// A directory that is gone after the test.
pub struct TempDir(PathBuf);

impl TempDir {
    pub fn new() -> TempDir {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("fluxiondb-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::SeqCst));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir(&path).unwrap();
        TempDir(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn text(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        // What a failed test left is worth looking at.
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// A running server; killed when dropped.
pub struct Server {
    child: Child,
    pub port: u16,
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
        let port = line.split(',').next().and_then(|head| head.rsplit(':').next()?.parse().ok());
        match port {
            Some(port) => Server { child, port, _stdout: stdout },
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

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// Memory that the process holds.
    pub fn rss_bytes(&self) -> usize {
        let text = std::fs::read_to_string(format!("/proc/{}/statm", self.child.id())).unwrap();
        text.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * rustix::param::page_size()
    }

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

/// A WebSocket client of tungstenite's, which checks the server's frames.
pub struct Client {
    pub socket: WebSocket<TcpStream>,
    sent: u64,
}

impl Client {
    pub fn connect(port: u16, path: &str, query: &str) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
        let url = match query {
            "" => format!("ws://127.0.0.1:{port}{path}"),
            _ => format!("ws://127.0.0.1:{port}{path}?{query}"),
        };
        match tungstenite::client::client_with_config(url.as_str(), stream, Some(config)) {
            Ok((socket, _)) => Client { socket, sent: 0 },
            Err(error) => panic!("no connection to {url}: {error}"),
        }
    }

    /// As `queue`; none if the connection is gone.
    pub fn try_queue(&mut self, kind: &str, data: &Value) -> Option<String> {
        self.sent += 1;
        let id = format!("r{}", self.sent);
        let request = json!({"id": id, "type": kind, "data": data.to_string()});
        self.socket.write(Message::text(request.to_string())).ok().map(|()| id)
    }

    /// Queues a request, and says under which id its reply will come.
    pub fn queue(&mut self, kind: &str, data: &Value) -> String {
        self.try_queue(kind, data).unwrap()
    }

    pub fn flush(&mut self) {
        self.socket.flush().unwrap();
    }

    /// The next text message; the code when the server closes instead.
    pub fn receive(&mut self) -> Result<Value, Option<u16>> {
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => return Ok(serde_json::from_str(&text).unwrap()),
                Ok(Message::Close(frame)) => return Err(frame.map(|frame| frame.code.into())),
                Ok(_) => {}
                Err(error) => panic!("the connection failed: {error}"),
            }
        }
    }

    /// Sends a request and returns its reply, which must be the next one.
    pub fn call(&mut self, kind: &str, data: &Value) -> Value {
        let id = self.queue(kind, data);
        self.flush();
        let mut reply = self.receive().unwrap();
        assert_eq!(reply["id"], id.as_str(), "{reply}");
        reply.as_object_mut().unwrap().remove("id");
        reply
    }

    /// As `call`, for requests answered with nothing but their id.
    pub fn done(&mut self, kind: &str, data: &Value) {
        assert_eq!(self.call(kind, data), json!({}), "{kind} {data}");
    }

    /// Takes so many replies, in whatever order they come.
    pub fn replies(&mut self, count: usize) -> HashMap<String, Value> {
        let mut replies = HashMap::new();
        for _ in 0..count {
            let mut reply = self.receive().unwrap();
            let id = reply.as_object_mut().unwrap().remove("id").unwrap();
            let previous = replies.insert(id.as_str().unwrap().to_string(), reply);
            assert!(previous.is_none(), "answered twice: {id}");
        }
        replies
    }

    /// Reads until the server closes the connection, and says with which code.
    pub fn closed(&mut self) -> Option<u16> {
        loop {
            if let Err(code) = self.receive() {
                return code;
            }
        }
    }
}

/// Runs `work` over and over in a thread of its own for as long as `meanwhile` takes. Returns how often, and
/// the longest that it took.
pub fn alongside(mut work: impl FnMut() + Send, meanwhile: impl FnOnce()) -> (usize, Duration) {
    struct Done<'a>(&'a AtomicBool);
    impl Drop for Done<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            let (mut count, mut longest) = (0, Duration::ZERO);
            loop {
                let started = Instant::now();
                work();
                longest = longest.max(started.elapsed());
                count += 1;
                if done.load(Ordering::SeqCst) {
                    return (count, longest);
                }
            }
        });
        let guard = Done(&done);
        meanwhile();
        drop(guard);
        worker.join().unwrap()
    })
}

/// Random numbers that are the same in every run (xorshift64*).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// What `/health` answers: the status, and the body.
pub fn health(port: u16) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    let status = response.split(' ').nth(1).unwrap().parse().unwrap();
    (status, response.split("\r\n\r\n").nth(1).unwrap().to_string())
}
