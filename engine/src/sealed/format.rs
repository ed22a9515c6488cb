//! The bytes of a sealed chunk: constants, the fixed head, and the reading and writing of single values.
//!
//! `docs/format.md` defines the format; names here are those of that document. Nothing here trusts what it reads.

use std::fmt;

/// The first bytes of every sealed chunk.
pub(super) const MAGIC: [u8; 4] = *b"FXSC";

/// The version that this code writes and reads.
pub(super) const VERSION: u16 = 1;

/// Bytes of the fixed head, behind which the templates begin.
pub(super) const HEAD_BYTES: usize = 52;

/// Bytes of the checksum, which is last.
pub(super) const CHECKSUM_BYTES: usize = 4;

/// Records in a block; only the last block of a chunk has fewer.
pub const BLOCK_RECORDS: usize = 128;

/// Digits after the point that a number may have, and digits of its mantissa.
pub(super) const DIGITS_MAX: u8 = 18;

/// Why bytes are no sealed chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damaged {
    /// They don't begin as a sealed chunk does.
    Magic,
    /// A version that this code does not know.
    Version(u16),
    /// They are fewer or more than they say; also if they are too few for a head.
    Length {
        /// The bytes that there are.
        found: usize,
        /// The bytes that there should be.
        expected: usize,
    },
    /// Something has changed since they were written.
    Checksum {
        /// As stored with them.
        stored: u32,
        /// Of the bytes as they are.
        computed: u32,
    },
    /// The checksum is right, but a part makes no sense.
    Part {
        /// The part, in words.
        part: &'static str,
        /// The place of it in the bytes.
        at: usize,
    },
    /// The table of templates that they refer to is not there, or is another.
    Table(u64),
}

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Magic => write!(f, "these bytes are no sealed chunk"),
            Self::Version(version) => {
                write!(f, "the chunk's format is version {version}, only {VERSION} is known")
            }
            Self::Length { found, expected } => {
                write!(f, "the chunk has {found} bytes where {expected} are expected")
            }
            Self::Checksum { stored, computed } => {
                write!(f, "the chunk's checksum is {stored:08x}, but its bytes have {computed:08x}")
            }
            Self::Part { part, at } => write!(f, "the chunk's {part} at byte {at} makes no sense"),
            Self::Table(id) => {
                write!(f, "the chunk refers to table {id} of templates, which is missing or different")
            }
        }
    }
}

impl std::error::Error for Damaged {}

/// Reads so many bytes; zeros where there are none.
pub(super) fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array(bytes, at))
}

pub(super) fn i64_at(bytes: &[u8], at: usize) -> i64 {
    i64::from_le_bytes(array(bytes, at))
}

/// The inverse of what makes small numbers of either sign small: 0, -1, 1, -2 and so on.
fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Writes seven bits a byte, the lowest first, each byte but the last with its highest bit set.
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u128) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(super) fn put_signed(out: &mut Vec<u8>, value: i128) {
    put_varint(out, ((value << 1) ^ (value >> 127)) as u128);
}

/// A place in the bytes of a chunk, and where the part ends that is read there.
#[derive(Clone, Copy)]
pub(super) struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Input<'a> {
    /// Begins to read a part; an end beyond the bytes is cut.
    pub(super) fn new(bytes: &'a [u8], at: usize, end: usize) -> Self {
        let end = end.min(bytes.len());
        Self { bytes, at: at.min(end), end }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn left(&self) -> usize {
        self.end - self.at
    }

    pub(super) fn error(&self, part: &'static str) -> Damaged {
        Damaged::Part { part, at: self.at }
    }

    /// Passes over so many bytes and returns where they begin.
    pub(super) fn skip(&mut self, count: usize, part: &'static str) -> Result<usize, Damaged> {
        if count > self.left() {
            return Err(self.error(part));
        }
        self.at += count;
        Ok(self.at - count)
    }

    pub(super) fn take(&mut self, count: usize, part: &'static str) -> Result<&'a [u8], Damaged> {
        let at = self.skip(count, part)?;
        Ok(&self.bytes[at..at + count])
    }

    /// All bytes of the chunk from a place on, whatever they belong to.
    pub(super) fn rest(&self, at: usize) -> &'a [u8] {
        self.bytes.get(at..).unwrap_or_default()
    }

    pub(super) fn byte(&mut self, part: &'static str) -> Result<u8, Damaged> {
        let at = self.skip(1, part)?;
        Ok(self.bytes[at])
    }

    pub(super) fn varint(&mut self, part: &'static str) -> Result<u64, Damaged> {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = self.byte(part)?;
            value |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                // The tenth byte has room for one bit.
                return if shift == 63 && byte > 1 { Err(self.error(part)) } else { Ok(value) };
            }
            shift += 7;
            if shift > 63 {
                return Err(self.error(part));
            }
        }
    }

    pub(super) fn signed(&mut self, part: &'static str) -> Result<i64, Damaged> {
        self.varint(part).map(unzigzag)
    }

    /// Reads a count or length of at most so much.
    pub(super) fn count(&mut self, max: usize, part: &'static str) -> Result<usize, Damaged> {
        let value = self.varint(part)?;
        usize::try_from(value).ok().filter(|&value| value <= max).ok_or_else(|| self.error(part))
    }

    pub(super) fn wide(&mut self, part: &'static str) -> Result<u128, Damaged> {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = self.byte(part)?;
            value |= u128::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                // The nineteenth byte has room for two bits.
                return if shift == 126 && byte > 3 { Err(self.error(part)) } else { Ok(value) };
            }
            shift += 7;
            if shift > 126 {
                return Err(self.error(part));
            }
        }
    }

    pub(super) fn wide_signed(&mut self, part: &'static str) -> Result<i128, Damaged> {
        let value = self.wide(part)?;
        Ok((value >> 1) as i128 ^ -((value & 1) as i128))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_from_their_varints() {
        let wide = [0, 1, -1, 63, -64, 64, i128::from(i64::MAX), i128::from(i64::MIN), i128::MAX, i128::MIN];
        for value in wide {
            let mut out = Vec::new();
            put_signed(&mut out, value);
            let mut input = Input::new(&out, 0, out.len());
            assert_eq!(input.wide_signed("number"), Ok(value));
            assert_eq!(input.left(), 0);
            if let Ok(value) = i64::try_from(value) {
                assert_eq!(Input::new(&out, 0, out.len()).signed("number"), Ok(value));
            }
        }
    }

    #[test]
    fn a_varint_without_end_or_too_large_is_refused() {
        let error = Damaged::Part { part: "number", at: 10 };
        assert_eq!(Input::new(&[0xFF; 30], 0, 30).varint("number"), Err(error));
        assert!(Input::new(&[0xFF; 30], 0, 30).wide("number").is_err());
        assert!(Input::new(&[0x80, 0x80], 0, 2).varint("number").is_err());
        assert!(Input::new(&[0x80, 0x01], 0, 1).varint("number").is_err());
        assert_eq!(Input::new(&[0x80, 0x01], 0, 2).varint("number"), Ok(128));
    }
}
