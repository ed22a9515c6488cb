//! Eight bytes a look, for CPUs without the vectors of the others.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Writes the text escaped up to the first control character; returns the bytes consumed and written.
///
/// # Safety
/// At `out` there is room for twice the text and 64 bytes.
pub(super) unsafe fn escape(text: &[u8], out: *mut u8) -> (usize, usize) {
    let (words, tail) = text.as_chunks::<8>();
    let mut written = 0;
    for (index, word) in words.iter().enumerate() {
        if !has_special(u64::from_le_bytes(*word)) {
            // SAFETY: at most twice as much was written as was consumed.
            unsafe { out.add(written).copy_from_nonoverlapping(word.as_ptr(), 8) };
            written += 8;
            continue;
        }
        // SAFETY: the same.
        let (len, put) = unsafe { escape_bytes(word, out.add(written)) };
        written += put;
        if len < 8 {
            return (index * 8 + len, written);
        }
    }
    // SAFETY: the same.
    let (len, put) = unsafe { escape_bytes(tail, out.add(written)) };
    (words.len() * 8 + len, written + put)
}

/// The same, one byte after the other.
///
/// # Safety
/// As for `escape`.
#[inline]
unsafe fn escape_bytes(text: &[u8], out: *mut u8) -> (usize, usize) {
    let mut written = 0;
    for (index, &byte) in text.iter().enumerate() {
        if byte < 0x20 {
            return (index, written);
        }
        // SAFETY: of each byte before, two were written at most. A backslash that isn't wanted is written over.
        unsafe { out.add(written).write(b'\\') };
        written += usize::from(byte == b'"' || byte == b'\\');
        // SAFETY: the same.
        unsafe { out.add(written).write(byte) };
        written += 1;
    }
    (text.len(), written)
}

/// Whether a byte is to be escaped.
fn has_special(word: u64) -> bool {
    let quotes = word ^ (ONES * b'"' as u64);
    let slashes = word ^ (ONES * b'\\' as u64);
    let below_space = word.wrapping_sub(ONES * 0x20) & !word;
    (below_space | (quotes.wrapping_sub(ONES) & !quotes) | (slashes.wrapping_sub(ONES) & !slashes)) & HIGHS
        != 0
}
