//! 32 bytes a step: each byte is widened to two, a backslash before it, and what isn't wanted is squeezed out.

use std::arch::x86_64::{
    __m256i, __m512i, _mm256_cmpeq_epi8_mask, _mm256_mask_cmplt_epu8_mask, _mm256_maskz_loadu_epi8,
    _mm256_set1_epi8, _mm256_storeu_si256, _mm512_cvtepu8_epi16, _mm512_maskz_compress_epi8, _mm512_or_si512,
    _mm512_set1_epi16, _mm512_slli_epi16, _mm512_storeu_si512, _pdep_u64,
};

const STEP: usize = 32;

/// Bits of the backslashes, and of the bytes behind them.
const BACKSLASHES: u64 = 0x5555_5555_5555_5555;
const BYTES: u64 = !BACKSLASHES;

#[inline]
pub(super) fn is_there() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vbmi2")
        && is_x86_feature_detected!("bmi2")
}

/// Writes the text escaped up to the first control character; returns the bytes consumed and written.
///
/// # Safety
/// The CPU has what `is_there` looks for, and at `out` there is room for twice the text and 64 bytes.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi2,bmi2")]
pub(super) unsafe fn escape(text: &[u8], out: *mut u8) -> (usize, usize) {
    let quote = _mm256_set1_epi8(b'"' as i8);
    let backslash = _mm256_set1_epi8(b'\\' as i8);
    let space = _mm256_set1_epi8(b' ' as i8);
    let (mut consumed, mut written) = (0, 0);
    while consumed < text.len() {
        let len = (text.len() - consumed).min(STEP);
        let present = u32::MAX >> (STEP - len);
        // SAFETY: only bytes of the text are loaded; the mask leaves out what is behind it.
        let bytes = unsafe { _mm256_maskz_loadu_epi8(present, text.as_ptr().add(consumed).cast()) };
        let escaped = _mm256_cmpeq_epi8_mask(bytes, quote) | _mm256_cmpeq_epi8_mask(bytes, backslash);
        let controls = _mm256_mask_cmplt_epu8_mask(present, bytes, space);
        if controls != 0 {
            let before = (controls & controls.wrapping_neg()) - 1;
            // SAFETY: as below.
            written += unsafe { put(bytes, escaped & before, before, out.add(written)) };
            return (consumed + before.count_ones() as usize, written);
        }
        // SAFETY: so far at most twice as much was written as was consumed, and there is room for 64 bytes more.
        written += unsafe { put(bytes, escaped, present, out.add(written)) };
        consumed += len;
    }
    (consumed, written)
}

/// Writes the bytes present, those `escaped` with a backslash before them; returns how many were written.
///
/// # Safety
/// The CPU is as for `escape`, and at `out` there is room for 64 bytes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi2,bmi2")]
unsafe fn put(bytes: __m256i, escaped: u32, present: u32, out: *mut u8) -> usize {
    if escaped == 0 {
        // SAFETY: there is room for 64 bytes.
        unsafe { _mm256_storeu_si256(out.cast(), bytes) };
        return present.count_ones() as usize;
    }
    let wide = _mm512_slli_epi16::<8>(_mm512_cvtepu8_epi16(bytes));
    let wide: __m512i = _mm512_or_si512(wide, _mm512_set1_epi16(i16::from(b'\\')));
    let kept = _pdep_u64(u64::from(escaped), BACKSLASHES) | _pdep_u64(u64::from(present), BYTES);
    // SAFETY: there is room for 64 bytes.
    unsafe { _mm512_storeu_si512(out.cast(), _mm512_maskz_compress_epi8(kept, wide)) };
    kept.count_ones() as usize
}
