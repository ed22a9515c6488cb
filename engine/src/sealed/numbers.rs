//! A block of a number column: how many digits stand behind the point, and the mantissas.

use super::bits::Ints;
use super::decimal::POWERS;
use super::format::{BLOCK_RECORDS, DIGITS_MAX, Damaged, Input};
use super::ints::{put_ints, skip_ints, take_ints};

/// How a block says where its numbers have their points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Points {
    /// All numbers have so many digits behind the point.
    Fixed(u8),
    /// The mantissas have so many, and the numbers are written without zeros at their end.
    Trimmed(u8),
    /// Each has its own.
    Each,
}

/// Added to the digits of a block whose numbers have no zeros at their end.
const TRIMMED: u8 = 32;

/// Says that each number of a block has its own digits.
const EACH: u8 = 64;

/// Appends a block of numbers.
pub(super) fn put_numbers(out: &mut Vec<u8>, mantissas: &[i64], decimals: &[u8]) {
    let most = decimals.iter().copied().max().unwrap_or(0);
    if decimals.iter().all(|&known| known == most) {
        out.push(most);
        return put_ints(out, mantissas);
    }
    let mut scaled: Ints = [0; BLOCK_RECORDS];
    let trimmed = mantissas.iter().zip(decimals).zip(&mut scaled).all(|((&mantissa, &decimals), out)| {
        let power = POWERS[usize::from(most - decimals)];
        *out = mantissa.wrapping_mul(power as i64);
        // A zero at the end that is written would not come back.
        (decimals == 0 || mantissa % 10 != 0)
            && u128::from(mantissa.unsigned_abs()) * u128::from(power) < u128::from(POWERS[18])
    });
    if trimmed {
        out.push(TRIMMED + most);
        return put_ints(out, &scaled[..mantissas.len()]);
    }
    out.push(EACH);
    scaled.iter_mut().zip(decimals).for_each(|(out, &decimals)| *out = decimals.into());
    put_ints(out, &scaled[..decimals.len()]);
    put_ints(out, mantissas);
}

fn take_points(input: &mut Input<'_>) -> Result<Points, Damaged> {
    match input.byte(PART)? {
        code @ 0..=DIGITS_MAX => Ok(Points::Fixed(code)),
        code if (TRIMMED + 1..=TRIMMED + DIGITS_MAX).contains(&code) => Ok(Points::Trimmed(code - TRIMMED)),
        EACH => Ok(Points::Each),
        _ => Err(input.error(PART)),
    }
}

const PART: &str = "block of numbers";

/// Passes over a block of numbers, whatever they are: any are good.
pub(super) fn skip_numbers(input: &mut Input<'_>, count: usize) -> Result<(), Damaged> {
    if take_points(input)? == Points::Each {
        let mut decimals = [0; BLOCK_RECORDS];
        take_ints(input, count, &mut decimals, PART)?;
        if !decimals[..count].iter().all(|decimals| (0..=i64::from(DIGITS_MAX)).contains(decimals)) {
            return Err(input.error(PART));
        }
    }
    skip_ints(input, count, PART)
}

/// Reads a block of numbers, and the digits behind their points where each has its own.
pub(super) fn take_numbers(
    input: &mut Input<'_>,
    count: usize,
    mantissas: &mut Ints,
    decimals: &mut Ints,
) -> Result<Points, Damaged> {
    let points = take_points(input)?;
    if points == Points::Each {
        take_ints(input, count, decimals, PART)?;
        decimals[..count].iter_mut().for_each(|known| *known = (*known).clamp(0, DIGITS_MAX.into()));
    }
    take_ints(input, count, mantissas, PART)?;
    Ok(points)
}

/// The number as it is written: its mantissa without the zeros at its end that are not, and the digits behind its point.
#[inline]
pub(super) fn as_written(points: Points, mantissa: i64, own: i64) -> (i64, usize) {
    match points {
        Points::Fixed(decimals) => (mantissa, decimals.into()),
        Points::Each => (mantissa, own as usize),
        Points::Trimmed(decimals) => {
            let (mut mantissa, mut decimals) = (mantissa, usize::from(decimals));
            while decimals > 0 && mantissa % 10 == 0 {
                mantissa /= 10;
                decimals -= 1;
            }
            (mantissa, decimals)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points_of(numbers: &[(i64, u8)]) -> Points {
        let (mantissas, decimals): (Vec<_>, Vec<_>) = numbers.iter().copied().unzip();
        let mut out = Vec::new();
        put_numbers(&mut out, &mantissas, &decimals);
        let (mut found, mut own) = ([0; BLOCK_RECORDS], [0; BLOCK_RECORDS]);
        let mut input = Input::new(&out, 0, out.len());
        let points = take_numbers(&mut input, numbers.len(), &mut found, &mut own).unwrap();
        assert_eq!(input.left(), 0);
        for (index, &(mantissa, decimals)) in numbers.iter().enumerate() {
            assert_eq!(as_written(points, found[index], own[index]), (mantissa, decimals.into()));
        }
        let mut input = Input::new(&out, 0, out.len());
        skip_numbers(&mut input, numbers.len()).unwrap();
        assert_eq!(input.left(), 0);
        points
    }

    #[test]
    fn points_come_back() {
        assert_eq!(points_of(&[(225, 1), (-30, 1), (0, 1)]), Points::Fixed(1));
        assert_eq!(points_of(&[(225, 1), (30, 0), (0, 0), (-21234, 3)]), Points::Trimmed(3));
        assert_eq!(points_of(&[(10, 1), (100, 2)]), Points::Each);
        assert_eq!(points_of(&[(0, 1), (0, 0)]), Points::Each);
        assert_eq!(points_of(&[(1, 18), (1, 0)]), Points::Each);
        assert_eq!(points_of(&[(1, 17), (9, 0), (-9, 0)]), Points::Trimmed(17));
        assert_eq!(
            points_of(&[(123_456_789_012_345_678, 18), (12_345_678_901_234_567, 17)]),
            Points::Trimmed(18)
        );
    }

    #[test]
    fn digits_beyond_eighteen_are_refused() {
        let bytes = |first: u8, digits: i64| {
            let mut out = vec![first];
            put_ints(&mut out, &[digits]);
            put_ints(&mut out, &[5]);
            skip_numbers(&mut Input::new(&out, 0, out.len()), 1)
        };
        assert!(bytes(EACH, 18).is_ok());
        assert!(bytes(EACH, 19).is_err() && bytes(EACH, -1).is_err());
        assert!([19, TRIMMED, TRIMMED + 19, EACH + 1].into_iter().all(|code| bytes(code, 1).is_err()));
    }
}
