//! Templates: texts with marks where numbers and shorter texts go, and tables of them that many chunks share.
//!
//! UTF-8 has no bytes 0xFE and 0xFF, so these are the marks. What stands before, between and behind the marks are the
//! literals, one more than there are marks; each is UTF-8 by itself.

use super::format::{CHECKSUM_BYTES, Damaged, Input, put_varint, u32_at};
use crate::limits::{SEALED_SLOTS_MAX, SEALED_TABLE_TEMPLATES_MAX};

/// Stands for a number.
pub(super) const NUMBER: u8 = 0xFF;

/// Stands for a text.
pub(super) const TEXT: u8 = 0xFE;

/// A template whose only slot is the whole text.
pub(super) const WHOLE: &[u8] = &[TEXT];

/// Whether a byte is a mark, and which.
pub(super) fn is_mark(byte: u8) -> bool {
    byte >= TEXT
}

/// The literals of a template, each with the mark behind it; the last has none.
pub(super) fn pieces(template: &[u8]) -> impl Iterator<Item = (&[u8], Option<u8>)> {
    template.split_inclusive(|&byte| is_mark(byte)).chain(ends_marked(template).then_some(&[][..])).map(
        |piece| match piece.split_last() {
            Some((&mark, literal)) if is_mark(mark) => (literal, Some(mark)),
            _ => (piece, None),
        },
    )
}

/// Whether nothing follows the last mark, so that an empty literal is to be added.
fn ends_marked(template: &[u8]) -> bool {
    template.last().is_none_or(|&last| is_mark(last))
}

/// Whether these bytes are a template: its slots are few enough and its literals are UTF-8.
pub(super) fn is_template(template: &[u8]) -> bool {
    pieces(template).count() <= SEALED_SLOTS_MAX + 1
        && pieces(template).all(|(literal, _)| std::str::from_utf8(literal).is_ok())
}

/// Tells templates apart quickly.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let mix = |hash: u64, word: [u8; 8]| {
        let product = u128::from(hash ^ u64::from_le_bytes(word)) * 0x9E37_79B9_7F4A_7C15;
        (product >> 64) as u64 ^ product as u64
    };
    mix(words.iter().fold(bytes.len() as u64 ^ 0xA076_1D64_78BD_642F, |hash, &word| mix(hash, word)), last)
}

/// Templates that lie outside of the chunks that use them: many small documents of a collection have the same ones.
///
/// A table never changes. Its owner gives it a number, keeps it as long as a chunk has the `Arc` of it (`Arc::strong_count`
/// says so), and stores its bytes beside those of the chunks.
pub struct TemplateTable {
    id: u64,
    bytes: Box<[u8]>,
    /// Where each template lies in the bytes, and its hash.
    templates: Vec<(u32, u32, u64)>,
}

impl TemplateTable {
    /// Makes a table of these templates, as `Sealed::own_templates` tells them. Those that it can't take are left out.
    pub fn new<'a>(id: u64, templates: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut taken: Vec<&[u8]> = Vec::new();
        for template in templates {
            if taken.len() < SEALED_TABLE_TEMPLATES_MAX && is_template(template) && !taken.contains(&template)
            {
                taken.push(template);
            }
        }
        let mut bytes = Vec::new();
        put_varint(&mut bytes, taken.len() as u128);
        let mut places = Vec::new();
        for template in taken {
            put_varint(&mut bytes, template.len() as u128);
            places.push((bytes.len() as u32, template.len() as u32, hash(template)));
            bytes.extend_from_slice(template);
        }
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
        Self { id, bytes: bytes.into(), templates: places }
    }

    /// Takes the bytes of a table for what they are, if they are undamaged.
    pub fn from_bytes(id: u64, bytes: Box<[u8]>) -> Result<Self, Damaged> {
        let Some((body, stored)) = bytes.split_last_chunk::<CHECKSUM_BYTES>() else {
            return Err(Damaged::Length { found: bytes.len(), expected: 1 + CHECKSUM_BYTES });
        };
        let (stored, computed) = (u32::from_le_bytes(*stored), crc32fast::hash(body));
        if stored != computed {
            return Err(Damaged::Checksum { stored, computed });
        }
        let mut input = Input::new(body, 0, body.len());
        let count = input.count(SEALED_TABLE_TEMPLATES_MAX, "count of templates")?;
        let mut templates = Vec::new();
        for _ in 0..count {
            let length = input.count(body.len(), "length of a template")?;
            let at = input.skip(length, "template")?;
            let template = &body[at..at + length];
            if !is_template(template) {
                return Err(input.error("template"));
            }
            templates.push((at as u32, length as u32, hash(template)));
        }
        if input.left() > 0 {
            return Err(input.error("end of the templates"));
        }
        Ok(Self { id, bytes, templates })
    }

    /// The number that its owner gave it.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Returns the bytes to be stored.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many templates there are.
    pub fn len(&self) -> usize {
        self.templates.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.templates.is_empty()
    }

    /// The checksum of its bytes.
    pub(super) fn checksum(&self) -> u32 {
        u32_at(&self.bytes, self.bytes.len() - CHECKSUM_BYTES)
    }

    /// A template of it, if there are so many.
    pub(super) fn get(&self, index: usize) -> Option<&[u8]> {
        let &(at, length, _) = self.templates.get(index)?;
        self.bytes.get(at as usize..at as usize + length as usize)
    }

    /// The place of a template in the table.
    pub(super) fn find(&self, template: &[u8], template_hash: u64) -> Option<usize> {
        (0..self.templates.len())
            .find(|&index| self.templates[index].2 == template_hash && self.get(index) == Some(template))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_one_more_than_marks() {
        let split = |template: &'static [u8]| pieces(template).collect::<Vec<_>>();
        assert_eq!(split(b"a\xFFb"), [(&b"a"[..], Some(NUMBER)), (b"b", None)]);
        assert_eq!(split(b"\xFE"), [(&b""[..], Some(TEXT)), (b"", None)]);
        assert_eq!(split(b"\xFE\xFFx"), [(&b""[..], Some(TEXT)), (b"", Some(NUMBER)), (b"x", None)]);
        assert_eq!(split(b""), [(&b""[..], None)]);
        assert_eq!(split(b"plain"), [(&b"plain"[..], None)]);
        assert!(is_template("{\"größe\":".as_bytes()) && !is_template(b"\xC3\xFF\xB6"));
    }

    #[test]
    fn a_table_comes_back_from_its_bytes_and_damage_is_noticed() {
        let table = TemplateTable::new(7, [&b"{\"a\":\xFF}"[..], b"\xFE", b"{\"a\":\xFF}", b"\xC3\xFF"]);
        assert_eq!((table.len(), table.is_empty(), table.id()), (2, false, 7));
        let again = TemplateTable::from_bytes(7, table.bytes().into()).unwrap();
        assert_eq!((again.get(0), again.get(1), again.get(2)), (table.get(0), Some(WHOLE), None));
        assert_eq!(again.find(WHOLE, hash(WHOLE)), Some(1));
        for at in 0..table.bytes().len() {
            let mut bytes = table.bytes().to_vec();
            bytes[at] ^= 0x10;
            assert!(TemplateTable::from_bytes(7, bytes.into()).is_err());
            assert!(TemplateTable::from_bytes(7, table.bytes()[..at].into()).is_err());
        }
    }
}
