//! Values as indented JSON. Hidden characters that JSON may hold as they are, are written as escapes; read again they are
//! the same.

use super::escape::is_hidden;
use super::rows::stdout;
use anyhow::Result;
use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};
use std::io::{self, Write};

/// Prints a value as indented JSON.
pub fn print_json(value: &(impl Serialize + ?Sized)) -> Result<()> {
    let mut out = stdout();
    write_value(&mut out, value)?;
    writeln!(out)?;
    Ok(out.flush()?)
}

/// Prints the result of a command that has nothing to say.
pub fn print_ok() -> Result<()> {
    print_json(&serde_json::json!({"status": "ok"}))
}

fn write_value(out: &mut impl Write, value: &(impl Serialize + ?Sized)) -> io::Result<()> {
    let formatter = Escaping { pretty: PrettyFormatter::new() };
    value.serialize(&mut Serializer::with_formatter(out, formatter)).map_err(io::Error::from)
}

/// Writes a value as JSON in one line, with the line's end.
pub fn write_line(out: &mut impl Write, value: &(impl Serialize + ?Sized)) -> io::Result<()> {
    value.serialize(&mut Serializer::with_formatter(&mut *out, EscapingInLine)).map_err(io::Error::from)?;
    out.write_all(b"\n")
}

fn write_escaped<W: ?Sized + Write>(out: &mut W, fragment: &str) -> io::Result<()> {
    let mut rest = fragment;
    while let Some((at, letter)) = rest.char_indices().find(|(_, letter)| is_hidden(*letter)) {
        out.write_all(&rest.as_bytes()[..at])?;
        // All of them have one unit in UTF-16.
        write!(out, "\\u{:04x}", u32::from(letter))?;
        rest = &rest[at + letter.len_utf8()..];
    }
    out.write_all(rest.as_bytes())
}

/// Writes without blanks, and escapes what a terminal would obey.
struct EscapingInLine;

impl Formatter for EscapingInLine {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        write_escaped(out, fragment)
    }
}

/// Indents as usual, and escapes what a terminal would obey.
struct Escaping {
    pretty: PrettyFormatter<'static>,
}

impl Formatter for Escaping {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        write_escaped(out, fragment)
    }

    fn begin_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.pretty.begin_array(out)
    }

    fn end_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.pretty.end_array(out)
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.pretty.begin_array_value(out, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.pretty.end_array_value(out)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.pretty.begin_object(out)
    }

    fn end_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.pretty.end_object(out)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.pretty.begin_object_key(out, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.pretty.begin_object_value(out)
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.pretty.end_object_value(out)
    }
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
        let mut text = Vec::new();
        write_value(&mut text, value)?;
        self.out.write_all(separator)?;
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            self.out.write_all(if index == 0 { b"" } else { b"\n  " })?;
            self.out.write_all(line)?;
        }
        Ok(())
    }

    /// Ends it.
    pub fn finish(mut self) -> io::Result<()> {
        self.out.write_all(if self.empty { b"]\n" } else { b"\n]\n" })?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn arrays_look_as_if_written_at_once() {
        for values in [vec![], vec![json!({"a": 1, "b": "\n"}), json!({})]] {
            let mut out = Vec::new();
            let mut array = JsonArray::new(&mut out).unwrap();
            values.iter().for_each(|value| array.push(value).unwrap());
            array.finish().unwrap();
            let expected = serde_json::to_string_pretty(&values).unwrap() + "\n";
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn hidden_characters_are_escaped_and_come_back() {
        let value = json!({"a\u{9b}": ["x\u{7f}\u{202e}ü\x1b", {"b": null}], "c": 1.5});
        let mut out = Vec::new();
        write_value(&mut out, &value).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains(r#""a\u009b""#) && text.contains(r#""x\u007f\u202eü\u001b""#), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
        let mut line = Vec::new();
        write_line(&mut line, &json!({"a\u{9b}": ["\n", 1]})).unwrap();
        assert_eq!(String::from_utf8(line).unwrap(), "{\"a\\u009b\":[\"\\n\",1]}\n");
    }
}
