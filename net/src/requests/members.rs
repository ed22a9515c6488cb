//! The members of one object, found in one pass over its nodes, and read as the kinds of value that requests have.
//! Unknown members are ignored; one that is given twice counts the last time. An error says which member is wrong, with
//! which value.

use crate::requests::field::{FIELD_COUNT, Field, field};
use crate::requests::wrong::{Said, Wrong};
use simd_json::{Node, StaticNode};

/// Stands for numbers that no float holds (see `tame`).
pub const BEYOND: f64 = 1e308;

/// The value of a member.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// A text.
    Text(&'a str),
    /// An integer.
    Integer(i64),
    /// A truth value.
    Flag(bool),
    /// A number of another kind.
    Number(StaticNode),
    /// An object, which no request has.
    Object,
    /// An array, likewise.
    Array,
}

impl<'a> Value<'a> {
    /// The value that a node is; none for `null`.
    fn of(node: &Node<'a>) -> Option<Value<'a>> {
        Some(match node {
            Node::String(text) => Value::Text(text),
            Node::Object { .. } => Value::Object,
            Node::Array { .. } => Value::Array,
            Node::Static(StaticNode::Null) => return None,
            Node::Static(StaticNode::Bool(flag)) => Value::Flag(*flag),
            Node::Static(StaticNode::I64(number)) => Value::Integer(*number),
            Node::Static(number) => Value::Number(*number),
        })
    }
}

/// The members of one object; one that is `null` is as if absent.
#[derive(Default)]
pub struct Members<'a>([Option<Value<'a>>; FIELD_COUNT]);

impl<'a> Members<'a> {
    /// Reads the object that begins at `nodes[0]`.
    pub fn read(nodes: &[Node<'a>]) -> Option<Self> {
        let Some(Node::Object { len, .. }) = nodes.first() else { return None };
        let mut members = Members::default();
        let mut at = 1;
        for _ in 0..*len {
            let (Some(Node::String(name)), Some(value)) = (nodes.get(at), nodes.get(at + 1)) else {
                return None;
            };
            if let Some(field) = field(name) {
                members.set(field, Value::of(value));
            }
            at += 1 + size(value);
        }
        Some(members)
    }

    /// Gives a member this value instead of what it has.
    #[inline]
    pub fn set(&mut self, field: Field, value: Option<Value<'a>>) {
        self.0[field as usize] = value;
    }

    /// A member's value.
    #[inline]
    pub fn get(&self, field: Field) -> Option<&Value<'a>> {
        self.0[field as usize].as_ref()
    }

    /// A text, if it is there.
    pub fn text(&self, field: Field) -> Said<Option<&'a str>> {
        match self.get(field) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(other) => Err(Wrong::NotAText(field, describe(other))),
        }
    }

    /// A text that must be there; it may be empty.
    pub fn required_text(&self, field: Field) -> Said<&'a str> {
        self.text(field)?.ok_or(Wrong::Missing(field))
    }

    /// A text, if it is there and not empty, which clients send where they mean none.
    pub fn given_text(&self, field: Field) -> Said<Option<&'a str>> {
        Ok(self.text(field)?.filter(|text| !text.is_empty()))
    }

    /// The name of a collection, in its present or its older member.
    pub fn collection(&self) -> Said<&'a str> {
        not_empty(self.either(Field::Col, Field::Collection)?, Field::Col)
    }

    /// The same, if it is there; empty counts as absent.
    pub fn optional_collection(&self) -> Said<Option<&'a str>> {
        Ok(self.either(Field::Col, Field::Collection)?.filter(|name| !name.is_empty()))
    }

    /// The name of a document, in its present or its older member.
    pub fn document(&self) -> Said<&'a str> {
        not_empty(self.either(Field::Doc, Field::Key)?, Field::Doc)
    }

    /// The same, if it is there; empty counts as absent.
    pub fn optional_document(&self) -> Said<Option<&'a str>> {
        Ok(self.either(Field::Doc, Field::Key)?.filter(|name| !name.is_empty()))
    }

    fn either(&self, field: Field, older: Field) -> Said<Option<&'a str>> {
        match self.text(field)? {
            None => self.text(older),
            found => Ok(found),
        }
    }

    /// A 64-bit integer, if it is there.
    pub fn integer(&self, field: Field) -> Said<Option<i64>> {
        let read = |value| integer(value).ok_or_else(|| Wrong::NotAnInteger(field, describe(value)));
        self.get(field).map(read).transpose()
    }

    /// A 64-bit integer that must be there.
    pub fn required_integer(&self, field: Field) -> Said<i64> {
        self.integer(field)?.ok_or(Wrong::Missing(field))
    }

    /// A truth value, false if it is not there.
    pub fn flag(&self, field: Field) -> Said<bool> {
        Ok(self.given_flag(field)?.unwrap_or(false))
    }

    /// A truth value, if it is there.
    pub fn given_flag(&self, field: Field) -> Said<Option<bool>> {
        match self.get(field) {
            None => Ok(None),
            Some(Value::Flag(flag)) => Ok(Some(*flag)),
            Some(value) => match integer(value) {
                Some(0) => Ok(Some(false)),
                Some(1) => Ok(Some(true)),
                _ => Err(Wrong::NotAFlag(field, describe(value))),
            },
        }
    }
}

/// The number of nodes that a value takes on the tape.
pub fn size(node: &Node<'_>) -> usize {
    match node {
        Node::Object { count, .. } | Node::Array { count, .. } => 1 + count,
        _ => 1,
    }
}

fn not_empty(text: Option<&str>, field: Field) -> Said<&str> {
    match text {
        None => Err(Wrong::Missing(field)),
        Some("") => Err(Wrong::Empty(field)),
        Some(text) => Ok(text),
    }
}

/// A value as an error shows it.
fn describe(value: &Value<'_>) -> String {
    match value {
        Value::Text(text) => format!("the text \"{}\"", shorten(text)),
        Value::Object => "an object".into(),
        Value::Array => "an array".into(),
        Value::Flag(flag) => flag.to_string(),
        Value::Integer(number) => number.to_string(),
        Value::Number(StaticNode::F64(number)) if number.abs() >= BEYOND => "a number far beyond that".into(),
        Value::Number(number) => number.to_string(),
    }
}

/// The beginning of a client's text, for an error.
fn shorten(text: &str) -> &str {
    let end = text.char_indices().nth(40).map_or(text.len(), |(at, _)| at);
    &text[..end]
}

/// A 64-bit integer: a number or a text that is one, cut off towards zero.
fn integer(value: &Value<'_>) -> Option<i64> {
    match value {
        Value::Integer(number) => Some(*number),
        Value::Number(StaticNode::U64(number)) => i64::try_from(*number).ok(),
        Value::Number(StaticNode::F64(number)) => whole(*number),
        Value::Text(text) => whole_of_text(text),
        _ => None,
    }
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
