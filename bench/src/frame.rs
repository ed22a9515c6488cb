//! WebSocket frames as bytes: the header read, and whole frames written.
//!
//! Client frames carry the mask 0,0,0,0: the protocol asks for the bit and the key, and with this key the payload stays
//! readable, so that it can be patched in place.

/// Opcode of a frame that continues a message.
pub const CONTINUATION: u8 = 0;
/// Opcode of a text frame.
pub const TEXT: u8 = 1;
/// Opcode of a close frame.
pub const CLOSE: u8 = 8;
/// Opcode of a ping.
pub const PING: u8 = 9;
/// Opcode of a pong.
pub const PONG: u8 = 10;

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const MASKED: u8 = 0x80;
const ZERO_MASK: [u8; 4] = [0; 4];

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// Whether the message ends with this frame.
    pub fin: bool,
    /// Whether a bit is set that only an extension may set.
    pub reserved: bool,
    /// The kind of frame.
    pub opcode: u8,
    /// Whether the payload is masked.
    pub masked: bool,
    /// Length of the header itself, with the mask key.
    pub header_bytes: usize,
    /// Length of the payload.
    pub payload_bytes: u64,
}

impl FrameHeader {
    /// Reads a header, or nothing while it is not complete.
    #[inline]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let &[first, second, ..] = bytes else { return None };
        let (length_bytes, payload_bytes) = match second & !MASKED {
            126 => (2, u64::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?))),
            127 => (8, u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?)),
            short => (0, u64::from(short)),
        };
        let masked = second & MASKED != 0;
        let header_bytes = 2 + length_bytes + if masked { ZERO_MASK.len() } else { 0 };
        (bytes.len() >= header_bytes).then_some(Self {
            fin: first & FIN != 0,
            reserved: first & RESERVED != 0,
            opcode: first & 0x0F,
            masked,
            header_bytes,
            payload_bytes,
        })
    }
}

/// Appends the header of a client's unfragmented frame; exactly this many payload bytes must follow.
pub fn push_client_header(out: &mut Vec<u8>, opcode: u8, payload_bytes: usize) {
    push_start(out, opcode, payload_bytes, MASKED);
    out.extend_from_slice(&ZERO_MASK);
}

/// Sets the length of a client's text frame whose header, of so many bytes, was written before its payload was made. The
/// payload moves if its length needs another header.
#[inline]
pub fn set_client_length(out: &mut Vec<u8>, start: usize, header_bytes: usize, payload_bytes: usize) {
    match (header_bytes, payload_bytes) {
        (6, ..126) => out[start + 1] = MASKED | payload_bytes as u8,
        (8, 126..=0xFFFF) => {
            out[start + 2..start + 4].copy_from_slice(&(payload_bytes as u16).to_be_bytes());
        }
        (14, 0x1_0000..) => {
            out[start + 2..start + 10].copy_from_slice(&(payload_bytes as u64).to_be_bytes());
        }
        _ => {
            let mut header = Vec::new();
            push_client_header(&mut header, TEXT, payload_bytes);
            out.splice(start..start + header_bytes, header);
        }
    }
}

/// Appends a client's unfragmented frame.
pub fn push_client_frame(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    push_client_header(out, opcode, payload.len());
    out.extend_from_slice(payload);
}

/// Appends a server's unfragmented frame.
pub fn push_server_frame(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    push_start(out, opcode, payload.len(), 0);
    out.extend_from_slice(payload);
}

fn push_start(out: &mut Vec<u8>, opcode: u8, payload_bytes: usize, mask_bit: u8) {
    out.push(FIN | opcode);
    match payload_bytes {
        0..=125 => out.push(mask_bit | payload_bytes as u8),
        126..=0xFFFF => {
            out.push(mask_bit | 126);
            out.extend_from_slice(&(payload_bytes as u16).to_be_bytes());
        }
        _ => {
            out.push(mask_bit | 127);
            out.extend_from_slice(&(payload_bytes as u64).to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_written_at_every_length_form() {
        for length in [0, 1, 125, 126, 127, 65_535, 65_536, 200_000] {
            for masked in [false, true] {
                let payload = vec![b'x'; length];
                let mut bytes = Vec::new();
                if masked {
                    push_client_frame(&mut bytes, TEXT, &payload);
                } else {
                    push_server_frame(&mut bytes, TEXT, &payload);
                }
                let header = FrameHeader::read(&bytes).unwrap();
                assert_eq!((header.fin, header.reserved, header.opcode), (true, false, TEXT));
                assert_eq!((header.masked, header.payload_bytes), (masked, length as u64));
                assert_eq!(header.header_bytes + length, bytes.len());
                for cut in 0..header.header_bytes {
                    assert_eq!(FrameHeader::read(&bytes[..cut]), None);
                }
            }
        }
    }
}
