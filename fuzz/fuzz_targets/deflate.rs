//! Compressed messages: no input may make it panic or grow over the limit, and what was compressed is what comes out, whatever
//! went before. The first byte of the input says what is done with the rest.
#![no_main]

use fluxion_net::inside::deflate::{Deflater, Inflater, Inflating, put_stored};
use libfuzzer_sys::fuzz_target;

const BYTES_MAX: usize = 1 << 20;

fn inflate(inflater: &mut Inflater, compressed: &[u8]) -> Option<Vec<u8>> {
    let mut inflating = Inflating::new(compressed.to_vec());
    loop {
        match inflating.step(inflater, BYTES_MAX) {
            Ok(true) => return Some(inflating.message),
            Ok(false) => assert!(inflating.message.len() <= BYTES_MAX),
            Err(_) => return None,
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let [kind, bytes @ ..] = input else { return };
    let mut inflater = Inflater::default();
    if kind % 2 == 0 {
        // A second message on the same state.
        let (first, second) = bytes.split_at(bytes.len() / 2);
        inflate(&mut inflater, first);
        inflate(&mut inflater, second);
        return;
    }
    let mut deflater = Deflater::new(9 + kind % 7);
    for message in bytes.split(|byte| *byte == b'\n') {
        let mut compressed = Vec::new();
        let parts: Vec<&[u8]> = message.split(|byte| *byte == b'\t').collect();
        for (number, part) in parts.iter().enumerate() {
            let is_last = number + 1 == parts.len();
            if part.first() == Some(&b's') {
                put_stored(&mut compressed, part, is_last);
                deflater.forget();
            } else {
                deflater.put(&mut compressed, part, is_last);
            }
        }
        assert_eq!(inflate(&mut inflater, &compressed), Some(parts.concat()));
    }
});
