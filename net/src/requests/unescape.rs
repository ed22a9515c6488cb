//! The inside of a JSON string, as it stands in a message, to the text that it means.

use std::fmt;

/// An escape that JSON doesn't know, or half of a surrogate pair.
#[derive(Debug, PartialEq, Eq)]
pub struct BadEscape;

impl fmt::Display for BadEscape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an escape that JSON does not know")
    }
}

/// Bytes that are copied at a time, also when fewer count.
const WORD_BYTES: usize = 8;

/// Appends the text that `raw` means.
pub fn unescape(raw: &[u8], out: &mut Vec<u8>) -> Result<(), BadEscape> {
    unescape_some(raw, usize::MAX, out).map(drop)
}

/// Appends the text that about the first `count` bytes of `raw` mean; says how many it were, at the least `count`, or
/// all. A pair of escapes is not cut.
pub fn unescape_some(raw: &[u8], count: usize, out: &mut Vec<u8>) -> Result<usize, BadEscape> {
    let room = raw.len().min(count.saturating_add(16));
    append(out, room, |text, to| {
        let (mut from, mut to) = (0, to);
        let end = raw.len().min(count.saturating_add(WORD_BYTES));
        while from < raw.len() && from < count {
            let plain = copy_plain(&raw[from..end], &mut text[to..], is_backslash);
            (from, to) = (from + plain, to + plain);
            if raw.get(from) == Some(&b'\\') {
                let (taken, made) = escape(&raw[from..], &mut text[to..])?;
                (from, to) = (from + taken, to + made);
            }
        }
        Ok((from, to))
    })
}

/// Appends the text that the string means that begins at the start of `rest`, behind its quote; says where its closing
/// quote is. A string without one, or with a control character in it, is as bad as one with a bad escape.
pub fn unescape_string(rest: &[u8], out: &mut Vec<u8>) -> Result<usize, BadEscape> {
    append(out, rest.len(), |text, to| {
        let (mut from, mut to) = (0, to);
        loop {
            let plain = copy_plain(&rest[from..], &mut text[to..], is_special);
            (from, to) = (from + plain, to + plain);
            match rest.get(from) {
                Some(b'\\') => {
                    let (taken, made) = escape(&rest[from..], &mut text[to..])?;
                    (from, to) = (from + taken, to + made);
                }
                Some(b'"') => return Ok((from, to)),
                Some(0x20..) => {}
                _ => return Err(BadEscape),
            }
        }
    })
}

/// Has `write` append at most `room` bytes; it is given the buffer, which is longer than that, and where to write, and
/// gives back how far it has read and written.
fn append(
    out: &mut Vec<u8>,
    room: usize,
    write: impl FnOnce(&mut [u8], usize) -> Result<(usize, usize), BadEscape>,
) -> Result<usize, BadEscape> {
    let start = out.len();
    // A text is never longer than what means it.
    out.resize(start + room + WORD_BYTES, 0);
    let (from, to) = write(out, start)?;
    out.truncate(to);
    Ok(from)
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Marks each backslash in a word; a borrow can mark a byte falsely, but only above a true mark.
fn is_backslash(word: u64) -> u64 {
    let slashes = word ^ (ONES * u64::from(b'\\'));
    slashes.wrapping_sub(ONES) & !slashes
}

/// Marks quotes and control characters too.
fn is_special(word: u64) -> u64 {
    let quotes = word ^ (ONES * u64::from(b'"'));
    is_backslash(word) | (quotes.wrapping_sub(ONES) & !quotes) | (word.wrapping_sub(ONES * 0x20) & !word)
}

/// Copies up to the first byte that is marked; says how many bytes that were. Of the last few bytes it takes one.
#[inline(always)]
fn copy_plain(from: &[u8], to: &mut [u8], mark: impl Fn(u64) -> u64) -> usize {
    let mut at = 0;
    while let (Some(word), Some(room)) = (from[at..].first_chunk(), to[at..].first_chunk_mut()) {
        *room = *word;
        let marks = mark(u64::from_le_bytes(*word)) & HIGHS;
        if marks != 0 {
            return at + marks.trailing_zeros() as usize / 8;
        }
        at += WORD_BYTES;
    }
    match from.get(at) {
        Some(byte) if mark(u64::from(*byte) | SPACES) & HIGHS == 0 => {
            to[at] = *byte;
            at + 1
        }
        _ => at,
    }
}

/// Fills the rest of a word with what is never marked.
const SPACES: u64 = 0x2020_2020_2020_2000;

/// Reads the escape at the start of `raw`; says how many bytes it took, and how many it made.
#[inline(always)]
fn escape(raw: &[u8], out: &mut [u8]) -> Result<(usize, usize), BadEscape> {
    out[0] = match raw.get(1).ok_or(BadEscape)? {
        byte @ (b'"' | b'\\' | b'/') => *byte,
        b'n' => b'\n',
        b't' => b'\t',
        b'r' => b'\r',
        b'b' => 0x08,
        b'f' => 0x0c,
        b'u' => return unicode_escape(raw, out),
        _ => return Err(BadEscape),
    };
    Ok((2, 1))
}

#[cold]
fn unicode_escape(raw: &[u8], out: &mut [u8]) -> Result<(usize, usize), BadEscape> {
    let first = code_unit(raw)?;
    let (code, taken) = match first {
        0xd800..0xdc00 => {
            let second = code_unit(&raw[6..])?;
            if !(0xdc00..0xe000).contains(&second) {
                return Err(BadEscape);
            }
            (0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00), 12)
        }
        _ => (first, 6),
    };
    let character = char::from_u32(code).ok_or(BadEscape)?;
    let mut bytes = [0; 4];
    let made = character.encode_utf8(&mut bytes).len();
    out[..made].copy_from_slice(&bytes[..made]);
    Ok((taken, made))
}

fn code_unit(raw: &[u8]) -> Result<u32, BadEscape> {
    let Some([b'\\', b'u', digits @ ..]) = raw.first_chunk::<6>() else { return Err(BadEscape) };
    let digit = |unit: u32, digit: &u8| char::from(*digit).to_digit(16).map(|value| unit << 4 | value);
    digits.iter().try_fold(0, digit).ok_or(BadEscape)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(raw: &str) -> Result<String, BadEscape> {
        let mut out = b"before".to_vec();
        unescape(raw.as_bytes(), &mut out)?;
        assert!(out.starts_with(b"before"));
        Ok(String::from_utf8(out.split_off(6)).unwrap())
    }

    #[test]
    fn every_escape_is_known_at_every_place() {
        let all = r#"\"\\\/\b\f\n\r\t\u0041\u00e9\u20ac\ud83d\ude00"#;
        let meant = "\"\\/\u{8}\u{c}\n\r\tAé€😀";
        for before in 0..20 {
            for after in 0..20 {
                let raw = format!("{}{all}{}", "x".repeat(before), "ü".repeat(after));
                let expected = format!("{}{meant}{}", "x".repeat(before), "ü".repeat(after));
                assert_eq!(text(&raw), Ok(expected));
            }
        }
    }

    #[test]
    fn what_is_no_escape_is_refused() {
        for bad in [
            "\\",
            "\\x",
            "\\u",
            "\\u12",
            "\\u12g4",
            "\\ud800",
            "\\ud800x",
            "\\ud800\\n",
            "\\ud800\\u0041",
            "\\udc00",
            "\\ud83d\\ud83d",
        ] {
            assert_eq!(text(bad), Err(BadEscape), "{bad}");
            assert_eq!(text(&format!("{bad} and more behind it")), Err(BadEscape), "{bad}");
            assert_eq!(text(&format!("something before {bad}")), Err(BadEscape), "{bad}");
        }
    }

    #[test]
    fn a_string_ends_at_its_quote() {
        let string = |rest: &str| {
            let mut out = Vec::new();
            unescape_string(rest.as_bytes(), &mut out).map(|end| (end, String::from_utf8(out).unwrap()))
        };
        for padding in ["", "x", "üüüü", "0123456789abcdef"] {
            for inside in ["", "a", r#"\"b\""#, r"\\", "twelve bytes", r"\ud83d\ude00", "a\u{e9}\u{7f}b"] {
                let raw = format!("{padding}{inside}");
                let expected = Ok((raw.len(), text(&raw).unwrap()));
                for behind in ["\"", "\"}", "\" and so on \" \\"] {
                    assert_eq!(string(&format!("{raw}{behind}")), expected);
                }
                for bad in ["", "\\", "\u{1}\"", "\\x\"", "\\u12\"", "\n\""] {
                    assert_eq!(string(&format!("{raw}{bad}")), Err(BadEscape), "{raw}{bad}");
                }
            }
        }
    }

    #[test]
    fn pieces_together_are_the_whole() {
        let clean = "clean".repeat(100);
        let raw = clean + &r#"a\"b\\\\c\ud83d\ude00défgh\u00e9\n"#.repeat(30);
        let whole = text(&raw).unwrap();
        for count in 1..70 {
            let (mut out, mut from) = (Vec::new(), 0);
            while from < raw.len() {
                let taken = unescape_some(&raw.as_bytes()[from..], count, &mut out).unwrap();
                assert!(taken >= count.min(raw.len() - from) && taken < count + WORD_BYTES + 12);
                from += taken;
            }
            assert_eq!(String::from_utf8(out), Ok(whole.clone()));
        }
    }
}
