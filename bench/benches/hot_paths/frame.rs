//! The frame codec: a client's frames read and unmasked, a server's written.

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use fluxion_net::inside::frame::{Event, FrameLimits, FrameReader, Step, put_text};

const LIMITS: FrameLimits = FrameLimits { message_bytes_max: 16 << 20 };

/// A small request, one of a hundred records, and a large one.
const PAYLOADS: [usize; 3] = [150, 12_000, 1 << 20];

fn masked_frame(payload_bytes: usize) -> Vec<u8> {
    const MASK: [u8; 4] = [0x12, 0x34, 0x56, 0x78];
    let mut frame = vec![0x81];
    match payload_bytes {
        0..=125 => frame.push(0x80 | payload_bytes as u8),
        126..=0xFFFF => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(payload_bytes as u16).to_be_bytes());
        }
        _ => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(payload_bytes as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&MASK);
    frame.extend((0..payload_bytes).map(|index| b'a' ^ MASK[index % 4]));
    frame
}

#[divan::bench(args = PAYLOADS)]
fn read_text(bencher: Bencher<'_, '_>, payload_bytes: usize) {
    let frame = masked_frame(payload_bytes);
    bencher
        .counter(BytesCount::new(frame.len()))
        .with_inputs(|| (FrameReader::default(), frame.clone()))
        .bench_refs(|(reader, input)| match reader.next(input, &LIMITS) {
            Ok(Step::Frame { event: Event::Text(range), .. }) => assert_eq!(range.len(), payload_bytes),
            other => panic!("{other:?}"),
        });
}

#[divan::bench(args = PAYLOADS)]
fn write_text(bencher: Bencher<'_, '_>, payload_bytes: usize) {
    let payload = vec![b'a'; payload_bytes];
    let mut out = Vec::with_capacity(payload_bytes + 16);
    bencher.counter(BytesCount::new(payload_bytes)).bench_local(|| {
        out.clear();
        put_text(&mut out, black_box(&payload));
        assert!(out.len() > payload_bytes);
    });
}
