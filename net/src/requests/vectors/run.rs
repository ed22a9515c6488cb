//! The pass over a text, whatever the CPU: which bytes are escaped, which are kept, and where it ends.

use std::mem::MaybeUninit;

/// Bytes of a block.
pub const BLOCK: usize = 64;

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// All has been read.
    End,
    /// At the quote behind a string.
    Quote,
    /// At a control character.
    Control,
    /// At the backslash of an escape that others know, or of none.
    Escape,
}

/// Ends a run, besides an escape: nothing.
pub const NOTHING: u8 = 0;
/// The quote behind the string, and any control character.
pub const STRING_END: u8 = 1;
/// Any control character.
pub const CONTROL: u8 = 2;

/// What a run notes about a text besides, with `END` at `CONTROL`.
#[derive(Default)]
pub struct Marks {
    /// The places of the quotes that had no backslash.
    pub quotes: Vec<u32>,
    /// Not zero if there was a byte above ASCII.
    pub high: u64,
}

/// Sixty-four bytes, and what each form does its own way with them. Bit by bit, the lowest is of the first byte.
pub trait Block: Copy {
    /// The first bytes of a text; which of them there are.
    fn load(text: &[u8]) -> (Self, u64);
    /// The bytes that are this one.
    fn equal(self, byte: u8) -> u64;
    /// The bytes that are below a space.
    fn controls(self) -> u64;
    /// The bytes that are above ASCII.
    fn highs(self) -> u64;
    /// Writes the bytes to keep, one after the other; those behind them are left with anything.
    fn compress(self, keep: u64, to: &mut [MaybeUninit<u8>; BLOCK]);
    /// Writes where the marked bytes, which are kept, stand among all that are kept, behind `base`; at the least eight
    /// places, of which those behind the last one are left with anything.
    #[inline(always)]
    fn places(marked: u64, keep: u64, base: u32, to: &mut [MaybeUninit<u32>; BLOCK]) {
        let mut left = marked;
        for eight in to.as_chunks_mut::<8>().0 {
            for place in eight {
                let below = left.wrapping_sub(1) & !left;
                place.write(base + (keep & below).count_ones());
                left &= left.wrapping_sub(1);
            }
            if left == 0 {
                return;
            }
        }
    }
}

/// The backslashes that escape what is behind them, and what they escape; `carry` says whether the first byte is escaped
/// by one of the block before.
#[inline(always)]
fn escapes(backslashes: u64, carry: u64) -> (u64, u64) {
    const EVEN: u64 = 0x5555_5555_5555_5555;
    let free = backslashes & !carry;
    // In a run of backslashes every other one escapes, from its first on. Adding its first to a run carries over the
    // whole of it, which tells the runs that begin at an even place from the others.
    let even_starts = free & !(free << 1) & EVEN;
    let even_runs = free & !free.wrapping_add(even_starts);
    let escaping = (even_runs & EVEN) | (free & !even_runs & !EVEN);
    (escaping, (escaping << 1) | carry)
}

/// The bytes of a text that a block has, if it has fewer than all.
pub fn part(text: &[u8]) -> ([u8; BLOCK], u64) {
    let mut bytes = [0; BLOCK];
    bytes[..text.len()].copy_from_slice(text);
    (bytes, (1 << text.len()) - 1)
}

/// Appends the text that `raw` means, up to what ends the run; gives how many bytes of `raw` that took. Of `raw` it knows the
/// escapes `\"`, `\\` and `\/`, nearly all that there are in JSON within JSON. With `END` at `CONTROL` it notes its `marks`.
#[inline(always)]
pub fn run<B: Block, const END: u8>(raw: &[u8], text: &mut Vec<u8>, marks: &mut Marks) -> (usize, Stop) {
    // A text is never longer than what means it, and a block is written whole.
    text.reserve(raw.len() + BLOCK);
    let (mut from, mut carry) = (0, 0);
    loop {
        let (block, there) = B::load(&raw[from..]);
        let backslashes = block.equal(b'\\') & there;
        let (escaping, escaped) = escapes(backslashes, carry);
        let quote = block.equal(b'"') & there;
        let known = quote | backslashes | block.equal(b'/');
        let mut stops = escaped & there & !known;
        if END != NOTHING {
            stops |= block.controls() & there;
        }
        if END == STRING_END {
            stops |= quote & !escaped;
        }
        // The bytes below the first stop.
        let before = stops.wrapping_sub(1) & !stops & there;
        let keep = before & !escaping;
        if END == CONTROL {
            marks.high |= block.highs() & there;
            note::<B>(quote & !escaped & before, keep, text.len(), &mut marks.quotes);
        }
        append(block, keep, text);
        if stops != 0 {
            let at = from + before.count_ones() as usize;
            return if escaped & stops & stops.wrapping_neg() != 0 {
                (at - 1, Stop::Escape)
            } else if raw[at] == b'"' {
                (at, Stop::Quote)
            } else {
                (at, Stop::Control)
            };
        }
        if there != u64::MAX {
            // A backslash at the very end escapes nothing.
            let dangles = escaped & !there & (there + 1) != 0;
            return if dangles { (raw.len() - 1, Stop::Escape) } else { (raw.len(), Stop::End) };
        }
        (from, carry) = (from + BLOCK, escaping >> (BLOCK - 1));
    }
}

#[inline(always)]
fn append<B: Block>(block: B, keep: u64, text: &mut Vec<u8>) {
    let len = text.len();
    if let Some(room) = text.spare_capacity_mut().first_chunk_mut() {
        block.compress(keep, room);
        // SAFETY: there was room for a whole block, and as many bytes as are kept have been written to it.
        unsafe { text.set_len(len + keep.count_ones() as usize) };
    }
}

#[inline(always)]
fn note<B: Block>(marked: u64, keep: u64, base: usize, quotes: &mut Vec<u32>) {
    quotes.reserve(BLOCK);
    let len = quotes.len();
    if let Some(room) = quotes.spare_capacity_mut().first_chunk_mut() {
        B::places(marked, keep, base as u32, room);
        // SAFETY: there was room for as many as a block has bytes, and one for each mark has been written.
        unsafe { quotes.set_len(len + marked.count_ones() as usize) };
    }
}
