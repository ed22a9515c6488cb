//! The parts of a chunk that hold for all its blocks: templates, dictionaries, statistics.

use super::field;
use super::format::{Damaged, HEAD_BYTES, Input, array, u32_at};
use super::stats::NumberStats;
use super::template::{NUMBER, TemplateTable, is_template, pieces};
use super::texts::Span;
use crate::limits::{
    SEALED_COLUMNS_MAX, SEALED_DICTIONARY_LEN_MAX, SEALED_RECORDS_MAX, SEALED_TEMPLATES_MAX,
};

/// Bytes behind each literal, so that it can be copied in steps of so many.
pub(super) const COPIED: usize = 16;

/// What follows a literal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    End,
    Number,
    Text,
}

/// A literal, and the column of the slot behind it.
#[derive(Clone, Copy)]
pub(super) struct Piece {
    pub(super) literal: Span,
    pub(super) slot: Slot,
    pub(super) column: u32,
}

/// A template as its pieces.
pub(super) struct View {
    pub(super) first_piece: usize,
    pub(super) slots: usize,
    pub(super) first_column: usize,
    pub(super) records: usize,
    pub(super) literal_bytes: usize,
}

impl View {
    pub(super) fn pieces<'a>(&self, layout: &'a Layout) -> &'a [Piece] {
        &layout.pieces[self.first_piece..=self.first_piece + self.slots]
    }
}

/// What is known of a column for all its blocks.
pub(super) enum Column {
    Number {
        stats_at: usize,
    },
    /// Its texts are these of the entries.
    Dictionary {
        first: usize,
        count: usize,
    },
    /// Its texts have these ASCII characters, a bit each, and perhaps others.
    Texts {
        ascii: u128,
        others: bool,
    },
}

/// The layout of one chunk. Its buffers are used again for the next.
#[derive(Default)]
pub(super) struct Layout {
    pub(super) views: Vec<View>,
    pub(super) columns: Vec<Column>,
    pub(super) entries: Vec<Span>,
    pub(super) literals: Vec<u8>,
    pieces: Vec<Piece>,
}

/// The texts of a column that has a dictionary are these numbers.
pub(super) const DICTIONARY: u8 = 0;

/// The texts of a column have only ASCII characters.
pub(super) const ASCII: u8 = 1;

/// The texts of a column have other characters too.
pub(super) const OTHERS: u8 = 2;

/// The number of the table that a chunk refers to, if it does.
pub(super) fn table_of(bytes: &[u8]) -> Result<Option<u64>, Damaged> {
    Ok(take_table(&mut templates_input(bytes))?.map(|(id, _)| id))
}

fn templates_input(bytes: &[u8]) -> Input<'_> {
    Input::new(bytes, HEAD_BYTES, u32_at(bytes, field::COLUMNS_AT) as usize)
}

/// Reads the number and the checksum of a table.
fn take_table(input: &mut Input<'_>) -> Result<Option<(u64, u32)>, Damaged> {
    let part = "table of templates";
    match input.byte(part)? {
        0 => Ok(None),
        1 => {
            let bytes = input.take(12, part)?;
            Ok(Some((u64::from_le_bytes(array(bytes, 0)), u32_at(bytes, 8))))
        }
        _ => Err(input.error(part)),
    }
}

/// Calls for each template, and for whether it is of the table, and returns what follows them.
pub(super) fn each_template<'a>(
    bytes: &'a [u8],
    table: Option<&'a TemplateTable>,
    mut found: impl FnMut(&'a [u8], bool) -> Result<(), Damaged>,
) -> Result<Input<'a>, Damaged> {
    let mut input = templates_input(bytes);
    let table = match take_table(&mut input)? {
        Some((id, checksum)) => {
            let table = table.filter(|table| table.id() == id && table.checksum() == checksum);
            Some(table.ok_or(Damaged::Table(id))?)
        }
        None => None,
    };
    let count = input.count(SEALED_TEMPLATES_MAX, "count of templates")?;
    for _ in 0..count {
        let code = input.count(usize::MAX, "template")?;
        if code & 1 == 0 {
            found(input.take(code / 2, "template")?, false)?;
        } else {
            let template = table.and_then(|table| table.get(code / 2));
            found(template.ok_or_else(|| input.error("shared template"))?, true)?;
        }
    }
    Ok(input)
}

impl Layout {
    /// Reads the layout of a chunk; `checked` if it has been found good before.
    pub(super) fn open(
        &mut self,
        bytes: &[u8],
        table: Option<&TemplateTable>,
        checked: bool,
    ) -> Result<(), Damaged> {
        self.views.clear();
        self.pieces.clear();
        self.columns.clear();
        self.entries.clear();
        self.literals.clear();
        let mut slots = 0;
        let mut input = each_template(bytes, table, |template, _| {
            if !checked && !is_template(template) {
                return Err(Damaged::Part { part: "template", at: HEAD_BYTES });
            }
            slots += self.add(template, slots);
            let error = Damaged::Part { part: "count of columns", at: HEAD_BYTES };
            if slots > SEALED_COLUMNS_MAX { Err(error) } else { Ok(()) }
        })?;
        for view in &mut self.views {
            view.records = input.count(SEALED_RECORDS_MAX, "count of a template's records")?;
        }
        if input.left() > 0 || self.views.is_empty() {
            return Err(input.error("end of the templates"));
        }
        self.open_columns(bytes, checked)
    }

    /// Adds the pieces of a template; returns how many slots it has.
    fn add(&mut self, template: &[u8], first_column: usize) -> usize {
        let (first_piece, mut slots, mut literal_bytes) = (self.pieces.len(), 0, 0);
        for (text, mark) in pieces(template) {
            let literal = Span { at: self.literals.len() as u32, len: text.len() as u32 };
            literal_bytes += text.len();
            self.literals.extend_from_slice(text);
            self.literals.extend_from_slice(&[0; COPIED]);
            let slot = match mark {
                None => Slot::End,
                Some(NUMBER) => Slot::Number,
                Some(_) => Slot::Text,
            };
            self.pieces.push(Piece { literal, slot, column: (first_column + slots) as u32 });
            slots += usize::from(mark.is_some());
        }
        self.views.push(View { first_piece, slots, first_column, records: 0, literal_bytes });
        slots
    }

    fn open_columns(&mut self, bytes: &[u8], checked: bool) -> Result<(), Damaged> {
        let [start, end] = [field::COLUMNS_AT, field::BLOCKS_AT].map(|at| u32_at(bytes, at) as usize);
        let mut input = Input::new(bytes, start, end);
        for view in &self.views {
            for piece in &self.pieces[view.first_piece..view.first_piece + view.slots] {
                let column = if piece.slot == Slot::Number {
                    let stats_at = input.at();
                    NumberStats::take(&mut input, view.records)?;
                    Column::Number { stats_at }
                } else {
                    take_text_column(&mut input, &mut self.entries, checked)?
                };
                self.columns.push(column);
            }
        }
        if input.left() > 0 { Err(input.error("end of the columns")) } else { Ok(()) }
    }

    /// The statistics of a column, if it has numbers.
    pub(super) fn stats(&self, bytes: &[u8], column: usize, count: usize) -> Option<NumberStats> {
        match self.columns.get(column)? {
            &Column::Number { stats_at } => {
                NumberStats::take(&mut Input::new(bytes, stats_at, bytes.len()), count).ok()
            }
            _ => None,
        }
    }

    /// The texts of a column that has a dictionary.
    pub(super) fn dictionary(&self, column: usize) -> Option<&[Span]> {
        match self.columns.get(column)? {
            &Column::Dictionary { first, count } => self.entries.get(first..first + count),
            _ => None,
        }
    }
}

fn take_text_column(
    input: &mut Input<'_>,
    entries: &mut Vec<Span>,
    checked: bool,
) -> Result<Column, Damaged> {
    let part = "column of texts";
    let kind = input.byte(part)?;
    if kind != DICTIONARY {
        let ascii = u128::from_le_bytes(array(input.take(16, part)?, 0));
        return if kind > OTHERS {
            Err(input.error(part))
        } else {
            Ok(Column::Texts { ascii, others: kind == OTHERS })
        };
    }
    let count = input.count(SEALED_DICTIONARY_LEN_MAX, part)?;
    let first = entries.len();
    for _ in 0..count {
        let len = input.count(input.left(), part)? as u32;
        entries.push(Span { at: 0, len });
    }
    for entry in &mut entries[first..] {
        entry.at = input.at() as u32;
        let text = input.take(entry.len as usize, part)?;
        if !checked && std::str::from_utf8(text).is_err() {
            return Err(input.error(part));
        }
    }
    Ok(Column::Dictionary { first, count })
}
