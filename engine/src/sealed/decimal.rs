//! Decimal numbers as text: a mantissa and how many digits stand behind the point.
//!
//! Only a number that is written in the one way that this module writes it is taken for one: `-12.50` is, `1e5`, `-0`,
//! `007`, `.5` and numbers of more than 18 digits are not. So a text comes back byte for byte.

use super::format::DIGITS_MAX;

/// What one number takes at most: a sign, 19 digits, a point. A writer needs this much room, and may write all of it.
pub(super) const ROOM: usize = 24;

/// Powers of ten up to the nineteenth power.
pub(super) const POWERS: [u64; 20] = {
    let mut powers = [1; 20];
    let mut index = 1;
    while index < 20 {
        powers[index] = powers[index - 1] * 10;
        index += 1;
    }
    powers
};

/// `mantissa / 10^decimals`, to be written with so many digits behind the point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decimal {
    /// All digits, without the point.
    pub mantissa: i64,
    /// The digits behind the point, at most 18.
    pub decimals: u8,
}

/// Reads the number that a text begins with, and how long it is.
#[inline]
pub(super) fn parse(text: &[u8]) -> Option<(Decimal, usize)> {
    let negative = text.first() == Some(&b'-');
    let start = usize::from(negative);
    let (mut at, mut value) = (start, 0_u64);
    // Twenty digits can't overflow before they are counted, as it wraps; more are refused below.
    while let Some(digit) = text.get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|&digit| digit < 10) {
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
        at += 1;
    }
    let whole = at - start;
    let leading_zero = text.get(start) == Some(&b'0');
    if whole == 0 || leading_zero && whole > 1 {
        return None;
    }
    let mut decimals = 0;
    if text.get(at) == Some(&b'.') {
        let point = at;
        at += 1;
        while let Some(digit) = text.get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|&digit| digit < 10) {
            value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
            at += 1;
        }
        decimals = at - point - 1;
        if decimals == 0 {
            at = point;
        }
    }
    let digits = whole - usize::from(leading_zero) + decimals;
    if digits > usize::from(DIGITS_MAX) || negative && value == 0 {
        return None;
    }
    let mantissa = if negative { -(value as i64) } else { value as i64 };
    Some((Decimal { mantissa, decimals: decimals as u8 }, at))
}

/// Whether a text is one number and nothing else.
pub(super) fn parse_all(text: &[u8]) -> Option<Decimal> {
    parse(text).filter(|&(_, length)| length == text.len()).map(|(decimal, _)| decimal)
}

/// Eight digits of a number below 10^8, each a byte from 0 to 9, the first in the lowest.
fn eight_digits(value: u32) -> u64 {
    let fours = u64::from(value / 10_000) | u64::from(value % 10_000) << 32;
    let hundreds = ((fours * 10_486) >> 20) & 0x7F_0000_007F;
    let twos = (fours - 100 * hundreds) << 16 | hundreds;
    let tens = ((twos * 103) >> 10) & 0x000F_000F_000F_000F;
    (twos - 10 * tens) << 8 | tens
}

/// Writes a number at a place that has `ROOM`, and returns the place behind it.
#[inline]
pub(super) fn write(out: &mut [u8], at: usize, mantissa: i64, decimals: usize) -> usize {
    let value = mantissa.unsigned_abs();
    let out = &mut out[at..at + ROOM];
    out[0] = b'-';
    let sign = usize::from(mantissa < 0);
    if value >= 100_000_000 || decimals >= 8 {
        return at + write_long(out, sign, value, decimals);
    }
    let digits = eight_digits(value as u32);
    let skipped = (digits.trailing_zeros() as usize / 8).min(7 - decimals);
    let ascii = digits | 0x3030_3030_3030_3030;
    if decimals == 0 {
        out[sign..sign + 8].copy_from_slice(&(ascii >> (8 * skipped)).to_le_bytes());
        return at + sign + 8 - skipped;
    }
    let point = 8 * (8 - decimals);
    let ascii = u128::from(ascii);
    let pointed = ascii & ((1 << point) - 1) | u128::from(b'.') << point | ascii >> point << (point + 8);
    out[sign..sign + 16].copy_from_slice(&(pointed >> (8 * skipped)).to_le_bytes());
    at + sign + 9 - skipped
}

/// Writes a number digit by digit, and returns its length.
#[inline(never)]
fn write_long(out: &mut [u8], sign: usize, mut value: u64, decimals: usize) -> usize {
    let mut reversed = [0; ROOM];
    let mut length = 0;
    // At least one digit stands before the point.
    while value > 0 || length < decimals + 1 + usize::from(decimals > 0) {
        if length == decimals && decimals > 0 {
            reversed[length] = b'.';
        } else {
            reversed[length] = b'0' + (value % 10) as u8;
            value /= 10;
        }
        length += 1;
    }
    for (out, digit) in out[sign..].iter_mut().zip(reversed[..length].iter().rev()) {
        *out = *digit;
    }
    sign + length
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(decimal: Decimal) -> String {
        let mut out = [b'#'; ROOM + 3];
        let end = write(&mut out, 3, decimal.mantissa, decimal.decimals.into());
        String::from_utf8(out[3..end].to_vec()).unwrap()
    }

    #[test]
    fn what_is_read_is_written_the_same() {
        let numbers =
            "0 5 -5 10 99999999 100000000 123456789012345678 -999999999999999999 0.0 0.00 1.0 1.00 -1.50
            0.5 -0.05 0.00000 12345.678 1234567.1 12345678.1 0.1234567 0.12345678 0.000000000000000001
            0.123456789012345678 -1.23456789012345678 21.5 10000.0000 1.0000000 99999999.9 9999999.9 245.3";
        for text in numbers.split_whitespace() {
            let decimal = parse_all(text.as_bytes()).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(written(decimal), text);
        }
        for power in &POWERS[..18] {
            for value in [*power, power - 1, power * 7 + 3] {
                for decimals in 0..=18 {
                    let decimal = Decimal { mantissa: -(value as i64), decimals };
                    let text = written(decimal);
                    let again = parse_all(text.as_bytes());
                    assert!(again == Some(decimal) || value == 0 || value >= POWERS[18], "{text}");
                }
            }
        }
    }

    #[test]
    fn what_would_not_come_back_is_no_number() {
        for text in
            "- -0 -0.0 00 007 .5 5. 1e5 +1 1234567890123456789 0.1234567890123456789 12345678901234567890123
            1.234567890123456789 -00.5 -.5 1_0 ١"
                .split_whitespace()
        {
            assert_eq!(parse_all(text.as_bytes()), None, "{text}");
        }
        assert_eq!(parse(b"5.x"), Some((Decimal { mantissa: 5, decimals: 0 }, 1)));
    }

    #[test]
    fn numbers_that_no_text_has_are_written_within_the_room() {
        for mantissa in [i64::MIN, i64::MAX, 0, 5] {
            for decimals in 0..=18 {
                assert!(!written(Decimal { mantissa, decimals }).is_empty());
            }
        }
        assert_eq!(written(Decimal { mantissa: i64::MIN, decimals: 18 }), "-9.223372036854775808");
    }
}
