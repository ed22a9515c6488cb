//! WebSocket frames on a socket: requests out, the text of messages in, a piece at a time, so that a message of
//! any length costs one receive buffer. Pings are answered here, a close is an error.
//!
//! Outgoing frames are masked with a key that changes with each, as the protocol asks of clients.

use crate::error::Error;
use crate::handshake::Upgraded;
use crate::limits::{CONNECT_TIMEOUT, RECEIVE_BYTES, SEND_BYTES};
use crate::options::Options;
use crate::transport::Transport;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Cursor, Read, Write};
use std::time::{Duration, Instant};
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

const CONTROL_BYTES_MAX: u64 = 125;

/// The frames of one connection.
pub(crate) struct Frames {
    stream: Transport,
    timeout: Duration,
    reply_time_max: Duration,
    reply_bytes_max: usize,
    /// When the current reply must have ended.
    deadline: Instant,
    /// Bytes of replies that wait to be taken.
    held_bytes: usize,
    /// As the socket has it.
    read_timeout: Duration,
    received: Box<[u8]>,
    /// The part of `received` that has not been looked at.
    start: usize,
    end: usize,
    /// Payload bytes of the current data frame that have not come yet.
    frame_left: u64,
    frame_is_last: bool,
    in_message: bool,
    out: Vec<u8>,
    mask_seed: u64,
    pong: Option<Vec<u8>>,
}

impl Frames {
    pub(crate) fn new(upgraded: Upgraded, options: &Options) -> Frames {
        let mut received = vec![0; RECEIVE_BYTES].into_boxed_slice();
        let end = upgraded.rest.len();
        received[..end].copy_from_slice(&upgraded.rest);
        Frames {
            stream: upgraded.stream,
            timeout: options.timeout,
            reply_time_max: options.reply_time_max,
            reply_bytes_max: options.reply_bytes_max,
            // Until the server is ready.
            deadline: Instant::now() + CONNECT_TIMEOUT.max(options.timeout),
            held_bytes: 0,
            read_timeout: options.timeout,
            received,
            start: 0,
            end,
            frame_left: 0,
            frame_is_last: false,
            in_message: false,
            out: Vec::new(),
            mask_seed: RandomState::new().hash_one(end) | 1,
            pong: None,
        }
    }

    /// Begins to wait for a reply.
    pub(crate) fn begin_wait(&mut self) {
        self.deadline = Instant::now() + self.reply_time_max;
    }

    /// Waits until then at the longest.
    pub(crate) fn wait_until(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    /// Counts a reply that waits to be taken.
    pub(crate) fn hold(&mut self, bytes: usize) {
        self.held_bytes += bytes;
    }

    /// Counts it no more.
    pub(crate) fn let_go(&mut self, bytes: usize) {
        self.held_bytes -= bytes;
    }

    /// Queues a text message; it is written when enough has come together, or with `flush`.
    pub(crate) fn push_text(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.push(OpCode::Data(Data::Text), payload);
        if self.out.len() >= SEND_BYTES { self.flush() } else { Ok(()) }
    }

    /// Queues a ping.
    pub(crate) fn push_ping(&mut self, payload: &[u8]) {
        self.push(OpCode::Control(Control::Ping), payload);
    }

    /// The payload of a pong that has come since the last call.
    pub(crate) fn take_pong(&mut self) -> Option<Vec<u8>> {
        self.pong.take()
    }

    /// Writes what is queued.
    pub(crate) fn flush(&mut self) -> Result<(), Error> {
        if !self.out.is_empty() {
            let written = self.stream.write_all(&self.out).and_then(|()| self.stream.flush());
            self.out.clear();
            self.out.shrink_to(2 * SEND_BYTES);
            written.map_err(|error| Error::from_socket(error, self.timeout))?;
        }
        Ok(())
    }

    /// Says goodbye, as far as that goes without waiting.
    pub(crate) fn close(&mut self) {
        self.push(OpCode::Control(Control::Close), &1000u16.to_be_bytes());
        let _ = self.flush();
    }

    /// Appends what comes next of the current message, or else of the next one, and says whether the message is
    /// complete with it. Returns after a pong too, with nothing appended.
    pub(crate) fn read_some(&mut self, text: &mut Vec<u8>) -> Result<bool, Error> {
        loop {
            if self.frame_left > 0 {
                if self.start == self.end {
                    self.fill()?;
                }
                let complete = self.take_payload(text);
                return match text.len() + self.held_bytes > self.reply_bytes_max {
                    true => Err(Error::TooLong(self.reply_bytes_max)),
                    false => Ok(complete),
                };
            }
            let mut cursor = Cursor::new(&self.received[self.start..self.end]);
            let parsed = FrameHeader::parse(&mut cursor).map_err(|error| broken_frame(&error.to_string()))?;
            let Some((header, length)) = parsed else {
                self.fill()?;
                continue;
            };
            let header_bytes = cursor.position() as usize;
            if header.mask.is_some() || header.rsv1 || header.rsv2 || header.rsv3 {
                return Err(broken_frame("a masked or extended frame"));
            }
            match header.opcode {
                OpCode::Data(kind) => {
                    self.begin_frame(kind, header.is_final, length)?;
                    self.start += header_bytes;
                    if length == 0 && header.is_final {
                        return Ok(true);
                    }
                }
                OpCode::Control(kind) => {
                    if !self.take_control(kind, header_bytes, length)? {
                        self.fill()?;
                    } else if self.pong.is_some() {
                        return Ok(false);
                    }
                }
            }
        }
    }

    fn begin_frame(&mut self, kind: Data, is_final: bool, length: u64) -> Result<(), Error> {
        match (kind, self.in_message) {
            (Data::Text, false) | (Data::Continue, true) => {}
            _ => return Err(broken_frame("a data frame where none may be")),
        }
        self.in_message = !is_final || length > 0;
        self.frame_is_last = is_final;
        self.frame_left = length;
        Ok(())
    }

    fn take_payload(&mut self, text: &mut Vec<u8>) -> bool {
        let available = self.end - self.start;
        let count = usize::try_from(self.frame_left).unwrap_or(usize::MAX).min(available);
        text.extend_from_slice(&self.received[self.start..self.start + count]);
        self.start += count;
        self.frame_left -= count as u64;
        let complete = self.frame_left == 0 && self.frame_is_last;
        if complete {
            self.in_message = false;
        }
        complete
    }

    /// Deals with a control frame, if it is there as a whole.
    fn take_control(&mut self, kind: Control, header_bytes: usize, length: u64) -> Result<bool, Error> {
        if length > CONTROL_BYTES_MAX {
            return Err(broken_frame("a control frame that is too long"));
        }
        let from = self.start + header_bytes;
        let to = from + length as usize;
        if to > self.end {
            return Ok(false);
        }
        let payload = self.received[from..to].to_vec();
        self.start = to;
        match kind {
            Control::Ping => {
                self.push(OpCode::Control(Control::Pong), &payload);
                self.flush()?;
            }
            Control::Close => return Err(closed(&payload)),
            _ => self.pong = Some(payload),
        }
        Ok(true)
    }

    /// Reads from the socket; at least one byte comes.
    fn fill(&mut self) -> Result<(), Error> {
        if self.start > 0 {
            self.received.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        loop {
            self.limit_wait()?;
            match self.stream.read(&mut self.received[self.end..]) {
                Ok(0) => return Err(Error::Closed { code: None, reason: String::new() }),
                Ok(count) => {
                    self.end += count;
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => match Error::from_socket(error, self.timeout) {
                    Error::Silent(_) if Instant::now() >= self.deadline => return Err(self.endless()),
                    other => return Err(other),
                },
            }
        }
    }

    /// Makes sure that a read ends with the deadline.
    fn limit_wait(&mut self) -> Result<(), Error> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(self.endless());
        }
        let wait = left.min(self.timeout);
        if wait != self.read_timeout {
            self.stream.set_read_timeout(Some(wait)).map_err(Error::Broken)?;
            self.read_timeout = wait;
        }
        Ok(())
    }

    fn endless(&self) -> Error {
        Error::Endless(self.reply_time_max)
    }

    fn push(&mut self, opcode: OpCode, payload: &[u8]) {
        // xorshift64: unpredictable enough for what masks are for, which is to mislead naive proxies.
        self.mask_seed ^= self.mask_seed << 13;
        self.mask_seed ^= self.mask_seed >> 7;
        self.mask_seed ^= self.mask_seed << 17;
        let mask = ((self.mask_seed >> 16) as u32).to_ne_bytes();
        let header = FrameHeader { is_final: true, opcode, mask: Some(mask), ..FrameHeader::default() };
        // Writing to a vector can't fail.
        let _ = header.format(payload.len() as u64, &mut self.out);
        let from = self.out.len();
        self.out.extend_from_slice(payload);
        let (words, tail) = self.out[from..].as_chunks_mut::<4>();
        let mask_word = u32::from_ne_bytes(mask);
        for word in words {
            *word = (u32::from_ne_bytes(*word) ^ mask_word).to_ne_bytes();
        }
        for (byte, key) in tail.iter_mut().zip(mask) {
            *byte ^= key;
        }
    }
}

fn closed(payload: &[u8]) -> Error {
    let (code, reason) = match payload.split_first_chunk::<2>() {
        Some((code, reason)) => {
            (Some(u16::from_be_bytes(*code)), String::from_utf8_lossy(reason).into_owned())
        }
        None => (Some(1005), String::new()),
    };
    Error::Closed { code, reason }
}

fn broken_frame(what: &str) -> Error {
    Error::Protocol(format!("its frames are broken: {what}"))
}
