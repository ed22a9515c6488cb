//! What the tests of the binary stand on: a server process that ends with the test, a client that speaks the
//! protocol, and a raw socket for what no proper client would do.

pub mod cases;
pub mod model;
pub mod raw;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
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

/// A running server; killed when dropped.
pub struct Server {
    child: Child,
    pub port: u16,
    /// Kept open, so that the server's end of it is.
    _stdout: BufReader<ChildStdout>,
}

impl Server {
    pub fn start(arguments: &[&str]) -> Server {
        let mut child = command()
            .args(["--secret-key", KEY, "--port", "0", "--log", "error"])
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let port = line.split(',').next().and_then(|head| head.rsplit(':').next()?.parse().ok());
        match port {
            Some(port) => Server { child, port, _stdout: stdout },
            None => panic!("the server did not start: {line:?} {:?}", child.wait()),
        }
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

    /// Queues a request, and says under which id its reply will come.
    pub fn queue(&mut self, kind: &str, data: &Value) -> String {
        self.sent += 1;
        let id = format!("r{}", self.sent);
        let request = json!({"id": id, "type": kind, "data": data.to_string()});
        self.socket.write(Message::text(request.to_string())).unwrap();
        id
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
    use std::sync::atomic::{AtomicBool, Ordering};
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
