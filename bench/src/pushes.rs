//! Reading a connection with subscriptions: whole messages instead of their heads, and what a push brings.
//!
//! A message is put together from its fragments and looked at when it is whole. Of a push only the times are needed, and a
//! count or two: these are found by their names, since quotes within texts are escaped, so that no text can hold them.

use memchr::memmem;
use serde_json::Value;

use crate::frame::{self, FrameHeader};
use crate::limits::{CONTROL_BYTES_MAX, HEAD_BYTES, MESSAGE_BYTES_MAX};
use crate::replies::{self, Reply};

/// Something that came on a connection with subscriptions.
#[derive(Debug, PartialEq)]
pub enum Event<'bytes> {
    /// The reply to a request.
    Reply(Reply),
    /// The reply to the making of a subscription: nothing, or an error's text.
    Subscribed(Option<String>),
    /// Changes or newest records.
    Push(Push<'bytes>),
    /// A subscription is over, with the text that says why.
    End(String),
    /// To be answered with the same bytes.
    Ping(&'bytes [u8]),
    /// The end, with the close frame's payload.
    Close(&'bytes [u8]),
}

/// A whole push.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Push<'bytes>(&'bytes [u8]);

impl<'bytes> Push<'bytes> {
    /// The push that these bytes are.
    pub fn of(message: &'bytes [u8]) -> Self {
        Self(message)
    }

    /// The times of its records, which those of ranges are not.
    pub fn times(&self) -> impl Iterator<Item = u64> {
        memmem::find_iter(self.0, br#""ts":"#).filter_map(|at| number_at(&self.0[at + 5..]))
    }

    /// Whether it tells of what was there before the subscription.
    pub fn is_snapshot(&self) -> bool {
        memmem::find(self.0, br#""snapshot":""#).is_some()
    }

    /// The number of changes that the server left out before it.
    pub fn skipped(&self) -> u64 {
        let name = br#""skipped":"#;
        memmem::rfind(self.0, name).and_then(|at| number_at(&self.0[at + name.len()..])).unwrap_or(0)
    }

    /// Its length.
    pub fn bytes(&self) -> usize {
        self.0.len()
    }
}

fn number_at(text: &[u8]) -> Option<u64> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&text[..digits]).ok()?.parse().ok()
}

/// Puts messages together.
#[derive(Debug, Default)]
pub struct Assembler {
    /// What has come of a message that is not whole.
    message: Vec<u8>,
    in_message: bool,
    /// Whether its last frame has begun.
    is_last: bool,
    /// Bytes of its current frame that are still to come.
    missing_bytes: u64,
}

impl Assembler {
    /// Takes what is there, and hands out what is whole; returns how many bytes it is done with.
    pub fn walk<F: FnMut(Event<'_>)>(&mut self, bytes: &[u8], mut on: F) -> Result<usize, &'static str> {
        let mut at = 0;
        loop {
            at += self.take_missing(&bytes[at..], &mut on);
            if self.missing_bytes > 0 {
                return Ok(at);
            }
            let Some(header) = FrameHeader::read(&bytes[at..]) else { return Ok(at) };
            if header.masked || header.reserved {
                return Err("the server sent a frame that is masked or has reserved bits");
            }
            let start = at + header.header_bytes;
            let payload = usize::try_from(header.payload_bytes)
                .ok()
                .and_then(|length| bytes.get(start..)?.get(..length));
            match header.opcode {
                frame::TEXT | frame::CONTINUATION => {
                    at = start;
                    self.begin(&header)?;
                    if let Some(payload) = payload.filter(|_| self.is_last && self.message.is_empty()) {
                        on(event(payload));
                        at += payload.len();
                        (self.in_message, self.missing_bytes) = (false, 0);
                    } else if self.missing_bytes == 0 {
                        self.end_frame(&mut on);
                    }
                }
                frame::PING | frame::PONG | frame::CLOSE => {
                    if !header.fin || header.payload_bytes > CONTROL_BYTES_MAX {
                        return Err("the server sent a control frame that is too long or fragmented");
                    }
                    let Some(payload) = payload else { return Ok(at) };
                    at = start + payload.len();
                    match header.opcode {
                        frame::PING => on(Event::Ping(payload)),
                        frame::CLOSE => on(Event::Close(payload)),
                        _ => {}
                    }
                }
                _ => return Err("the server sent a frame that is neither text nor control"),
            }
        }
    }

    /// A frame of a message begins.
    fn begin(&mut self, header: &FrameHeader) -> Result<(), &'static str> {
        match (header.opcode, self.in_message) {
            (frame::TEXT, true) => return Err("the server began a message within a message"),
            (frame::CONTINUATION, false) => {
                return Err("the server continued a message that it had not begun");
            }
            _ => {}
        }
        if self.message.len() as u64 + header.payload_bytes > MESSAGE_BYTES_MAX {
            return Err("the server sent a message that is too long");
        }
        (self.in_message, self.is_last, self.missing_bytes) = (true, header.fin, header.payload_bytes);
        Ok(())
    }

    fn take_missing<F: FnMut(Event<'_>)>(&mut self, bytes: &[u8], on: &mut F) -> usize {
        if self.missing_bytes == 0 {
            return 0;
        }
        let taken = self.missing_bytes.min(bytes.len() as u64) as usize;
        self.message.extend_from_slice(&bytes[..taken]);
        self.missing_bytes -= taken as u64;
        if self.missing_bytes == 0 {
            self.end_frame(on);
        }
        taken
    }

    fn end_frame<F: FnMut(Event<'_>)>(&mut self, on: &mut F) {
        if self.is_last {
            on(event(&self.message));
            self.message.clear();
            self.in_message = false;
        }
    }
}

/// Servers that say the type of what they send unasked first take the short way.
fn event(message: &[u8]) -> Event<'_> {
    if message.starts_with(br#"{"type":"push""#) {
        return Event::Push(Push::of(message));
    }
    let reply = replies::read_head(&message[..message.len().min(HEAD_BYTES)]);
    if reply.id.is_some() {
        return Event::Reply(reply);
    }
    let value: Value = serde_json::from_slice(message).unwrap_or_default();
    match value["type"].as_str() {
        Some("push") => Event::Push(Push(message)),
        Some("end") => Event::End(value["error"].as_str().unwrap_or("without a reason").to_owned()),
        _ if value["id"].as_str().is_some_and(|id| id.starts_with(SUBSCRIPTION_PREFIX)) => {
            Event::Subscribed(value["error"].as_str().map(str::to_owned))
        }
        _ => Event::Reply(reply),
    }
}

/// The start of a subscription's name, which no request's id has.
pub const SUBSCRIPTION_PREFIX: &str = "s";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::push_server_frame;

    const PUSH: &str = r#"{"type":"push","sub":"s1","cursor":"9-1","records":{"ts":{"ts":5,"data":"{\"ts\":7,\"skipped\":9}"},"b":null,"c":{"ts":12,"data":""}}}"#;

    fn events(bytes: &[u8], piece_bytes: usize) -> Vec<String> {
        let (mut assembler, mut rest, mut seen) = (Assembler::default(), Vec::new(), Vec::new());
        for piece in bytes.chunks(piece_bytes) {
            rest.extend_from_slice(piece);
            let consumed = assembler.walk(&rest, |event| seen.push(told(&event))).unwrap();
            rest.drain(..consumed);
        }
        assert!(rest.is_empty());
        seen
    }

    fn told(event: &Event<'_>) -> String {
        match event {
            Event::Push(push) => {
                let times: Vec<u64> = push.times().collect();
                format!("push {times:?} {} {} {}", push.skipped(), push.is_snapshot(), push.bytes())
            }
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn times_are_those_of_records_and_not_what_texts_hold() {
        let length = PUSH.len();
        assert_eq!(told(&event(PUSH.as_bytes())), format!("push [5, 12] 0 false {length}"));
        let changes = r#"{"type":"push","sub":"a","changes":[{"doc":"d","fromTs":1,"toTs":3,"del":true},{"doc":"d","ts":4,"data":""}],"skipped":3}"#;
        assert_eq!(told(&event(changes.as_bytes())), format!("push [4] 3 false {}", changes.len()));
        let later = r#"{"records":{"d":{"ts":1,"data":""}},"snapshot":"done","sub":"s","type":"push"}"#;
        assert_eq!(told(&event(later.as_bytes())), format!("push [1] 0 true {}", later.len()));
    }

    #[test]
    fn replies_and_ends_are_told_apart() {
        let is = |text: &str| format!("{:?}", event(text.as_bytes()));
        assert_eq!(is(r#"{"id":"s3","cursor":"9-1","resumed":false}"#), "Subscribed(None)");
        assert_eq!(is(r#"{"id":"s3","error":"no"}"#), r#"Subscribed(Some("no"))"#);
        assert_eq!(is(r#"{"type":"end","sub":"s","error":"too slow","cursor":"1"}"#), r#"End("too slow")"#);
        assert!(is(r#"{"id":"000000000042"}"#).contains("Some(42)"));
    }

    #[test]
    fn any_cut_of_the_stream_gives_the_same_events() {
        let mut bytes = Vec::new();
        push_server_frame(&mut bytes, frame::TEXT, PUSH.as_bytes());
        bytes.splice(0..0, {
            let (head, tail) = PUSH.as_bytes().split_at(50);
            let mut fragments = Vec::new();
            push_server_frame(&mut fragments, frame::TEXT, head);
            fragments[0] &= !0x80;
            push_server_frame(&mut fragments, frame::PING, b"hello");
            push_server_frame(&mut fragments, frame::CONTINUATION, tail);
            fragments[0] &= !0x80;
            push_server_frame(&mut fragments, frame::TEXT, br#"{"id":"000000000001"}"#);
            fragments
        });
        let large = format!(r#"{{"type":"push","x":"{}","ts":8}}"#, "x".repeat(70_000));
        push_server_frame(&mut bytes, frame::TEXT, large.as_bytes());
        push_server_frame(&mut bytes, frame::CLOSE, b"\x03\xe9bye");
        let whole = events(&bytes, bytes.len());
        assert_eq!(whole.len(), 6, "{whole:?}");
        assert!(whole[1] == whole[3] && whole[4].starts_with("push [8]"));
        for piece_bytes in [1, 2, 3, 7, 100, 4_096] {
            assert_eq!(events(&bytes, piece_bytes), whole, "in pieces of {piece_bytes}");
        }
    }
}
