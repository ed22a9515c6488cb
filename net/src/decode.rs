//! Message bytes to typed requests, once. The envelope `{"id","type","data"}` is parsed in place in the
//! receive buffer, then the text of `data`, which is JSON again, in place where it lies. Tape and buffers
//! are reused, so a message costs no allocation but the list of an insert's records.
//!
//! Two kinds of failure: what is no request at all (`NotARequest`: the connection ends), and a request that
//! can't be carried out (a text that says what is wrong; the connection goes on).
//! A member given twice counts the last time. Unknown members are ignored.

use crate::limits::{DECODER_NODES_MAX, PADDING_BYTES};
use fluxion_engine::{Record, RecordKey, Request};
use simd_json::{Buffers, Node, StaticNode, Tape};
use std::num::NonZeroU64;
use std::ops::Range;

/// What a message asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `ins`
    Insert,
    /// `qry`
    Latest,
    /// `qdoc`
    History,
    /// `cols`
    Collections,
    /// `ddoc`
    DeleteDocument,
    /// `dcol`
    DeleteCollection,
    /// `drec`
    DeleteRecord,
    /// `dmrec`
    DeleteRecords,
    /// `drrng`
    DeleteRange,
    /// `sval`
    SetValue,
    /// `gval`
    GetValue,
    /// `gvalues`
    MatchValues,
    /// `gvals`
    AllValues,
    /// `gkeys`
    Keys,
    /// `rval`
    RemoveValue,
    /// `conn`
    Connections,
    /// `keys`
    ApiKeys,
    /// `auth`, `api-key`
    Auth,
    /// Any other text.
    Unknown,
}

impl Kind {
    /// The kind for a message type, in today's or LTDB's name.
    pub fn from_name(name: &str) -> Kind {
        match name {
            "ins" | "insert" => Kind::Insert,
            "qry" | "query" => Kind::Latest,
            "qdoc" | "query-user" => Kind::History,
            "cols" | "collections" => Kind::Collections,
            "ddoc" | "delete-user" => Kind::DeleteDocument,
            "dcol" | "delete-collection" => Kind::DeleteCollection,
            "drec" | "delete-record" => Kind::DeleteRecord,
            "dmrec" | "delete-multiple-records" => Kind::DeleteRecords,
            "drrng" => Kind::DeleteRange,
            "sval" | "set-value" => Kind::SetValue,
            "gval" | "get-value" => Kind::GetValue,
            "gvalues" => Kind::MatchValues,
            "gvals" | "get-all-values" => Kind::AllValues,
            "gkeys" | "get-all-keys" => Kind::Keys,
            "rval" | "remove-value" => Kind::RemoveValue,
            "conn" => Kind::Connections,
            "keys" => Kind::ApiKeys,
            "auth" | "api-key" => Kind::Auth,
            _ => Kind::Unknown,
        }
    }
}

/// The outer part of a message; its `id` is in the decoder.
#[derive(Debug)]
pub struct Envelope {
    /// What is asked.
    pub kind: Kind,
    /// Where in the message the text of `data` lies.
    pub data: Range<usize>,
}

/// The message is no request: not JSON, not an object, or a member is missing, empty or no text.
#[derive(Debug, PartialEq, Eq)]
pub struct NotARequest;

/// What a `keys` message asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum KeyAction {
    /// Adds a key, or changes its scope.
    Add {
        /// The key.
        key: String,
        /// The scope as the client wrote it.
        scope: String,
    },
    /// Removes a key.
    Remove {
        /// The key.
        key: String,
    },
    /// Lists all keys.
    List,
}

/// Parses messages; one a core.
pub struct Decoder {
    buffers: Buffers,
    tape: Tape<'static>,
    /// The `id` of the message whose envelope was read last.
    pub id: String,
}

impl Default for Decoder {
    fn default() -> Self {
        Decoder { buffers: Buffers::new(4096), tape: Tape::null().reset(), id: String::new() }
    }
}

/// Members of any request's data, in the order of `FIELDS`.
#[derive(Clone, Copy)]
enum Field {
    Col,
    Collection,
    Doc,
    Key,
    Ts,
    Data,
    From,
    To,
    FromTs,
    ToTs,
    Limit,
    Reverse,
    Where,
    Filter,
    Value,
    Action,
    Scope,
}
const FIELD_COUNT: usize = Field::Scope as usize + 1;

fn field(name: &str) -> Option<Field> {
    Some(match name {
        "col" => Field::Col,
        "collection" => Field::Collection,
        "doc" => Field::Doc,
        "key" => Field::Key,
        "ts" => Field::Ts,
        "data" => Field::Data,
        "from" => Field::From,
        "to" => Field::To,
        "fromTs" => Field::FromTs,
        "toTs" => Field::ToTs,
        "limit" => Field::Limit,
        "reverse" => Field::Reverse,
        "where" => Field::Where,
        "filter" => Field::Filter,
        "value" => Field::Value,
        "action" => Field::Action,
        "scope" => Field::Scope,
        _ => return None,
    })
}

/// The members of one object, found in one pass.
struct Members<'n, 'a>([Option<&'n Node<'a>>; FIELD_COUNT]);

type Said<T> = Result<T, String>;

impl<'n, 'a> Members<'n, 'a> {
    /// Reads the object that begins at `nodes[0]`.
    fn read(nodes: &'n [Node<'a>]) -> Option<Self> {
        let Some(Node::Object { len, .. }) = nodes.first() else { return None };
        let mut members = [None; FIELD_COUNT];
        let mut at = 1;
        for _ in 0..*len {
            let (Some(Node::String(name)), Some(value)) = (nodes.get(at), nodes.get(at + 1)) else {
                return None;
            };
            if let Some(field) = field(name) {
                members[field as usize] = Some(value);
            }
            at += 1 + size(value);
        }
        Some(Members(members))
    }

    /// A member's value; `null` is as if absent.
    fn get(&self, field: Field) -> Option<&'n Node<'a>> {
        self.0[field as usize].filter(|node| !matches!(node, Node::Static(StaticNode::Null)))
    }

    fn text(&self, field: Field, name: &str) -> Said<Option<&'a str>> {
        match self.get(field) {
            None => Ok(None),
            Some(Node::String(text)) => Ok(Some(text)),
            Some(other) => Err(format!("\"{name}\" must be a text, not {}", describe(other))),
        }
    }

    fn required_text(&self, field: Field, name: &str) -> Said<&'a str> {
        self.text(field, name)?.ok_or_else(|| format!("\"{name}\" is missing"))
    }

    fn optional_text(&self, field: Field, name: &str) -> Said<&'a str> {
        Ok(self.text(field, name)?.unwrap_or(""))
    }

    fn collection(&self) -> Said<&'a str> {
        not_empty(self.optional_collection()?, "col")
    }

    fn optional_collection(&self) -> Said<Option<&'a str>> {
        match self.text(Field::Col, "col")? {
            None => self.text(Field::Collection, "collection"),
            found => Ok(found),
        }
    }

    fn document(&self) -> Said<&'a str> {
        not_empty(self.optional_document()?, "doc")
    }

    fn optional_document(&self) -> Said<Option<&'a str>> {
        match self.text(Field::Doc, "doc")? {
            None => self.text(Field::Key, "key"),
            found => Ok(found),
        }
    }

    fn integer(&self, field: Field, name: &str) -> Said<Option<i64>> {
        self.get(field).map(|node| integer(node).map_err(|wrong| format!("\"{name}\" {wrong}"))).transpose()
    }

    fn required_integer(&self, field: Field, name: &str) -> Said<i64> {
        self.integer(field, name)?.ok_or_else(|| format!("\"{name}\" is missing"))
    }

    fn flag(&self, field: Field, name: &str) -> Said<bool> {
        match self.get(field) {
            None => Ok(false),
            Some(Node::Static(StaticNode::Bool(flag))) => Ok(*flag),
            Some(node) => match integer(node) {
                Ok(0) => Ok(false),
                Ok(1) => Ok(true),
                _ => Err(format!("\"{name}\" must be true, false, 0 or 1, not {}", describe(node))),
            },
        }
    }
}

/// How many nodes a value takes on the tape.
fn size(node: &Node<'_>) -> usize {
    match node {
        Node::Object { count, .. } | Node::Array { count, .. } => 1 + count,
        _ => 1,
    }
}

fn not_empty<'a>(text: Option<&'a str>, name: &str) -> Said<&'a str> {
    match text {
        None => Err(format!("\"{name}\" is missing")),
        Some("") => Err(format!("\"{name}\" must not be empty")),
        Some(text) => Ok(text),
    }
}

/// A text that clients send empty where they mean none.
fn given(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

fn describe(node: &Node<'_>) -> String {
    match node {
        Node::String(text) => format!("the text \"{}\"", shorten(text)),
        Node::Object { .. } => "an object".into(),
        Node::Array { .. } => "an array".into(),
        Node::Static(value) => value.to_string(),
    }
}

/// The beginning of a client's text, for an error.
fn shorten(text: &str) -> &str {
    let end = text.char_indices().nth(40).map_or(text.len(), |(at, _)| at);
    &text[..end]
}

/// A 64-bit integer: a number or a text that is one, cut off towards zero.
fn integer(node: &Node<'_>) -> Said<i64> {
    let number = match node {
        Node::Static(StaticNode::I64(number)) => Some(*number),
        Node::Static(StaticNode::U64(number)) => i64::try_from(*number).ok(),
        Node::Static(StaticNode::F64(number)) => whole(*number),
        Node::String(text) => whole_of_text(text),
        _ => None,
    };
    number.ok_or_else(|| format!("must be a 64-bit integer, not {}", describe(node)))
}

/// The integer that is left when the fraction is cut off, if it has 64 bits.
fn whole(number: f64) -> Option<i64> {
    const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;
    let number = number.trunc();
    (-TWO_TO_63..TWO_TO_63).contains(&number).then_some(number as i64)
}

/// The same of a text that is a number as JSON writes them.
fn whole_of_text(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_number = digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte));
    if !is_number {
        return None;
    }
    // Without an exponent the fraction is cut off the text, so that no digit of a long number is lost.
    match text.split_once('.') {
        None if !text.contains(['e', 'E']) => text.parse().ok(),
        Some((integer, fraction)) if fraction.bytes().all(|byte| byte.is_ascii_digit()) => {
            integer.parse().ok().filter(|_| !fraction.is_empty())
        }
        _ => text.parse().ok().and_then(whole),
    }
}

impl Decoder {
    /// Reads the outer part of the message in `buffer[..len]`, behind which there are `PADDING_BYTES` more.
    /// The bytes are changed by it.
    pub fn envelope(&mut self, buffer: &mut [u8], len: usize) -> Result<Envelope, NotARequest> {
        let base = buffer.as_ptr() as usize;
        let mut tape = std::mem::replace(&mut self.tape, Tape(Vec::new())).reset();
        let parsed = parse(buffer, len, &mut self.buffers, &mut tape);
        let found = if parsed { read_envelope(&tape.0, base, &mut self.id) } else { None };
        self.tape = tape.reset();
        found.ok_or(NotARequest)
    }

    /// Reads the data of a request on records or key-values, which lies in `buffer[data]`.
    pub fn request<'a>(
        &mut self,
        kind: Kind,
        buffer: &'a mut [u8],
        data: Range<usize>,
    ) -> Result<Request<&'a str>, String> {
        self.with_tape(buffer, data, |nodes| read_request(kind, nodes))
    }

    /// Reads the data of a `keys` message.
    pub fn key_action(&mut self, buffer: &mut [u8], data: Range<usize>) -> Result<KeyAction, String> {
        self.with_tape(buffer, data, read_key_action)
    }

    /// Parses `buffer[data]` and hands the nodes to `read`.
    fn with_tape<'a, T>(
        &mut self,
        buffer: &'a mut [u8],
        data: Range<usize>,
        read: impl FnOnce(&[Node<'a>]) -> Said<T>,
    ) -> Said<T> {
        let mut tape = std::mem::replace(&mut self.tape, Tape(Vec::new())).reset();
        let len = data.len();
        let parsed = parse(&mut buffer[data.start..], len, &mut self.buffers, &mut tape);
        let result = if parsed { read(&tape.0) } else { Err("\"data\" is not valid JSON".into()) };
        self.tape = tape.reset();
        if self.tape.0.capacity() > DECODER_NODES_MAX {
            *self = Decoder { id: std::mem::take(&mut self.id), ..Decoder::default() };
        }
        result
    }
}

fn parse<'a>(buffer: &'a mut [u8], len: usize, buffers: &mut Buffers, tape: &mut Tape<'a>) -> bool {
    debug_assert!(buffer.len() >= len + PADDING_BYTES);
    len > 0 && simd_json::fill_tape_padded(buffer, len, buffers, tape).is_ok()
}

fn read_envelope(nodes: &[Node<'_>], base: usize, id_out: &mut String) -> Option<Envelope> {
    let Some(Node::Object { len, .. }) = nodes.first() else { return None };
    let (mut id, mut kind, mut data) = (None, None, None);
    let mut at = 1;
    for _ in 0..*len {
        let (Node::String(name), value) = (nodes.get(at)?, nodes.get(at + 1)?) else { return None };
        match *name {
            "id" => id = Some(value),
            "type" => kind = Some(value),
            "data" => data = Some(value),
            _ => {}
        }
        at += 1 + size(value);
    }
    let (Node::String(id), Node::String(kind), Node::String(data)) = (id?, kind?, data?) else { return None };
    if id.is_empty() || kind.is_empty() || data.is_empty() {
        return None;
    }
    id_out.clear();
    id_out.push_str(id);
    let start = data.as_ptr() as usize - base;
    Some(Envelope { kind: Kind::from_name(kind), data: start..start + data.len() })
}

fn read_request<'a>(kind: Kind, nodes: &[Node<'a>]) -> Said<Request<&'a str>> {
    match kind {
        Kind::Insert => return read_records(nodes).map(Request::Insert),
        Kind::DeleteRecords => return read_record_keys(nodes).map(Request::DeleteRecords),
        Kind::Collections => return Ok(Request::Collections),
        _ => {}
    }
    let members = Members::read(nodes).ok_or("\"data\" must be an object")?;
    Ok(match kind {
        Kind::Latest => Request::Latest {
            collection: members.collection()?,
            document: given(members.optional_document()?),
            ts: members.required_integer(Field::Ts, "ts")?,
            from: members.integer(Field::From, "from")?.filter(|from| *from != 0),
            contains: given(members.text(Field::Where, "where")?),
            excludes: given(members.text(Field::Filter, "filter")?),
        },
        Kind::History => read_history(&members)?,
        Kind::DeleteDocument => Request::DeleteDocument {
            document: members.document()?,
            collection: given(members.optional_collection()?),
        },
        Kind::DeleteCollection => Request::DeleteCollection { collection: members.collection()? },
        Kind::DeleteRecord => Request::DeleteRecords(vec![read_record_key(&members)?]),
        Kind::DeleteRange => {
            let from = members.required_integer(Field::FromTs, "fromTs")?;
            let to = members.required_integer(Field::ToTs, "toTs")?;
            let (collection, document) = (members.collection()?, members.document()?);
            in_order("fromTs", from, "toTs", to)?;
            Request::DeleteRange { collection, document, from, to }
        }
        Kind::SetValue => Request::SetValue {
            collection: members.collection()?,
            key: members.required_text(Field::Key, "key")?,
            value: members.required_text(Field::Value, "value")?,
        },
        Kind::GetValue => Request::GetValue {
            collection: members.collection()?,
            key: members.required_text(Field::Key, "key")?,
        },
        Kind::MatchValues => Request::MatchValues {
            collection: members.collection()?,
            key: members.required_text(Field::Key, "key")?,
        },
        Kind::RemoveValue => Request::RemoveValue {
            collection: members.collection()?,
            key: members.required_text(Field::Key, "key")?,
        },
        Kind::AllValues => Request::AllValues { collection: members.collection()? },
        Kind::Keys => Request::Keys { collection: members.collection()? },
        _ => return Err("not a request on records or key-values".into()),
    })
}

fn read_history<'a>(members: &Members<'_, 'a>) -> Said<Request<&'a str>> {
    let (collection, document) = (members.collection()?, members.document()?);
    let from = members.integer(Field::From, "from")?;
    let to = members.required_integer(Field::To, "to")?;
    if let Some(from) = from {
        in_order("from", from, "to", to)?;
    }
    let limit = members.integer(Field::Limit, "limit")?;
    Ok(Request::History {
        collection,
        document,
        from,
        to,
        limit: limit.and_then(|limit| NonZeroU64::new(u64::try_from(limit).ok()?)),
        reverse: members.flag(Field::Reverse, "reverse")?,
        contains: given(members.text(Field::Where, "where")?),
        excludes: given(members.text(Field::Filter, "filter")?),
    })
}

fn in_order(from_name: &str, from: i64, to_name: &str, to: i64) -> Said<()> {
    if from > to {
        return Err(format!("\"{from_name}\" ({from}) must not be greater than \"{to_name}\" ({to})"));
    }
    Ok(())
}

/// Reads each object of an array; an error names the index of the one that is wrong.
fn read_each<'n, 'a, T>(nodes: &'n [Node<'a>], read: impl Fn(&Members<'n, 'a>) -> Said<T>) -> Said<Vec<T>> {
    let Some(Node::Array { len, .. }) = nodes.first() else {
        return Err("\"data\" must be an array of records".into());
    };
    let mut items = Vec::with_capacity(*len);
    let mut at = 1;
    for index in 0..*len {
        let item = Members::read(&nodes[at..]).ok_or_else(|| format!("record {index} must be an object"))?;
        items.push(read(&item).map_err(|wrong| format!("record {index}: {wrong}"))?);
        at += size(&nodes[at]);
    }
    Ok(items)
}

fn read_records<'a>(nodes: &[Node<'a>]) -> Said<Vec<Record<&'a str>>> {
    read_each(nodes, |members| {
        Ok(Record {
            collection: members.collection()?,
            document: members.document()?,
            ts: members.required_integer(Field::Ts, "ts")?,
            data: members.required_text(Field::Data, "data")?,
        })
    })
}

fn read_record_keys<'a>(nodes: &[Node<'a>]) -> Said<Vec<RecordKey<&'a str>>> {
    read_each(nodes, read_record_key)
}

fn read_record_key<'a>(members: &Members<'_, 'a>) -> Said<RecordKey<&'a str>> {
    Ok(RecordKey {
        collection: members.collection()?,
        document: members.document()?,
        ts: members.required_integer(Field::Ts, "ts")?,
    })
}

fn read_key_action(nodes: &[Node<'_>]) -> Said<KeyAction> {
    let members = Members::read(nodes).ok_or("\"data\" must be an object")?;
    let action = members.required_text(Field::Action, "action")?;
    let key = || members.optional_text(Field::Key, "key").map(str::to_owned);
    if action.eq_ignore_ascii_case("add") {
        Ok(KeyAction::Add { key: key()?, scope: members.optional_text(Field::Scope, "scope")?.to_owned() })
    } else if action.eq_ignore_ascii_case("remove") {
        Ok(KeyAction::Remove { key: key()? })
    } else if action.eq_ignore_ascii_case("list") {
        Ok(KeyAction::List)
    } else {
        Err("unknown action".into())
    }
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
