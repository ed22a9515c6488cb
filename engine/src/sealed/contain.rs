//! Whether any text of a chunk can hold a literal, told by templates, dictionaries and statistics alone.
//!
//! A text is literals and slots in turn, so a literal that occurs begins in one of them and ends in the same or a later
//! one. All ways are tried; what a slot may hold is taken widely: so "no" is certain, and "yes" is not.

use super::decimal::{POWERS, parse_all};
use super::layout::{Column, Layout, Piece, Slot, View};
use super::read::Reader;
use super::stats::{NumberStats, scaled};
use crate::limits::{SEALED_LITERAL_BYTES, SEALED_LITERAL_STEPS};

impl Reader<'_> {
    /// Whether a text of the chunk may hold this literal: if not, none does.
    ///
    /// A literal is looked for as it is in the texts, escapes included, and by its beginning if it is long.
    pub fn may_contain(&self, literal: &str) -> bool {
        let literal = literal.as_bytes();
        let (layout, bytes) = self.layout();
        let wanted = &literal[..literal.len().min(SEALED_LITERAL_BYTES)];
        let mut search = Search { layout, bytes, wanted, steps: SEALED_LITERAL_STEPS };
        wanted.is_empty() || layout.views.iter().any(|view| search.template(view))
    }
}

/// One literal, looked for in one chunk.
struct Search<'a> {
    layout: &'a Layout,
    bytes: &'a [u8],
    wanted: &'a [u8],
    /// What may still be tried; at the end anything counts as possible.
    steps: usize,
}

impl Search<'_> {
    fn template(&mut self, view: &View) -> bool {
        let pieces = view.pieces(self.layout);
        (0..pieces.len()).any(|at| {
            self.begins_in_literal(pieces, at, view.records) || self.begins_in_slot(pieces, at, view.records)
        })
    }

    /// Counts some steps; true when there have been too many.
    fn tired(&mut self, steps: usize) -> bool {
        self.steps = self.steps.saturating_sub(steps);
        self.steps == 0
    }

    fn begins_in_literal(&mut self, pieces: &[Piece], at: usize, records: usize) -> bool {
        let literal = pieces[at].literal.of(&self.layout.literals);
        if memchr::memmem::find(literal, self.wanted).is_some() {
            return true;
        }
        // An end of the literal that the wanted text begins with, and the slot goes on; the empty end is the slot's own beginning.
        let longest = literal.len().min(self.wanted.len());
        (0..=longest)
            .any(|length| literal.ends_with(&self.wanted[..length]) && self.slot(pieces, at, length, records))
    }

    /// Whether the wanted text begins after the first character of what is in the slot.
    fn begins_in_slot(&mut self, pieces: &[Piece], at: usize, records: usize) -> bool {
        let (piece, layout, wanted) = (pieces[at], self.layout, self.wanted);
        match (piece.slot, layout.columns.get(piece.column as usize)) {
            (Slot::End, _) => false,
            (_, Some(Column::Dictionary { count, .. })) if self.tired(*count) => true,
            (_, Some(Column::Dictionary { first, count })) => (*first..first + count).any(|entry| {
                let text = layout.entries[entry].of(self.bytes);
                memchr::memmem::find(text, wanted).is_some()
                    || (1..=text.len().min(wanted.len())).any(|length| {
                        text.ends_with(&wanted[..length]) && self.literal(pieces, at + 1, length, records)
                    })
            }),
            (Slot::Number, _) => self.runs(pieces, at, 0, records, is_inside_number),
            (Slot::Text, Some(&Column::Texts { ascii, others })) => {
                self.runs(pieces, at, 0, records, |byte| may_have(ascii, others, byte))
            }
            (Slot::Text, _) => true,
        }
    }

    /// Whether the rest of the wanted text may follow from this literal on.
    fn literal(&mut self, pieces: &[Piece], at: usize, from: usize, records: usize) -> bool {
        let rest = &self.wanted[from..];
        if rest.is_empty() || self.tired(1) {
            return true;
        }
        let Some(piece) = pieces.get(at) else { return false };
        let literal = piece.literal.of(&self.layout.literals);
        if literal.len() >= rest.len() {
            return literal.starts_with(rest);
        }
        rest.starts_with(literal) && self.slot(pieces, at, from + literal.len(), records)
    }

    /// Whether the rest of the wanted text may follow from the first character of what is in this slot on.
    fn slot(&mut self, pieces: &[Piece], at: usize, from: usize, records: usize) -> bool {
        let rest = &self.wanted[from..];
        if rest.is_empty() || self.tired(1) {
            return true;
        }
        let (piece, layout) = (pieces[at], self.layout);
        let column = piece.column as usize;
        match (piece.slot, layout.columns.get(column)) {
            (Slot::End, _) => false,
            (_, Some(Column::Dictionary { count, .. })) if self.tired(*count) => true,
            (_, Some(Column::Dictionary { first, count })) => (*first..first + count).any(|entry| {
                let text = layout.entries[entry].of(self.bytes);
                text.starts_with(rest)
                    || rest.starts_with(text) && self.literal(pieces, at + 1, from + text.len(), records)
            }),
            (Slot::Number, _) => {
                let Some(stats) = layout.stats(self.bytes, column, records) else { return true };
                let length = rest.iter().take_while(|&&byte| is_number(byte)).count();
                length == rest.len() && may_begin(&stats, rest)
                    || (1..=length).any(|length| {
                        may_be(&stats, &rest[..length])
                            && self.literal(pieces, at + 1, from + length, records)
                    })
            }
            (Slot::Text, Some(&Column::Texts { ascii, others })) => {
                self.literal(pieces, at + 1, from, records)
                    || self.runs(pieces, at, from, records, |byte| may_have(ascii, others, byte))
            }
            (Slot::Text, _) => true,
        }
    }

    /// Whether the slot may hold one or more of the next characters, and what follows the rest.
    fn runs(
        &mut self,
        pieces: &[Piece],
        at: usize,
        from: usize,
        records: usize,
        may_hold: impl Fn(u8) -> bool,
    ) -> bool {
        for end in from..self.wanted.len() {
            if !may_hold(self.wanted[end]) {
                return false;
            }
            if self.literal(pieces, at + 1, end + 1, records) {
                return true;
            }
        }
        true
    }
}

fn is_number(byte: u8) -> bool {
    byte.is_ascii_digit() || byte == b'.' || byte == b'-'
}

/// Whether a number may have this character behind its first.
fn is_inside_number(byte: u8) -> bool {
    byte.is_ascii_digit() || byte == b'.'
}

fn may_have(ascii: u128, others: bool, byte: u8) -> bool {
    if byte.is_ascii() { ascii >> byte & 1 == 1 } else { others }
}

/// Whether a column may have this number.
fn may_be(stats: &NumberStats, text: &[u8]) -> bool {
    parse_all(text).is_some_and(|decimal| {
        let range = stats.least..=stats.greatest;
        decimal.decimals <= stats.scale && range.contains(&scaled(decimal, stats.scale))
    })
}

/// Whether a column may have a number that begins so.
fn may_begin(stats: &NumberStats, text: &[u8]) -> bool {
    let negative = text.first() == Some(&b'-');
    let digits = &text[usize::from(negative)..];
    let whole = digits.iter().position(|&byte| byte == b'.').unwrap_or(digits.len());
    if digits.is_empty() {
        return stats.least < 0;
    }
    // Only the digits before the point are looked at, and too long ones count as possible.
    if !(1..=18).contains(&whole) || !digits[..whole].iter().all(u8::is_ascii_digit) {
        return whole > 0;
    }
    let value = digits[..whole].iter().fold(0, |value, digit| value * 10 + i128::from(digit - b'0'));
    let point = whole < digits.len();
    let unit = i128::from(POWERS[usize::from(stats.scale)]);
    // The range of numbers whose magnitude is that of these digits, and of more of them before the point.
    (0..=if point { 0 } else { 18 - whole }).any(|more| {
        let power = i128::from(POWERS[more]);
        let (low, high) = (value * power * unit, (value + 1) * power * unit - 1);
        let (low, high) = if negative { (-high, -low) } else { (low, high) };
        low <= stats.greatest && stats.least <= high
    })
}
