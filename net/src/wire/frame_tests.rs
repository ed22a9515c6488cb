//! Unit tests of the frame codec: every rule, and that the way bytes are cut makes no difference.

use super::*;

const LIMITS: FrameLimits = FrameLimits { message_bytes_max: 100_000 };
const TEXT: u8 = 0x81;
const MASK: [u8; 4] = [0x12, 0x34, 0x56, 0x78];

/// A client's frame.
fn client(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        0..=125 => frame.push(0x80 | payload.len() as u8),
        126..=0xffff => {
            frame.push(0x80 | 126);
            frame.extend((payload.len() as u16).to_be_bytes());
        }
        _ => {
            frame.push(0x80 | 127);
            frame.extend((payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

/// Gives what the reader makes of these bytes, given to it as they come in pieces of `piece_bytes`.
fn read(bytes: &[u8], piece_bytes: usize) -> (Vec<(String, Vec<u8>)>, Option<FrameError>) {
    read_with(FrameReader::default(), bytes, piece_bytes)
}

fn read_with(
    mut reader: FrameReader,
    bytes: &[u8],
    piece_bytes: usize,
) -> (Vec<(String, Vec<u8>)>, Option<FrameError>) {
    let (mut events, mut buffer) = (Vec::new(), Vec::new());
    for piece in bytes.chunks(piece_bytes) {
        buffer.extend_from_slice(piece);
        loop {
            match reader.next(&mut buffer, &LIMITS) {
                Ok(Step::NeedMore { at_least }) => {
                    assert!(at_least > buffer.len());
                    break;
                }
                Ok(Step::Frame { consumed, event }) => {
                    let bytes = match &event {
                        Event::Text(range)
                        | Event::Binary(range)
                        | Event::Deflated(_, range)
                        | Event::Ping(range)
                        | Event::Pong(range)
                        | Event::Close(_, range) => buffer[range.clone()].to_vec(),
                        Event::Assembled | Event::AssembledBinary | Event::AssembledDeflated(_) => {
                            reader.take_message()
                        }
                        Event::Continue => Vec::new(),
                    };
                    let name = match event {
                        Event::Close(code, _) => format!("close {:?}", code.map(u16::from)),
                        other => format!("{other:?}").split('(').next().unwrap_or_default().to_string(),
                    };
                    events.push((name, bytes));
                    buffer.drain(..consumed);
                }
                Err(error) => return (events, Some(error)),
            }
        }
    }
    (events, None)
}

fn error_of(bytes: &[u8]) -> Option<u16> {
    let (events, error) = read(bytes, bytes.len());
    assert_eq!(events, []);
    error.map(|error| error.close_code().into())
}

#[test]
fn messages_of_each_length_form_arrive_whole() {
    for len in [0, 1, 7, 8, 9, 125, 126, 127, 0xffff, 0x10000, 99_999] {
        let payload: Vec<u8> = (0..len).map(|i| b'a' + (i % 26) as u8).collect();
        let (events, error) = read(&client(TEXT, &payload), usize::MAX);
        assert_eq!((events, error), (vec![("Text".to_string(), payload)], None), "{len}");
    }
}

#[test]
fn how_the_bytes_are_cut_makes_no_difference() {
    let mut stream = client(TEXT, b"whole");
    stream.extend(client(0x01, "gr\u{fc}n".as_bytes().split_at(3).0));
    stream.extend(client(0x89, b"ping"));
    stream.extend(client(0x80, "gr\u{fc}n".as_bytes().split_at(3).1));
    stream.extend(client(0x02, &[0xff; 200]));
    stream.extend(client(0x00, &[]));
    stream.extend(client(0x80, &[0xfe; 3]));
    stream.extend(client(0x8a, b""));
    stream.extend(client(0x88, &[0x03, 0xe8, b'o', b'k']));
    let whole = read(&stream, usize::MAX);
    assert_eq!(whole.1, None);
    let names: Vec<&str> = whole.0.iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "Text",
        "Continue",
        "Ping",
        "Assembled",
        "Continue",
        "Continue",
        "AssembledBinary",
        "Pong",
        "close Some(1000)",
    ];
    assert_eq!(names, expected);
    assert_eq!(whole.0[3].1, "gr\u{fc}n".as_bytes());
    for piece_bytes in 1..40 {
        assert_eq!(read(&stream, piece_bytes), whole, "pieces of {piece_bytes}");
    }
}

#[test]
fn what_the_protocol_forbids_is_1002() {
    let unmasked = [TEXT, 1, b'x'];
    assert_eq!(error_of(&unmasked), Some(1002));
    for first in [0xc1, 0xa1, 0x91, 0x83, 0x87, 0x8b, 0x8f] {
        assert_eq!(error_of(&client(first, b"x")), Some(1002), "{first:#x}");
    }
    for first in [0x08, 0x09, 0x0a] {
        assert_eq!(error_of(&client(first, b"")), Some(1002), "{first:#x}");
    }
    assert_eq!(error_of(&client(0x89, &[b'x'; 126])), Some(1002));
    assert_eq!(error_of(&client(0x80, b"x")), Some(1002));
    assert_eq!(error_of(&client(0x00, b"x")), Some(1002));
    assert_eq!(error_of(&[TEXT, 0xfe, 0, 125]), Some(1002));
    assert_eq!(error_of(&[TEXT, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff]), Some(1002));
    assert_eq!(error_of(&[TEXT, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0]), Some(1002));
    let nested = [client(0x01, b"a"), client(TEXT, b"b")].concat();
    assert_eq!(read(&nested, usize::MAX).1.map(|e| e.close_code()), Some(CloseCode::Protocol));
}

#[test]
fn close_codes_and_reasons_are_checked() {
    for code in [1000_u16, 1003, 1007, 1011, 1014, 3000, 4999] {
        assert_eq!(read(&client(0x88, &code.to_be_bytes()), usize::MAX).1, None, "{code}");
    }
    for code in [0_u16, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535] {
        assert_eq!(error_of(&client(0x88, &code.to_be_bytes())), Some(1002), "{code}");
    }
    assert_eq!(error_of(&client(0x88, &[3])), Some(1002));
    assert_eq!(error_of(&client(0x88, &[3, 0xe8, 0xff])), Some(1007));
}

#[test]
fn text_must_be_utf8_and_fails_with_the_fragment_that_breaks_it() {
    assert_eq!(error_of(&client(TEXT, &[0xff])), Some(1007));
    assert_eq!(error_of(&client(TEXT, &[0xc3])), Some(1007));
    assert_eq!(error_of(&client(0x01, &[b'a', 0xed, 0xa0])), Some(1007));
    let cut = [client(0x01, &[0xc3]), client(0x80, b"")].concat();
    assert_eq!(read(&cut, usize::MAX).1, Some(FrameError::NotUtf8));
    assert_eq!(read(&client(0x82, &[0xff]), usize::MAX).1, None, "binary may be anything");
}

#[test]
fn a_message_over_the_limit_fails_by_its_header() {
    let big = client(TEXT, &vec![b'x'; LIMITS.message_bytes_max + 1]);
    assert_eq!(error_of(&big[..14]), Some(1009));
    let endless = [TEXT, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
    assert_eq!(error_of(&endless), Some(1009));
    let half = vec![b'x'; LIMITS.message_bytes_max / 2 + 1];
    let halves = [client(0x01, &half), client(0x80, &half)].concat();
    assert_eq!(read(&halves, usize::MAX).1, Some(FrameError::TooBig));
}

#[test]
fn compressed_messages_are_taken_where_that_was_agreed_on() {
    // No UTF-8, and in fragments with a ping between.
    let payload = [0xff, 0, 0xfe, 7];
    let frames = [
        client(0xc1, &payload),
        client(0x41, &payload[..1]),
        client(0x89, b"p"),
        client(0x00, b""),
        client(0x80, &payload[1..]),
        client(0xc2, &payload),
        client(TEXT, b"t"),
    ]
    .concat();
    let event = |name: &str, payload: &[u8]| (name.to_string(), payload.to_vec());
    let expected = vec![
        event("Deflated", &payload),
        event("Continue", b""),
        event("Ping", b"p"),
        event("Continue", b""),
        event("AssembledDeflated", &payload),
        event("Deflated", &payload),
        event("Text", b"t"),
    ];
    for piece_bytes in 1..frames.len() {
        assert_eq!(read_with(FrameReader::new(true), &frames, piece_bytes), (expected.clone(), None));
    }
    assert_eq!(error_of(&frames), Some(1002), "it was not agreed on");
    for wrong in [
        client(0xc9, b""),
        client(0xc8, b""),
        client(0xa1, b""),
        client(0x91, b""),
        [client(0x41, b""), client(0xc0, b"")].concat(),
        [client(0x01, b""), client(0xc0, b"")].concat(),
    ] {
        let error = read_with(FrameReader::new(true), &wrong, wrong.len()).1;
        assert_eq!(error, Some(RESERVED_BITS), "{wrong:?}");
    }
}

#[test]
fn a_reserved_header_is_patched_whatever_its_size() {
    for reserved in [2, 4] {
        for len in [0, 125, 126, 0xffff, 0x10000] {
            let payload = vec![b'p'; len];
            let mut out = b"before".to_vec();
            out.resize(6 + reserved, 0);
            out.extend_from_slice(&payload);
            patch_text_header(&mut out, 6, reserved);
            let mut expected = b"before".to_vec();
            put_text(&mut expected, &payload);
            assert!(out == expected, "{reserved} {len}");
        }
    }
}

#[test]
fn a_long_close_reason_is_cut_between_characters() {
    let mut out = Vec::new();
    put_close(&mut out, Some(1000), &"\u{fc}".repeat(100));
    assert_eq!(out[1] as usize, out.len() - 2);
    assert!(out.len() <= 127 && std::str::from_utf8(&out[4..]).is_ok());
}
