//! Every form that this CPU has against one that goes byte by byte.

use super::*;
use crate::requests::vectors::run::BLOCK;

type Outcome = ((usize, Stop), Vec<u8>, Vec<u32>);

/// What a run comes to, told byte by byte.
fn plain<const END: u8>(raw: &[u8]) -> Outcome {
    let (mut text, mut quotes, mut at) = (b"before".to_vec(), vec![7], 0);
    let stop = loop {
        match raw.get(at) {
            None => break Stop::End,
            Some(0..0x20) if END != NOTHING => break Stop::Control,
            Some(b'"') if END == STRING_END => break Stop::Quote,
            Some(b'\\') => match raw.get(at + 1) {
                Some(byte @ (b'"' | b'\\' | b'/')) => {
                    text.push(*byte);
                    at += 2;
                    continue;
                }
                _ => break Stop::Escape,
            },
            Some(b'"') if END == CONTROL => quotes.push(text.len() as u32),
            _ => {}
        }
        text.push(raw[at]);
        at += 1;
    };
    ((at, stop), text, quotes)
}

fn compare_ending<const END: u8>(raw: &[u8]) {
    let expected = plain::<END>(raw);
    for vectors in Vectors::all() {
        let mut text = b"before".to_vec();
        let mut marks = Marks { quotes: vec![7], high: 0 };
        let ended = vectors.run::<END>(raw, &mut text, &mut marks);
        assert!(END != CONTROL || marks.high != 0 || text.is_ascii(), "{vectors:?}");
        assert_eq!(
            (ended, text, marks.quotes),
            expected,
            "{vectors:?} {END} {:?}",
            String::from_utf8_lossy(raw)
        );
    }
}

fn compare(raw: &[u8]) {
    compare_ending::<NOTHING>(raw);
    compare_ending::<STRING_END>(raw);
    compare_ending::<CONTROL>(raw);
}

#[test]
fn there_is_a_form_for_every_cpu() {
    assert_eq!(Vectors::all().last(), Some(Vectors(Form::Words)));
    assert_eq!(Vectors::all().next(), Some(Vectors::default()));
}

#[test]
fn runs_of_backslashes_at_every_place_come_to_the_same() {
    for before in 0..2 * BLOCK + 3 {
        for run in 0..12 {
            for behind in ["", "\"", "/", "x", "n", "u0041", "\u{1}", "é"] {
                let mut raw = vec![b'a'; before];
                raw.resize(before + run, b'\\');
                raw.extend_from_slice(behind.as_bytes());
                compare(&raw);
                raw.extend_from_slice(br#"and \"more\" behind"#);
                compare(&raw);
            }
        }
    }
}

#[test]
fn texts_of_every_length_and_alignment_come_to_the_same() {
    let mut random = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = move |bound: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % bound as u64) as usize
    };
    let bytes: Vec<u8> = (0..4096).map(|_| b"\\\\\"\"/abc{}:, 0123\xc3\xa9"[next(19)]).collect();
    for len in 0..260 {
        for _ in 0..16 {
            let at = next(bytes.len() - len);
            compare(&bytes[at..at + len]);
        }
    }
    for _ in 0..20_000 {
        let mut raw: Vec<u8> = (0..next(200)).map(|_| b"\\\"a/"[next(4)]).collect();
        // Runs that nothing but known escapes ends go on for longer.
        for at in 1..raw.len() {
            if raw[at - 1] == b'\\' && raw[at] == b'a' {
                raw[at] = b'"';
            }
        }
        compare(&raw);
    }
}

#[test]
fn every_byte_is_the_same_to_every_form() {
    for byte in 0..=u8::MAX {
        for at in [0, 1, 7, 8, 31, 32, 63, 64, 65, 130] {
            let mut raw = vec![b'a'; 140];
            raw[at] = byte;
            compare(&raw);
            raw[at + 1] = b'\\';
            raw[at + 2] = byte;
            compare(&raw);
        }
    }
}

#[test]
fn as_many_quotes_as_there_can_be_are_noted() {
    for len in 0..3 * BLOCK {
        compare(&vec![b'"'; len]);
        compare(&[b"\\\"".repeat(len), b"\"".repeat(len)].concat());
    }
}
