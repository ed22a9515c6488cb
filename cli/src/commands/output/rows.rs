//! Results on stdout: JSON with two spaces of indentation, or rows as a table or CSV. Rows are written as they come,
//! so that a result of any length costs no memory.

use anyhow::Result;
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::borrow::Cow;
use std::io::{self, BufWriter, StdoutLock, Write};

/// Rows that a table looks at to choose the widths of its columns.
const SAMPLE_ROWS: usize = 500;

/// How to show rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Indented JSON
    Json,
    /// Columns for people
    Table,
    /// Comma-separated values with a header
    Csv,
}

/// The flag that chooses.
#[derive(Args, Clone)]
pub struct FormatFlag {
    /// How to print
    #[arg(long, value_name = "FORMAT", default_value = "json")]
    pub format: Format,
}

/// Prints a value as indented JSON.
pub fn print_json(value: &(impl Serialize + ?Sized)) -> Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    serde_json::to_writer_pretty(&mut out, value).map_err(io::Error::from)?;
    writeln!(out)?;
    Ok(out.flush()?)
}

/// What a command prints that has nothing to say.
pub fn print_ok() -> Result<()> {
    print_json(&serde_json::json!({"status": "ok"}))
}

/// Whether a command failed only because nobody reads its output any more.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let mut sources = error.chain().filter_map(|source| source.downcast_ref::<io::Error>());
    sources.any(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// An array of JSON values, written one by one.
pub struct JsonArray<W: Write> {
    out: W,
    empty: bool,
}

impl<W: Write> JsonArray<W> {
    /// Begins it.
    pub fn new(mut out: W) -> io::Result<JsonArray<W>> {
        out.write_all(b"[")?;
        Ok(JsonArray { out, empty: true })
    }

    /// Adds a value.
    pub fn push(&mut self, value: &impl Serialize) -> io::Result<()> {
        let separator: &[u8] = if self.empty { b"\n  " } else { b",\n  " };
        self.empty = false;
        let text = serde_json::to_string_pretty(value)?;
        self.out.write_all(separator)?;
        self.out.write_all(text.replace('\n', "\n  ").as_bytes())
    }

    /// Ends it.
    pub fn finish(mut self) -> io::Result<()> {
        self.out.write_all(if self.empty { b"]\n" } else { b"\n]\n" })?;
        self.out.flush()
    }
}

/// The buffered stdout.
pub fn stdout() -> BufWriter<StdoutLock<'static>> {
    BufWriter::with_capacity(64 * 1024, io::stdout().lock())
}

/// Rows for people or for spreadsheets.
pub struct Rows<W: Write> {
    out: W,
    as_table: bool,
    /// Rows whose widths are still being looked at; with the header first.
    held: Vec<Vec<String>>,
    widths: Vec<usize>,
}

impl<W: Write> Rows<W> {
    /// Rows below a header; `format` is table or CSV.
    pub fn new(out: W, format: Format, header: &[&str]) -> io::Result<Rows<W>> {
        let mut rows = Rows { out, as_table: format == Format::Table, held: Vec::new(), widths: Vec::new() };
        let shown: Vec<String> = match rows.as_table {
            true => header.iter().map(|name| name.to_uppercase()).collect(),
            false => header.iter().map(|name| name.to_string()).collect(),
        };
        rows.push(&shown.iter().map(String::as_str).collect::<Vec<_>>())?;
        Ok(rows)
    }

    /// Adds a row.
    pub fn push(&mut self, cells: &[&str]) -> io::Result<()> {
        if !self.as_table {
            let fields: Vec<Cow<'_, str>> = cells.iter().map(|cell| csv_field(cell)).collect();
            return writeln!(self.out, "{}", fields.join(","));
        }
        let row: Vec<String> = cells.iter().map(|cell| printable(cell)).collect();
        if !self.widths.is_empty() {
            return self.write_row(&row);
        }
        self.held.push(row);
        if self.held.len() > SAMPLE_ROWS { self.release() } else { Ok(()) }
    }

    /// Ends them.
    pub fn finish(mut self) -> io::Result<()> {
        self.release()?;
        self.out.flush()
    }

    fn release(&mut self) -> io::Result<()> {
        let held = std::mem::take(&mut self.held);
        let columns = held.first().map_or(0, Vec::len);
        let width = |column: usize| held.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        if self.widths.is_empty() {
            self.widths = (0..columns).map(width).collect();
        }
        held.iter().try_for_each(|row| self.write_row(row))
    }

    fn write_row(&mut self, row: &[String]) -> io::Result<()> {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&self.widths) {
            line.push_str(cell);
            let missing = width.saturating_sub(cell.chars().count()) + 2;
            line.extend(std::iter::repeat_n(' ', missing));
        }
        writeln!(self.out, "{}", line.trim_end())
    }
}

/// Control characters would break the table, or command the terminal.
fn printable(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut shown, letter| {
        match letter.is_control() {
            true => shown.extend(letter.escape_default()),
            false => shown.push(letter),
        }
        shown
    })
}

fn csv_field(text: &str) -> Cow<'_, str> {
    let plain = !text.contains(['"', ',', '\n', '\r']) && text.trim() == text;
    if plain { Cow::Borrowed(text) } else { Cow::Owned(format!("\"{}\"", text.replace('"', "\"\""))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(format: Format, cells: &[[&str; 2]]) -> String {
        let mut out = Vec::new();
        let mut rows = Rows::new(&mut out, format, &["key", "value"]).unwrap();
        cells.iter().for_each(|row| rows.push(row).unwrap());
        rows.finish().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn tables_are_aligned_and_harmless() {
        let cells = [["ünï", "a\n\x1b[2J"], ["longer key", ""]];
        let expected = "KEY         VALUE\nünï         a\\n\\u{1b}[2J\nlonger key\n";
        assert_eq!(rows(Format::Table, &cells), expected);
    }

    #[test]
    fn csv_quotes_what_it_must() {
        assert_eq!(
            rows(Format::Csv, &[["a,b", "say \"x\""], ["c", ""]]),
            "key,value\n\"a,b\",\"say \"\"x\"\"\"\nc,\n"
        );
    }

    #[test]
    fn long_tables_do_not_wait_for_their_end() {
        let cells = vec![["k", "v"]; SAMPLE_ROWS + 5];
        assert_eq!(rows(Format::Table, &cells).lines().count(), SAMPLE_ROWS + 6);
    }

    #[test]
    fn arrays_look_as_if_written_at_once() {
        for values in [vec![], vec![serde_json::json!({"a": 1, "b": "\n"}), serde_json::json!({})]] {
            let mut out = Vec::new();
            let mut array = JsonArray::new(&mut out).unwrap();
            values.iter().for_each(|value| array.push(value).unwrap());
            array.finish().unwrap();
            let expected = serde_json::to_string_pretty(&values).unwrap() + "\n";
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
