//! A socket that writes and reads frames byte by byte, so that a test can break any rule and sees pings and
//! closes as they come. It holds no buffers, so ten thousand of them cost little.

use crate::limits::PATIENCE;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

/// The opcode of a text message.
pub const TEXT: u8 = 1;
/// The opcode of a close frame.
pub const CLOSE: u8 = 8;
/// The opcode of a ping.
pub const PING: u8 = 9;
/// The opcode of a pong.
pub const PONG: u8 = 10;

/// A connection of bytes.
pub struct RawSocket {
    /// Whoever breaks rules writes to it directly.
    pub stream: TcpStream,
}

/// The request that opens a connection; `headers` are whole lines.
pub fn upgrade(path: &str, headers: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{headers}\r\n"
    )
}

/// A frame as a client must send it.
pub fn frame(first_byte: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x5a, 0x01, 0xff, 0x33];
    let mut bytes = vec![first_byte];
    match payload.len() {
        len @ 0..=125 => bytes.push(0x80 | len as u8),
        len @ 126..=0xffff => {
            bytes.push(0x80 | 126);
            bytes.extend((len as u16).to_be_bytes());
        }
        len => {
            bytes.push(0x80 | 127);
            bytes.extend((len as u64).to_be_bytes());
        }
    }
    bytes.extend(mask);
    bytes.extend(payload.iter().enumerate().map(|(index, byte)| byte ^ mask[index % 4]));
    bytes
}

/// The response to an HTTP request.
pub struct Response {
    /// The status line and the header fields.
    pub head: String,
    /// The rest.
    pub body: String,
}

impl Response {
    /// The status code.
    pub fn status(&self) -> u16 {
        self.head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// The value of a header field.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (field, value) = line.split_once(':')?;
            field.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

impl RawSocket {
    /// Connects, and sends nothing.
    pub fn connect(port: u16) -> RawSocket {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        RawSocket { stream }
    }

    /// Opens a connection, and takes the ready message.
    pub fn open(port: u16, query: &str) -> RawSocket {
        let mut socket = RawSocket::connect(port);
        let (status, _) = socket.handshake(&upgrade(&format!("/?{query}"), ""));
        assert_eq!(status, 101);
        let (opcode, payload) = socket.read_frame().unwrap();
        assert_eq!(opcode, TEXT);
        assert!(payload.windows(5).any(|part| part == b"ready"));
        socket
    }

    /// Sends a whole message, or a control frame.
    pub fn send(&mut self, opcode: u8, payload: &[u8]) {
        self.stream.write_all(&frame(0x80 | opcode, payload)).unwrap();
    }

    /// Reads a whole text message, also one in fragments; control frames between are passed over.
    pub fn read_text(&mut self) -> Option<Vec<u8>> {
        let mut message = Vec::new();
        loop {
            let (is_last, opcode, payload) = self.read_any_frame()?;
            match opcode {
                0 | TEXT => message.extend(payload),
                8 => return None,
                _ => continue,
            }
            if is_last {
                return Some(message);
            }
        }
    }

    /// Sends a request and returns status and body of the response.
    pub fn handshake(&mut self, request: &str) -> (u16, String) {
        let response = self.ask(request);
        (response.status(), response.body)
    }

    /// Sends an HTTP request and returns the response.
    pub fn ask(&mut self, request: &str) -> Response {
        self.stream.write_all(request.as_bytes()).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let mut response = Response { head: String::from_utf8(head).unwrap(), body: String::new() };
        let length = response.header("content-length").map_or(0, |value| value.parse().unwrap());
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        response.body = String::from_utf8(body).unwrap();
        response
    }

    /// Opcode and payload of the next frame, or `None` when the connection has ended.
    pub fn read_frame(&mut self) -> Option<(u8, Vec<u8>)> {
        self.read_any_frame().map(|(_, opcode, payload)| (opcode, payload))
    }

    /// Whether the next frame is the last of its message, its opcode, and its payload.
    fn read_any_frame(&mut self) -> Option<(bool, u8, Vec<u8>)> {
        self.read_whole_frame().map(|(first, payload)| (first & 0x80 != 0, first & 0x0f, payload))
    }

    /// The first byte of the next frame, and its payload.
    pub fn read_whole_frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut head = [0; 2];
        self.stream.read_exact(&mut head).ok()?;
        assert_eq!(head[1] & 0x80, 0, "a server must not mask");
        let len = match head[1] {
            126 => {
                let mut bytes = [0; 2];
                self.stream.read_exact(&mut bytes).ok()?;
                u16::from_be_bytes(bytes) as usize
            }
            127 => {
                let mut bytes = [0; 8];
                self.stream.read_exact(&mut bytes).ok()?;
                u64::from_be_bytes(bytes) as usize
            }
            len => len as usize,
        };
        let mut payload = vec![0; len];
        self.stream.read_exact(&mut payload).ok()?;
        Some((head[0], payload))
    }

    /// Sends no more, and waits until the server has ended the connection.
    pub fn finish(mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
        let mut bytes = [0; 4096];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) => {
                    let kind = error.kind();
                    assert_ne!(kind, std::io::ErrorKind::WouldBlock, "the server keeps a dead connection");
                    return;
                }
            }
        }
    }
}
