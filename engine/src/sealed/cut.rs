//! Cutting a text into a template and values.
//!
//! Any cut that gives the text back is right, so the templates of the latest texts are tried first: a comparison of their
//! literals finds the slots. Only a text that fits neither is read as what it most likely is, JSON: numbers, texts in quotes
//! that are no names of members, and the words true, false and null become slots.

use std::ops::Range;

use super::decimal::{Decimal, parse, parse_all};
use super::template::{NUMBER, TEXT, TemplateTable, WHOLE, hash, pieces};
use crate::limits::{SEALED_COLUMNS_MAX, SEALED_SLOTS_MAX, SEALED_TEMPLATES_MADE};

/// What goes in a slot.
pub(super) enum Value {
    Number(Decimal),
    /// This part of the text.
    Text(Range<usize>),
}

/// What follows a literal.
#[derive(Clone, Copy)]
enum Slot {
    End,
    Number,
    /// A text that ends before the next quote.
    Quoted,
    /// A text that ends with the last character of a word or number.
    Bare,
}

struct Piece {
    literal: Range<usize>,
    slot: Slot,
}

/// A template of the chunk that is being sealed.
struct Known {
    hash: u64,
    template: Range<usize>,
    pieces: Range<usize>,
    first_column: usize,
    shared: Option<usize>,
}

/// Finds the templates of a chunk. All that it holds is used again for the next chunk.
#[derive(Default)]
pub(super) struct Cutter {
    known: Vec<Known>,
    bytes: Vec<u8>,
    pieces: Vec<Piece>,
    /// The kind of each column, in order of templates and slots.
    columns: Vec<u8>,
    skeleton: Vec<u8>,
    values: Vec<Value>,
    latest: [usize; 2],
    whole: Option<usize>,
}

impl Cutter {
    /// Forgets the templates, before a new chunk.
    pub(super) fn clear(&mut self) {
        self.known.clear();
        self.bytes.clear();
        self.pieces.clear();
        self.columns.clear();
        self.latest = [0, usize::MAX];
        self.whole = None;
    }

    /// The marks of all columns there are, in order.
    pub(super) fn columns(&self) -> &[u8] {
        &self.columns
    }

    pub(super) fn template_count(&self) -> usize {
        self.known.len()
    }

    pub(super) fn template(&self, index: usize) -> &[u8] {
        &self.bytes[self.known[index].template.clone()]
    }

    /// The place of a template in the shared table, if it is from there.
    pub(super) fn shared(&self, index: usize) -> Option<usize> {
        self.known[index].shared
    }

    /// The columns of a template.
    pub(super) fn columns_of(&self, index: usize) -> Range<usize> {
        let known = &self.known[index];
        known.first_column..known.first_column + known.pieces.len() - 1
    }

    /// Whether this is the template that is one slot.
    pub(super) fn is_whole(&self, index: usize) -> bool {
        self.whole == Some(index)
    }

    /// The values of the latest text.
    pub(super) fn values(&self) -> &[Value] {
        &self.values
    }

    /// Takes a text for one value, and returns its template.
    pub(super) fn take_whole(&mut self, text: &[u8]) -> usize {
        self.values.clear();
        self.values.push(Value::Text(0..text.len()));
        match self.whole {
            Some(index) => index,
            None => {
                let index = self.add(WHOLE, hash(WHOLE), None);
                self.whole = Some(index);
                index
            }
        }
    }

    /// Cuts a text and returns its template.
    pub(super) fn cut(&mut self, text: &[u8], table: Option<&TemplateTable>) -> usize {
        for index in self.latest {
            if self.known.len() > index && self.fits(index, text) {
                return self.use_again(index);
            }
        }
        if !self.read(text) {
            return self.take_whole(text);
        }
        let hash = hash(&self.skeleton);
        let found = (0..self.known.len())
            .find(|&index| self.known[index].hash == hash && self.template(index) == self.skeleton);
        if let Some(index) = found {
            return self.use_again(index);
        }
        let columns = self.columns.len() + self.values.len();
        if self.known.len() >= SEALED_TEMPLATES_MADE - 1 || columns >= SEALED_COLUMNS_MAX {
            return self.take_whole(text);
        }
        let skeleton = std::mem::take(&mut self.skeleton);
        let shared = table.and_then(|table| table.find(&skeleton, hash));
        let index = self.add(&skeleton, hash, shared);
        self.skeleton = skeleton;
        self.use_again(index)
    }

    fn use_again(&mut self, index: usize) -> usize {
        if self.latest[0] != index {
            self.latest = [index, self.latest[0]];
        }
        index
    }

    fn add(&mut self, template: &[u8], hash: u64, shared: Option<usize>) -> usize {
        let (first_byte, first_piece, first_column) =
            (self.bytes.len(), self.pieces.len(), self.columns.len());
        let mut at = first_byte;
        for (literal, mark) in pieces(template) {
            let slot = match mark {
                None => Slot::End,
                Some(NUMBER) => Slot::Number,
                Some(_) if literal.ends_with(b"\"") => Slot::Quoted,
                Some(_) => Slot::Bare,
            };
            self.pieces.push(Piece { literal: at..at + literal.len(), slot });
            self.columns.extend(mark);
            at += literal.len() + 1;
        }
        self.bytes.extend_from_slice(template);
        self.known.push(Known {
            hash,
            template: first_byte..self.bytes.len(),
            pieces: first_piece..self.pieces.len(),
            first_column,
            shared,
        });
        self.known.len() - 1
    }

    /// Whether a text is of this template; its values are taken if so.
    fn fits(&mut self, index: usize, text: &[u8]) -> bool {
        if self.whole == Some(index) {
            return false;
        }
        self.values.clear();
        let mut at = 0;
        for piece in &self.pieces[self.known[index].pieces.clone()] {
            let end = at + piece.literal.len();
            if text.get(at..end) != Some(&self.bytes[piece.literal.clone()]) {
                return false;
            }
            at = end;
            let end = match piece.slot {
                Slot::End => return at == text.len(),
                Slot::Number => {
                    let Some((decimal, length)) = parse(&text[at..]) else { return false };
                    self.values.push(Value::Number(decimal));
                    at += length;
                    continue;
                }
                Slot::Quoted => quoted_end(text, at),
                // What could be a number belongs to a column of numbers.
                Slot::Bare => Some(bare_end(text, at)).filter(|&end| parse_all(&text[at..end]).is_none()),
            };
            let Some(end) = end else { return false };
            self.values.push(Value::Text(at..end));
            at = end;
        }
        false
    }

    /// Makes a template of a text as if it were JSON; false if it has too many slots.
    fn read(&mut self, text: &[u8]) -> bool {
        self.skeleton.clear();
        self.values.clear();
        let (mut at, mut literal) = (0, 0);
        while let Some(&byte) = text.get(at) {
            let (slot, next) = match byte {
                b'"' => match quoted_end(text, at + 1) {
                    Some(end) if is_name(text, end + 1) => (None, end + 1),
                    Some(end) => (Some(at + 1..end), end + 1),
                    None => (None, text.len()),
                },
                b'0'..=b'9' => (Some(at..bare_end(text, at)), bare_end(text, at)),
                b'-' if text.get(at + 1).is_some_and(u8::is_ascii_digit) => {
                    (Some(at..bare_end(text, at)), bare_end(text, at))
                }
                b'-' | b'_' | b'a'..=b'z' | b'A'..=b'Z' => {
                    let end = bare_end(text, at);
                    (matches!(&text[at..end], b"true" | b"false" | b"null").then_some(at..end), end)
                }
                _ => (None, at + 1),
            };
            if let Some(slot) = slot {
                if self.values.len() == SEALED_SLOTS_MAX {
                    return false;
                }
                self.skeleton.extend_from_slice(&text[literal..slot.start]);
                literal = slot.end;
                let decimal = parse_all(&text[slot.clone()]);
                self.skeleton.push(if decimal.is_some() { NUMBER } else { TEXT });
                self.values.push(decimal.map_or(Value::Text(slot), Value::Number));
            }
            at = next;
        }
        self.skeleton.extend_from_slice(&text[literal..]);
        true
    }
}

/// The place of the quote that ends a text which begins here.
fn quoted_end(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match text.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// The end of a word or number that begins here.
fn bare_end(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    let length = rest
        .iter()
        .position(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'+' | b'-' | b'_')));
    at + length.unwrap_or(rest.len())
}

/// Whether what stands before this place is the name of a member.
fn is_name(text: &[u8], at: usize) -> bool {
    let rest = text.get(at..).unwrap_or_default();
    rest.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b':')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The templates of these texts, with % for numbers and $ for texts; that the values fit in is checked on the way.
    fn templates(texts: &[&str]) -> Vec<String> {
        let mut cutter = Cutter::default();
        let shown = |template: &[u8]| {
            let marks = |&byte: &u8| match byte {
                NUMBER => b'%',
                TEXT => b'$',
                _ => byte,
            };
            String::from_utf8(template.iter().map(marks).collect()).unwrap()
        };
        let cut = |text: &&str| {
            let index = cutter.cut(text.as_bytes(), None);
            let mut again = String::new();
            let mut values = cutter.values().iter();
            for (literal, mark) in pieces(cutter.template(index)) {
                again.push_str(std::str::from_utf8(literal).unwrap());
                match mark.map(|_| values.next().unwrap()) {
                    Some(Value::Number(decimal)) => {
                        let mut out = [0; 24];
                        let end = super::super::decimal::write(
                            &mut out,
                            0,
                            decimal.mantissa,
                            decimal.decimals.into(),
                        );
                        again.push_str(std::str::from_utf8(&out[..end]).unwrap());
                    }
                    Some(Value::Text(range)) => again.push_str(&text[range.clone()]),
                    None => {}
                }
            }
            assert_eq!(&again, text);
            shown(cutter.template(index))
        };
        texts.iter().map(cut).collect()
    }

    #[test]
    fn json_is_cut_at_its_values() {
        let cases = [
            (r#"{"t":21.50,"state":"ok","on":true}"#, r#"{"t":%,"state":"$","on":$}"#),
            (r#"{"p":"64123.45", "a b" : [1, -2.5,"x"]}"#, r#"{"p":"%", "a b" : [%, %,"$"]}"#),
            (r#"{"a":1e5,"b":-0,"c":007,"d":.5}"#, r#"{"a":$,"b":$,"c":$,"d":.%}"#),
            (r#"{"a":"say \"hi\"","b":null}"#, r#"{"a":"$","b":$}"#),
            (r#"{"größe":"zwölf"}"#, r#"{"größe":"$"}"#),
            (r#"{"open"#, r#"{"open"#),
            (r#""ends\"#, r#""ends\"#),
            ("temp=22.5 id9=-4 word-7 -x", "temp=% id9=% word-7 -x"),
            ("12345678901234567890", "$"),
            ("", ""),
            ("ünicode 5€", "ünicode %€"),
        ];
        for (text, template) in cases {
            assert_eq!(templates(&[text]), [template]);
        }
    }

    #[test]
    fn the_latest_templates_fit_again() {
        let texts =
            [r#"{"a":"ff","b":1}"#, r#"{"a":"12","b":2.5}"#, r#"{"a":"12","b":null}"#, r#"{"a":"7","b":3}"#];
        let expected =
            [r#"{"a":"$","b":%}"#, r#"{"a":"$","b":%}"#, r#"{"a":"%","b":$}"#, r#"{"a":"$","b":%}"#];
        assert_eq!(templates(&texts), expected);
    }

    #[test]
    fn too_many_templates_or_slots_leave_the_text_whole() {
        let words: Vec<String> = (0..100).map(|number| "x".repeat(number) + "!").collect();
        let found = templates(&words.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(
            (found[SEALED_TEMPLATES_MADE - 2].as_str(), found[99].as_str()),
            (words[62].as_str(), "$")
        );
        assert_eq!(templates(&["1 ".repeat(300).as_str()]), ["$"]);
    }
}
