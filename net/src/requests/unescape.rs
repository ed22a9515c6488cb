//! The inside of a JSON string, as it stands in a message, to the text that it means. Escapes that come often are for
//! `vectors`; this does the others, one at a time.

use crate::requests::vectors::{Quotes, Stop, Vectors};
use std::fmt;

/// An escape that JSON doesn't know, or half of a surrogate pair.
#[derive(Debug, PartialEq, Eq)]
pub struct BadEscape;

impl fmt::Display for BadEscape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an escape that JSON does not know")
    }
}

/// Appends the text that `raw` means.
pub fn unescape(vectors: Vectors, raw: &[u8], out: &mut Vec<u8>) -> Result<(), BadEscape> {
    unescape_some(vectors, raw, usize::MAX, out).map(drop)
}

/// Appends the text that about the first `count` bytes of `raw` mean; says how many it were, at the least `count`, or
/// all. A pair of escapes is not cut.
pub fn unescape_some(
    vectors: Vectors,
    raw: &[u8],
    count: usize,
    out: &mut Vec<u8>,
) -> Result<usize, BadEscape> {
    let end = raw.len().min(count);
    let mut from = 0;
    while from < end {
        let (taken, stop) = vectors.unescape(&raw[from..end], out);
        from += taken;
        if stop == Stop::Escape {
            from += escapes(&raw[from..], end - from, out)?;
        }
    }
    Ok(from)
}

/// Appends the text that the string means that begins at the start of `rest`, behind its quote; says where its closing
/// quote is. A string without one, or with a control character in it, is as bad as one with a bad escape.
pub fn unescape_string(vectors: Vectors, rest: &[u8], out: &mut Vec<u8>) -> Result<usize, BadEscape> {
    let mut from = 0;
    loop {
        let (taken, stop) = vectors.unescape_string(&rest[from..], out);
        from += taken;
        match stop {
            Stop::Quote => return Ok(from),
            Stop::Escape => from += escapes(&rest[from..], usize::MAX, out)?,
            Stop::Control | Stop::End => return Err(BadEscape),
        }
    }
}

/// Puts `raw` into `quotes`, with all its strings as the texts that they mean. A control character, and an escape by a
/// number or letter outside of strings, is as bad as a bad escape.
pub fn unescape_strings(vectors: Vectors, raw: &[u8], quotes: &mut Quotes) -> Result<(), BadEscape> {
    quotes.clear();
    let mut from = 0;
    loop {
        let (taken, stop) = vectors.unescape_strings(&raw[from..], quotes);
        from += taken;
        match stop {
            Stop::End => return Ok(()),
            // Outside of strings it would be taken for what it means.
            Stop::Escape if quotes.places().len().is_multiple_of(2) => return Err(BadEscape),
            Stop::Escape => from += escapes(&raw[from..], usize::MAX, quotes.others())?,
            Stop::Control | Stop::Quote => return Err(BadEscape),
        }
    }
}

/// Reads the escapes at the start of `raw`, as many as begin there within `count` bytes; says how many bytes they took.
fn escapes(raw: &[u8], count: usize, out: &mut Vec<u8>) -> Result<usize, BadEscape> {
    let mut from = 0;
    while from < count && raw.get(from) == Some(&b'\\') {
        from += escape(&raw[from..], out)?;
    }
    Ok(from)
}

/// Reads the escape at the start of `raw`; says how many bytes it took.
fn escape(raw: &[u8], out: &mut Vec<u8>) -> Result<usize, BadEscape> {
    out.push(match raw.get(1).ok_or(BadEscape)? {
        byte @ (b'"' | b'\\' | b'/') => *byte,
        b'n' => b'\n',
        b't' => b'\t',
        b'r' => b'\r',
        b'b' => 0x08,
        b'f' => 0x0c,
        b'u' => return unicode_escape(raw, out),
        _ => return Err(BadEscape),
    });
    Ok(2)
}

fn unicode_escape(raw: &[u8], out: &mut Vec<u8>) -> Result<usize, BadEscape> {
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
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    Ok(taken)
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
        unescape(Vectors::default(), raw.as_bytes(), &mut out)?;
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
            unescape_string(Vectors::default(), rest.as_bytes(), &mut out)
                .map(|end| (end, String::from_utf8(out).unwrap()))
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
                let taken =
                    unescape_some(Vectors::default(), &raw.as_bytes()[from..], count, &mut out).unwrap();
                assert!(taken >= count.min(raw.len() - from) && taken < count + 12);
                from += taken;
            }
            assert_eq!(String::from_utf8(out), Ok(whole.clone()));
        }
    }
}
