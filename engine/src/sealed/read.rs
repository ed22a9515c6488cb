//! Reading sealed chunks: a block of records at a time, or one record, into buffers that are reused.
//!
//! What a chunk's bytes are is not trusted here either: loading a block says what is wrong with it. As chunks are checked
//! when they are made from bytes, those errors can't be met later, and reading returns no results.

use std::ops::Range;

use super::bits::Ints;
use super::decimal::{Decimal, ROOM, write};
use super::format::{BLOCK_RECORDS, Damaged};
use super::ints::take_ints;
use super::layout::{COPIED, Column, Layout, Slot};
use super::numbers::{Points, as_written, skip_numbers, take_numbers};
use super::stats::NumberStats;
use super::texts::{Span, TextBounds, TextUnpacker, spend};
use super::value::{Sealed, take_times};
use crate::limits::{SEALED_KEPT_BYTES, SEALED_TEXT_BYTES_MAX};

/// A block of a column, numbers or texts.
struct ColumnBlock {
    mantissas: Ints,
    decimals: Ints,
    points: Points,
    spans: [Span; BLOCK_RECORDS],
    in_arena: bool,
}

impl ColumnBlock {
    const EMPTY: Self = Self {
        mantissas: [0; BLOCK_RECORDS],
        decimals: [0; BLOCK_RECORDS],
        points: Points::Fixed(0),
        spans: [Span { at: 0, len: 0 }; BLOCK_RECORDS],
        in_arena: false,
    };
}

/// The buffers that chunks are decoded into. One for a core is enough; it allocates until it has seen the largest block.
pub struct Decoder {
    pub(super) layout: Layout,
    pub(super) times: Ints,
    templates: Ints,
    /// The records of each template in the block, and how many of them are written already.
    rows: Vec<(usize, usize)>,
    columns: Vec<ColumnBlock>,
    unpacker: TextUnpacker,
    text: Vec<u8>,
    ends: Vec<u32>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self {
            layout: Layout::default(),
            times: [0; BLOCK_RECORDS],
            templates: [0; BLOCK_RECORDS],
            rows: Vec::new(),
            columns: Vec::new(),
            unpacker: TextUnpacker::default(),
            text: Vec::new(),
            ends: Vec::new(),
        }
    }
}

/// Which columns of a block are wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Texts, to be checked; numbers are passed over, as any are good.
    Check,
    /// All.
    All,
}

impl Decoder {
    /// Begins to read a chunk.
    pub fn open<'a>(&'a mut self, chunk: &'a Sealed) -> Reader<'a> {
        if self.text.len() > SEALED_KEPT_BYTES {
            self.text = Vec::new();
            self.unpacker.arena = Vec::new();
        }
        let opened = self.open_layout(chunk, true);
        debug_assert!(opened.is_ok(), "a chunk is checked before it is read");
        Reader { chunk, decoder: self }
    }

    pub(super) fn open_layout(&mut self, chunk: &Sealed, checked: bool) -> Result<(), Damaged> {
        self.layout.open(chunk.bytes(), chunk.table().map(AsRef::as_ref), checked)?;
        if self.columns.len() < self.layout.columns.len() {
            self.columns.resize_with(self.layout.columns.len(), || ColumnBlock::EMPTY);
        }
        Ok(())
    }

    /// Reads all columns of a block; returns how many records it has.
    pub(super) fn load(&mut self, chunk: &Sealed, block: usize, wanted: Wanted) -> Result<usize, Damaged> {
        let count = chunk.block_len(block);
        let mut input = chunk.block(block);
        take_times(&mut input, count, chunk.first_ts(), &mut self.times)?;
        self.rows.clear();
        self.rows.resize(self.layout.views.len(), (0, 0));
        if let [only] = &mut self.rows[..] {
            only.0 = count;
            self.templates[..count].fill(0);
        } else {
            let part = "templates of a block";
            take_ints(&mut input, count, &mut self.templates, part)?;
            for &template in &self.templates[..count] {
                let rows = usize::try_from(template).ok().and_then(|template| self.rows.get_mut(template));
                rows.ok_or_else(|| input.error(part))?.0 += 1;
            }
        }
        let budget_bytes = SEALED_TEXT_BYTES_MAX.max(chunk.bytes().len());
        let (mut budget, mut numbers) = (budget_bytes, 0);
        self.unpacker.arena.clear();
        for (view, &(rows, _)) in self.layout.views.iter().zip(&self.rows) {
            if rows == 0 {
                continue;
            }
            spend(&mut budget, rows.saturating_mul(view.literal_bytes), &input)?;
            for piece in &view.pieces(&self.layout)[..view.slots] {
                let column = &mut self.columns[piece.column as usize];
                if piece.slot == Slot::Text {
                    let dictionary = self.layout.dictionary(piece.column as usize);
                    let mut bounds = TextBounds { dictionary, budget: &mut budget };
                    column.in_arena = self.unpacker.take(&mut input, rows, &mut bounds, &mut column.spans)?;
                } else if wanted == Wanted::All {
                    column.points =
                        take_numbers(&mut input, rows, &mut column.mantissas, &mut column.decimals)?;
                    numbers += rows;
                } else {
                    skip_numbers(&mut input, rows)?;
                }
            }
        }
        if input.left() > 0 {
            return Err(input.error("end of a block"));
        }
        let room = budget_bytes - budget + numbers * ROOM + 2 * ROOM + COPIED;
        if self.text.len() < room && wanted == Wanted::All {
            self.text.resize(room, 0);
        }
        Ok(count)
    }

    /// The records of each template in the block that is loaded.
    pub(super) fn rows(&self) -> impl Iterator<Item = usize> {
        self.rows.iter().map(|&(rows, _)| rows)
    }

    /// Whether all texts of the block that is loaded are UTF-8; those of dictionaries have been checked once for all.
    pub(super) fn texts_are_utf8(&self, chunk: &Sealed) -> bool {
        let texts = |column: usize, rows: usize| {
            let column = &self.columns[column];
            let bytes = if column.in_arena { &self.unpacker.arena[..] } else { chunk.bytes() };
            column.spans[..rows].iter().all(|span| std::str::from_utf8(span.of(bytes)).is_ok())
        };
        self.layout.views.iter().zip(self.rows()).all(|(view, rows)| {
            (view.first_column..view.first_column + view.slots).all(|column| {
                !matches!(self.layout.columns[column], Column::Texts { .. }) || texts(column, rows)
            })
        })
    }

    /// Writes the texts of these records of the block that is loaded; returns how long they are.
    fn render(&mut self, chunk: &[u8], records: Range<usize>) -> usize {
        self.ends.clear();
        let mut at = 0;
        for record in 0..records.end {
            let template = self.templates[record] as usize;
            let Some((view, (_, next))) = self.layout.views.get(template).zip(self.rows.get_mut(template))
            else {
                break;
            };
            let row = *next % BLOCK_RECORDS;
            *next += 1;
            if record < records.start {
                continue;
            }
            for piece in view.pieces(&self.layout) {
                at = copy(&mut self.text, at, &self.layout.literals, piece.literal);
                if piece.slot == Slot::End {
                    break;
                }
                let column = &self.columns[piece.column as usize];
                if piece.slot == Slot::Number {
                    let (mantissa, decimals) =
                        as_written(column.points, column.mantissas[row], column.decimals[row]);
                    at = write(&mut self.text, at, mantissa, decimals);
                } else {
                    let from = if column.in_arena { &self.unpacker.arena[..] } else { chunk };
                    at = copy(&mut self.text, at, from, column.spans[row]);
                }
            }
            self.ends.push(at as u32);
        }
        at
    }

    /// Writes these records of the block that is loaded.
    fn rendered(&mut self, chunk: &Sealed, records: Range<usize>) -> Block<'_> {
        let length = self.render(chunk.bytes(), records.clone());
        let text = std::str::from_utf8(&self.text[..length]);
        debug_assert!(text.is_ok(), "a chunk is checked before it is read");
        Block { times: &self.times[records], ends: &self.ends, text: text.unwrap_or_default() }
    }
}

/// Copies a text to a place, and returns the place behind it. Short ones are copied with what follows them.
#[inline]
fn copy(out: &mut [u8], at: usize, from: &[u8], span: Span) -> usize {
    let (start, len) = (span.at as usize, span.len as usize);
    let steps = len.div_ceil(COPIED);
    if steps <= 3 && start + steps * COPIED <= from.len() && at + steps * COPIED <= out.len() {
        let (mut from_at, mut out_at) = (start, at);
        for _ in 0..steps {
            let mut step = [0; COPIED];
            step.copy_from_slice(&from[from_at..from_at + COPIED]);
            out[out_at..out_at + COPIED].copy_from_slice(&step);
            (from_at, out_at) = (from_at + COPIED, out_at + COPIED);
        }
    } else {
        out[at..at + len].copy_from_slice(&from[start..start + len]);
    }
    at + len
}

/// Reads one chunk.
pub struct Reader<'a> {
    chunk: &'a Sealed,
    decoder: &'a mut Decoder,
}

/// A column of numbers: where it stands in its template, and its statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NumberColumn {
    /// The number of its template in the chunk.
    pub template: usize,
    /// The number of the slot in the template, texts counted too.
    pub slot: usize,
    /// Its numbers in short.
    pub stats: NumberStats,
}

impl<'a> Reader<'a> {
    /// The chunk that is read.
    pub fn chunk(&self) -> &Sealed {
        self.chunk
    }

    /// Reads a block; an empty one if there are not so many.
    pub fn block(&mut self, block: usize) -> Block<'_> {
        let count = self.load(block);
        self.decoder.rendered(self.chunk, 0..count)
    }

    /// Reads a block, as the last that is read.
    pub fn into_block(mut self, block: usize) -> Block<'a> {
        let count = self.load(block);
        self.decoder.rendered(self.chunk, 0..count)
    }

    /// Reads one record, as the last that is read.
    pub fn into_record(mut self, index: usize) -> Block<'a> {
        let count = self.load(index / BLOCK_RECORDS);
        let index = index % BLOCK_RECORDS;
        self.decoder.rendered(self.chunk, if index < count { index..index + 1 } else { 0..0 })
    }

    /// Reads one record; an empty block if there are not so many.
    pub fn record(&mut self, index: usize) -> Block<'_> {
        let count = self.load(index / BLOCK_RECORDS);
        let index = index % BLOCK_RECORDS;
        self.decoder.rendered(self.chunk, if index < count { index..index + 1 } else { 0..0 })
    }

    /// The columns of numbers.
    pub fn number_columns(&self) -> impl Iterator<Item = NumberColumn> {
        let layout = &self.decoder.layout;
        layout.views.iter().enumerate().flat_map(move |(template, view)| {
            (0..view.slots).filter_map(move |slot| {
                let column = view.first_column + slot;
                let stats = layout.stats(self.chunk.bytes(), column, view.records)?;
                Some(NumberColumn { template, slot, stats })
            })
        })
    }

    /// Appends the numbers of a column in a block, in order of time; texts have none. Returns how many they are.
    pub fn numbers(&mut self, block: usize, template: usize, slot: usize, out: &mut Vec<Decimal>) -> usize {
        if self.load(block) == 0 {
            return 0;
        }
        let Some(view) = self.decoder.layout.views.get(template).filter(|view| slot < view.slots) else {
            return 0;
        };
        if view.pieces(&self.decoder.layout)[slot].slot != Slot::Number {
            return 0;
        }
        let rows = self.decoder.rows[template].0;
        let column = &self.decoder.columns[view.first_column + slot];
        out.extend(column.mantissas[..rows].iter().zip(&column.decimals).map(|(&mantissa, &own)| {
            let (mantissa, decimals) = as_written(column.points, mantissa, own);
            Decimal { mantissa, decimals: decimals as u8 }
        }));
        rows
    }

    /// The layout of the chunk, and its bytes.
    pub(super) fn layout(&self) -> (&Layout, &[u8]) {
        (&self.decoder.layout, self.chunk.bytes())
    }

    fn load(&mut self, block: usize) -> usize {
        if block >= self.chunk.block_count() {
            return 0;
        }
        let loaded = self.decoder.load(self.chunk, block, Wanted::All);
        debug_assert!(loaded.is_ok(), "a chunk is checked before it is read");
        loaded.unwrap_or(0)
    }
}

/// Records that have been read, in order of time.
#[derive(Clone, Copy)]
pub struct Block<'a> {
    times: &'a [i64],
    ends: &'a [u32],
    text: &'a str,
}

impl<'a> Block<'a> {
    /// How many records there are.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// The times of the records.
    pub fn times(&self) -> &'a [i64] {
        self.times
    }

    /// The texts of all records, one behind the other.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// Where the texts of the records end.
    pub fn ends(&self) -> &'a [u32] {
        self.ends
    }

    /// The text of a record; nothing if there are not so many.
    pub fn data(&self, index: usize) -> &'a str {
        let start = if index == 0 { 0 } else { self.ends.get(index - 1).copied().unwrap_or(0) as usize };
        let end = self.ends.get(index).copied().unwrap_or(0) as usize;
        self.text.get(start..end).unwrap_or_default()
    }

    /// The records, from the first or, with `rev`, from the last.
    pub fn records(&self) -> impl DoubleEndedIterator<Item = (i64, &'a str)> + ExactSizeIterator + use<'a> {
        let block = *self;
        (0..block.len()).map(move |index| (block.times[index], block.data(index)))
    }
}
