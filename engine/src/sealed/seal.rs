//! Sealing: records in, the bytes of a chunk out.
//!
//! Texts are cut and their values collected by column; then each block takes its part of each column. If that gains little,
//! all texts are taken whole, and the smaller of the two is what remains.

use std::ops::Range;
use std::sync::Arc;

use super::cut::{Cutter, Value};
use super::dictionary::Dictionary;
use super::field;
use super::format::{BLOCK_RECORDS, CHECKSUM_BYTES, HEAD_BYTES, MAGIC, VERSION, put_varint};
use super::ints::put_ints;
use super::layout::{ASCII, DICTIONARY, OTHERS};
use super::numbers::put_numbers;
use super::stats::NumberStats;
use super::template::{NUMBER, TemplateTable};
use super::texts::{Alphabet, TextPacker, put_dictionary_block};
use super::value::Sealed;
use crate::limits::{SEALED_KEPT_BYTES, SEALED_RECORDS_MAX, SEALED_TEXT_BYTES_MAX};
use crate::vectors::prefetch;

/// With more templates than this, taking the texts whole is tried as well.
const TEMPLATES_GOOD: usize = 16;

/// After so many texts, more than half of which fit no template, the rest is taken whole.
const TRIAL_LEN: usize = 128;

/// So many texts ahead the CPU is asked for the memory of one: where they lie apart, as in a log, each is a cache miss.
const TEXTS_AHEAD: usize = 8;

/// The memory that a CPU fetches at a time.
const LINE_BYTES: usize = 64;

/// The values of a slot, over the whole chunk.
#[derive(Default)]
struct Column {
    mantissas: Vec<i64>,
    decimals: Vec<u8>,
    text: Vec<u8>,
    ends: Vec<u32>,
    /// For each text its number in the dictionary, if there is one.
    ids: Vec<i64>,
    /// How many values the blocks before took.
    taken: usize,
}

impl Column {
    fn clear(&mut self) {
        if self.text.capacity() > SEALED_KEPT_BYTES {
            self.text = Vec::new();
        }
        self.mantissas.clear();
        self.decimals.clear();
        self.text.clear();
        self.ends.clear();
        self.ids.clear();
        self.taken = 0;
    }
}

/// What the head says of the records.
#[derive(Clone, Copy, Default)]
struct Totals {
    text_bytes: usize,
    shortest: usize,
    longest: usize,
}

/// The buffers that sealing needs. One for a thread is enough; it allocates until it has seen the largest chunk.
#[derive(Default)]
pub struct Sealer {
    times: Vec<i64>,
    templates: Vec<i64>,
    records_of: Vec<usize>,
    cutter: Cutter,
    columns: Vec<Column>,
    dictionary: Dictionary,
    packer: TextPacker,
    out: Vec<u8>,
    smaller: Vec<u8>,
}

impl Sealer {
    /// Seals records whose times ascend.
    ///
    /// With a table, templates that it has are referred to, not stored. `None` if there are no records, more than
    /// `SEALED_RECORDS_MAX`, more text than `SEALED_TEXT_BYTES_MAX` in more than one record, or times that don't ascend.
    /// The bytes are at most the texts, 12 for each record, 40 for each block of 128 and 128 more.
    pub fn seal<'a>(
        &mut self,
        records: impl Iterator<Item = (i64, &'a str)> + Clone,
        table: Option<&Arc<TemplateTable>>,
    ) -> Option<Sealed> {
        let totals = self.take_times(records.clone())?;
        let large = totals.text_bytes > SEALED_TEXT_BYTES_MAX;
        self.cut(records.clone(), large, table);
        self.write(totals, table, !large);
        let head = HEAD_BYTES + CHECKSUM_BYTES;
        let wasteful = (self.out.len() - head) * 2 > totals.text_bytes + self.times.len();
        if !large && (wasteful || self.cutter.template_count() > TEMPLATES_GOOD) {
            std::mem::swap(&mut self.out, &mut self.smaller);
            self.cut(records, true, None);
            self.write(totals, None, true);
            if self.smaller.len() < self.out.len() {
                std::mem::swap(&mut self.out, &mut self.smaller);
            }
        }
        let shares = self.out[HEAD_BYTES] == 1;
        Some(Sealed::trusted(Arc::from(&self.out[..]), table.filter(|_| shares).cloned()))
    }

    fn take_times<'a>(&mut self, records: impl Iterator<Item = (i64, &'a str)>) -> Option<Totals> {
        self.times.clear();
        let mut totals = Totals { shortest: usize::MAX, ..Totals::default() };
        for (time, text) in records {
            if self.times.len() == SEALED_RECORDS_MAX || self.times.last().is_some_and(|&last| last >= time) {
                return None;
            }
            self.times.push(time);
            totals.text_bytes += text.len();
            totals.shortest = totals.shortest.min(text.len());
            totals.longest = totals.longest.max(text.len());
        }
        let most = if self.times.len() == 1 { u32::MAX as usize - 4096 } else { SEALED_TEXT_BYTES_MAX };
        (!self.times.is_empty() && totals.text_bytes <= most).then_some(totals)
    }

    /// Collects the values of all columns; all texts are taken `whole`, or only those that fit no template.
    fn cut<'a>(
        &mut self,
        records: impl Iterator<Item = (i64, &'a str)> + Clone,
        whole: bool,
        table: Option<&Arc<TemplateTable>>,
    ) {
        self.cutter.clear();
        self.templates.clear();
        self.records_of.clear();
        self.columns.iter_mut().for_each(Column::clear);
        let mut whole_count = 0;
        let mut ahead = records.clone().skip(TEXTS_AHEAD);
        for (_, text) in records {
            if let Some((_, next)) = ahead.next() {
                prefetch(next.as_ptr());
                prefetch(next.as_ptr().wrapping_add(LINE_BYTES));
            }
            let text = text.as_bytes();
            let hopeless = whole_count > TRIAL_LEN && whole_count * 2 > self.templates.len();
            let template = if whole || hopeless {
                self.cutter.take_whole(text)
            } else {
                self.cutter.cut(text, table.map(AsRef::as_ref))
            };
            whole_count += usize::from(self.cutter.is_whole(template));
            self.templates.push(template as i64);
            if self.records_of.len() <= template {
                self.records_of.resize(template + 1, 0);
            }
            self.records_of[template] += 1;
            let columns = self.cutter.columns_of(template);
            if self.columns.len() < columns.end {
                self.columns.resize_with(columns.end, Column::default);
            }
            for (column, value) in self.columns[columns].iter_mut().zip(self.cutter.values()) {
                match value {
                    Value::Number(decimal) => {
                        column.mantissas.push(decimal.mantissa);
                        column.decimals.push(decimal.decimals);
                    }
                    Value::Text(range) => {
                        column.text.extend_from_slice(&text[range.clone()]);
                        column.ends.push(column.text.len() as u32);
                    }
                }
            }
        }
    }

    /// Writes the chunk to `out`.
    fn write(&mut self, totals: Totals, table: Option<&Arc<TemplateTable>>, may_pack: bool) {
        if self.out.capacity() > SEALED_KEPT_BYTES {
            self.out = Vec::new();
        }
        self.out.clear();
        self.out.resize(HEAD_BYTES, 0);
        self.put_templates(table);
        let columns_at = self.out.len();
        for index in 0..self.cutter.columns().len() {
            self.put_column(index);
        }
        let blocks_at = self.out.len();
        let block_count = self.times.len().div_ceil(BLOCK_RECORDS);
        self.out.resize(blocks_at + 4 * block_count, 0);
        for block in 0..block_count {
            let start = block * BLOCK_RECORDS;
            self.put_block(start..(start + BLOCK_RECORDS).min(self.times.len()), may_pack);
            let end = self.out.len() as u32;
            self.out[blocks_at + 4 * block..][..4].copy_from_slice(&end.to_le_bytes());
        }
        let [first_ts, last_ts] = [self.times.first(), self.times.last()].map(|ts| ts.copied().unwrap_or(0));
        let length = self.out.len() + CHECKSUM_BYTES;
        let head = &mut self.out[..HEAD_BYTES];
        head[..4].copy_from_slice(&MAGIC);
        head[field::VERSION..][..2].copy_from_slice(&VERSION.to_le_bytes());
        for (at, value) in [
            (field::LENGTH, length),
            (field::COUNT, self.times.len()),
            (field::TEXT_BYTES, totals.text_bytes),
            (field::SHORTEST, totals.shortest),
            (field::LONGEST, totals.longest),
            (field::COLUMNS_AT, columns_at),
            (field::BLOCKS_AT, blocks_at),
        ] {
            head[at..at + 4].copy_from_slice(&(value as u32).to_le_bytes());
        }
        head[field::FIRST_TS..][..8].copy_from_slice(&first_ts.to_le_bytes());
        head[field::LAST_TS..][..8].copy_from_slice(&last_ts.to_le_bytes());
        let checksum = crc32fast::hash(&self.out);
        self.out.extend_from_slice(&checksum.to_le_bytes());
    }

    /// Writes the templates: those of the table as their places in it.
    fn put_templates(&mut self, table: Option<&Arc<TemplateTable>>) {
        let Self { cutter, out, records_of, .. } = self;
        let count = cutter.template_count();
        let table = table.filter(|_| (0..count).any(|index| cutter.shared(index).is_some()));
        out.push(u8::from(table.is_some()));
        if let Some(table) = table {
            out.extend_from_slice(&table.id().to_le_bytes());
            out.extend_from_slice(&table.checksum().to_le_bytes());
        }
        put_varint(out, count as u128);
        for index in 0..count {
            match cutter.shared(index) {
                Some(place) => put_varint(out, 2 * place as u128 + 1),
                None => {
                    put_varint(out, 2 * cutter.template(index).len() as u128);
                    out.extend_from_slice(cutter.template(index));
                }
            }
        }
        records_of.iter().for_each(|&records| put_varint(out, records as u128));
    }

    /// Writes what is known of a column for all blocks.
    fn put_column(&mut self, index: usize) {
        let Self { cutter, columns, dictionary, out, .. } = self;
        let column = &mut columns[index];
        if cutter.columns()[index] == NUMBER {
            return NumberStats::of(&column.mantissas, &column.decimals).put(out);
        }
        if !dictionary.make(&column.text, &column.ends) {
            let alphabet = Alphabet::of(&column.text);
            let ascii =
                alphabet.symbols().filter(u8::is_ascii).fold(0_u128, |bits, symbol| bits | 1 << symbol);
            out.push(if alphabet.is_ascii() { ASCII } else { OTHERS });
            return out.extend_from_slice(&ascii.to_le_bytes());
        }
        out.push(DICTIONARY);
        put_varint(out, dictionary.entries.len() as u128);
        dictionary.entries.iter().for_each(|entry| put_varint(out, entry.len.into()));
        dictionary.entries.iter().for_each(|entry| out.extend_from_slice(entry.of(&column.text)));
        std::mem::swap(&mut column.ids, &mut dictionary.ids);
    }

    fn put_block(&mut self, records: Range<usize>, may_pack: bool) {
        let Self { times, templates, cutter, columns, packer, out, .. } = self;
        let mut values = [0; BLOCK_RECORDS];
        let first_ts = times[0];
        values.iter_mut().zip(&times[records.clone()]).for_each(|(out, ts)| *out = ts.wrapping_sub(first_ts));
        put_ints(out, &values[..records.len()]);
        let templates = &templates[records];
        let template_count = cutter.template_count();
        if template_count > 1 {
            put_ints(out, templates);
        }
        for template in 0..template_count {
            let rows = templates.iter().filter(|&&known| known == template as i64).count();
            if rows == 0 {
                continue;
            }
            for index in cutter.columns_of(template) {
                let column = &mut columns[index];
                let taken = column.taken..column.taken + rows;
                column.taken = taken.end;
                if cutter.columns()[index] == NUMBER {
                    put_numbers(out, &column.mantissas[taken.clone()], &column.decimals[taken]);
                } else if !column.ids.is_empty() {
                    put_dictionary_block(out, &column.ids[taken]);
                } else {
                    put_texts(packer, out, column, taken, may_pack);
                }
            }
        }
    }
}

fn put_texts(
    packer: &mut TextPacker,
    out: &mut Vec<u8>,
    column: &Column,
    taken: Range<usize>,
    may_pack: bool,
) {
    let start = if taken.start == 0 { 0 } else { column.ends[taken.start - 1] };
    let mut lengths = [0; BLOCK_RECORDS];
    let mut at = start;
    for (length, &end) in lengths.iter_mut().zip(&column.ends[taken.clone()]) {
        *length = i64::from(end - at);
        at = end;
    }
    packer.put(out, &column.text[start as usize..at as usize], &lengths[..taken.len()], may_pack);
}
