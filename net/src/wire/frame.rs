//! The WebSocket frame codec of a server, on bytes alone: no socket, no clock.
//! Incoming frames are checked against RFC 6455 and unmasked where they lie, so that a message which came in
//! one frame is never copied. Fragmented messages are assembled in a buffer that exists only meanwhile.
//! Text is checked to be UTF-8, fragment by fragment, so that a bad message fails as early as it can.

use std::fmt;
use std::ops::Range;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

/// A control frame's payload is at most this long.
const CONTROL_BYTES_MAX: usize = 125;
const MASK_BYTES: usize = 4;
/// Says of a message's first frame that the message is compressed.
const RSV1: u8 = 0x40;
const RESERVED_BITS: FrameError = FrameError::Protocol("reserved bits are set");

/// The bounds of what the reader accepts.
pub struct FrameLimits {
    /// Longest message, over all its fragments.
    pub message_bytes_max: usize,
}

/// Why a connection has to be failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// RFC 6455 forbids it; the text says what.
    Protocol(&'static str),
    /// Text, or a close reason, is not UTF-8.
    NotUtf8,
    /// A compressed message is not compressed as it should be.
    NotInflatable,
    /// The message is longer than the limit.
    TooBig,
}

impl FrameError {
    /// The code to close the connection with.
    pub fn close_code(&self) -> CloseCode {
        match self {
            FrameError::Protocol(_) => CloseCode::Protocol,
            FrameError::NotUtf8 | FrameError::NotInflatable => CloseCode::Invalid,
            FrameError::TooBig => CloseCode::Size,
        }
    }
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FrameError::Protocol(what) => what,
            FrameError::NotInflatable => "the message is not compressed as it should be",
            FrameError::NotUtf8 => "the text is not UTF-8",
            FrameError::TooBig => "the message is over the size limit",
        })
    }
}

impl std::error::Error for FrameError {}

/// The meaning of a frame. Ranges are in the input that was given to `FrameReader::next`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A whole text message, unmasked in place.
    Text(Range<usize>),
    /// A fragmented text message is complete: see `FrameReader::take_message`.
    Assembled,
    /// A whole message that is compressed, unmasked in place; whether it is text.
    Deflated(bool, Range<usize>),
    /// A fragmented message that is compressed is complete: see `FrameReader::take_message`; whether it is text.
    AssembledDeflated(bool),
    /// A whole binary message, unmasked in place.
    Binary(Range<usize>),
    /// A fragmented binary message is complete: see `FrameReader::take_message`.
    AssembledBinary,
    /// A fragment was taken in.
    Continue,
    /// To be answered by a pong with the same payload.
    Ping(Range<usize>),
    /// An answer to a ping.
    Pong(Range<usize>),
    /// The peer ends the connection, with this code and reason.
    Close(Option<CloseCode>, Range<usize>),
}

/// The state of the start of the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Not a whole frame yet.
    NeedMore {
        /// Bytes of input that the frame takes, as far as can be told.
        at_least: usize,
    },
    /// One frame.
    Frame {
        /// Bytes of input that it took.
        consumed: usize,
        /// Its meaning.
        event: Event,
    },
}

/// The receiving half of one connection's state.
#[derive(Default)]
pub struct FrameReader {
    /// Compressed messages were agreed on.
    takes_deflated: bool,
    /// The fragmented message that is coming in is compressed.
    is_deflated: bool,
    /// The kind of the fragmented message that is coming in.
    fragmented: Option<Data>,
    message: Vec<u8>,
    /// Bytes of `message` that are known to be whole UTF-8 characters.
    valid_bytes: usize,
}

struct Header {
    opcode: OpCode,
    is_final: bool,
    is_deflated: bool,
    mask: [u8; MASK_BYTES],
    header_bytes: usize,
    payload_bytes: usize,
}

impl FrameReader {
    /// One that takes compressed messages, or not.
    pub fn new(takes_deflated: bool) -> FrameReader {
        FrameReader { takes_deflated, ..FrameReader::default() }
    }

    /// Takes one frame from the start of `input`.
    pub fn next(&mut self, input: &mut [u8], limits: &FrameLimits) -> Result<Step, FrameError> {
        let header = match read_header(input)? {
            Ok(header) => header,
            Err(at_least) => return Ok(Step::NeedMore { at_least }),
        };
        self.check(&header, limits)?;
        let consumed = header.header_bytes + header.payload_bytes;
        if input.len() < consumed {
            return Ok(Step::NeedMore { at_least: consumed });
        }
        let range = header.header_bytes..consumed;
        unmask(&mut input[range.clone()], header.mask);
        let event = match header.opcode {
            OpCode::Data(data) => self.take_data(data, &header, &input[range.clone()], range)?,
            OpCode::Control(Control::Ping) => Event::Ping(range),
            OpCode::Control(Control::Pong) => Event::Pong(range),
            OpCode::Control(_) => read_close(&input[range.clone()], range)?,
        };
        Ok(Step::Frame { consumed, event })
    }

    /// The message whose fragments are all there, after `Assembled` or `AssembledBinary`.
    pub fn take_message(&mut self) -> Vec<u8> {
        self.valid_bytes = 0;
        std::mem::take(&mut self.message)
    }

    /// The memory of the message that is coming in.
    pub fn held_bytes(&self) -> usize {
        self.message.capacity()
    }

    fn check(&self, header: &Header, limits: &FrameLimits) -> Result<(), FrameError> {
        let may_be_deflated =
            self.takes_deflated && matches!(header.opcode, OpCode::Data(Data::Text | Data::Binary));
        match header.opcode {
            _ if header.is_deflated && !may_be_deflated => Err(RESERVED_BITS),
            OpCode::Control(_) if !header.is_final => {
                Err(FrameError::Protocol("a control frame must not be fragmented"))
            }
            OpCode::Control(_) if header.payload_bytes > CONTROL_BYTES_MAX => {
                Err(FrameError::Protocol("a control frame carries at most 125 bytes"))
            }
            OpCode::Control(_) => Ok(()),
            OpCode::Data(Data::Continue) if self.fragmented.is_none() => {
                Err(FrameError::Protocol("a continuation without a message to continue"))
            }
            OpCode::Data(Data::Text | Data::Binary) if self.fragmented.is_some() => {
                Err(FrameError::Protocol("a new message inside a fragmented one"))
            }
            OpCode::Data(_)
                if header.payload_bytes > limits.message_bytes_max.saturating_sub(self.message.len()) =>
            {
                Err(FrameError::TooBig)
            }
            OpCode::Data(_) => Ok(()),
        }
    }

    fn take_data(
        &mut self,
        data: Data,
        header: &Header,
        payload: &[u8],
        range: Range<usize>,
    ) -> Result<Event, FrameError> {
        let is_final = header.is_final;
        let first = match self.fragmented {
            None if is_final && header.is_deflated => return Ok(Event::Deflated(data == Data::Text, range)),
            None if is_final && data == Data::Text => {
                return if std::str::from_utf8(payload).is_ok() {
                    Ok(Event::Text(range))
                } else {
                    Err(FrameError::NotUtf8)
                };
            }
            None if is_final => return Ok(Event::Binary(range)),
            None => {
                self.is_deflated = header.is_deflated;
                data
            }
            Some(first) => first,
        };
        self.message.extend_from_slice(payload);
        self.fragmented = (!is_final).then_some(first);
        if first == Data::Text && !self.is_deflated {
            self.check_utf8(is_final)?;
        }
        Ok(match (is_final, first) {
            (false, _) => Event::Continue,
            (true, _) if self.is_deflated => Event::AssembledDeflated(first == Data::Text),
            (true, Data::Text) => Event::Assembled,
            (true, _) => Event::AssembledBinary,
        })
    }

    /// Checks what came since the last time; a character may be cut by the end of a fragment.
    fn check_utf8(&mut self, is_final: bool) -> Result<(), FrameError> {
        match std::str::from_utf8(&self.message[self.valid_bytes..]) {
            Ok(_) => self.valid_bytes = self.message.len(),
            Err(error) if error.error_len().is_none() && !is_final => self.valid_bytes += error.valid_up_to(),
            Err(_) => return Err(FrameError::NotUtf8),
        }
        Ok(())
    }
}

/// Reads a header, or says how many bytes it takes at least.
fn read_header(input: &[u8]) -> Result<Result<Header, usize>, FrameError> {
    let [first, second, rest @ ..] = input else { return Ok(Err(2)) };
    if first & 0x30 != 0 {
        return Err(RESERVED_BITS);
    }
    let opcode = match first & 0x0f {
        0 => OpCode::Data(Data::Continue),
        1 => OpCode::Data(Data::Text),
        2 => OpCode::Data(Data::Binary),
        8 => OpCode::Control(Control::Close),
        9 => OpCode::Control(Control::Ping),
        10 => OpCode::Control(Control::Pong),
        _ => return Err(FrameError::Protocol("reserved opcode")),
    };
    if second & 0x80 == 0 {
        return Err(FrameError::Protocol("a client's frame must be masked"));
    }
    let (length_bytes, payload_bytes) = match second & 0x7f {
        126 => match rest.first_chunk() {
            Some(length) => (2, u64::from(u16::from_be_bytes(*length))),
            None => return Ok(Err(2 + 2 + MASK_BYTES)),
        },
        127 => match rest.first_chunk() {
            Some(length) => (8, u64::from_be_bytes(*length)),
            None => return Ok(Err(2 + 8 + MASK_BYTES)),
        },
        short => (0, u64::from(short)),
    };
    let minimal = match length_bytes {
        2 => payload_bytes > 125,
        8 => payload_bytes > 0xffff && payload_bytes >> 63 == 0,
        _ => true,
    };
    if !minimal {
        return Err(FrameError::Protocol("a length must be in its shortest form, its top bit clear"));
    }
    let header_bytes = 2 + length_bytes + MASK_BYTES;
    let Some(mask) = rest.get(length_bytes..).and_then(|bytes| bytes.first_chunk()) else {
        return Ok(Err(header_bytes));
    };
    let payload_bytes = usize::try_from(payload_bytes).map_err(|_| FrameError::TooBig)?;
    let (is_final, is_deflated) = (first & 0x80 != 0, first & RSV1 != 0);
    Ok(Ok(Header { opcode, is_final, is_deflated, mask: *mask, header_bytes, payload_bytes }))
}

fn read_close(payload: &[u8], range: Range<usize>) -> Result<Event, FrameError> {
    match payload {
        [] => Ok(Event::Close(None, range)),
        [_] => Err(FrameError::Protocol("a close frame with half a code")),
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
                return Err(FrameError::Protocol("a close code that must not be sent"));
            }
            if std::str::from_utf8(reason).is_err() {
                return Err(FrameError::NotUtf8);
            }
            Ok(Event::Close(Some(CloseCode::from(code)), range.start + 2..range.end))
        }
    }
}

fn unmask(payload: &mut [u8], mask: [u8; MASK_BYTES]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let mut words = payload.chunks_exact_mut(8);
    for word in &mut words {
        if let Some(bytes) = word.first_chunk_mut::<8>() {
            *bytes = (u64::from_ne_bytes(*bytes) ^ wide).to_ne_bytes();
        }
    }
    for (byte, key) in words.into_remainder().iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
}

/// The length of the header of a server's frame.
pub fn header_len(payload_bytes: usize) -> usize {
    match payload_bytes {
        0..=125 => 2,
        126..=0xffff => 4,
        _ => 10,
    }
}

fn header(opcode: OpCode, is_final: bool, payload_bytes: usize) -> ([u8; 10], usize) {
    let mut bytes = [0; 10];
    bytes[0] = u8::from(opcode) | if is_final { 0x80 } else { 0 };
    let len = header_len(payload_bytes);
    match len {
        2 => bytes[1] = payload_bytes as u8,
        4 => {
            bytes[1] = 126;
            bytes[2..4].copy_from_slice(&(payload_bytes as u16).to_be_bytes());
        }
        _ => {
            bytes[1] = 127;
            bytes[2..10].copy_from_slice(&(payload_bytes as u64).to_be_bytes());
        }
    }
    (bytes, len)
}

/// Appends a frame's header; the payload is to follow.
pub fn put_header(out: &mut Vec<u8>, opcode: OpCode, is_final: bool, payload_bytes: usize) {
    let (bytes, len) = header(opcode, is_final, payload_bytes);
    out.extend_from_slice(&bytes[..len]);
}

/// The same for the first frame of a compressed message.
pub fn put_deflated_header(out: &mut Vec<u8>, opcode: OpCode, is_final: bool, payload_bytes: usize) {
    let start = out.len();
    put_header(out, opcode, is_final, payload_bytes);
    out[start] |= RSV1;
}

/// Appends a compressed text message in one frame.
pub fn put_deflated_text(out: &mut Vec<u8>, payload: &[u8]) {
    put_deflated_header(out, OpCode::Data(Data::Text), true, payload.len());
    out.extend_from_slice(payload);
}

/// Appends a text message in one frame.
pub fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    put_header(out, OpCode::Data(Data::Text), true, text.len());
    out.extend_from_slice(text);
}

/// Appends a ping; at most 125 bytes.
pub fn put_ping(out: &mut Vec<u8>, payload: &[u8]) {
    put_control(out, Control::Ping, payload);
}

/// Appends a pong; at most 125 bytes.
pub fn put_pong(out: &mut Vec<u8>, payload: &[u8]) {
    put_control(out, Control::Pong, payload);
}

/// Appends a close frame; without a code there is no reason either.
pub fn put_close(out: &mut Vec<u8>, code: Option<u16>, reason: &str) {
    let mut payload = Vec::with_capacity(CONTROL_BYTES_MAX);
    if let Some(code) = code {
        payload.extend_from_slice(&code.to_be_bytes());
        let end = reason.floor_char_boundary(CONTROL_BYTES_MAX - 2);
        payload.extend_from_slice(&reason.as_bytes()[..end]);
    }
    put_control(out, Control::Close, &payload);
}

fn put_control(out: &mut Vec<u8>, control: Control, payload: &[u8]) {
    assert!(payload.len() <= CONTROL_BYTES_MAX);
    put_header(out, OpCode::Control(control), true, payload.len());
    out.extend_from_slice(payload);
}

/// Writes the header of a text message whose payload was encoded in `out`, behind `reserved` bytes left for
/// the header at `start`. The payload is moved if its header has another size than that.
pub fn patch_text_header(out: &mut Vec<u8>, start: usize, reserved: usize) {
    let payload_bytes = out.len() - start - reserved;
    let (bytes, len) = header(OpCode::Data(Data::Text), true, payload_bytes);
    if len > reserved {
        out.resize(out.len() + len - reserved, 0);
    }
    if len != reserved {
        out.copy_within(start + reserved..start + reserved + payload_bytes, start + len);
        out.truncate(start + len + payload_bytes);
    }
    out[start..start + len].copy_from_slice(&bytes[..len]);
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
