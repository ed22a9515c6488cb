//! Finds its way in JSON text without building anything: where a value begins and ends, and that it is one. Takes one
//! pass and no memory, whatever the text holds, so it can be let loose on a whole message.
//!
//! It takes what RFC 8259 allows, with one difference: a number may be as large as it likes, since nobody looks at it.

use crate::limits::DEPTH_MAX;
use crate::requests::unescape::unescape_string;
use crate::requests::vectors::Vectors;
use std::ops::Range;

/// The text is not JSON, or is nested deeper than `DEPTH_MAX`.
#[derive(Debug, PartialEq, Eq)]
pub struct NotJson;

/// A string in the text, as it stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawText {
    /// Where it lies, without its quotes.
    pub range: Range<usize>,
    /// Whether it holds any escape.
    pub escaped: bool,
}

/// A place in a text.
pub struct Scanner<'t> {
    text: &'t [u8],
    at: usize,
}

type Scanned<T> = Result<T, NotJson>;

impl<'t> Scanner<'t> {
    /// The beginning of a text, which is UTF-8.
    pub fn new(text: &'t [u8]) -> Scanner<'t> {
        Scanner { text, at: 0 }
    }

    /// A place in the middle of a text.
    pub fn at(text: &'t [u8], at: usize) -> Scanner<'t> {
        Scanner { text, at }
    }

    /// Where it is.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Steps over bytes that are known.
    pub fn skip(&mut self, count: usize) {
        self.at += count;
    }

    /// The next byte that is no white space, which is not taken.
    pub fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = *self.text.get(self.at)?;
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    /// Takes this byte, if it is the next one.
    pub fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Takes this byte, which must be there.
    pub fn expect(&mut self, byte: u8) -> Scanned<()> {
        if self.take(byte) { Ok(()) } else { Err(NotJson) }
    }

    /// Whether nothing but white space is left.
    pub fn is_at_end(&mut self) -> bool {
        self.peek().is_none()
    }

    /// Takes a string. Its escapes are stepped over; whether they are good is seen when they are read.
    pub fn string(&mut self) -> Scanned<RawText> {
        self.expect(b'"')?;
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at += plain_len(&self.text[self.at..]);
            match self.text.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.at += 2;
                    if self.at > self.text.len() {
                        return Err(NotJson);
                    }
                }
                _ => return Err(NotJson),
            }
        }
        self.at += 1;
        Ok(RawText { range: start..self.at - 1, escaped })
    }

    /// Takes a string, and appends the text that it means.
    pub fn string_into(&mut self, vectors: Vectors, text: &mut Vec<u8>) -> Scanned<RawText> {
        self.expect(b'"')?;
        let (start, before) = (self.at, text.len());
        let len = unescape_string(vectors, &self.text[start..], text).map_err(|_| NotJson)?;
        self.at = start + len + 1;
        Ok(RawText { range: start..start + len, escaped: text.len() - before < len })
    }

    /// Takes a value of any kind, and says where it lies.
    pub fn value(&mut self) -> Scanned<Range<usize>> {
        self.peek();
        let start = self.at;
        let mut nesting = Nesting::default();
        loop {
            // At the beginning of a value.
            let entered = match self.peek().ok_or(NotJson)? {
                b'{' => self.enter(b'}', &mut nesting)?,
                b'[' => self.enter(b']', &mut nesting)?,
                b'"' => self.checked_string().map(|()| false)?,
                b't' => self.word(b"true").map(|()| false)?,
                b'f' => self.word(b"false").map(|()| false)?,
                b'n' => self.word(b"null").map(|()| false)?,
                _ => self.number().map(|()| false)?,
            };
            if entered {
                continue;
            }
            // Behind a value: as many ends as there are, then a further one or the end of it all.
            loop {
                let Some(in_object) = nesting.innermost() else { return Ok(start..self.at) };
                if self.take(b',') {
                    if in_object {
                        self.unread_name()?;
                    }
                    break;
                }
                self.expect(if in_object { b'}' } else { b']' })?;
                nesting.leave();
            }
        }
    }

    /// Takes the name of a member and the colon behind it.
    pub fn member_name(&mut self) -> Scanned<RawText> {
        let name = self.string()?;
        self.expect(b':')?;
        Ok(name)
    }

    /// Enters an object or array; false if it is empty, and so over already.
    fn enter(&mut self, end: u8, nesting: &mut Nesting) -> Scanned<bool> {
        self.at += 1;
        if self.take(end) {
            return Ok(false);
        }
        nesting.enter(end == b'}')?;
        if end == b'}' {
            self.unread_name()?;
        }
        Ok(true)
    }

    fn unread_name(&mut self) -> Scanned<()> {
        self.checked_string()?;
        self.expect(b':')
    }

    /// Takes a string that nobody will read, so that its escapes are checked here.
    fn checked_string(&mut self) -> Scanned<()> {
        let raw = self.string()?;
        let mut rest = &self.text[raw.range];
        while let Some(at) = memchr_backslash(rest) {
            rest = match rest[at + 1] {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => &rest[at + 2..],
                b'u' if rest.len() >= at + 6 && rest[at + 2..at + 6].iter().all(u8::is_ascii_hexdigit) => {
                    &rest[at + 6..]
                }
                _ => return Err(NotJson),
            };
        }
        Ok(())
    }

    fn word(&mut self, word: &[u8]) -> Scanned<()> {
        if !self.text[self.at..].starts_with(word) {
            return Err(NotJson);
        }
        self.at += word.len();
        Ok(())
    }

    fn number(&mut self) -> Scanned<()> {
        let rest = &self.text[self.at..];
        // The digit alone that a flood of values is made of.
        if let [b'0'..=b'9', b',' | b']' | b'}', ..] = rest {
            self.at += 1;
            return Ok(());
        }
        let len = number_len(rest).ok_or(NotJson)?;
        self.at += len;
        Ok(())
    }
}

/// The length of the number at the start of a text, if there is one.
pub fn number_len(text: &[u8]) -> Option<usize> {
    let digits = |from: usize| text[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut at = usize::from(text.first() == Some(&b'-'));
    let integer = digits(at);
    if integer == 0 || (integer > 1 && text[at] == b'0') {
        return None;
    }
    at += integer;
    if text.get(at) == Some(&b'.') {
        let fraction = digits(at + 1);
        if fraction == 0 {
            return None;
        }
        at += 1 + fraction;
    }
    if matches!(text.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
        let exponent = digits(at + 1 + sign);
        if exponent == 0 {
            return None;
        }
        at += 1 + sign + exponent;
    }
    Some(at)
}

fn memchr_backslash(text: &[u8]) -> Option<usize> {
    text.iter().position(|&byte| byte == b'\\')
}

/// The number of bytes at the start that are neither a quote, nor a backslash, nor a control character.
pub fn plain_len(text: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let (words, tail) = text.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let quotes = word ^ (ONES * u64::from(b'"'));
        let slashes = word ^ (ONES * u64::from(b'\\'));
        let controls = word.wrapping_sub(ONES * 0x20) & !word;
        // A borrow can mark a byte falsely, but only above a true mark, and the lowest is the one that counts.
        let marks =
            (controls | (quotes.wrapping_sub(ONES) & !quotes) | (slashes.wrapping_sub(ONES) & !slashes))
                & HIGHS;
        if marks != 0 {
            return index * 8 + marks.trailing_zeros() as usize / 8;
        }
    }
    let special = tail.iter().position(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\');
    words.len() * 8 + special.unwrap_or(tail.len())
}

/// Which objects and arrays are open, innermost last.
struct Nesting {
    objects: [u64; DEPTH_MAX / 64],
    depth: usize,
}

impl Default for Nesting {
    fn default() -> Self {
        Nesting { objects: [0; DEPTH_MAX / 64], depth: 0 }
    }
}

impl Nesting {
    fn enter(&mut self, is_object: bool) -> Scanned<()> {
        if self.depth == DEPTH_MAX {
            return Err(NotJson);
        }
        let bit = 1 << (self.depth % 64);
        if is_object {
            self.objects[self.depth / 64] |= bit;
        } else {
            self.objects[self.depth / 64] &= !bit;
        }
        self.depth += 1;
        Ok(())
    }

    fn leave(&mut self) {
        self.depth -= 1;
    }

    fn innermost(&self) -> Option<bool> {
        let last = self.depth.checked_sub(1)?;
        Some(self.objects[last / 64] >> (last % 64) & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_json(text: &str) -> bool {
        let mut scanner = Scanner::new(text.as_bytes());
        scanner.value().is_ok() && scanner.is_at_end()
    }

    #[test]
    fn it_takes_what_is_json_and_nothing_else() {
        for good in [
            "0",
            "-1.5e+7",
            "1e400",
            "99999999999999999999999999",
            "\"\"",
            r#""a\"b\\c\u00e9\/""#,
            "true",
            "null",
            "[]",
            "{}",
            "[ 1 , [ ] , { } ]",
            r#" {"a":[1,{"b":"c"},[[]]],"d":{"e":{}}} "#,
            r#"[{"a":1},2]"#,
        ] {
            assert!(is_json(good), "{good}");
        }
        for bad in [
            "",
            " ",
            "01",
            "-",
            "1.",
            ".5",
            "1e",
            "+1",
            "tru",
            "nul",
            "\"",
            "\"a",
            "\"\\",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"\u{1}\"",
            "[",
            "[1",
            "[1,",
            "[1,]",
            "[,]",
            "{",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":1,",
            "{\"a\":1,}",
            "{a:1}",
            "{\"a\" 1}",
            "[1}",
            "{\"a\":1]",
            "1 2",
            "[] []",
            "]",
            "}",
            ",",
        ] {
            assert!(!is_json(bad), "{bad}");
        }
    }

    #[test]
    fn it_agrees_with_another_reader_on_mutated_text() {
        let seed = br#"{"a":[1,-2.5e3,"x\ny",{"b":null}],"c":{"d":[true,false,[[]]]},"e":"\u00fc\\"}"#;
        let alphabet = b"{}[],:\"\\0123456789.eE+-truefalsn \x01u";
        let mut random = 0x1234_5678_9abc_def1u64;
        let mut next = |bound: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random % bound as u64) as usize
        };
        let mut taken = 0;
        for _ in 0..200_000 {
            let mut text = seed.to_vec();
            for _ in 0..=next(3) {
                let at = next(text.len());
                match next(3) {
                    0 => text[at] = alphabet[next(alphabet.len())],
                    1 => drop(text.remove(at)),
                    _ => text.insert(at, alphabet[next(alphabet.len())]),
                }
            }
            let Ok(text) = String::from_utf8(text) else { continue };
            let expected = match serde_json::from_str::<serde_json::Value>(&text) {
                Ok(_) => true,
                // It reads no further.
                Err(error) if error.to_string().contains("out of range") => continue,
                Err(_) => false,
            };
            taken += usize::from(expected);
            assert_eq!(is_json(&text), expected, "{text}");
        }
        assert!(taken > 10_000);
    }

    #[test]
    fn nesting_is_followed_as_deep_as_it_says() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(is_json(&nested(DEPTH_MAX)) && is_json(&format!("[{}]", nested(DEPTH_MAX - 1))));
        assert!(!is_json(&nested(DEPTH_MAX + 2)));
        let mixed = format!("{}1{}", r#"{"a":["#.repeat(500), "]}".repeat(500));
        assert!(is_json(&mixed));
    }

    #[test]
    fn a_string_says_where_it_lies() {
        let mut scanner = Scanner::new(br#" "ab" : "c\"d\\" "#);
        assert_eq!(scanner.member_name(), Ok(RawText { range: 2..4, escaped: false }));
        assert_eq!(scanner.string(), Ok(RawText { range: 9..15, escaped: true }));
        assert!(scanner.is_at_end());
    }
}
