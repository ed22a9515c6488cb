//! Numbers packed with as many bits as the widest needs, the first in the lowest bits of the first byte.
//!
//! Eight numbers of `W` bits are `W` bytes, so where each begins is known when the code is compiled: a number is one load,
//! shift and mask, without a branch.

use super::format::BLOCK_RECORDS;

/// The numbers of a block, or fewer: what lies behind them has no meaning.
pub(super) type Ints = [i64; BLOCK_RECORDS];

/// A load may read this far beyond a number's first byte.
const SLACK: usize = 16;

/// The packed bytes of a block of the widest numbers.
const PACKED_MAX: usize = BLOCK_RECORDS * 8;

/// The bits that a number needs.
pub(super) fn width_of(value: u64) -> u32 {
    64 - value.leading_zeros()
}

/// The bytes of so many numbers.
pub(super) fn packed_bytes(count: usize, width: u32) -> usize {
    (count * width as usize).div_ceil(8)
}

macro_rules! by_width {
    ($width:expr, $call:ident, $arguments:tt, $($known:literal)*) => {
        match $width { $($known => $call::<$known> $arguments,)* _ => {} }
    };
    ($width:expr, $call:ident, $arguments:tt) => {
        by_width!($width, $call, $arguments,
            1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32
            33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64)
    };
}

/// Appends the first `count` numbers, none of which is wider than `width`. What lies behind them is overwritten.
pub(super) fn pack(values: &mut Ints, count: usize, width: u32, out: &mut Vec<u8>) {
    let groups = count.div_ceil(8);
    values[count..groups * 8].fill(0);
    let mut packed = [0; PACKED_MAX + SLACK];
    by_width!(width, pack_groups, (values, groups, &mut packed));
    out.extend_from_slice(&packed[..packed_bytes(count, width)]);
}

fn pack_groups<const W: usize>(values: &Ints, groups: usize, packed: &mut [u8; PACKED_MAX + SLACK]) {
    for (index, group) in values.as_chunks::<8>().0[..groups].iter().enumerate() {
        let out = &mut packed[index * W..index * W + W + 8];
        let (mut bits, mut filled, mut at) = (0u128, 0, 0);
        for &value in group {
            bits |= u128::from(value as u64) << filled;
            filled += W;
            if filled >= 64 {
                out[at..at + 8].copy_from_slice(&(bits as u64).to_le_bytes());
                bits >>= 64;
                filled -= 64;
                at += 8;
            }
        }
        out[at..at + 8].copy_from_slice(&(bits as u64).to_le_bytes());
    }
}

/// Reads the first `count` numbers of these bytes, behind which others may follow; bytes that are missing are zero.
pub(super) fn unpack(bytes: &[u8], count: usize, width: u32, values: &mut Ints) {
    let groups = count.div_ceil(8);
    if width == 0 {
        return values[..groups * 8].fill(0);
    }
    let needed = groups * width as usize;
    if bytes.len() >= needed + SLACK {
        by_width!(width, unpack_groups, (bytes, groups, values));
    } else {
        let mut padded = [0; PACKED_MAX + SLACK];
        let known = bytes.len().min(needed);
        padded[..known].copy_from_slice(&bytes[..known]);
        by_width!(width, unpack_groups, (&padded, groups, values));
    }
}

fn unpack_groups<const W: usize>(bytes: &[u8], groups: usize, values: &mut Ints) {
    for (index, group) in values.as_chunks_mut::<8>().0[..groups].iter_mut().enumerate() {
        let bytes = &bytes[index * W..index * W + W + SLACK];
        for (place, value) in group.iter_mut().enumerate() {
            let (at, shift) = (place * W / 8, place * W % 8);
            // With up to 56 bits a number and the bits before it fit 64.
            *value = if W <= 56 {
                let mut word = [0; 8];
                word.copy_from_slice(&bytes[at..at + 8]);
                (u64::from_le_bytes(word) >> shift) as i64 & ((1 << (W % 64)) - 1)
            } else {
                let mut word = [0; 16];
                word.copy_from_slice(&bytes[at..at + 16]);
                (u128::from_le_bytes(word) >> shift & ((1 << W) - 1)) as i64
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_width_come_back() {
        let mut random = 88_172_645_463_325_252_u64;
        for width in 0..=64 {
            for count in [0, 1, 7, 8, 9, 100, 127, 128] {
                let mut values = [-1; BLOCK_RECORDS];
                for value in &mut values[..count] {
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    *value = if width == 0 { 0 } else { (random >> (64 - width)) as i64 };
                }
                let expected = values;
                let mut out = vec![9];
                pack(&mut values, count, width, &mut out);
                assert_eq!(out.len(), 1 + packed_bytes(count, width));
                for slack in [0, 3, 40] {
                    let mut bytes = out.clone();
                    bytes.resize(out.len() + slack, 0xFF);
                    let mut found = [7; BLOCK_RECORDS];
                    unpack(&bytes[1..], count, width, &mut found);
                    assert_eq!(found[..count], expected[..count], "{count} of {width} bits");
                }
            }
        }
    }

    #[test]
    fn bytes_that_are_missing_are_zero() {
        let mut values = [1; BLOCK_RECORDS];
        unpack(&[], 128, 64, &mut values);
        assert_eq!(values, [0; BLOCK_RECORDS]);
    }
}
