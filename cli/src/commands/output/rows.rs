//! Rows as a table for people or as CSV. They are written as they come, so that a result of any length costs no memory.

use super::escape::{is_hidden, printable};
use clap::{Args, ValueEnum};
use std::borrow::Cow;
use std::io::{self, BufWriter, StdoutLock, Write};

/// Rows that a table looks at to choose the widths of its columns.
const SAMPLE_ROWS: usize = 500;
/// Characters to which a column of a table grows whose rows come one by one; a longer cell stands out.
const GROWN_WIDTH_MAX: usize = 32;

/// The form in which rows are shown.
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
    /// Form of the output
    #[arg(long, value_name = "FORMAT", default_value = "json")]
    pub format: Format,
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
    /// Whether each row is shown when it comes.
    at_once: bool,
}

impl<W: Write> Rows<W> {
    /// Rows below a header; `format` is table or CSV.
    pub fn new(out: W, format: Format, header: &[&str]) -> io::Result<Rows<W>> {
        Rows::begin(out, format, header, false)
    }

    /// The same for rows that come one by one: none is held back, and the columns grow with what comes.
    pub fn at_once(out: W, format: Format, header: &[&str]) -> io::Result<Rows<W>> {
        Rows::begin(out, format, header, true)
    }

    fn begin(out: W, format: Format, header: &[&str], at_once: bool) -> io::Result<Rows<W>> {
        let as_table = format == Format::Table;
        let mut rows = Rows { out, as_table, held: Vec::new(), widths: Vec::new(), at_once };
        let shown: Vec<String> = match rows.as_table {
            true => header.iter().map(|name| heading(name)).collect(),
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
        let row: Vec<String> = cells.iter().map(|cell| printable(cell).into_owned()).collect();
        if self.at_once {
            self.grow(&row);
            return self.write_row(&row);
        }
        if !self.widths.is_empty() {
            return self.write_row(&row);
        }
        self.held.push(row);
        if self.held.len() > SAMPLE_ROWS { self.release() } else { Ok(()) }
    }

    /// Ends them.
    pub fn finish(mut self) -> io::Result<()> {
        self.flush()
    }

    /// Makes sure that all rows are seen.
    pub fn flush(&mut self) -> io::Result<()> {
        self.release()?;
        self.out.flush()
    }

    fn grow(&mut self, row: &[String]) {
        self.widths.resize(row.len(), 0);
        for (width, cell) in self.widths.iter_mut().zip(row) {
            *width = cell.chars().count().min(GROWN_WIDTH_MAX).max(*width);
        }
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

/// A name of a column as a table shows it; a unit stays as it is, since `µS` would be another one.
fn heading(name: &str) -> String {
    let words: Vec<String> = name
        .split(' ')
        .map(|word| if word == "µs" { word.to_owned() } else { word.to_uppercase() })
        .collect();
    words.join(" ")
}

/// A field of CSV. Lines stay lines, since CSV has a form for them; all else that is hidden is escaped as in a table.
fn csv_field(text: &str) -> Cow<'_, str> {
    let hidden = |letter: char| is_hidden(letter) && letter != '\n';
    let text: Cow<'_, str> = match text.contains(hidden) {
        true => text.split('\n').map(printable).collect::<Vec<_>>().join("\n").into(),
        false => text.into(),
    };
    let plain = !text.contains(['"', ',', '\n']) && text.trim() == text;
    if plain { text } else { Cow::Owned(format!("\"{}\"", text.replace('"', "\"\""))) }
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
        let hidden = rows(Format::Csv, &[["\x1b[2J\u{9b}", "a\r\n\u{202e}b"]]);
        assert_eq!(hidden, "key,value\n\\u{1b}[2J\\u{9b},\"a\\r\n\\u{202e}b\"\n");
    }

    #[test]
    fn rows_that_come_one_by_one_are_not_held_back() {
        let mut out = Vec::new();
        let mut rows = Rows::at_once(&mut out, Format::Table, &["key", "value"]).unwrap();
        let long = "x".repeat(GROWN_WIDTH_MAX + 1);
        for cells in [["longer", "1"], ["k", "\x1b"], [&long, "2"], ["k", "3"]] {
            rows.push(&cells).unwrap();
        }
        drop(rows);
        let blanks = " ".repeat(GROWN_WIDTH_MAX + 1);
        let expected = format!("KEY  VALUE\nlonger  1\nk       \\u{{1b}}\n{long}  2\nk{blanks}3\n");
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn long_tables_do_not_wait_for_their_end() {
        let cells = vec![["k", "v"]; SAMPLE_ROWS + 5];
        assert_eq!(rows(Format::Table, &cells).lines().count(), SAMPLE_ROWS + 6);
    }
}
