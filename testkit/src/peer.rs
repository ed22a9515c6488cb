//! A WebSocket server of tungstenite's that says what a test wants said.

use fluxion_client::{Client, Options};
use serde_json::{Value, json};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::{Message, WebSocket};

/// A key that a URL has to escape.
pub const KEY: &str = "top+secret";

/// One connection as the server sees it.
pub struct Peer {
    /// For what the methods don't say.
    pub socket: WebSocket<TcpStream>,
}

/// A server that serves as many connections as `serve` has turns, one after another.
pub struct Listener {
    /// Where it listens.
    pub url: String,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    /// `serve` is called with each connection and its number, `count` times.
    pub fn start(count: usize, serve: impl Fn(usize, &mut Peer) + Send + 'static) -> Listener {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        let thread = std::thread::spawn(move || {
            for number in 0..count {
                let (stream, _) = listener.accept().unwrap();
                let mut peer = Peer { socket: tungstenite::accept(stream).unwrap() };
                peer.say(&json!({"message": "Authentication successful", "type": "ready"}));
                serve(number, &mut peer);
            }
        });
        Listener { url, thread: Some(thread) }
    }

    /// Options to connect to it.
    pub fn options(&self) -> Options {
        Options::new(&self.url, KEY).timeout(Duration::from_secs(20))
    }

    /// A client that is connected to it.
    pub fn client(&self) -> Client {
        Client::connect(self.options()).unwrap()
    }

    /// Waits until every connection has been served.
    pub fn finish(mut self) {
        self.thread.take().unwrap().join().unwrap();
    }
}

impl Peer {
    /// Sends a message.
    pub fn say(&mut self, message: &Value) {
        self.say_text(&message.to_string());
    }

    /// Sends this text as a message.
    pub fn say_text(&mut self, text: &str) {
        self.socket.send(Message::text(text)).unwrap();
    }

    /// Sends one message in frames of these texts.
    pub fn say_in_frames(&mut self, parts: &[&str]) {
        for (index, part) in parts.iter().enumerate() {
            let kind = if index == 0 { Data::Text } else { Data::Continue };
            self.say_frame(kind, part.as_bytes().to_vec(), index + 1 == parts.len());
        }
    }

    /// Sends one frame of a message.
    pub fn say_frame(&mut self, kind: Data, payload: Vec<u8>, last: bool) {
        let frame = Frame::message(payload, OpCode::Data(kind), last);
        self.socket.send(Message::Frame(frame)).unwrap();
    }

    /// Hears the request of a subscription, and accepts it: with this cursor, and with these members beside. Gives the
    /// request; its id is the subscription's name.
    pub fn accept(&mut self, cursor: &str, more: Value) -> Request {
        let request = self.hear().unwrap();
        assert_eq!(request.kind, "sub");
        self.say(&joined(json!({"id": request.id, "cursor": cursor}), more));
        request
    }

    /// Pushes to a subscription.
    pub fn push(&mut self, name: &str, cursor: &str, more: Value) {
        self.say(&joined(json!({"type": "push", "sub": name, "cursor": cursor}), more));
    }

    /// The next request, with its data parsed; `None` when the client has gone.
    pub fn hear(&mut self) -> Option<Request> {
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => {
                    let request: Value = serde_json::from_str(&text).unwrap();
                    let text = |name: &str| request[name].as_str().unwrap().to_string();
                    let data = serde_json::from_str(&text("data")).unwrap();
                    return Some(Request { id: text("id"), kind: text("type"), data });
                }
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }
}

fn joined(mut message: Value, more: Value) -> Value {
    let Value::Object(more) = more else { panic!("members are an object") };
    message.as_object_mut().unwrap().extend(more);
    message
}

/// A request as the server hears it.
pub struct Request {
    /// To be repeated in the reply.
    pub id: String,
    /// The `type`.
    pub kind: String,
    /// The parsed `data`.
    pub data: Value,
}
