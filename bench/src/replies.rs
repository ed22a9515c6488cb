//! Reading what the server sends, as little of it as will do: frame headers, and the first bytes of each message.
//!
//! Bytes come in pieces of any size. A header, with the head of the payload behind it, is looked at only when it is
//! there as a whole; the caller keeps what was not consumed and puts it before the next piece. The rest of a payload is
//! skipped. Invariant: the unconsumed rest is shorter than a header and a head.

use crate::frame::{self, FrameHeader};
use crate::limits::{CONTROL_BYTES_MAX, ERROR_WITHIN_BYTES, HEAD_BYTES};
use crate::template::{ID_DIGITS, ID_PREFIX};

/// Something the server sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming<'bytes> {
    /// A whole message.
    Reply(Reply),
    /// To be answered with the same bytes.
    Ping(&'bytes [u8]),
    /// The end, with the close frame's payload.
    Close(&'bytes [u8]),
}

/// The head of a message.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply {
    /// The id, unless the head has none that is ours.
    pub id: Option<u64>,
    /// The error's text, if it is an error reply.
    pub error: Option<String>,
}

/// Where in the stream of frames the reader is.
#[derive(Debug, Default)]
pub struct Walker {
    skip_bytes: u64,
    frame_is_last: bool,
    message: Option<Reply>,
}

impl Walker {
    /// Walks over whole frames and the parts of payloads that are there; returns how many bytes it is done with.
    pub fn walk<F: FnMut(Incoming<'_>)>(&mut self, bytes: &[u8], mut on: F) -> Result<usize, &'static str> {
        let mut at = 0;
        loop {
            let skipped = self.skip_bytes.min((bytes.len() - at) as u64);
            at += skipped as usize;
            self.skip_bytes -= skipped;
            if self.skip_bytes > 0 {
                return Ok(at);
            }
            self.finish_frame(&mut on);
            let Some(header) = FrameHeader::read(&bytes[at..]) else { return Ok(at) };
            let head_at = at + header.header_bytes;
            let head_bytes = header.payload_bytes.min(HEAD_BYTES as u64);
            let Some(head) = bytes.get(head_at..head_at + head_bytes as usize) else { return Ok(at) };
            self.begin_frame(&header, head, &mut on)?;
            at = head_at + head.len();
            self.skip_bytes = header.payload_bytes - head_bytes;
        }
    }

    fn begin_frame<F: FnMut(Incoming<'_>)>(
        &mut self,
        header: &FrameHeader,
        head: &[u8],
        on: &mut F,
    ) -> Result<(), &'static str> {
        if header.masked {
            return Err("the server sent a masked frame");
        }
        if header.reserved {
            return Err("the server sent a frame with reserved bits");
        }
        match header.opcode {
            frame::TEXT if self.message.is_some() => {
                return Err("the server began a message within a message");
            }
            frame::TEXT => self.message = Some(read_head(head)),
            frame::CONTINUATION if self.message.is_none() => {
                return Err("the server continued a message that it had not begun");
            }
            frame::CONTINUATION => {}
            frame::PING | frame::PONG | frame::CLOSE => {
                if !header.fin || header.payload_bytes > CONTROL_BYTES_MAX {
                    return Err("the server sent a control frame that is too long or fragmented");
                }
                match header.opcode {
                    frame::PING => on(Incoming::Ping(head)),
                    frame::CLOSE => on(Incoming::Close(head)),
                    _ => {}
                }
                return Ok(());
            }
            _ => return Err("the server sent a frame that is neither text nor control"),
        }
        self.frame_is_last = header.fin;
        Ok(())
    }

    fn finish_frame<F: FnMut(Incoming<'_>)>(&mut self, on: &mut F) {
        if self.frame_is_last {
            self.frame_is_last = false;
            if let Some(reply) = self.message.take() {
                on(Incoming::Reply(reply));
            }
        }
    }
}

/// Reads a message's head. Servers that repeat the id first take the short way.
#[inline]
pub fn read_head(head: &[u8]) -> Reply {
    let Some((id, rest)) = head.strip_prefix(ID_PREFIX).and_then(split_id) else {
        return Reply { id: find_id(head), error: find_error(head) };
    };
    let is_plain = rest == b"}" || rest.starts_with(br#","records":"#) || rest.starts_with(br#","value":"#);
    Reply { id: Some(id), error: if is_plain { None } else { find_error(rest) } }
}

/// The id and what follows its closing quote.
#[inline]
fn split_id(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (digits, rest) = bytes.split_at_checked(ID_DIGITS)?;
    let mut id = 0;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        id = id * 10 + u64::from(digit - b'0');
    }
    Some((id, rest.strip_prefix(b"\"")?))
}

/// The id behind other members, written with or without a space.
fn find_id(head: &[u8]) -> Option<u64> {
    let after_name = &head[find(head, br#""id":"#)? + 5..];
    let value = after_name.trim_ascii_start().strip_prefix(b"\"")?;
    split_id(value).map(|(id, _)| id)
}

fn find_error(head: &[u8]) -> Option<String> {
    const NAME: &[u8] = br#""error":"#;
    let at = find(&head[..head.len().min(ERROR_WITHIN_BYTES)], NAME)?;
    let value = head[at + NAME.len()..].trim_ascii_start();
    let text = value.strip_prefix(b"\"").unwrap_or(value);
    Some(String::from_utf8_lossy(&text[..text_end(text)]).into_owned())
}

/// Where a JSON string ends, or the head does.
fn text_end(text: &[u8]) -> usize {
    let mut escaped = false;
    for (index, &byte) in text.iter().enumerate() {
        match byte {
            b'"' if !escaped => return index,
            b'\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::push_server_frame;

    fn reply(id: u64) -> Incoming<'static> {
        Incoming::Reply(Reply { id: Some(id), error: None })
    }

    fn server_frame(payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        push_server_frame(&mut bytes, frame::TEXT, payload);
        bytes
    }

    /// Feeds the bytes in pieces of this size, keeping the unconsumed rest as a connection does.
    fn walk_in_pieces(bytes: &[u8], piece_bytes: usize) -> Vec<String> {
        let (mut walker, mut rest, mut seen) = (Walker::default(), Vec::new(), Vec::new());
        for piece in bytes.chunks(piece_bytes) {
            rest.extend_from_slice(piece);
            let consumed = walker.walk(&rest, |incoming| seen.push(format!("{incoming:?}"))).unwrap();
            rest.drain(..consumed);
            assert!(rest.len() < HEAD_BYTES + 14);
        }
        assert!(rest.is_empty());
        seen
    }

    #[test]
    fn heads_are_read() {
        let cases: [(&str, Option<u64>, Option<&str>); 9] = [
            (r#"{"id":"000000000042"}"#, Some(42), None),
            (r#"{"id":"000000000042","records":{"error":{}}}"#, Some(42), None),
            (r#"{"id":"000000000042","error":"no \"x\" here"}"#, Some(42), Some(r#"no \"x\" here"#)),
            (r#"{"error":"late","id":"000000000042"}"#, Some(42), Some("late")),
            (r#"{ "error": "spaced", "id": "000000000042" }"#, Some(42), Some("spaced")),
            (r#"{"id":"other","error":"x"}"#, None, Some("x")),
            (r#"{"id":"00000000004x"}"#, None, None),
            (r#"{"type":"ready"}"#, None, None),
            ("", None, None),
        ];
        for (head, id, error) in cases {
            assert_eq!(read_head(head.as_bytes()), Reply { id, error: error.map(str::to_owned) }, "{head}");
        }
    }

    #[test]
    fn errors_far_from_the_start_are_data() {
        let head = format!(r#"{{"id":"000000000001","values":{{"{}":"","error":"x"}}}}"#, "k".repeat(64));
        assert_eq!(read_head(head.as_bytes()).error, None);
    }

    #[test]
    fn any_cut_of_the_stream_gives_the_same_replies() {
        let mut bytes = server_frame(br#"{"id":"000000000001"}"#);
        let large = format!(r#"{{"id":"000000000002","records":["{}"]}}"#, "x".repeat(70_000));
        push_server_frame(&mut bytes, frame::TEXT, large.as_bytes());
        push_server_frame(&mut bytes, frame::PING, b"are you there");
        push_server_frame(&mut bytes, frame::TEXT, br#"{"id":"000000000003","error":"e"}"#);
        push_server_frame(&mut bytes, frame::CLOSE, b"\x03\xe9bye");
        let whole = walk_in_pieces(&bytes, bytes.len());
        assert_eq!(whole.len(), 5);
        assert_eq!(whole[1], format!("{:?}", reply(2)));
        for piece_bytes in [1, 2, 3, 7, 100, 255, 256, 4_096] {
            assert_eq!(walk_in_pieces(&bytes, piece_bytes), whole, "in pieces of {piece_bytes}");
        }
    }

    #[test]
    fn a_fragmented_message_is_one_reply_and_pings_may_come_between() {
        let mut first = server_frame(format!(r#"{{"id":"000000000007",{:300}"#, "").as_bytes());
        first[0] &= !0x80;
        let mut middle = Vec::new();
        push_server_frame(&mut middle, frame::CONTINUATION, &[b' '; 300]);
        middle[0] &= !0x80;
        let mut bytes = [first, middle].concat();
        push_server_frame(&mut bytes, frame::PING, b"");
        push_server_frame(&mut bytes, frame::CONTINUATION, b"");
        for piece_bytes in [1, 10, 1_000] {
            let seen = walk_in_pieces(&bytes, piece_bytes);
            assert_eq!(seen, [format!("{:?}", Incoming::Ping(b"")), format!("{:?}", reply(7))]);
        }
    }

    #[test]
    fn what_no_server_may_send_is_an_error() {
        let mut masked = Vec::new();
        frame::push_client_frame(&mut masked, frame::TEXT, b"x");
        let mut reserved = server_frame(b"x");
        reserved[0] |= 0x40;
        let mut binary = server_frame(b"x");
        binary[0] = 0x82;
        let mut continued = server_frame(b"x");
        continued[0] = 0x80;
        let mut long_ping = Vec::new();
        push_server_frame(&mut long_ping, frame::PING, &[0; 126]);
        let mut nested = server_frame(b"x");
        nested[0] &= !0x80;
        nested.extend(server_frame(b"x"));
        for bytes in [masked, reserved, binary, continued, long_ping, nested] {
            assert!(Walker::default().walk(&bytes, |_| ()).is_err(), "{bytes:?}");
        }
    }
}
