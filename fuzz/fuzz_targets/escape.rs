//! Escaping: every method that the CPU has writes the same, at once and in pieces, and it reads back as what it was.
//! The first byte of the input says in pieces of which size, and the second how far the text is from an aligned address.
#![no_main]

use fluxion_engine::inside::escape_each_way;
use libfuzzer_sys::fuzz_target;

fn unescaped(json: &[u8]) -> Vec<u8> {
    let (mut text, mut rest) = (Vec::new(), json);
    while let [first, behind @ ..] = rest {
        (rest, _) = match (first, behind) {
            (b'\\', [b'u', b'0', b'0', high, low, behind @ ..]) => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16).expect("a hexadecimal digit") as u8;
                (behind, text.push(digit(high) << 4 | digit(low)))
            }
            (b'\\', [short, behind @ ..]) => {
                let known = [(b'n', b'\n'), (b'r', b'\r'), (b't', b'\t'), (b'b', 8), (b'f', 12)];
                let control = known.into_iter().find(|(name, _)| name == short).map(|(_, byte)| byte);
                assert!(control.is_some() || matches!(short, b'"' | b'\\'));
                (behind, text.push(control.unwrap_or(*short)))
            }
            (byte, behind) => {
                assert!(*byte >= b' ' && !matches!(byte, b'"' | b'\\'));
                (behind, text.push(*byte))
            }
        };
    }
    text
}

fuzz_target!(|input: &[u8]| {
    let [room, offset, text @ ..] = input else { return };
    let offset = usize::from(*offset) % 64;
    let moved = [&[b'"'; 64][..offset], text].concat();
    let ways = escape_each_way(&moved[offset..], usize::from(*room));
    let [whole, _] = &ways[0];
    assert_eq!(unescaped(whole), text);
    for [other, pieces] in &ways {
        assert!(other == whole && pieces == whole);
    }
});
