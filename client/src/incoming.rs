//! The reply that is being read: as much of its text as is needed at a time, and the scan that finds where its
//! elements end. What has been read is dropped before more is asked for, so a reply of any length costs a receive
//! buffer and its longest element.

use crate::error::Error;
use crate::frames::Frames;
use crate::limits::IDLE_BUFFER_BYTES;

/// A message, from its first byte on or from wherever reading has come.
#[derive(Default)]
pub(crate) struct Incoming {
    pub(crate) text: Vec<u8>,
    /// The part of `text` that has been read.
    pub(crate) at: usize,
    /// Whether `text` holds the message up to its end.
    pub(crate) complete: bool,
}

/// The beginning of a reply.
#[derive(Debug, PartialEq)]
pub(crate) struct Head {
    pub(crate) id: u64,
    /// Where its records begin, behind the bracket, if they can be read one by one.
    pub(crate) records: Option<usize>,
}

impl Incoming {
    /// A message that is there as a whole.
    pub(crate) fn whole(text: Vec<u8>) -> Incoming {
        Incoming { text, at: 0, complete: true }
    }

    /// Empties the buffer for the next message.
    pub(crate) fn begin(&mut self) {
        self.text.clear();
        self.text.shrink_to(IDLE_BUFFER_BYTES);
        self.at = 0;
        self.complete = false;
    }

    /// Reads on, forgetting what has been read of it.
    pub(crate) fn more(&mut self, frames: &mut Frames) -> Result<(), Error> {
        if self.complete {
            return Err(Error::Protocol("a reply ends in the middle".into()));
        }
        self.text.drain(..self.at);
        self.at = 0;
        self.complete = frames.read_some(&mut self.text)?;
        Ok(())
    }

    /// Reads up to the end of the message.
    pub(crate) fn finish(&mut self, frames: &mut Frames) -> Result<(), Error> {
        while !self.complete {
            self.complete = frames.read_some(&mut self.text)?;
        }
        Ok(())
    }

    /// Reads up to the end of the message and forgets it.
    pub(crate) fn skip(&mut self, frames: &mut Frames) -> Result<(), Error> {
        while !self.complete {
            self.text.clear();
            self.complete = frames.read_some(&mut self.text)?;
        }
        self.begin();
        self.complete = true;
        Ok(())
    }

    /// The head of a reply in the server's own layout, `{"id":"7","records":[`; nothing if it is laid out
    /// otherwise, or has not come far enough.
    pub(crate) fn head(&self) -> Option<Head> {
        let rest = self.text.strip_prefix(b"{\"id\":\"")?;
        let digits = rest.iter().position(|byte| !byte.is_ascii_digit())?;
        let id = std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()?;
        let rest = rest[digits..].strip_prefix(b"\"")?;
        let after_id = self.text.len() - rest.len();
        const RECORDS: &[u8] = b",\"records\":";
        if rest.len() <= RECORDS.len() && RECORDS.starts_with(rest) {
            return None;
        }
        let records = rest.strip_prefix(RECORDS).and_then(|rest| {
            matches!(rest.first(), Some(b'[' | b'{')).then_some(after_id + RECORDS.len() + 1)
        });
        Some(Head { id, records })
    }

    /// The range of the next element, which ends with an object: `{…}` in an array, `"name":{…}` in an object.
    /// Nothing behind the last one.
    pub(crate) fn next_element(
        &mut self,
        frames: &mut Option<Frames>,
    ) -> Result<Option<std::ops::Range<usize>>, Error> {
        let mut scan = ElementScan::default();
        loop {
            match scan.run(&self.text[self.at..]) {
                Scanned::Element { start, end } => {
                    let range = self.at + start..self.at + end;
                    self.at = range.end;
                    return Ok(Some(range));
                }
                Scanned::End => return Ok(None),
                Scanned::Incomplete => match frames {
                    Some(frames) => self.more(frames)?,
                    None => return Err(Error::NotConnected),
                },
            }
        }
    }
}

enum Scanned {
    Element { start: usize, end: usize },
    End,
    Incomplete,
}

/// Where a scan has come to. Its positions count from where the element's search began, so that it goes on when
/// more text has come behind.
#[derive(Default)]
struct ElementScan {
    at: usize,
    start: Option<usize>,
    depth: usize,
    in_string: bool,
}

impl ElementScan {
    fn run(&mut self, text: &[u8]) -> Scanned {
        let start = match self.start {
            Some(start) => start,
            None => {
                let blank = |byte: &u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t' | b',');
                let Some(first) = text.iter().position(|byte| !blank(byte)) else {
                    return Scanned::Incomplete;
                };
                if matches!(text[first], b']' | b'}') {
                    return Scanned::End;
                }
                self.at = first;
                *self.start.insert(first)
            }
        };
        while self.at < text.len() {
            let rest = &text[self.at..];
            if self.in_string {
                match self.pass_string(rest) {
                    true => continue,
                    false => return Scanned::Incomplete,
                }
            }
            let Some(found) = memchr::memchr3(b'"', b'{', b'}', rest) else { break };
            self.at += found + 1;
            match rest[found] {
                b'"' => self.in_string = true,
                b'{' => self.depth += 1,
                _ if self.depth <= 1 => return Scanned::Element { start, end: self.at },
                _ => self.depth -= 1,
            }
        }
        self.at = text.len();
        Scanned::Incomplete
    }

    /// Goes on in a string, up to its end or an escape in it; false if that has not come yet.
    fn pass_string(&mut self, rest: &[u8]) -> bool {
        let Some(found) = memchr::memchr2(b'"', b'\\', rest) else {
            self.at += rest.len();
            return false;
        };
        if rest[found] == b'"' {
            self.in_string = false;
            self.at += found + 1;
        } else if found + 1 < rest.len() {
            self.at += found + 2;
        } else {
            // The escaped byte has not come yet: the backslash is looked at again then.
            self.at += found;
            return false;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements(text: &str) -> Vec<String> {
        let mut incoming = Incoming::whole(text.as_bytes().to_vec());
        let mut found = Vec::new();
        while let Some(range) = incoming.next_element(&mut None).unwrap() {
            found.push(String::from_utf8(incoming.text[range].to_vec()).unwrap());
        }
        found
    }

    #[test]
    fn elements_end_where_their_object_ends() {
        assert_eq!(elements("]}"), Vec::<String>::new());
        assert_eq!(elements(r#"{"a":"}\"\\"}, {"b":{"c":1}}]"#), [r#"{"a":"}\"\\"}"#, r#"{"b":{"c":1}}"#]);
        assert_eq!(elements(r#""x{":{"a":1},"y\"":{"b":2}}}"#), [r#""x{":{"a":1}"#, r#""y\"":{"b":2}"#]);
    }

    #[test]
    fn a_scan_goes_on_wherever_the_text_was_cut() {
        let text = r#" ,{"data":"a\"}\\","ts":{"x":"\u0041{"}} ]"#.as_bytes();
        for first in 0..text.len() {
            for second in first..text.len() {
                let mut scan = ElementScan::default();
                let ends = [first, second, text.len()];
                let element = ends.iter().find_map(|end| match scan.run(&text[..*end]) {
                    Scanned::Element { start, end } => Some((start, end)),
                    _ => None,
                });
                assert_eq!(element, Some((2, text.len() - 2)), "cut at {first} and {second}");
            }
        }
    }

    #[test]
    fn heads() {
        let head = |text: &str| Incoming::whole(text.as_bytes().to_vec()).head();
        assert_eq!(head(r#"{"id":"12","records":[]}"#), Some(Head { id: 12, records: Some(22) }));
        assert_eq!(head(r#"{"id":"1","records":{"#), Some(Head { id: 1, records: Some(21) }));
        assert_eq!(head(r#"{"id":"1"}"#), Some(Head { id: 1, records: None }));
        assert_eq!(head(r#"{"id":"1","error":"x"}"#), Some(Head { id: 1, records: None }));
        for text in
            ["", r#"{"id":"1"#, r#"{"id":"1","rec"#, r#"{"id":"1","records":"#, r#"{"records":[],"id":"1"}"#]
        {
            assert_eq!(head(text), None, "{text}");
        }
    }
}
