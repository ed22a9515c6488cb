//! Messages too long to be read in one go. Lists of records, the only data that is long because there is much of it, are
//! read in steps: unescaped piece by piece, then parsed group by group straight into packets for the shards, nothing of
//! which is sent before all of it has been read. Other long data is one object with a long text in it, whose members
//! are found without building anything.

use crate::limits::{LONG_STEP_BYTES, PADDING_BYTES};
use crate::requests::decode::{Decoder, Misread};
use crate::requests::field::{Field, field};
use crate::requests::kind::Kind;
use crate::requests::members::BEYOND;
use crate::requests::read;
use crate::requests::scan::{RawText, Scanner};
use crate::requests::tame::tame_numbers;
use crate::requests::unescape::{unescape, unescape_some};
use crate::requests::vectors::Vectors;
use crate::requests::wrong::{Said, Wrong};
use fluxion_engine::{Packet, PacketBuilder, Request};
use simd_json::{Node, StaticNode};
use std::ops::Range;

/// A list of records that is being read.
pub struct LongRecords {
    kind: Kind,
    /// The data as it came; empty when all of it is unescaped.
    raw: Vec<u8>,
    unescaped: usize,
    /// The data, as far as it is unescaped.
    text: Vec<u8>,
    /// Where the separator before the next record stands in it; none before the list has begun.
    at: Option<usize>,
    /// Records that have been read.
    count: usize,
    parts: Vec<PacketBuilder>,
    shard_of: fn(&str, usize) -> usize,
}

/// The outcome of a step.
pub enum LongStep {
    /// There is more to do.
    More,
    /// All records have been read: for each shard that has some, a packet.
    Done(Vec<(usize, Packet)>),
}

impl LongRecords {
    /// Begins to read data that lists records, as it stands in its message; `shard_of` tells which of so many shards the
    /// records of a collection are for.
    pub fn new(
        kind: Kind,
        raw: Vec<u8>,
        shard_count: usize,
        shard_of: fn(&str, usize) -> usize,
    ) -> LongRecords {
        let parts = (0..shard_count).map(|_| PacketBuilder::default()).collect();
        LongRecords { kind, raw, unescaped: 0, text: Vec::new(), at: None, count: 0, parts, shard_of }
    }

    /// The memory that it takes.
    pub fn bytes(&self) -> usize {
        let parts: usize = self.parts.iter().map(PacketBuilder::bytes).sum();
        self.raw.capacity() + self.text.capacity() + parts
    }

    /// Takes one step.
    pub fn step(&mut self, decoder: &mut Decoder) -> Result<LongStep, Misread> {
        if !self.raw.is_empty() {
            let raw = &self.raw[self.unescaped..];
            self.unescaped += unescape_some(decoder.vectors(), raw, LONG_STEP_BYTES, &mut self.text)?;
            if self.unescaped == self.raw.len() {
                self.raw = Vec::new();
            }
            return Ok(LongStep::More);
        }
        if self.step_records(decoder).map_err(Misread::Wrong)? {
            return Ok(LongStep::More);
        }
        let parts = std::mem::take(&mut self.parts).into_iter().enumerate();
        let kind = self.kind;
        let packets = parts.filter(|(_, part)| !part.is_empty()).map(|(shard, part)| {
            let packet = if kind == Kind::Insert { part.insert() } else { part.delete_records() };
            (shard, packet)
        });
        Ok(LongStep::Done(packets.collect()))
    }

    /// Reads the next group of records; false when there are no more.
    fn step_records(&mut self, decoder: &mut Decoder) -> Said<bool> {
        let start = match self.at {
            Some(at) => at,
            None => match self.begin()? {
                Some(at) => at,
                None => return Ok(false),
            },
        };
        let (end, is_last) = self.group_end(start)?;
        self.read_group(start, end, decoder)?;
        self.at = Some(end);
        Ok(!is_last)
    }

    /// Takes the bracket at the beginning; none if the list is empty.
    fn begin(&mut self) -> Said<Option<usize>> {
        let len = self.text.len();
        self.text.resize(len + PADDING_BYTES, b' ');
        let mut scanner = Scanner::new(&self.text[..len]);
        if scanner.peek() != Some(b'[') {
            let is_json = scanner.value().is_ok() && scanner.is_at_end();
            return Err(if is_json { Wrong::NotAList } else { Wrong::NotJson });
        }
        let at = scanner.position();
        scanner.take(b'[');
        if !scanner.take(b']') {
            return Ok(Some(at));
        }
        if scanner.is_at_end() { Ok(None) } else { Err(Wrong::NotJson) }
    }

    /// The place of the separator behind the group that begins behind `start`, and whether it is the end of the list.
    fn group_end(&self, start: usize) -> Said<(usize, bool)> {
        let text = &self.text[..self.text.len() - PADDING_BYTES];
        let mut scanner = Scanner::at(text, start + 1);
        let mut before = start;
        loop {
            let value = scanner.value().map_err(|_| Wrong::NotJson)?;
            if value.len() > LONG_STEP_BYTES && before > start {
                // It is to be alone.
                return Ok((before, false));
            }
            let separator = scanner.peek();
            let at = scanner.position();
            before = at;
            match separator {
                Some(b']') => {
                    scanner.take(b']');
                    return if scanner.is_at_end() { Ok((at, true)) } else { Err(Wrong::NotJson) };
                }
                Some(b',') if at - start >= LONG_STEP_BYTES => return Ok((at, false)),
                Some(b',') => scanner.take(b','),
                _ => return Err(Wrong::NotJson),
            };
        }
    }

    /// Reads the records between two separators, which are made the brackets of a list of their own.
    fn read_group(&mut self, start: usize, end: usize, decoder: &mut Decoder) -> Said<()> {
        let LongRecords { kind, text, count, parts, shard_of, .. } = self;
        (text[start], text[end]) = (b'[', b']');
        let len = end + 1 - start;
        if len <= 2 * LONG_STEP_BYTES
            && let Some(request) = decoder.usual_request(*kind, &text[start..=end])
        {
            *count += push_all(&request, parts, *shard_of);
            return Ok(());
        }
        tame_numbers(&mut text[start..=end]);
        let mut read = |nodes: &[Node<'_>]| read_nodes(*kind, nodes, *count, parts, *shard_of);
        *count += if len <= 2 * LONG_STEP_BYTES {
            // The bytes behind the group serve as padding; the parser leaves them as they are.
            decoder.read_text(&mut text[start..], len, read)?
        } else {
            // One record that is itself long.
            let mut texts = Vec::new();
            let object = long_object(decoder.vectors(), &text[start + 1..end], &mut texts)?;
            let mut nodes = vec![Node::Array { len: 1, count: object.len() }];
            nodes.extend(object.nodes(&texts)?);
            read(&nodes)?
        };
        Ok(())
    }
}

/// Puts each record of a list into the packet of its shard; gives how many there are.
fn push_all(
    request: &Request<&str>,
    parts: &mut [PacketBuilder],
    shard_of: fn(&str, usize) -> usize,
) -> usize {
    let shard_count = parts.len();
    match request {
        Request::Insert(records) => {
            for record in records {
                parts[shard_of(record.collection, shard_count)].push_record(record);
            }
            records.len()
        }
        Request::DeleteRecords(keys) => {
            for key in keys {
                parts[shard_of(key.collection, shard_count)].push_key(key);
            }
            keys.len()
        }
        _ => 0,
    }
}

fn read_nodes(
    kind: Kind,
    nodes: &[Node<'_>],
    first_index: usize,
    parts: &mut [PacketBuilder],
    shard_of: fn(&str, usize) -> usize,
) -> Said<usize> {
    let shard_count = parts.len();
    if kind == Kind::Insert {
        read::read_records(nodes, first_index, |record| {
            parts[shard_of(record.collection, shard_count)].push_record(&record);
        })
    } else {
        read::read_record_keys(nodes, first_index, |key| {
            parts[shard_of(key.collection, shard_count)].push_key(&key);
        })
    }
}

/// Reads the data of a message that is one long object; its texts are put into `texts`.
pub fn read_long_object<'t>(
    kind: Kind,
    message: &[u8],
    data: &RawText,
    texts: &'t mut Vec<u8>,
) -> Result<Request<&'t str>, Misread> {
    read_long(message, data, texts, |nodes| read::read_request(kind, nodes))
}

/// The same for what is no request to the shards.
pub fn read_long<'t, T>(
    message: &[u8],
    data: &RawText,
    texts: &'t mut Vec<u8>,
    read: impl FnOnce(&[Node<'t>]) -> Said<T>,
) -> Result<T, Misread> {
    let (vectors, mut text) = (Vectors::default(), Vec::new());
    unescape(vectors, &message[data.range.clone()], &mut text)?;
    let object = long_object(vectors, &text, texts).map_err(Misread::Wrong)?;
    drop(text);
    let nodes = object.nodes(texts).map_err(Misread::Wrong)?;
    read(&nodes).map_err(Misread::Wrong)
}

/// A known member's value.
enum Value {
    Text(Range<usize>),
    Plain(StaticNode),
    Object,
    Array,
}

/// The known members of an object, in order.
struct LongObject(Vec<(&'static str, Value)>);

impl LongObject {
    /// The number of its nodes.
    fn len(&self) -> usize {
        1 + 2 * self.0.len()
    }

    /// Its nodes, as the parser would give them.
    fn nodes<'t>(&self, texts: &'t [u8]) -> Said<Vec<Node<'t>>> {
        let mut nodes = vec![Node::Object { len: self.0.len(), count: 2 * self.0.len() }];
        for (name, value) in &self.0 {
            nodes.push(Node::String(name));
            nodes.push(match value {
                Value::Text(range) => {
                    Node::String(std::str::from_utf8(&texts[range.clone()]).map_err(|_| Wrong::NotJson)?)
                }
                Value::Plain(value) => Node::Static(*value),
                Value::Object => Node::Object { len: 0, count: 0 },
                Value::Array => Node::Array { len: 0, count: 0 },
            });
        }
        Ok(nodes)
    }
}

/// Finds the known members of the object that `text` is.
fn long_object(vectors: Vectors, text: &[u8], texts: &mut Vec<u8>) -> Said<LongObject> {
    let not_json = |_| Wrong::NotJson;
    let mut scanner = Scanner::new(text);
    if !scanner.take(b'{') {
        let is_json = scanner.value().is_ok() && scanner.is_at_end();
        return Err(if is_json { Wrong::NotAnObject } else { Wrong::NotJson });
    }
    let mut members = Vec::new();
    while !scanner.take(b'}') {
        let name = scanner.member_name().map_err(not_json)?;
        let known = known_member(vectors, text, &name)?;
        let first = scanner.peek();
        let value = match (known, first) {
            (Some(_), Some(b'"')) => Value::Text(read_string(vectors, text, &mut scanner, texts)?),
            (_, Some(b'{')) => scanner.value().map(|_| Value::Object).map_err(not_json)?,
            (_, Some(b'[')) => scanner.value().map(|_| Value::Array).map_err(not_json)?,
            _ => Value::Plain(plain(&text[scanner.value().map_err(not_json)?])),
        };
        if let Some(known) = known {
            members.retain(|(name, _)| *name != known.name());
            members.push((known.name(), value));
        }
        if !scanner.take(b',') {
            scanner.expect(b'}').map_err(not_json)?;
            break;
        } else if scanner.peek() != Some(b'"') {
            return Err(Wrong::NotJson);
        }
    }
    if scanner.is_at_end() { Ok(LongObject(members)) } else { Err(Wrong::NotJson) }
}

fn known_member(vectors: Vectors, text: &[u8], name: &RawText) -> Said<Option<Field>> {
    let mut meant = Vec::new();
    unescape(vectors, &text[name.range.clone()], &mut meant).map_err(|_| Wrong::NotJson)?;
    Ok(std::str::from_utf8(&meant).ok().and_then(field))
}

fn read_string(
    vectors: Vectors,
    text: &[u8],
    scanner: &mut Scanner<'_>,
    texts: &mut Vec<u8>,
) -> Said<Range<usize>> {
    let raw = scanner.string().map_err(|_| Wrong::NotJson)?;
    let start = texts.len();
    if raw.escaped {
        unescape(vectors, &text[raw.range], texts).map_err(|_| Wrong::NotJson)?;
    } else {
        texts.extend_from_slice(&text[raw.range]);
    }
    Ok(start..texts.len())
}

/// A value that is no text, object or array; the scanner has found it good.
fn plain(text: &[u8]) -> StaticNode {
    let text = std::str::from_utf8(text).unwrap_or_default();
    match text {
        "true" => return StaticNode::Bool(true),
        "false" => return StaticNode::Bool(false),
        "null" => return StaticNode::Null,
        _ => {}
    }
    if let Ok(number) = text.parse() {
        return StaticNode::I64(number);
    }
    let number = if text.contains(['.', 'e', 'E']) { text.parse().unwrap_or(BEYOND) } else { BEYOND };
    StaticNode::F64(if text.starts_with('-') { number.max(-BEYOND) } else { number.min(BEYOND) })
}

#[cfg(test)]
#[path = "long_tests.rs"]
mod tests;
