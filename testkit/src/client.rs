//! A client that speaks the protocol, request by request, and checks the server's frames.

use crate::limits::PATIENCE;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::TcpStream;
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Error, Message, WebSocket};

/// A WebSocket client of tungstenite's, which checks the server's frames.
pub struct Client {
    /// For what the methods don't do.
    pub socket: WebSocket<TcpStream>,
    sent: u64,
}

impl Client {
    /// Opens a connection, without waiting for the ready message.
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

    /// Sends what is queued.
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
                // A test may be stopped and go on.
                Err(Error::Io(error)) if error.kind() == ErrorKind::Interrupted => {}
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
