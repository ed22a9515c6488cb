//! Making a sealed chunk of bytes that may be damaged, and checking one to the last digit.

use std::sync::Arc;

use super::field;
use super::format::{BLOCK_RECORDS, CHECKSUM_BYTES, Damaged, HEAD_BYTES, MAGIC, VERSION, array, u32_at};
use super::layout::table_of;
use super::read::{Decoder, Reader, Wanted};
use super::stats::NumberStats;
use super::template::TemplateTable;
use super::value::Sealed;
use crate::limits::SEALED_RECORDS_MAX;

/// The smallest chunk: its head, no shared and one own template, one block's place, a checksum.
const BYTES_MIN: usize = HEAD_BYTES + 3 + 4 + CHECKSUM_BYTES;

impl Sealed {
    /// Takes bytes for a sealed chunk, if they are an undamaged one: whatever they are, reading it is safe afterwards.
    ///
    /// `table_with` returns the table of templates with a number, if there is one. The cost is a few nanoseconds a record
    /// unless there are compressed texts, which are decompressed once.
    pub fn from_bytes(
        bytes: impl Into<Arc<[u8]>>,
        table_with: impl FnOnce(u64) -> Option<Arc<TemplateTable>>,
        decoder: &mut Decoder,
    ) -> Result<Self, Damaged> {
        let bytes = bytes.into();
        check_whole(&bytes)?;
        check_head(&bytes)?;
        let table = match table_of(&bytes)? {
            Some(id) => Some(table_with(id).ok_or(Damaged::Table(id))?),
            None => None,
        };
        let chunk = Self::trusted(bytes, table);
        decoder.open_layout(&chunk, false)?;
        check_blocks(&chunk, decoder)?;
        Ok(chunk)
    }

    /// Checks what reading does not depend on as well: the lengths of texts, and the statistics of columns.
    ///
    /// Reads the chunk as a whole. What is found wrong can't be damage, which the checksum finds, but only a fault of the
    /// program that made it.
    pub fn verify(&self, decoder: &mut Decoder) -> Result<(), Damaged> {
        let mut reader = decoder.open(self);
        let (mut text_bytes, mut shortest, mut longest) = (0, usize::MAX, 0);
        for block in 0..self.block_count() {
            let block = reader.block(block);
            for (_, data) in block.records() {
                text_bytes += data.len();
                (shortest, longest) = (shortest.min(data.len()), longest.max(data.len()));
            }
        }
        let found = (text_bytes, shortest, longest);
        if found != (self.text_bytes(), self.shortest_text(), self.longest_text()) {
            return Err(Damaged::Part { part: "length of the texts", at: field::TEXT_BYTES });
        }
        verify_stats(&mut reader)
    }
}

fn verify_stats(reader: &mut Reader<'_>) -> Result<(), Damaged> {
    let columns: Vec<_> = reader.number_columns().collect();
    for column in columns {
        let mut numbers = Vec::new();
        for block in 0..reader.chunk().block_count() {
            reader.numbers(block, column.template, column.slot, &mut numbers);
        }
        let (mantissas, decimals): (Vec<_>, Vec<_>) =
            numbers.iter().map(|number| (number.mantissa, number.decimals)).unzip();
        if NumberStats::of(&mantissas, &decimals) != column.stats {
            let at = u32_at(reader.chunk().bytes(), field::COLUMNS_AT) as usize;
            return Err(Damaged::Part { part: "statistics of a column", at });
        }
    }
    Ok(())
}

/// Checks that the bytes are a chunk of this version, all of it, as it was written.
fn check_whole(bytes: &[u8]) -> Result<(), Damaged> {
    let known = bytes.len().min(MAGIC.len());
    if bytes.is_empty() || bytes[..known] != MAGIC[..known] {
        return Err(Damaged::Magic);
    }
    if bytes.len() < BYTES_MIN {
        return Err(Damaged::Length { found: bytes.len(), expected: BYTES_MIN });
    }
    let version = u16::from_le_bytes(array(bytes, field::VERSION));
    if version != VERSION {
        return Err(Damaged::Version(version));
    }
    let expected = u32_at(bytes, field::LENGTH) as usize;
    if bytes.len() != expected {
        return Err(Damaged::Length { found: bytes.len(), expected });
    }
    let body = bytes.len() - CHECKSUM_BYTES;
    let (stored, computed) = (u32_at(bytes, body), crc32fast::hash(&bytes[..body]));
    if stored == computed { Ok(()) } else { Err(Damaged::Checksum { stored, computed }) }
}

/// Checks the fields of the head, and that the parts lie one behind the other.
fn check_head(bytes: &[u8]) -> Result<(), Damaged> {
    let wrong = |part, at| Err(Damaged::Part { part, at });
    let read = |at| u32_at(bytes, at) as usize;
    if array(bytes, field::FLAGS) != [0_u8; 2] {
        return wrong("flags", field::FLAGS);
    }
    let count = read(field::COUNT);
    if !(1..=SEALED_RECORDS_MAX).contains(&count) {
        return wrong("count of records", field::COUNT);
    }
    let [shortest, longest] = [read(field::SHORTEST), read(field::LONGEST)];
    if shortest > longest || longest > read(field::TEXT_BYTES) {
        return wrong("length of the texts", field::SHORTEST);
    }
    let (columns_at, directory) = (read(field::COLUMNS_AT), read(field::BLOCKS_AT));
    if columns_at < HEAD_BYTES || directory < columns_at {
        return wrong("place of the columns", field::COLUMNS_AT);
    }
    let blocks_end = bytes.len() - CHECKSUM_BYTES;
    let block_count = count.div_ceil(BLOCK_RECORDS);
    let mut end = directory.saturating_add(4 * block_count);
    if end > blocks_end {
        return wrong("place of the blocks", field::BLOCKS_AT);
    }
    for at in (directory..end).step_by(4) {
        let next = read(at);
        if next < end || next > blocks_end {
            return wrong("place of a block", at);
        }
        end = next;
    }
    if end < blocks_end { wrong("end of the blocks", end) } else { Ok(()) }
}

/// Checks all blocks: times ascend, and each template has as many records as its columns say.
fn check_blocks(chunk: &Sealed, decoder: &mut Decoder) -> Result<(), Damaged> {
    let wrong = |part, at| Err(Damaged::Part { part, at });
    let mut rows = vec![0; decoder.layout.views.len()];
    let mut before = None;
    for block in 0..chunk.block_count() {
        let count = decoder.load(chunk, block, Wanted::Check)?;
        let at = chunk.block(block).at();
        let times = &decoder.times[..count];
        let ascending = before.is_none_or(|before| before < times[0]) && times.is_sorted_by(|a, b| a < b);
        if !ascending || block == 0 && times[0] != chunk.first_ts() {
            return wrong("times of a block", at);
        }
        before = times.last().copied();
        if !decoder.texts_are_utf8(chunk) {
            return wrong("texts of a block", at);
        }
        rows.iter_mut().zip(decoder.rows()).for_each(|(all, rows)| *all += rows);
    }
    if before != Some(chunk.last_ts()) {
        return wrong("time of the last record", field::LAST_TS);
    }
    if rows.iter().zip(&decoder.layout.views).any(|(&rows, view)| rows != view.records) {
        return wrong("count of a template's records", HEAD_BYTES);
    }
    Ok(())
}
