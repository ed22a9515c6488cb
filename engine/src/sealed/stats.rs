//! Statistics of a number column: least, greatest, first, last and sum.
//!
//! All are mantissas of one scale, the most digits that any number of the column has behind the point.

use super::decimal::{Decimal, POWERS};
use super::format::{DIGITS_MAX, Damaged, Input, put_signed, put_varint};

/// Set in the byte of the scale when the sum is known.
const SUM_KNOWN: u8 = 0x80;

/// A column's numbers in short. Each is to be divided by ten to the power of `scale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NumberStats {
    /// How many numbers there are.
    pub count: usize,
    /// The digits behind the point that all of these have.
    pub scale: u8,
    /// The least number.
    pub least: i128,
    /// The greatest number.
    pub greatest: i128,
    /// The number of the earliest record.
    pub first: i128,
    /// The number of the latest record.
    pub last: i128,
    /// All of them together, unless that is beyond 127 bits.
    pub sum: Option<i128>,
}

/// A number's mantissa at a scale that is at least its own.
pub(super) fn scaled(decimal: Decimal, scale: u8) -> i128 {
    let power = POWERS[usize::from(scale.saturating_sub(decimal.decimals)).min(19)];
    i128::from(decimal.mantissa) * i128::from(power)
}

impl NumberStats {
    /// Of one number or more.
    pub(super) fn of(mantissas: &[i64], decimals: &[u8]) -> Self {
        let scale = decimals.iter().copied().max().unwrap_or(0);
        let count = mantissas.len();
        if decimals.iter().all(|&known| known == scale) {
            let first = mantissas.first().copied().unwrap_or(0);
            let last = mantissas.last().copied().unwrap_or(0);
            let (mut least, mut greatest, mut sum) = (first, first, 0_i128);
            for &mantissa in mantissas {
                (least, greatest) = (least.min(mantissa), greatest.max(mantissa));
                sum += i128::from(mantissa);
            }
            let [least, greatest, first, last] = [least, greatest, first, last].map(i128::from);
            return Self { count, scale, least, greatest, first, last, sum: Some(sum) };
        }
        let numbers = mantissas
            .iter()
            .zip(decimals)
            .map(|(&mantissa, &decimals)| scaled(Decimal { mantissa, decimals }, scale));
        let first = numbers.clone().next().unwrap_or(0);
        let mut stats =
            Self { count, scale, least: first, greatest: first, first, last: first, sum: Some(0) };
        for number in numbers {
            stats.least = stats.least.min(number);
            stats.greatest = stats.greatest.max(number);
            stats.last = number;
            stats.sum = stats.sum.and_then(|sum| sum.checked_add(number));
        }
        stats
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.push(self.scale | if self.sum.is_some() { SUM_KNOWN } else { 0 });
        put_signed(out, self.least);
        for number in [self.greatest, self.first, self.last] {
            put_varint(out, number.wrapping_sub(self.least) as u128);
        }
        if let Some(sum) = self.sum {
            put_signed(out, sum);
        }
    }

    pub(super) fn take(input: &mut Input<'_>, count: usize) -> Result<Self, Damaged> {
        let part = "statistics of a column";
        let head = input.byte(part)?;
        let scale = head & !SUM_KNOWN;
        let least = input.wide_signed(part)?;
        let mut above = || input.wide(part).map(|above| least.wrapping_add(above as i128));
        let [greatest, first, last] = [above()?, above()?, above()?];
        let sum = if head & SUM_KNOWN == 0 { None } else { Some(input.wide_signed(part)?) };
        let range = least..=greatest;
        if scale > DIGITS_MAX || !range.contains(&first) || !range.contains(&last) {
            return Err(input.error(part));
        }
        Ok(Self { count, scale, least, greatest, first, last, sum })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(numbers: &[(i64, u8)]) -> NumberStats {
        let (mantissas, decimals): (Vec<_>, Vec<_>) = numbers.iter().copied().unzip();
        let stats = NumberStats::of(&mantissas, &decimals);
        let mut out = Vec::new();
        stats.put(&mut out);
        assert_eq!(NumberStats::take(&mut Input::new(&out, 0, out.len()), numbers.len()), Ok(stats));
        stats
    }

    #[test]
    fn numbers_are_brought_to_one_scale() {
        let same = stats(&[(225, 1), (-30, 1), (7, 1)]);
        assert_eq!((same.least, same.greatest, same.first, same.last), (-30, 225, 225, 7));
        assert_eq!((same.scale, same.sum, same.count), (1, Some(202), 3));
        let mixed = stats(&[(225, 1), (22, 0), (22345, 3)]);
        assert_eq!((mixed.scale, mixed.least, mixed.greatest, mixed.sum), (3, 22000, 22500, Some(66845)));
    }

    #[test]
    fn a_sum_that_is_too_large_is_left_out() {
        let mut numbers = vec![(999_999_999_999_999_999, 0); 200];
        numbers.push((1, 18));
        assert_eq!(stats(&numbers).sum, None);
        numbers.pop();
        assert_eq!(stats(&numbers).sum, Some(200 * 999_999_999_999_999_999));
    }
}
