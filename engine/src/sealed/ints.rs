//! A block of up to 128 integers: times, mantissas, numbers of templates, lengths.
//!
//! Packed as what is smallest of three: the distance from the least of them; the differences from one to the next; the
//! differences of those. Arithmetic wraps, so every i64 goes in and any bytes can be read.

use super::bits::{Ints, pack, packed_bytes, unpack, width_of};
use super::format::{BLOCK_RECORDS, Damaged, Input, put_signed};

/// Widths of each mode, 0 to 64: a block's first byte is its mode times this, plus its width.
const WIDTHS: u8 = 65;

/// The least and the greatest of some numbers.
#[derive(Clone, Copy)]
struct Range {
    least: i64,
    greatest: i64,
}

impl Range {
    const NONE: Self = Self { least: i64::MAX, greatest: i64::MIN };

    fn add(&mut self, value: i64) {
        self.least = self.least.min(value);
        self.greatest = self.greatest.max(value);
    }

    fn width(self) -> u32 {
        if self.least > self.greatest { 0 } else { width_of(self.greatest.wrapping_sub(self.least) as u64) }
    }

    fn base(self) -> i64 {
        if self.least > self.greatest { 0 } else { self.least }
    }
}

/// The ranges of the numbers, of their differences, and of the differences of those.
fn ranges(values: &[i64]) -> [Range; 3] {
    let [mut offset, mut delta, mut second] = [Range::NONE; 3];
    if let [first, rest @ ..] = values {
        offset.add(*first);
        let (mut before, mut step) = (*first, None);
        for &value in rest {
            let difference = value.wrapping_sub(before);
            offset.add(value);
            delta.add(difference);
            if let Some(step) = step {
                second.add(difference.wrapping_sub(step));
            }
            (before, step) = (value, Some(difference));
        }
    }
    [offset, delta, second]
}

/// Appends a block of one to 128 numbers.
pub(super) fn put_ints(out: &mut Vec<u8>, values: &[i64]) {
    let count = values.len();
    let ranges = ranges(values);
    // The numbers in front of the packed ones take some bytes as well.
    let cost = |mode: usize| ranges[mode].width() as usize * count.saturating_sub(mode) + mode * 20;
    let mode = (0..3).min_by_key(|&mode| cost(mode)).unwrap_or(0);
    let (width, base) = (ranges[mode].width(), ranges[mode].base());
    out.push(mode as u8 * WIDTHS + width as u8);
    let at = |index: usize| values.get(index).copied().unwrap_or(0);
    if mode > 0 {
        put_signed(out, at(0).into());
    }
    if mode > 1 {
        put_signed(out, at(1).wrapping_sub(at(0)).into());
    }
    put_signed(out, base.into());
    if width == 0 {
        return;
    }
    let mut packed: Ints = [0; BLOCK_RECORDS];
    let packed_count = count - mode;
    match mode {
        0 => packed.iter_mut().zip(values).for_each(|(out, value)| *out = value.wrapping_sub(base)),
        1 => packed
            .iter_mut()
            .zip(values.windows(2))
            .for_each(|(out, pair)| *out = pair[1].wrapping_sub(pair[0]).wrapping_sub(base)),
        _ => packed.iter_mut().zip(values.windows(3)).for_each(|(out, three)| {
            let (later, earlier) = (three[2].wrapping_sub(three[1]), three[1].wrapping_sub(three[0]));
            *out = later.wrapping_sub(earlier).wrapping_sub(base);
        }),
    }
    pack(&mut packed, packed_count, width, out);
}

/// What stands in front of the packed numbers.
struct Head {
    mode: u8,
    width: u32,
    first: i64,
    step: i64,
    base: i64,
    packed_count: usize,
    packed_at: usize,
}

/// Reads the head and passes over the packed numbers.
fn take_head(input: &mut Input<'_>, count: usize, part: &'static str) -> Result<Head, Damaged> {
    let code = input.byte(part)?;
    let (mode, width) = (code / WIDTHS, u32::from(code % WIDTHS));
    if mode > 2 {
        return Err(input.error(part));
    }
    let first = if mode > 0 { input.signed(part)? } else { 0 };
    let step = if mode > 1 { input.signed(part)? } else { 0 };
    let base = input.signed(part)?;
    let packed_count = count.saturating_sub(usize::from(mode));
    let packed_at = input.skip(packed_bytes(packed_count, width), part)?;
    Ok(Head { mode, width, first, step, base, packed_count, packed_at })
}

/// Passes over a block.
pub(super) fn skip_ints(input: &mut Input<'_>, count: usize, part: &'static str) -> Result<(), Damaged> {
    take_head(input, count, part).map(|_| ())
}

/// Reads only the first number of a block.
pub(super) fn first_int(input: &mut Input<'_>, count: usize, part: &'static str) -> Result<i64, Damaged> {
    let head = take_head(input, count, part)?;
    if head.mode > 0 {
        return Ok(head.first);
    }
    let mut values = [0; BLOCK_RECORDS];
    unpack(input.rest(head.packed_at), 1, head.width, &mut values);
    Ok(head.base.wrapping_add(values[0]))
}

/// Reads a block of so many numbers, at most 128.
pub(super) fn take_ints(
    input: &mut Input<'_>,
    count: usize,
    values: &mut Ints,
    part: &'static str,
) -> Result<(), Damaged> {
    let head = take_head(input, count, part)?;
    let bytes = input.rest(head.packed_at);
    if head.mode == 0 {
        unpack(bytes, count, head.width, values);
        values[..count].iter_mut().for_each(|value| *value = value.wrapping_add(head.base));
        return Ok(());
    }
    let mut packed = [0; BLOCK_RECORDS];
    unpack(bytes, head.packed_count, head.width, &mut packed);
    let (mut value, mut step) = (head.first, head.step);
    values[0] = value;
    if head.mode == 1 {
        for (out, difference) in values[..count].iter_mut().skip(1).zip(&packed) {
            value = value.wrapping_add(head.base.wrapping_add(*difference));
            *out = value;
        }
    } else {
        let (_, rest) = values[..count].split_at_mut(1.min(count));
        if let Some((second, rest)) = rest.split_first_mut() {
            value = value.wrapping_add(step);
            *second = value;
            for (out, change) in rest.iter_mut().zip(&packed) {
                step = step.wrapping_add(head.base.wrapping_add(*change));
                value = value.wrapping_add(step);
                *out = value;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_of(values: &[i64]) -> usize {
        let mut out = Vec::new();
        put_ints(&mut out, values);
        let mut input = Input::new(&out, 0, out.len());
        let mut found = [0; BLOCK_RECORDS];
        take_ints(&mut input, values.len(), &mut found, "numbers").unwrap();
        assert_eq!((&found[..values.len()], input.left()), (values, 0));
        let mut input = Input::new(&out, 0, out.len());
        assert_eq!(first_int(&mut input, values.len(), "numbers"), Ok(values[0]));
        let mut input = Input::new(&out, 0, out.len());
        skip_ints(&mut input, values.len(), "numbers").unwrap();
        assert_eq!(input.left(), 0);
        out.len()
    }

    #[test]
    fn the_smallest_of_three_ways_is_taken() {
        assert_eq!(bytes_of(&[5; 128]), 2);
        assert_eq!(bytes_of(&[1 << 40; 128]), 1 + 6);
        let even: Vec<i64> = (0..128).map(|index| 1_000_000 + index * 1000).collect();
        assert_eq!(bytes_of(&even), 1 + 3 + 2);
        let squares: Vec<i64> = (0..128).map(|index| index * index * 1000).collect();
        assert_eq!(bytes_of(&squares), 1 + 1 + 2 + 2);
        let jitter: Vec<i64> = (0..128).map(|index| index * 1000 + index * 7 % 11).collect();
        assert!(bytes_of(&jitter) <= 8 + 128 * 5 / 8, "{}", bytes_of(&jitter));
    }

    #[test]
    fn any_numbers_come_back() {
        let edges = [i64::MIN, i64::MAX, 0, -1, 1, i64::MIN + 1, 42];
        for count in 1..=128 {
            let values: Vec<i64> = (0..count).map(|index| edges[index * index % 7]).collect();
            assert!(bytes_of(&values) <= 31 + count * 8);
            bytes_of(&values.iter().map(|value| value % 1000).collect::<Vec<_>>());
        }
    }

    #[test]
    fn bytes_that_end_too_early_are_refused() {
        let mut out = Vec::new();
        put_ints(&mut out, &[1, 1000, 5, 77]);
        for end in 0..out.len() {
            let mut values = [0; BLOCK_RECORDS];
            assert!(take_ints(&mut Input::new(&out, 0, end), 4, &mut values, "numbers").is_err());
        }
        assert!(skip_ints(&mut Input::new(&[195, 0, 0, 0], 0, 4), 4, "numbers").is_err());
    }
}
