//! A block with AVX-512 and with AVX2.

use crate::requests::vectors::run::{BLOCK, Block, Marks, Stop, part, run};
use std::arch::x86_64::*;
use std::mem::MaybeUninit;

/// The pass with AVX-512.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,bmi1,bmi2,popcnt")]
pub fn run_avx512<const END: u8>(raw: &[u8], text: &mut Vec<u8>, marks: &mut Marks) -> (usize, Stop) {
    run::<Avx512, END>(raw, text, marks)
}

/// The pass with AVX2.
#[target_feature(enable = "avx2,bmi1,popcnt")]
pub fn run_avx2<const END: u8>(raw: &[u8], text: &mut Vec<u8>, marks: &mut Marks) -> (usize, Stop) {
    run::<Avx2, END>(raw, text, marks)
}

#[derive(Clone, Copy)]
struct Avx512(__m512i);

// SAFETY, for all of it: only `run_avx512` uses this, and has what it needs. Loads and stores take no alignment.
impl Block for Avx512 {
    #[inline(always)]
    fn load(text: &[u8]) -> (Self, u64) {
        let there = if text.len() < BLOCK { (1 << text.len()) - 1 } else { u64::MAX };
        // SAFETY: bytes that are not there are not touched.
        (Avx512(unsafe { _mm512_maskz_loadu_epi8(there, text.as_ptr().cast()) }), there)
    }

    #[inline(always)]
    fn equal(self, byte: u8) -> u64 {
        // SAFETY: see above.
        unsafe { _mm512_cmpeq_epi8_mask(self.0, _mm512_set1_epi8(byte as i8)) }
    }

    #[inline(always)]
    fn controls(self) -> u64 {
        // SAFETY: see above.
        unsafe { _mm512_cmplt_epu8_mask(self.0, _mm512_set1_epi8(0x20)) }
    }

    #[inline(always)]
    fn highs(self) -> u64 {
        // SAFETY: see above.
        unsafe { _mm512_movepi8_mask(self.0) }
    }

    #[inline(always)]
    fn compress(self, keep: u64, to: &mut [MaybeUninit<u8>; BLOCK]) {
        // SAFETY: see above; there is room for a whole block.
        unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), _mm512_maskz_compress_epi8(keep, self.0)) };
    }

    #[inline(always)]
    fn places(marked: u64, keep: u64, base: u32, to: &mut [MaybeUninit<u32>; BLOCK]) {
        // SAFETY: see above; each store is to a chunk of sixteen.
        unsafe {
            let mut left = _pext_u64(marked, keep);
            for sixteen in to.as_chunks_mut::<16>().0 {
                let numbers = _mm512_castsi512_si128(_mm512_maskz_compress_epi8(
                    left,
                    _mm512_loadu_si512(NUMBERS.as_ptr().cast()),
                ));
                let places = _mm512_add_epi32(_mm512_cvtepu8_epi32(numbers), _mm512_set1_epi32(base as i32));
                _mm512_storeu_si512(sixteen.as_mut_ptr().cast(), places);
                if left.count_ones() <= 16 {
                    return;
                }
                for _ in 0..16 {
                    left &= left.wrapping_sub(1);
                }
            }
        }
    }
}

/// The numbers of a block's bytes.
const NUMBERS: [u8; BLOCK] = {
    let mut numbers = [0; BLOCK];
    let mut at = 0;
    while at < BLOCK {
        numbers[at] = at as u8;
        at += 1;
    }
    numbers
};

#[derive(Clone, Copy)]
struct Avx2([__m256i; 2]);

impl Avx2 {
    #[inline(always)]
    fn bits(self, compare: impl Fn(__m256i) -> __m256i) -> u64 {
        // SAFETY: only `run_avx2` uses this, and has what it needs.
        let half = |index: usize| unsafe { _mm256_movemask_epi8(compare(self.0[index])) } as u32;
        u64::from(half(0)) | u64::from(half(1)) << 32
    }
}

// SAFETY, for all of it: only `run_avx2` uses this, and has what it needs. Loads and stores take no alignment.
impl Block for Avx2 {
    #[inline(always)]
    fn load(text: &[u8]) -> (Self, u64) {
        let (rest, there);
        let bytes: &[u8; BLOCK] = match text.first_chunk() {
            Some(whole) => {
                there = u64::MAX;
                whole
            }
            None => {
                (rest, there) = part(text);
                &rest
            }
        };
        let (halves, _) = bytes.as_chunks::<32>();
        // SAFETY: see above; each half has as many bytes as are loaded.
        (Avx2([0, 1].map(|half| unsafe { _mm256_loadu_si256(halves[half].as_ptr().cast()) })), there)
    }

    #[inline(always)]
    fn equal(self, byte: u8) -> u64 {
        // SAFETY: see above.
        self.bits(|half| unsafe { _mm256_cmpeq_epi8(half, _mm256_set1_epi8(byte as i8)) })
    }

    #[inline(always)]
    fn controls(self) -> u64 {
        // SAFETY: see above. What is not changed by taking the smaller of it and 31 is not above that.
        self.bits(|half| unsafe { _mm256_cmpeq_epi8(_mm256_min_epu8(half, _mm256_set1_epi8(0x1f)), half) })
    }

    #[inline(always)]
    fn highs(self) -> u64 {
        self.bits(|half| half)
    }

    #[inline(always)]
    fn compress(self, keep: u64, to: &mut [MaybeUninit<u8>; BLOCK]) {
        let mut at = 0;
        for eight in 0..BLOCK / 8 {
            let bits = (keep >> (8 * eight)) as u8;
            // SAFETY: see above. Of a half its lower or upper part is taken, and of that the lower or upper word; at
            // most eight bytes a turn have been written, so there is room for the eight of this one.
            unsafe {
                let half = self.0[eight / 4];
                let part = if eight % 4 < 2 {
                    _mm256_castsi256_si128(half)
                } else {
                    _mm256_extracti128_si256::<1>(half)
                };
                let word = if eight % 2 == 0 { part } else { _mm_srli_si128::<8>(part) };
                let order = _mm_loadl_epi64(ORDERS[usize::from(bits)].as_ptr().cast());
                _mm_storel_epi64(to.as_mut_ptr().add(at).cast(), _mm_shuffle_epi8(word, order));
            }
            at += bits.count_ones() as usize;
        }
    }
}

/// For each choice among eight bytes, which of them come one after the other.
static ORDERS: [[u8; 8]; 256] = {
    let mut orders = [[0; 8]; 256];
    let mut bits = 0;
    while bits < 256 {
        let (mut from, mut to) = (0, 0);
        while from < 8 {
            if bits >> from & 1 == 1 {
                orders[bits][to] = from as u8;
                to += 1;
            }
            from += 1;
        }
        bits += 1;
    }
    orders
};
