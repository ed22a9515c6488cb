//! Text as the inside of a JSON string.
//!
//! Escapes what JSON demands and nothing else: `"`, `\` and bytes below 0x20; DEL and UTF-8 pass raw. Eight bytes are
//! looked at a time and clean stretches are copied whole. Works on bytes, so a long text can be cut anywhere between
//! two input bytes: pieces put together are what one call would have written.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Appends `text` escaped for a JSON string, without quotes.
pub fn escape_json(out: &mut Vec<u8>, text: &[u8]) {
    out.reserve(text.len());
    escape_some(out, text, usize::MAX);
}

/// Appends as much of `text` as about `room` bytes take (at most one escape more); returns how much of it was consumed.
pub(crate) fn escape_some(out: &mut Vec<u8>, text: &[u8], room: usize) -> usize {
    let limit = out.len().saturating_add(room);
    let mut consumed = 0;
    while consumed < text.len() && out.len() < limit {
        let rest = &text[consumed..];
        let rest = &rest[..rest.len().min(limit - out.len())];
        let clean = clean_len(rest);
        out.extend_from_slice(&rest[..clean]);
        consumed += clean;
        if let Some(&byte) = rest.get(clean) {
            escape_byte(out, byte);
            consumed += 1;
        }
    }
    consumed
}

/// The number of bytes at the start that need no escape.
fn clean_len(text: &[u8]) -> usize {
    let (words, tail) = text.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let marks = special_bytes(u64::from_le_bytes(*word));
        if marks != 0 {
            return index * 8 + marks.trailing_zeros() as usize / 8;
        }
    }
    let special = tail.iter().position(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\');
    words.len() * 8 + special.unwrap_or(tail.len())
}

/// Sets the high bit of each byte to escape. A borrow can mark a byte falsely, but only above a true mark, and only the
/// lowest mark is used.
fn special_bytes(word: u64) -> u64 {
    let quotes = word ^ (ONES * b'"' as u64);
    let slashes = word ^ (ONES * b'\\' as u64);
    let below_space = word.wrapping_sub(ONES * 0x20) & !word;
    (below_space | (quotes.wrapping_sub(ONES) & !quotes) | (slashes.wrapping_sub(ONES) & !slashes)) & HIGHS
}

#[cold]
fn escape_byte(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        b'"' | b'\\' => byte,
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
    fn pieces_together_are_the_whole() {
        let text = "ab\"\u{1}\n\\é".repeat(50);
        let mut whole = Vec::new();
        escape_json(&mut whole, text.as_bytes());
        for room in 1..40 {
            let (mut out, mut offset) = (Vec::new(), 0);
            while offset < text.len() {
                let before = out.len();
                offset += escape_some(&mut out, &text.as_bytes()[offset..], room);
                assert!(out.len() > before && out.len() - before < room + 6);
            }
            assert_eq!(out, whole);
        }
    }
}
