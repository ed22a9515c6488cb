//! A block of a text column: numbers of a dictionary, or the texts themselves, plain, by a small alphabet, or by zstd.

use super::bits::{Ints, pack, packed_bytes, unpack, width_of};
use super::format::{BLOCK_RECORDS, Damaged, Input, put_varint};
use super::ints::{put_ints, take_ints};

/// A block of numbers of the column's dictionary.
const DICTIONARY: u8 = 0;

/// A block of texts as they are.
const PLAIN: u8 = 1;

/// A block of places in an alphabet.
const ALPHABET: u8 = 2;

/// A block that zstd has compressed.
const ZSTD: u8 = 3;

/// More characters than this are no alphabet: six bits for each gain little over the text itself.
const ALPHABET_LEN_MAX: usize = 64;

/// An alphabet of so few characters is what random ids have: zstd finds nothing more in them, and takes much longer.
const ALPHABET_LEN_GOOD: usize = 16;

/// Shorter texts are not given to zstd: its own head would eat the gain.
const ZSTD_BYTES_MIN: usize = 48;

/// The fastest of zstd's levels that still looks for repetitions well.
const ZSTD_LEVEL: i32 = 1;

/// Where a text lies, in the bytes of the chunk or in a buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) at: u32,
    pub(super) len: u32,
}

impl Span {
    pub(super) fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.at as usize..self.at as usize + self.len as usize).unwrap_or_default()
    }
}

/// The bytes that texts have.
#[derive(Clone, Copy)]
pub(super) struct Alphabet([bool; 256]);

impl Alphabet {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut known = [false; 256];
        bytes.iter().for_each(|&byte| known[usize::from(byte)] = true);
        Self(known)
    }

    pub(super) fn is_ascii(&self) -> bool {
        !self.0[128..].contains(&true)
    }

    pub(super) fn symbols(&self) -> impl Iterator<Item = u8> {
        (0..=255).filter(|&byte| self.0[usize::from(byte)])
    }
}

/// Compresses the blocks that a dictionary does not suit.
#[derive(Default)]
pub(super) struct TextPacker {
    zstd: Option<zstd::bulk::Compressor<'static>>,
    packed: Vec<u8>,
}

impl TextPacker {
    /// Appends a block of texts that lie one behind the other.
    pub(super) fn put(&mut self, out: &mut Vec<u8>, text: &[u8], lengths: &[i64], may_pack: bool) {
        let alphabet = Alphabet::of(text);
        let symbols = alphabet.symbols().count();
        let packed_alphabet = if may_pack && symbols <= ALPHABET_LEN_MAX && alphabet.is_ascii() {
            1 + symbols + packed_bytes(text.len(), alphabet_width(symbols))
        } else {
            usize::MAX
        };
        let good = symbols <= ALPHABET_LEN_GOOD && packed_alphabet < text.len() / 4 * 3;
        let zstd = may_pack && !good && self.compress(text);
        let packed_zstd = if zstd { 3 + self.packed.len() } else { usize::MAX };
        if packed_zstd < packed_alphabet.min(text.len()) {
            out.push(ZSTD);
            put_ints(out, lengths);
            put_varint(out, self.packed.len() as u128);
            out.extend_from_slice(&self.packed);
        } else if packed_alphabet < text.len() {
            out.push(ALPHABET);
            put_ints(out, lengths);
            put_alphabet(out, text, &alphabet, symbols);
        } else {
            out.push(PLAIN);
            put_ints(out, lengths);
            out.extend_from_slice(text);
        }
    }

    /// Whether zstd has made something shorter, which then lies in `packed`.
    fn compress(&mut self, text: &[u8]) -> bool {
        if text.len() < ZSTD_BYTES_MIN {
            return false;
        }
        if self.zstd.is_none() {
            self.zstd = compressor();
        }
        let Some(zstd) = &mut self.zstd else { return false };
        self.packed.clear();
        self.packed.reserve(zstd::zstd_safe::compress_bound(text.len()));
        zstd.compress_to_buffer(text, &mut self.packed).is_ok_and(|length| length < text.len())
    }
}

/// Makes a compressor whose frames say nothing that the block says already.
fn compressor() -> Option<zstd::bulk::Compressor<'static>> {
    use zstd::zstd_safe::CParameter;
    let mut zstd = zstd::bulk::Compressor::new(ZSTD_LEVEL).ok()?;
    zstd.set_parameter(CParameter::ContentSizeFlag(false)).ok()?;
    zstd.set_parameter(CParameter::ChecksumFlag(false)).ok()?;
    Some(zstd)
}

/// The bits of a character of an alphabet of so many.
fn alphabet_width(symbols: usize) -> u32 {
    width_of(symbols.saturating_sub(1) as u64)
}

fn put_alphabet(out: &mut Vec<u8>, text: &[u8], alphabet: &Alphabet, symbols: usize) {
    out.push(symbols as u8);
    let mut places = [0; 256];
    for (place, symbol) in alphabet.symbols().enumerate() {
        out.push(symbol);
        places[usize::from(symbol)] = place as i64;
    }
    let width = alphabet_width(symbols);
    let mut values = [0; BLOCK_RECORDS];
    for part in text.chunks(BLOCK_RECORDS) {
        values.iter_mut().zip(part).for_each(|(value, &byte)| *value = places[usize::from(byte)]);
        pack(&mut values, part.len(), width, out);
    }
}

/// Appends a block of numbers of a dictionary.
pub(super) fn put_dictionary_block(out: &mut Vec<u8>, ids: &[i64]) {
    out.push(DICTIONARY);
    put_ints(out, ids);
}

/// Decompresses blocks; its buffer holds those of the block that was read last.
#[derive(Default)]
pub(super) struct TextUnpacker {
    zstd: Option<zstd::bulk::Decompressor<'static>>,
    pub(super) arena: Vec<u8>,
}

/// What a block of texts may refer to, and how much text there may be.
pub(super) struct TextBounds<'a> {
    /// The texts of the column's dictionary, which lie in the chunk.
    pub(super) dictionary: Option<&'a [Span]>,
    /// The bytes of text that are left for the block; a damaged one must not make more.
    pub(super) budget: &'a mut usize,
}

const PART: &str = "block of texts";

impl TextUnpacker {
    /// Reads a block of so many texts. True if they lie in `arena`, not in the chunk.
    pub(super) fn take(
        &mut self,
        input: &mut Input<'_>,
        count: usize,
        bounds: &mut TextBounds<'_>,
        spans: &mut [Span; BLOCK_RECORDS],
    ) -> Result<bool, Damaged> {
        let kind = input.byte(PART)?;
        let mut values = [0; BLOCK_RECORDS];
        take_ints(input, count, &mut values, PART)?;
        let values = &values[..count];
        if kind == DICTIONARY {
            let dictionary = bounds.dictionary.unwrap_or_default();
            for (span, &id) in spans.iter_mut().zip(values) {
                let known = usize::try_from(id).ok().and_then(|id| dictionary.get(id));
                *span = *known.ok_or_else(|| input.error(PART))?;
                spend(bounds.budget, span.len as usize, input)?;
            }
            return Ok(false);
        }
        let mut total = 0_u64;
        for &length in values {
            let length = u32::try_from(length).map_err(|_| input.error(PART))?;
            spend(bounds.budget, length as usize, input)?;
            total += u64::from(length);
        }
        let total = usize::try_from(total).map_err(|_| input.error(PART))?;
        let (start, in_arena) = match kind {
            PLAIN => (input.skip(total, PART)?, false),
            ALPHABET => (self.take_alphabet(input, total)?, true),
            ZSTD => (self.take_zstd(input, total)?, true),
            _ => return Err(input.error(PART)),
        };
        let mut at = u32::try_from(start).map_err(|_| input.error(PART))?;
        for (span, &length) in spans.iter_mut().zip(values) {
            *span = Span { at, len: length as u32 };
            at = at.wrapping_add(length as u32);
        }
        Ok(in_arena)
    }

    fn take_alphabet(&mut self, input: &mut Input<'_>, total: usize) -> Result<usize, Damaged> {
        let symbols = usize::from(input.byte(PART)?);
        if !(1..=ALPHABET_LEN_MAX).contains(&symbols) {
            return Err(input.error(PART));
        }
        let mut alphabet = [0; ALPHABET_LEN_MAX];
        alphabet[..symbols].copy_from_slice(input.take(symbols, PART)?);
        // ASCII, so that each text is UTF-8 wherever it begins.
        if !alphabet.is_ascii() {
            return Err(input.error(PART));
        }
        let width = alphabet_width(symbols);
        let mut at = input.skip(packed_bytes(total, width), PART)?;
        let start = self.arena.len();
        self.arena.resize(start + total, 0);
        let mut places: Ints = [0; BLOCK_RECORDS];
        for part in self.arena[start..].chunks_mut(BLOCK_RECORDS) {
            unpack(input.rest(at), part.len(), width, &mut places);
            part.iter_mut()
                .zip(&places)
                .for_each(|(out, &place)| *out = alphabet[place as usize % ALPHABET_LEN_MAX]);
            at += packed_bytes(part.len(), width);
        }
        Ok(start)
    }

    fn take_zstd(&mut self, input: &mut Input<'_>, total: usize) -> Result<usize, Damaged> {
        let length = input.count(input.left(), PART)?;
        let packed = input.take(length, PART)?;
        let start = self.arena.len();
        self.arena.resize(start + total, 0);
        if self.zstd.is_none() {
            self.zstd = zstd::bulk::Decompressor::new().ok();
        }
        let found = self
            .zstd
            .as_mut()
            .and_then(|zstd| zstd.decompress_to_buffer(packed, &mut self.arena[start..]).ok());
        if found == Some(total) { Ok(start) } else { Err(input.error("compressed text")) }
    }
}

/// Takes some of what is left.
pub(super) fn spend(budget: &mut usize, bytes: usize, input: &Input<'_>) -> Result<(), Damaged> {
    *budget = budget.checked_sub(bytes).ok_or_else(|| input.error("length of text"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind_of(texts: &[&str]) -> u8 {
        let lengths: Vec<i64> = texts.iter().map(|text| text.len() as i64).collect();
        let text = texts.concat();
        let mut out = Vec::new();
        TextPacker::default().put(&mut out, text.as_bytes(), &lengths, true);
        assert!(out.len() <= text.len() + 1 + 32 + lengths.len() * 2);
        let mut unpacker = TextUnpacker::default();
        let mut spans = [Span::default(); BLOCK_RECORDS];
        for end in 0..=out.len() {
            let mut budget = text.len();
            let mut bounds = TextBounds { dictionary: None, budget: &mut budget };
            let mut input = Input::new(&out, 0, end);
            unpacker.arena.clear();
            let taken = unpacker.take(&mut input, texts.len(), &mut bounds, &mut spans);
            assert_eq!(taken.is_ok(), end == out.len());
            if let Ok(in_arena) = taken {
                assert_eq!(budget, 0);
                let bytes = if in_arena { &unpacker.arena } else { &out };
                let found: Vec<_> = spans.iter().map(|span| span.of(bytes)).take(texts.len()).collect();
                assert_eq!(found, texts.iter().map(|text| text.as_bytes()).collect::<Vec<_>>());
            }
        }
        let mut short = text.len().wrapping_sub(1);
        let mut bounds = TextBounds { dictionary: None, budget: &mut short };
        let taken = unpacker.take(&mut Input::new(&out, 0, out.len()), texts.len(), &mut bounds, &mut spans);
        assert_eq!(taken.is_err(), !text.is_empty());
        out[0]
    }

    #[test]
    fn each_block_is_written_as_suits_it() {
        let ids: Vec<String> =
            (1..100_u64).map(|n| format!("{:016x}", n.wrapping_mul(0x9E37_79B9_7F4A_7C15))).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        assert_eq!(kind_of(&ids), ALPHABET);
        assert_eq!(kind_of(&["the quick brown fox jumps over the lazy dog, größer als"; 30]), ZSTD);
        assert_eq!(kind_of(&["zwölf", "", "x"]), PLAIN);
        assert_eq!(kind_of(&[""; 128]), PLAIN);
        assert_eq!(kind_of(&["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"; 9]), ALPHABET);
    }

    #[test]
    fn numbers_beyond_the_dictionary_are_refused() {
        let dictionary = [Span { at: 0, len: 1 }, Span { at: 1, len: 0 }];
        for (ids, good) in [([0, 1, 0], true), ([0, 2, 0], false), ([0, -1, 0], false)] {
            let mut out = Vec::new();
            put_dictionary_block(&mut out, &ids);
            let mut bounds = TextBounds { dictionary: Some(&dictionary), budget: &mut 2 };
            let mut spans = [Span::default(); BLOCK_RECORDS];
            let taken =
                TextUnpacker::default().take(&mut Input::new(&out, 0, out.len()), 3, &mut bounds, &mut spans);
            assert_eq!(taken.is_ok(), good);
        }
    }
}
