//! 32 bytes a look, and where one of them is to be escaped eight a step: a table says for each set of escaped bytes how
//! they and the backslashes are shuffled together.

use std::arch::x86_64::{
    __m128i, _mm_loadl_epi64, _mm_loadu_si128, _mm_set1_epi8, _mm_shuffle_epi8, _mm_storeu_si128,
    _mm_unpacklo_epi64, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_max_epu8, _mm256_movemask_epi8,
    _mm256_or_si256, _mm256_set1_epi8, _mm256_storeu_si256,
};

const STEP: usize = 32;

/// The place of a backslash in what is shuffled: behind the eight bytes.
const BACKSLASH: u8 = 8;

/// For each set of bytes to be escaped, where each of the bytes written comes from.
static SHUFFLES: [[u8; 16]; 256] = {
    let mut shuffles = [[BACKSLASH; 16]; 256];
    let mut set = 0;
    while set < 256 {
        let (mut from, mut to) = (0, 0);
        while from < 8 {
            to += set >> from & 1;
            shuffles[set][to] = from as u8;
            from += 1;
            to += 1;
        }
        set += 1;
    }
    shuffles
};

#[inline]
pub(super) fn is_there() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("popcnt")
}

/// Writes the text escaped up to the first control character; returns the bytes consumed and written.
///
/// # Safety
/// The CPU has what `is_there` looks for, and at `out` there is room for twice the text and 64 bytes.
#[target_feature(enable = "avx2,popcnt")]
pub(super) unsafe fn escape(text: &[u8], out: *mut u8) -> (usize, usize) {
    let mut written = 0;
    let (blocks, tail) = text.as_chunks::<STEP>();
    for (index, block) in blocks.iter().enumerate() {
        // SAFETY: so far at most twice as much was written as was consumed, and there is room for twice the rest and 64.
        let (len, put) = unsafe { step(block, out.add(written)) };
        written += put;
        if len < STEP {
            return (index * STEP + len, written);
        }
    }
    if tail.is_empty() {
        return (text.len(), written);
    }
    // A control character is where the text ends, if not before.
    let mut block = [0; STEP];
    block[..tail.len()].copy_from_slice(tail);
    // SAFETY: as above; of a block no more is written than twice what is consumed and 64 bytes.
    let (len, put) = unsafe { step(&block, out.add(written)) };
    (blocks.len() * STEP + len, written + put)
}

/// Writes a block up to its first control character; returns the bytes consumed and written.
///
/// # Safety
/// The CPU is as for `escape`, and at `out` there is room for 64 bytes.
#[inline]
#[target_feature(enable = "avx2,popcnt")]
unsafe fn step(block: &[u8; STEP], out: *mut u8) -> (usize, usize) {
    // SAFETY: the block has as many bytes as are loaded.
    let bytes = unsafe { _mm256_loadu_si256(block.as_ptr().cast()) };
    let is = |byte: u8| _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(byte as i8));
    let space = _mm256_set1_epi8(b' ' as i8);
    let not_controls = _mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_max_epu8(bytes, space), bytes)) as u32;
    let len = not_controls.trailing_ones() as usize;
    let escaped = _mm256_movemask_epi8(_mm256_or_si256(is(b'"'), is(b'\\'))) as u32;
    let escaped = (u64::from(escaped) & ((1 << len) - 1)) as u32;
    if escaped == 0 {
        // SAFETY: there is room for 64 bytes.
        unsafe { _mm256_storeu_si256(out.cast(), bytes) };
        return (len, len);
    }
    let mut written = 0;
    for (index, eight) in block.as_chunks::<8>().0.iter().enumerate() {
        let set = escaped >> (8 * index) & 0xff;
        // SAFETY: of the eight bytes before, each gave two at most, so there is room for 16 more. Loads are in bounds.
        unsafe {
            let eight =
                _mm_unpacklo_epi64(_mm_loadl_epi64(eight.as_ptr().cast()), _mm_set1_epi8(b'\\' as i8));
            let shuffle: __m128i = _mm_loadu_si128(SHUFFLES[set as usize].as_ptr().cast());
            _mm_storeu_si128(out.add(written).cast(), _mm_shuffle_epi8(eight, shuffle));
        }
        written += 8 + set.count_ones() as usize;
    }
    (len, len + escaped.count_ones() as usize)
}
