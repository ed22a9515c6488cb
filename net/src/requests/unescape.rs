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
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let start = out.len();
    // A text is never longer than what means it.
    out.resize(start + raw.len().min(count.saturating_add(16)) + WORD_BYTES, 0);
    let (mut from, mut to) = (0, start);
    while from < raw.len() && from < count {
        let rest = &raw[from..];
        let Some(word) = rest.first_chunk::<WORD_BYTES>() else { break };
        out[to..to + WORD_BYTES].copy_from_slice(word);
        let slashes = u64::from_le_bytes(*word) ^ (ONES * u64::from(b'\\'));
        let marks = slashes.wrapping_sub(ONES) & !slashes & HIGHS;
        let plain = marks.trailing_zeros() as usize / 8;
        (from, to) = (from + plain, to + plain);
        if plain < WORD_BYTES {
            let (taken, made) = escape(&raw[from..], &mut out[to..])?;
            (from, to) = (from + taken, to + made);
        }
    }
    while from < raw.len() && from < count {
        if raw[from] == b'\\' {
            let (taken, made) = escape(&raw[from..], &mut out[to..])?;
            (from, to) = (from + taken, to + made);
        } else {
            out[to] = raw[from];
            (from, to) = (from + 1, to + 1);
        }
    }
    out.truncate(to);
    Ok(from)
}

/// Reads the escape at the start of `raw`; says how many bytes it took, and how many it made.
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
    fn pieces_together_are_the_whole() {
        let raw = r#"a\"b\\\\c\ud83d\ude00défgh\u00e9\n"#.repeat(30);
        let whole = text(&raw).unwrap();
        for count in 1..60 {
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
