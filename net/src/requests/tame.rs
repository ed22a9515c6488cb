//! Numbers that the JSON parser can't hold, such as `1e400` or an integer of thirty digits, are good JSON all the same: in
//! a member that nobody looks at they don't matter, and elsewhere the error should name the member. So text that was
//! refused is tried once more with each of them replaced by one that stands for it.

use crate::requests::scan::{number_len, plain_len};

/// Replaces the numbers that are too large, in place; false if there are none. What is no number stays as it is.
pub fn tame_numbers(text: &mut [u8]) -> bool {
    let mut tamed = false;
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            b'"' => at = string_end(text, at + 1),
            b'-' | b'0'..=b'9' => {
                let Some(len) = number_len(&text[at..]) else { return tamed };
                tamed |= tame(&mut text[at..at + len]);
                at += len;
            }
            _ => at += 1,
        }
    }
    tamed
}

fn string_end(text: &[u8], from: usize) -> usize {
    let mut at = from;
    loop {
        at += plain_len(&text[at.min(text.len())..]);
        match text.get(at) {
            Some(b'"') => return at + 1,
            Some(b'\\') => at += 2,
            Some(_) => at += 1,
            None => return text.len(),
        }
    }
}

fn tame(number: &mut [u8]) -> bool {
    let Ok(text) = std::str::from_utf8(number) else { return false };
    let is_integer = !text.contains(['.', 'e', 'E']);
    let fits = match is_integer {
        true => text.parse::<i64>().is_ok() || text.parse::<u64>().is_ok(),
        false => text.parse::<f64>().is_ok_and(f64::is_finite),
    };
    if fits {
        return false;
    }
    let sign = usize::from(number[0] == b'-');
    let (stands, rest) = number[sign..].split_at_mut(BEYOND_TEXT.len());
    stands.copy_from_slice(BEYOND_TEXT);
    rest.fill(b' ');
    true
}

/// As `members::BEYOND`: no shorter number is beyond what a float holds.
const BEYOND_TEXT: &[u8; 5] = b"1e308";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::requests::members::BEYOND;

    fn tamed(text: &str) -> Option<String> {
        let mut bytes = text.as_bytes().to_vec();
        tame_numbers(&mut bytes).then(|| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn only_numbers_that_are_too_large_are_replaced() {
        assert_eq!(std::str::from_utf8(BEYOND_TEXT).unwrap().parse(), Ok(BEYOND));
        assert_eq!(tamed(r#"{"a":1e400}"#).as_deref(), Some(r#"{"a":1e308}"#));
        assert_eq!(tamed(r#"[-1.5e9999,2]"#).as_deref(), Some(r#"[-1e308   ,2]"#));
        assert_eq!(tamed("[99999999999999999999]").as_deref(), Some("[1e308               ]"));
        for left in [
            "[18446744073709551615,-9223372036854775808,1e308,0.1]",
            r#"{"1e400":"1e400 \" 1e400"}"#,
            "[1e]",
            "\"",
            "\"\\",
            "",
        ] {
            assert_eq!(tamed(left), None, "{left}");
        }
    }
}
