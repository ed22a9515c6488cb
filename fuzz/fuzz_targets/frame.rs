//! The frame codec: no input may make it panic, and how the bytes are cut must make no difference.
//! The first byte of the input says in pieces of which size the rest arrives, and whether it may be compressed.
#![no_main]

use fluxion_net::inside::frame::{Event, FrameError, FrameLimits, FrameReader, Step};
use libfuzzer_sys::fuzz_target;

const LIMITS: FrameLimits = FrameLimits { message_bytes_max: 1 << 16 };

fn read(bytes: &[u8], piece_bytes: usize, takes_deflated: bool) -> (Vec<(Event, Vec<u8>)>, Option<FrameError>) {
    let mut reader = FrameReader::new(takes_deflated);
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
                    let payload = match &event {
                        Event::Text(r) | Event::Binary(r) | Event::Deflated(_, r) | Event::Ping(r) | Event::Pong(r) | Event::Close(_, r) => {
                            buffer[r.clone()].to_vec()
                        }
                        Event::Assembled | Event::AssembledBinary | Event::AssembledDeflated(_) => reader.take_message(),
                        Event::Continue => Vec::new(),
                    };
                    assert!(payload.len() <= LIMITS.message_bytes_max);
                    if matches!(event, Event::Text(_) | Event::Assembled) {
                        assert!(std::str::from_utf8(&payload).is_ok());
                    }
                    events.push((event, payload));
                    buffer.drain(..consumed);
                }
                Err(error) => return (events, Some(error)),
            }
        }
    }
    (events, None)
}

fuzz_target!(|input: &[u8]| {
    let [piece_bytes, bytes @ ..] = input else { return };
    let takes_deflated = piece_bytes % 2 == 0;
    let whole = read(bytes, bytes.len().max(1), takes_deflated);
    let pieces = read(bytes, usize::from(*piece_bytes).max(1), takes_deflated);
    assert_eq!(whole, pieces);
});
