//! Text as the inside of a JSON string.
//!
//! Escapes what JSON demands and nothing else: `"`, `\` and bytes below 0x20; DEL and UTF-8 pass raw. The common case, text
//! without control characters, is a matter of `vectors`. Works on bytes, so a long text can be cut anywhere between two
//! input bytes: pieces put together are what one call would have written.

use crate::vectors::Method;

/// Text is escaped in blocks of so many bytes, so that what is reserved for the worst case is soon used.
const BLOCK_BYTES: usize = 4096;

/// The most bytes that one escape takes: `\u001f`.
pub(crate) const ESCAPE_BYTES_MAX: usize = 6;

/// Appends `text` escaped for a JSON string, without quotes.
#[inline]
pub fn escape_json(out: &mut Vec<u8>, text: &[u8]) {
    escape_with(Method::best(), out, text);
}

/// The same with a method that is chosen already.
#[inline]
pub(crate) fn escape_with(method: Method, out: &mut Vec<u8>, text: &[u8]) {
    let consumed = if text.len() <= BLOCK_BYTES { method.put_until_control(out, text) } else { 0 };
    if consumed < text.len() {
        escape_rest(method, out, &text[consumed..]);
    }
}

/// Escapes a long text, or one that begins with a control character.
fn escape_rest(method: Method, out: &mut Vec<u8>, text: &[u8]) {
    let mut consumed = 0;
    while consumed < text.len() {
        let block = &text[consumed..text.len().min(consumed + BLOCK_BYTES)];
        let len = method.put_until_control(out, block);
        consumed += len;
        if let Some(&control) = block.get(len) {
            put_control(out, control);
            consumed += 1;
        }
    }
}

/// Appends as much of `text` as about `room` bytes take (at most one escape more); returns how much of it was consumed.
pub(crate) fn escape_some(method: Method, out: &mut Vec<u8>, text: &[u8], room: usize) -> usize {
    if text.len() <= room / ESCAPE_BYTES_MAX {
        escape_with(method, out, text);
        return text.len();
    }
    let limit = out.len().saturating_add(room);
    let mut consumed = 0;
    while consumed < text.len() && out.len() < limit {
        // What surely fits, so that the room left shrinks by a sixth at least.
        let len = ((limit - out.len()) / ESCAPE_BYTES_MAX).max(1).min(text.len() - consumed);
        escape_with(method, out, &text[consumed..consumed + len]);
        consumed += len;
    }
    consumed
}

fn put_control(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0c => b'f',
        _ => {
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One byte after the other, as the standard has it.
    fn plainly(text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for &byte in text {
            match byte {
                b'"' | b'\\' => out.extend([b'\\', byte]),
                0..0x20 => put_control(&mut out, byte),
                _ => out.push(byte),
            }
        }
        out
    }

    fn assert_escaped(text: &[u8]) {
        for method in Method::all() {
            let mut out = b"before".to_vec();
            escape_with(method, &mut out, text);
            assert_eq!(out.strip_prefix(b"before"), Some(&*plainly(text)), "{method:?} {text:?}");
        }
    }

    #[test]
    fn every_byte_at_every_place_comes_back() {
        for byte in 0..0x80u8 {
            for place in 0..20 {
                let mut text = String::from("äöü\u{7f}xyz — 0123456789");
                let place = text.char_indices().nth(place).map_or(text.len(), |(index, _)| index);
                text.insert(place, byte as char);
                let mut out = vec![b'"'];
                escape_json(&mut out, text.as_bytes());
                out.push(b'"');
                assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
            }
        }
        let mut out = Vec::new();
        escape_json(&mut out, "\u{7f}é/".as_bytes());
        assert_eq!(out, "\u{7f}é/".as_bytes());
    }

    #[test]
    fn all_methods_write_every_byte_at_every_place_alike() {
        for len in [1, 7, 8, 9, 31, 32, 33, 63, 64, 65, 97] {
            for place in 0..len {
                for byte in 0..=u8::MAX {
                    let mut text = vec![b'x'; len];
                    text[place] = byte;
                    assert_escaped(&text);
                }
            }
        }
    }

    #[test]
    fn all_methods_write_texts_of_every_length_and_alignment_alike() {
        let mut random = Random::new(1);
        for specials in [0, 1, 20, 128, 256] {
            for len in (0..=200).chain([BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES + 5]) {
                let mut text: Vec<u8> = (0..len + 64).map(|_| random.byte_of_a_text(specials)).collect();
                for at in 0..64.min(len) {
                    assert_escaped(&text[at..at + len]);
                }
                // Without control characters too, so that a method sees the whole.
                text.iter_mut().filter(|byte| **byte < 0x20).for_each(|byte| *byte = b'"');
                assert_escaped(&text[1..1 + len]);
            }
        }
    }

    #[test]
    fn pieces_together_are_the_whole() {
        let texts = ["ab\"\u{1}\n\\é".repeat(50), "x".repeat(300), "{\"a\":\"0123456789\"}".repeat(9)];
        for (text, method) in texts.iter().flat_map(|text| Method::all().into_iter().map(move |m| (text, m)))
        {
            for room in (1..40).chain([100, 2000]) {
                let (mut out, mut offset) = (Vec::new(), 0);
                while offset < text.len() {
                    let before = out.len();
                    offset += escape_some(method, &mut out, &text.as_bytes()[offset..], room);
                    let written = out.len() - before;
                    assert!(written >= room || offset == text.len());
                    assert!(written < room + ESCAPE_BYTES_MAX);
                }
                assert_eq!(out, plainly(text.as_bytes()));
            }
        }
    }

    /// Numbers that are the same in each run.
    struct Random(u64);

    impl Random {
        fn new(seed: u64) -> Self {
            Self(seed)
        }

        fn below(&mut self, end: u64) -> u64 {
            self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            (self.0 >> 33) % end
        }

        /// A byte, of which so many in 256 are such as may be escaped.
        fn byte_of_a_text(&mut self, specials: u64) -> u8 {
            const SPECIALS: &[u8] = b"\"\"\"\\\\\n\x00\x1f\x20\x7f\x80\xff";
            if self.below(256) < specials {
                SPECIALS[self.below(SPECIALS.len() as u64) as usize]
            } else {
                b'a' + self.below(26) as u8
            }
        }
    }
}
