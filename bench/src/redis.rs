//! Redis for comparison: the same data and the same pipelining, as the commands that one would use there.
//!
//! A document is a sorted set, scored by time. A set holds each member once, but two records may say the same, so a
//! member is the record's time, a colon, and its text. An insertion is a `ZADD` for each document in it, with all of that
//! document's records; the newest are a `ZRANGE … REV`; values are `SET` and `GET`. Only the plain version 2 of the
//! protocol is spoken.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::Arc;

use anyhow::{Result, ensure};

use crate::digits::Digits;
use crate::generator::Generator;
use crate::limits::RESP_LINE_BYTES_MAX;
use crate::requests::{Shape, digits_of};
use crate::template::Subject;
use crate::texts::Texts;
use crate::workload::{Mix, Workload};

/// Makes commands of what a generator wants.
#[derive(Debug)]
pub struct Commands {
    records: u32,
    /// `colN:doc` and so on, with the digits of both numbers.
    name: Name,
    timestamp_digits: usize,
    newest: String,
    /// Not escaped.
    texts: Arc<Texts>,
}

#[derive(Clone, Copy, Debug)]
struct Name {
    collection_digits: usize,
    name_digits: usize,
}

impl Commands {
    /// Refuses what has no counterpart.
    pub fn check(mix: &Mix, shape: &Shape) -> Result<()> {
        ensure!(
            !mix.has(Workload::Qry),
            "Redis has no command for qry: the newest of every set takes one for each"
        );
        ensure!(
            shape.out_of_order_percent + shape.overwrite_percent == 0,
            "--out-of-order and --overwrite don't go with Redis, where a record replaces none"
        );
        Ok(())
    }

    /// For data of this shape, whose texts are not escaped.
    pub fn new(shape: &Shape, texts: &Arc<Texts>) -> Self {
        let last = (shape.limit - 1).to_string();
        Self {
            records: shape.records,
            name: Name {
                collection_digits: digits_of(shape.collections - 1),
                name_digits: digits_of(shape.documents - 1),
            },
            timestamp_digits: digits_of(shape.first_ts),
            newest: format!("$1\r\n0\r\n${}\r\n{last}\r\n$3\r\nREV\r\n", last.len()),
            texts: Arc::clone(texts),
        }
    }

    /// The number of records in an insertion.
    pub fn records(&self) -> u32 {
        self.records
    }

    /// Appends a request's commands; returns how many there are, which is how many replies will come.
    pub fn append(&self, generator: &mut Generator, workload: Workload, out: &mut Vec<u8>) -> u32 {
        match workload {
            Workload::Ins => return self.append_records(generator, out),
            Workload::Sval => {
                let (key, round) = generator.next_key();
                let value = self.texts.of(key, round);
                out.extend_from_slice(b"*3\r\n$3\r\nSET\r\n");
                self.name.append(out, b"key", generator.key_subject(key));
                bulk(out, value);
            }
            Workload::Gval => {
                let key = generator.any_key();
                out.extend_from_slice(b"*2\r\n$3\r\nGET\r\n");
                self.name.append(out, b"key", generator.key_subject(key));
            }
            Workload::Qdoc | Workload::Qry => {
                let key = generator.any_key();
                out.extend_from_slice(b"*5\r\n$6\r\nZRANGE\r\n");
                self.name.append(out, b"doc", generator.key_subject(key));
                out.extend_from_slice(self.newest.as_bytes());
            }
        }
        1
    }

    /// Records go round the connection's documents, so those of a document are as far apart as there are documents.
    fn append_records(&self, generator: &mut Generator, out: &mut Vec<u8>) -> u32 {
        let collection = generator.next_collection();
        let records: Vec<(Subject, &[u8])> =
            (0..self.records).map(|_| generator.next_record(collection, &self.texts)).collect();
        let documents = (generator.documents() as usize).min(records.len());
        for first in 0..documents {
            let of_document = records[first..].iter().step_by(documents);
            // Writing to a vector does not fail.
            let _ = write!(out, "*{}\r\n$4\r\nZADD\r\n", 2 + 2 * of_document.len());
            self.name.append(out, b"doc", records[first].0);
            for &(subject, text) in of_document {
                self.append_member(out, subject.timestamp, text);
            }
        }
        documents as u32
    }

    fn append_member(&self, out: &mut Vec<u8>, timestamp: u64, text: &[u8]) {
        let width = self.timestamp_digits;
        let mut time = [0; 20];
        Digits { at: 0, width }.write(&mut time, timestamp);
        bulk(out, &time[..width]);
        push_length(out, width + 1 + text.len());
        out.extend_from_slice(&time[..width]);
        out.push(b':');
        out.extend_from_slice(text);
        out.extend_from_slice(b"\r\n");
    }
}

impl Name {
    fn append(self, out: &mut Vec<u8>, kind: &[u8; 3], subject: Subject) {
        let Self { collection_digits, name_digits } = self;
        push_length(out, 3 + collection_digits + 1 + kind.len() + name_digits);
        let start = out.len();
        out.extend_from_slice(b"col");
        out.resize(out.len() + collection_digits, b'0');
        out.push(b':');
        out.extend_from_slice(kind);
        out.resize(out.len() + name_digits, b'0');
        let bytes = &mut out[start..];
        Digits { at: 3, width: collection_digits }.write(bytes, subject.collection);
        Digits { at: bytes.len() - name_digits, width: name_digits }.write(bytes, subject.name);
        out.extend_from_slice(b"\r\n");
    }
}

fn bulk(out: &mut Vec<u8>, bytes: &[u8]) {
    push_length(out, bytes.len());
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

fn push_length(out: &mut Vec<u8>, length: usize) {
    let width = digits_of(length as u64);
    out.push(b'$');
    let at = out.len();
    out.resize(at + width, b'0');
    Digits { at, width }.write(out, length as u64);
    out.extend_from_slice(b"\r\n");
}

/// The requests that wait for replies, and where in the stream of these the reader is. Replies come in the order of the
/// commands.
#[derive(Debug, Default)]
pub struct Replies {
    waiting: VecDeque<Waiting>,
    /// Bytes of a text that are still to come.
    skip_bytes: u64,
    /// Whether a reply has begun and is not finished.
    in_reply: bool,
    /// Elements of it that have not begun.
    elements: u64,
    error: Option<String>,
}

#[derive(Debug)]
struct Waiting {
    id: u64,
    replies: u32,
    error: Option<String>,
}

impl Replies {
    /// A request went out, and so many replies will come for it.
    pub fn expect(&mut self, id: u64, replies: u32) {
        self.waiting.push_back(Waiting { id, replies, error: None });
    }

    /// Walks over what is there, and hands out each request that is answered, with its first error. Returns how many bytes
    /// it is done with.
    pub fn walk<F>(&mut self, bytes: &[u8], mut on: F) -> Result<usize, &'static str>
    where
        F: FnMut(u64, Option<String>),
    {
        let mut at = 0;
        loop {
            let skipped = self.skip_bytes.min((bytes.len() - at) as u64);
            at += skipped as usize;
            self.skip_bytes -= skipped;
            if self.skip_bytes > 0 {
                return Ok(at);
            }
            if self.in_reply && self.elements == 0 {
                self.in_reply = false;
                self.finish(&mut on)?;
            }
            let Some(line) = line_at(&bytes[at..])? else { return Ok(at) };
            at += line.len() + 2;
            if !self.in_reply {
                (self.in_reply, self.elements) = (true, 1);
            }
            self.elements -= 1;
            self.begin(line)?;
        }
    }

    /// An element begins.
    fn begin(&mut self, line: &[u8]) -> Result<(), &'static str> {
        let (&kind, rest) = line.split_first().ok_or("Redis sent an empty line")?;
        match kind {
            b'+' | b':' => {}
            b'-' => {
                self.error.get_or_insert_with(|| String::from_utf8_lossy(rest).into_owned());
            }
            // A length of -1 is that of nothing.
            b'$' => self.skip_bytes = count(rest)?.map_or(0, |bytes| bytes + 2),
            b'*' => self.elements += count(rest)?.unwrap_or(0),
            _ => return Err("Redis sent what is no reply of version 2 of its protocol"),
        }
        Ok(())
    }

    fn finish(&mut self, on: &mut impl FnMut(u64, Option<String>)) -> Result<(), &'static str> {
        let waiting = self.waiting.front_mut().ok_or("Redis sent a reply to no command")?;
        waiting.replies -= 1;
        waiting.error = waiting.error.take().or(self.error.take());
        if waiting.replies == 0
            && let Some(Waiting { id, error, .. }) = self.waiting.pop_front()
        {
            on(id, error);
        }
        Ok(())
    }
}

/// The line at the start, if it is there as a whole.
fn line_at(bytes: &[u8]) -> Result<Option<&[u8]>, &'static str> {
    match bytes.iter().position(|&byte| byte == b'\r') {
        Some(end) if end + 1 < bytes.len() => Ok(Some(&bytes[..end])),
        None if bytes.len() > RESP_LINE_BYTES_MAX => Err("Redis sent a line that is too long"),
        _ => Ok(None),
    }
}

fn count(digits: &[u8]) -> Result<Option<u64>, &'static str> {
    if digits == b"-1" {
        return Ok(None);
    }
    let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
    // Larger ones would overflow sums; nothing in a comparison comes near.
    number.filter(|&number: &u64| number <= 1 << 40).map(Some).ok_or("Redis sent a length that is no number")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::Payload;
    use crate::texts::Form;

    fn shape(records: u32) -> Shape {
        Shape {
            records,
            documents: 6,
            collections: 2,
            connections: 2,
            limit: 100,
            first_ts: 1_700_000_000_000,
            out_of_order_percent: 0,
            overwrite_percent: 0,
        }
    }

    fn commands(workload: Workload, records: u32) -> (String, u32) {
        let texts = Arc::new(Texts::new(&Payload::Letters(3), Form::Plain));
        let (mut generator, mut out) = (Generator::new(&shape(records), 0), Vec::new());
        let count = Commands::new(&shape(records), &texts).append(&mut generator, workload, &mut out);
        (String::from_utf8(out).unwrap(), count)
    }

    /// The arguments of each command.
    fn split(text: &str) -> Vec<Vec<&str>> {
        let mut lines = text.split_terminator("\r\n");
        let mut commands = Vec::new();
        while let Some(head) = lines.next() {
            let arguments = head.strip_prefix('*').unwrap().parse().unwrap();
            let mut command = Vec::new();
            for _ in 0..arguments {
                let length: usize = lines.next().unwrap().strip_prefix('$').unwrap().parse().unwrap();
                command.push(lines.next().unwrap());
                assert_eq!(command.last().unwrap().len(), length);
            }
            commands.push(command);
        }
        commands
    }

    #[test]
    fn an_insertion_is_a_command_for_each_document_with_all_of_its_records() {
        let (text, count) = commands(Workload::Ins, 8);
        let commands = split(&text);
        assert_eq!((commands.len(), count), (3, 3));
        let records: Vec<usize> = commands.iter().map(|command| (command.len() - 2) / 2).collect();
        assert_eq!(records, [3, 3, 2]);
        for command in commands {
            assert!(command[0] == "ZADD" && command[1].starts_with("col0:doc"));
            for pair in command[2..].chunks(2) {
                let (time, text) = pair[1].split_once(':').unwrap();
                assert_eq!((time, time.len(), text.len()), (pair[0], 13, 3));
            }
        }
        assert_eq!(split(&self::commands(Workload::Ins, 1).0)[0].len(), 4);
    }

    #[test]
    fn values_and_the_newest_are_one_command() {
        assert_eq!(split(&commands(Workload::Qdoc, 1).0)[0][2..], ["0", "99", "REV"]);
        let setting = commands(Workload::Sval, 1).0;
        assert_eq!((split(&setting)[0][0], split(&setting)[0][2].len()), ("SET", 3));
        assert_eq!(split(&commands(Workload::Gval, 1).0)[0][0], "GET");
    }

    #[test]
    fn any_cut_of_the_replies_answers_the_same_requests() {
        let text = ":3\r\n:1\r\n*2\r\n$3\r\na\r\n\r\n*-1\r\n$-1\r\n-ERR no\r\n:1\r\n*0\r\n*2\r\n*1\r\n:1\r\n:2\r\n+OK\r\n";
        for piece_bytes in [1, 2, 3, 5, 1_000] {
            let mut replies = Replies::default();
            for (id, count) in [(1, 2), (2, 1), (3, 1), (4, 2), (5, 1), (6, 1), (7, 1)] {
                replies.expect(id, count);
            }
            let (mut rest, mut seen) = (Vec::new(), Vec::new());
            for piece in text.as_bytes().chunks(piece_bytes) {
                rest.extend_from_slice(piece);
                let consumed = replies.walk(&rest, |id, error| seen.push((id, error))).unwrap();
                rest.drain(..consumed);
            }
            assert!(rest.is_empty());
            let ids: Vec<u64> = seen.iter().map(|&(id, _)| id).collect();
            assert_eq!(ids, [1, 2, 3, 4, 5, 6, 7], "in pieces of {piece_bytes}");
            assert_eq!(seen[3].1.as_deref(), Some("ERR no"));
            assert_eq!(seen.iter().filter(|(_, error)| error.is_some()).count(), 1);
        }
    }

    #[test]
    fn what_is_no_reply_is_an_error() {
        let long = "+".repeat(2 * RESP_LINE_BYTES_MAX);
        for text in ["hello\r\n", "$x\r\n", ":1\r\n", "\r\n", long.as_str()] {
            let mut replies = Replies::default();
            assert!(replies.walk(text.as_bytes(), |_, _| ()).is_err(), "{text}");
        }
    }
}
