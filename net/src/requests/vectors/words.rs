//! A block on any CPU, in words of eight bytes.

use crate::requests::vectors::run::{BLOCK, Block, Marks, Stop, part, run};
use std::mem::MaybeUninit;

/// The pass with such blocks.
#[inline(never)]
pub fn run_words<const END: u8>(raw: &[u8], text: &mut Vec<u8>, marks: &mut Marks) -> (usize, Stop) {
    run::<Words, END>(raw, text, marks)
}

/// A block.
#[derive(Clone, Copy)]
struct Words([u8; BLOCK]);

impl Words {
    /// One bit for each byte for whose word `mark` sets the byte's highest bit.
    #[inline(always)]
    fn bits(&self, mark: impl Fn(u64) -> u64) -> u64 {
        self.0.as_chunks().0.iter().enumerate().fold(0, |bits, (index, word)| {
            let marks = (mark(u64::from_le_bytes(*word)) >> 7) & ONES;
            // Moves the lowest bit of each byte to the highest byte, one beside the other.
            bits | (marks.wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * index)
        })
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

impl Block for Words {
    #[inline(always)]
    fn load(text: &[u8]) -> (Self, u64) {
        if let Some(whole) = text.first_chunk() {
            return (Words(*whole), u64::MAX);
        }
        let (bytes, there) = part(text);
        (Words(bytes), there)
    }

    #[inline(always)]
    fn equal(self, byte: u8) -> u64 {
        self.bits(|word| {
            let other = word ^ (ONES * u64::from(byte));
            !(((other & !HIGHS) + !HIGHS) | other)
        })
    }

    #[inline(always)]
    fn controls(self) -> u64 {
        self.bits(|word| !(((word & !HIGHS) + ONES * 0x60) | word))
    }

    #[inline(always)]
    fn highs(self) -> u64 {
        self.bits(|word| word)
    }

    #[inline(always)]
    fn compress(self, keep: u64, to: &mut [MaybeUninit<u8>; BLOCK]) {
        let mut at = 0;
        for (index, byte) in self.0.into_iter().enumerate() {
            to[at & (BLOCK - 1)].write(byte);
            at += (keep >> index & 1) as usize;
        }
    }
}
