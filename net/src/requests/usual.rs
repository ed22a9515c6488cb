//! Reads data that is written as nearly all clients write it, in one pass and without a tree of it: an object, or an array
//! of objects, whose members are texts, integers, true, false or null, each given once, with no white space but spaces.
//!
//! It says what the request is, or that it can't tell, never that something is wrong: for that, and for all other JSON,
//! there is the parser behind `decode`. So it must not take what that refuses, nor take anything otherwise, which tests and
//! a fuzz target compare.

use crate::requests::field::{Field, field};
use crate::requests::kind::Kind;
use crate::requests::members::{Members, Value};
use crate::requests::read::read_object;
use crate::requests::vectors::Quotes;
use fluxion_engine::{Record, RecordKey, Request};
use std::ops::Range;

/// Reads the data of a request to the shards; none if it is not for this reader.
pub fn read_usual(kind: Kind, quotes: &Quotes) -> Option<Request<&str>> {
    let mut reader = Reader { text: quotes.text()?, at: 0, quotes: quotes.places() };
    let request = match kind {
        Kind::Insert => Request::Insert(reader.list(14, |reader| reader.item()?.record())?),
        Kind::DeleteRecords => Request::DeleteRecords(reader.list(10, |reader| reader.item()?.key())?),
        Kind::Latest
        | Kind::History
        | Kind::DeleteDocument
        | Kind::DeleteCollection
        | Kind::DeleteRecord
        | Kind::DeleteRange
        | Kind::SetValue
        | Kind::GetValue
        | Kind::MatchValues
        | Kind::AllValues
        | Kind::Keys
        | Kind::RemoveValue => {
            let mut members = Members::default();
            reader.members(&mut members)?;
            read_object(kind, &members).ok()?
        }
        _ => return None,
    };
    reader.is_at_end().then_some(request)
}

/// A place in a text.
struct Reader<'t> {
    text: &'t str,
    at: usize,
    /// The quotes that have not been passed.
    quotes: &'t [u32],
}

impl<'t> Reader<'t> {
    /// The next byte that is no space.
    #[inline]
    fn peek(&mut self) -> Option<u8> {
        loop {
            match *self.text.as_bytes().get(self.at)? {
                b' ' => self.at += 1,
                byte => return Some(byte),
            }
        }
    }

    #[inline]
    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Option<()> {
        self.take(byte).then_some(())
    }

    fn is_at_end(&mut self) -> bool {
        self.peek().is_none() && self.quotes.is_empty()
    }

    /// The place of a string between its quotes.
    #[inline]
    fn place(&mut self) -> Option<Range<usize>> {
        self.peek()?;
        let [open, close, rest @ ..] = self.quotes else { return None };
        let (open, close) = (*open as usize, *close as usize);
        // A quote that stands here, but among its text's escaped ones, would not be the next of the places.
        if open != self.at {
            return None;
        }
        self.quotes = rest;
        self.at = close + 1;
        Some(open + 1..close)
    }

    #[inline]
    fn string(&mut self) -> Option<&'t str> {
        let place = self.place()?;
        self.text.get(place)
    }

    /// An integer of at most 18 digits, which always fits, or 19 that do.
    #[inline]
    fn integer(&mut self) -> Option<i64> {
        let rest = self.text.as_bytes().get(self.at..)?;
        let is_negative = rest.first() == Some(&b'-');
        let digits = &rest[usize::from(is_negative)..];
        let (mut number, mut len) = match digits.first_chunk().and_then(eight_digits) {
            Some(number) => (number, 8),
            None => (0, 0),
        };
        while let Some(byte @ b'0'..=b'9') = digits.get(len) {
            if len == 19 {
                return None;
            }
            number = number * 10 + u64::from(byte - b'0');
            len += 1;
        }
        if len == 0 || (len > 1 && digits[0] == b'0') {
            return None;
        }
        // Behind it must be what ends a value, so that this was all of the number.
        let ends = matches!(digits.get(len), Some(b',' | b'}' | b' '));
        self.at += usize::from(is_negative) + len;
        let number = i64::try_from(number).ok().filter(|_| ends)?;
        Some(if is_negative { -number } else { number })
    }

    fn word(&mut self, word: &str) -> Option<()> {
        let found = self.text.get(self.at..)?.starts_with(word);
        self.at += word.len();
        found.then_some(())
    }

    /// The value of a member, which is set where it will be read: passing it on would cost more than reading it.
    #[inline]
    fn value(&mut self, members: &mut Members<'t>, field: Field) -> Option<()> {
        match self.peek()? {
            b'"' => members.set(field, Some(Value::Text(self.string()?))),
            b't' => self.word("true").map(|()| members.set(field, Some(Value::Flag(true))))?,
            b'f' => self.word("false").map(|()| members.set(field, Some(Value::Flag(false))))?,
            b'n' => self.word("null")?,
            _ => members.set(field, Some(Value::Integer(self.integer()?))),
        }
        Some(())
    }

    /// The members of an object; each known one is given to `take`, which says whether it may stand here.
    #[inline]
    fn object(&mut self, mut take: impl FnMut(&mut Self, Field) -> Option<()>) -> Option<()> {
        self.expect(b'{')?;
        if self.take(b'}') {
            return Some(());
        }
        loop {
            let name = field(self.string()?)?;
            self.expect(b':')?;
            self.peek()?;
            take(self, name)?;
            if !self.take(b',') {
                return self.expect(b'}');
            }
        }
    }

    fn members(&mut self, members: &mut Members<'t>) -> Option<()> {
        let mut given = 0u32;
        self.object(|reader, field| {
            let bit = 1 << field as u32;
            let is_new = given & bit == 0;
            given |= bit;
            reader.value(members, field)?;
            is_new.then_some(())
        })
    }

    /// An array of objects that have so many quotes each.
    fn list<T>(
        &mut self,
        quotes_each: usize,
        mut read: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        let mut items = Vec::with_capacity(self.quotes.len() / quotes_each);
        self.expect(b'[')?;
        if self.take(b']') {
            return Some(items);
        }
        loop {
            items.push(read(self)?);
            if !self.take(b',') {
                return self.expect(b']').map(|()| items);
            }
        }
    }

    #[inline]
    fn item(&mut self) -> Option<Item<'t>> {
        let mut item = Item::default();
        self.expect(b'{')?;
        loop {
            let name = self.place()?;
            let name = self.text.as_bytes().get(name)?;
            self.expect(b':')?;
            let text = match name {
                b"ts" => {
                    self.peek()?;
                    item.ts.replace(self.integer()?).is_none().then_some(())?;
                    None
                }
                b"data" => Some(&mut item.data),
                b"doc" | b"key" => Some(&mut item.document),
                b"col" | b"collection" => Some(&mut item.collection),
                _ => return None,
            };
            if let Some(text) = text {
                text.replace(self.string()?).is_none().then_some(())?;
            }
            if !self.take(b',') {
                return self.expect(b'}').map(|()| item);
            }
        }
    }
}

/// The number that eight digits are.
#[inline]
fn eight_digits(digits: &[u8; 8]) -> Option<u64> {
    const ZEROS: u64 = u64::from_le_bytes(*b"00000000");
    let word = u64::from_le_bytes(*digits);
    // Each byte is a digit if its upper half is that of one, and still is with six added.
    let upper_halves = 0xf0f0_f0f0_f0f0_f0f0;
    if word & upper_halves != ZEROS || word.wrapping_add(0x0606_0606_0606_0606) & upper_halves != ZEROS {
        return None;
    }
    // Neighbours are put together: digits to pairs, pairs to fours, fours to the whole. The first is the lowest byte.
    let pairs = ((word - ZEROS) * 10 + ((word - ZEROS) >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    Some((fours * 10_000 + (fours >> 32)) & 0xffff_ffff)
}

/// What records and their keys have.
#[derive(Default)]
struct Item<'t> {
    collection: Option<&'t str>,
    document: Option<&'t str>,
    ts: Option<i64>,
    data: Option<&'t str>,
}

impl<'t> Item<'t> {
    #[inline]
    fn record(&self) -> Option<Record<&'t str>> {
        let RecordKey { collection, document, ts } = self.key()?;
        Some(Record { collection, document, ts, data: self.data? })
    }

    #[inline]
    fn key(&self) -> Option<RecordKey<&'t str>> {
        Some(RecordKey {
            collection: self.collection.filter(|name| !name.is_empty())?,
            document: self.document.filter(|name| !name.is_empty())?,
            ts: self.ts?,
        })
    }
}

#[cfg(test)]
#[path = "usual_tests.rs"]
mod tests;
