//! The text around a time, written again and again: neighbours in time share their leading digits, so mostly only the last
//! eight are new.

/// Room for what stands before and after a time, and for the time.
const TEXT_BYTES: usize = 64;

/// The times that share their leading digits: as many as their last eight digits can say.
const SHARED: i64 = 100_000_000;

/// A time between two fixed texts.
pub(crate) struct TimeText {
    before: &'static [u8],
    after: &'static [u8],
    /// What was written last, and what is left over from longer texts.
    text: [u8; TEXT_BYTES],
    len: usize,
    /// The leading digits of the time in it; none if it has no eight digits more.
    leading: Option<i64>,
}

impl TimeText {
    pub(crate) fn new(before: &'static [u8], after: &'static [u8]) -> Self {
        Self { before, after, text: [0; TEXT_BYTES], len: 0, leading: None }
    }

    /// Appends both texts with this time between them.
    #[inline]
    pub(crate) fn put(&mut self, out: &mut Vec<u8>, ts: i64) {
        let start = out.len();
        if self.leading != Some(ts / SHARED) {
            self.format(ts);
        }
        // Copied as a whole, for a length known beforehand makes no call.
        out.extend_from_slice(&self.text);
        out.truncate(start + self.len);
        if self.leading.is_some() {
            let digits_end = start + self.len - self.after.len();
            out[digits_end - 8..digits_end].copy_from_slice(&eight_digits((ts % SHARED) as u32));
        }
    }

    fn format(&mut self, ts: i64) {
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(ts).as_bytes();
        self.len = 0;
        for part in [self.before, digits, self.after] {
            self.text[self.len..self.len + part.len()].copy_from_slice(part);
            self.len += part.len();
        }
        self.leading = (ts >= SHARED).then_some(ts / SHARED);
    }
}

/// A number below 10^8 in eight digits. All are made at once: each part of a word is divided into a half and a rest, until
/// each byte has a digit.
fn eight_digits(number: u32) -> [u8; 8] {
    let fours = u64::from(number / 10_000) | u64::from(number % 10_000) << 32;
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let twos = hundreds | (fours - hundreds * 100) << 16;
    let tens = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
    let ones = tens | (twos - tens * 10) << 8;
    (ones | 0x3030_3030_3030_3030).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_digits_are_those_of_the_number() {
        let numbers = (0..100_000_000).step_by(997).chain([9, 99, 9_999, 10_000, 99_990_000, 99_999_999]);
        for number in numbers {
            assert_eq!(eight_digits(number), *format!("{number:08}").as_bytes());
        }
    }

    #[test]
    fn times_are_written_as_they_are_whatever_came_before() {
        let mut text = TimeText::new(b"<", b">");
        let near =
            [i64::MIN, -SHARED, -1, 0, 1, 9, SHARED - 1, SHARED, 9 * SHARED, 10 * SHARED, 1_700_000_000_000];
        let times = near.iter().flat_map(|ts| [*ts, ts.saturating_add(1), ts.saturating_sub(1), 7, i64::MAX]);
        let (mut out, mut expected) = (Vec::new(), String::new());
        for ts in times.clone().chain(times.rev()) {
            text.put(&mut out, ts);
            expected += &format!("<{ts}>");
        }
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
