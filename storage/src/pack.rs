//! Changes as the bytes of the log: in order of execution, each with a byte that says what it is.
//!
//! The byte's lower half is the kind; its upper half says which names are those of the change before. Texts have their length
//! in front, times are differences to the change before; both are written seven bits a byte, the lowest first.
//! `docs/format.md` defines it.

use fluxion_engine::{Change, ChangeRef};

const PUT: u8 = 0;
const DELETE_RECORD: u8 = 1;
const DELETE_RANGE: u8 = 2;
const DELETE_DOCUMENT: u8 = 3;
const DELETE_COLLECTION: u8 = 4;
const SET_VALUE: u8 = 5;
const REMOVE_VALUE: u8 = 6;
const SET_API_KEY: u8 = 7;
const REMOVE_API_KEY: u8 = 8;

const KIND_BITS: u8 = 0x0f;
const SAME_COLLECTION: u8 = 0x10;
const SAME_NAME: u8 = 0x20;

/// Writes changes.
#[derive(Default)]
pub(crate) struct Packer<'a> {
    pub(crate) bytes: Vec<u8>,
    /// The number of changes in it.
    pub(crate) changes: usize,
    collection: &'a str,
    name: &'a str,
    ts: i64,
}

impl<'a> Packer<'a> {
    pub(crate) fn push(&mut self, change: ChangeRef<'a>) {
        match change {
            Change::Put { collection, document, ts, data } => {
                self.names(PUT, collection, Some(document));
                self.time(ts);
                self.text(data);
            }
            Change::DeleteRecord { collection, document, ts } => {
                self.names(DELETE_RECORD, collection, Some(document));
                self.time(ts);
            }
            Change::DeleteRange { collection, document, from, to } => {
                self.names(DELETE_RANGE, collection, Some(document));
                self.time(from);
                self.time(to);
            }
            Change::DeleteDocument { collection, document } => {
                self.names(DELETE_DOCUMENT, collection, Some(document));
            }
            Change::DeleteCollection { collection } => self.names(DELETE_COLLECTION, collection, None),
            Change::SetValue { collection, key, value } => {
                self.names(SET_VALUE, collection, Some(key));
                self.text(value);
            }
            Change::RemoveValue { collection, key } => self.names(REMOVE_VALUE, collection, Some(key)),
            Change::SetApiKey { key, scope } => {
                self.bytes.push(SET_API_KEY);
                self.text(key);
                self.text(scope);
            }
            Change::RemoveApiKey { key } => {
                self.bytes.push(REMOVE_API_KEY);
                self.text(key);
            }
        }
        self.changes += 1;
    }

    fn names(&mut self, kind: u8, collection: &'a str, name: Option<&'a str>) {
        let same_collection = self.collection == collection;
        let same_name = name.is_none_or(|name| self.name == name);
        let bit = |is: bool, bit: u8| if is { bit } else { 0 };
        self.bytes.push(kind | bit(same_collection, SAME_COLLECTION) | bit(same_name, SAME_NAME));
        if !same_collection {
            self.text(collection);
            self.collection = collection;
        }
        if let Some(name) = name.filter(|_| !same_name) {
            self.text(name);
            self.name = name;
        }
    }

    fn time(&mut self, ts: i64) {
        let difference = ts.wrapping_sub(self.ts);
        self.number(((difference << 1) ^ (difference >> 63)) as u64);
        self.ts = ts;
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.bytes.extend_from_slice(text.as_bytes());
    }

    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }
}

/// Reads the changes that a packer has written. An item is none where the bytes make no sense; nothing follows that.
pub(crate) struct Unpacker<'a> {
    bytes: &'a [u8],
    collection: &'a str,
    name: &'a str,
    ts: i64,
}

impl<'a> Unpacker<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Unpacker<'a> {
        Unpacker { bytes, collection: "", name: "", ts: 0 }
    }

    fn change(&mut self) -> Option<ChangeRef<'a>> {
        let first = self.byte()?;
        let kind = first & KIND_BITS;
        if let SET_API_KEY | REMOVE_API_KEY = kind {
            let key = self.text()?;
            return Some(match kind {
                SET_API_KEY => Change::SetApiKey { key, scope: self.text()? },
                _ => Change::RemoveApiKey { key },
            });
        }
        if first & SAME_COLLECTION == 0 {
            self.collection = self.text()?;
        }
        if first & SAME_NAME == 0 {
            self.name = self.text()?;
        }
        let (collection, document, key) = (self.collection, self.name, self.name);
        Some(match kind {
            PUT => Change::Put { collection, document, ts: self.time()?, data: self.text()? },
            DELETE_RECORD => Change::DeleteRecord { collection, document, ts: self.time()? },
            DELETE_RANGE => {
                Change::DeleteRange { collection, document, from: self.time()?, to: self.time()? }
            }
            DELETE_DOCUMENT => Change::DeleteDocument { collection, document },
            DELETE_COLLECTION => Change::DeleteCollection { collection },
            SET_VALUE => Change::SetValue { collection, key, value: self.text()? },
            REMOVE_VALUE => Change::RemoveValue { collection, key },
            _ => return None,
        })
    }

    fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(byte)
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn time(&mut self) -> Option<i64> {
        let number = self.number()?;
        self.ts = self.ts.wrapping_add((number >> 1) as i64 ^ -((number & 1) as i64));
        Some(self.ts)
    }

    fn text(&mut self) -> Option<&'a str> {
        let len = usize::try_from(self.number()?).ok()?;
        let (text, rest) = self.bytes.split_at_checked(len)?;
        self.bytes = rest;
        std::str::from_utf8(text).ok()
    }
}

impl<'a> Iterator for Unpacker<'a> {
    type Item = Option<ChangeRef<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.bytes.is_empty() {
            return None;
        }
        let change = self.change();
        if change.is_none() {
            self.bytes = &[];
        }
        Some(change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<ChangeRef<'static>> {
        let (collection, document) = ("c", "d\0é");
        let put = |ts, data| Change::Put { collection, document, ts, data };
        vec![
            put(0, ""),
            put(i64::MAX, "{\"a\":1}"),
            put(i64::MIN, "x"),
            Change::DeleteRecord { collection, document, ts: -1 },
            Change::DeleteRange { collection, document: "other", from: i64::MIN, to: i64::MAX },
            Change::SetApiKey { key: "k", scope: "readonly" },
            Change::SetValue { collection: "c2", key: "other", value: "v" },
            Change::RemoveValue { collection: "c2", key: "" },
            Change::DeleteDocument { collection: "c2", document: "" },
            Change::DeleteCollection { collection: "c2" },
            Change::DeleteCollection { collection: "" },
            Change::RemoveApiKey { key: "" },
            put(1_700_000_000_000, "1"),
            put(1_700_000_000_001, "2"),
        ]
    }

    fn packed(changes: &[ChangeRef<'static>]) -> Vec<u8> {
        let mut packer = Packer::default();
        changes.iter().for_each(|change| packer.push(*change));
        assert_eq!(packer.changes, changes.len());
        packer.bytes
    }

    #[test]
    fn changes_come_back_as_they_were() {
        for start in 0..all().len() {
            let changes = &all()[start..];
            let bytes = packed(changes);
            let back: Option<Vec<_>> = Unpacker::new(&bytes).collect();
            assert_eq!(back.as_deref(), Some(changes));
        }
    }

    #[test]
    fn a_record_like_the_one_before_has_three_bytes_beside_its_text() {
        let changes = all();
        assert_eq!(packed(&changes).len() - packed(&changes[..changes.len() - 1]).len(), 4);
    }

    #[test]
    fn bytes_that_make_no_sense_end_without_a_panic() {
        let bytes = packed(&all());
        for cut in 0..bytes.len() {
            let count = Unpacker::new(&bytes[..cut]).count();
            assert!(count <= all().len());
        }
        for at in 0..bytes.len() {
            for flip in [1, 0x10, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] ^= flip;
                assert!(Unpacker::new(&damaged).count() <= damaged.len());
            }
        }
        assert_eq!(Unpacker::new(&[9]).collect::<Vec<_>>(), [None]);
        assert_eq!(Unpacker::new(&[PUT, 0xff, 0xff]).collect::<Vec<_>>(), [None]);
    }
}
