//! The outer part of a message, `{"id","type","data"}`, read where it lies: one pass that builds nothing. Members other
//! than those three are checked to be JSON and otherwise ignored, however large. A member given twice counts the last time.

use crate::requests::kind::Kind;
use crate::requests::scan::{RawText, Scanner};
use crate::requests::unescape::unescape;
use std::borrow::Cow;

/// The message is no request: not JSON, not an object, or a member is missing, empty or no text.
#[derive(Debug, PartialEq, Eq)]
pub struct NotARequest;

/// A message whose data has not been read yet.
#[derive(Debug, PartialEq, Eq)]
pub struct Envelope<'m> {
    /// What the reply is to carry.
    pub id: Cow<'m, str>,
    /// What is asked.
    pub kind: Kind,
    /// The text of `data`, as it stands in the message.
    pub data: RawText,
}

/// Reads the outer part of a message, which is UTF-8.
pub fn read_envelope(message: &[u8]) -> Result<Envelope<'_>, NotARequest> {
    let [id, kind, data] = texts(message).ok_or(NotARequest)?;
    let id = text(message, &id?).ok_or(NotARequest)?;
    let kind = text(message, &kind?).ok_or(NotARequest)?;
    let data = data?;
    if data.range.is_empty() {
        return Err(NotARequest);
    }
    Ok(Envelope { id, kind: Kind::from_name(kind.as_bytes()), data })
}

type Member = Result<RawText, NotARequest>;

/// The members `id`, `type` and `data`; none if the message is no object.
fn texts(message: &[u8]) -> Option<[Member; 3]> {
    let mut members = [const { Err(NotARequest) }; 3];
    let mut scanner = Scanner::new(message);
    if !scanner.take(b'{') {
        return None;
    }
    while !scanner.take(b'}') {
        let name = scanner.member_name().ok()?;
        let index = match member_name(message, &name)?.as_ref() {
            "id" => Some(0),
            "type" => Some(1),
            "data" => Some(2),
            _ => None,
        };
        let value = match index {
            Some(_) if scanner.peek() == Some(b'"') => Ok(scanner.string().ok()?),
            _ => scanner.value().map(|_| Err(NotARequest)).ok()?,
        };
        if let Some(index) = index {
            members[index] = value;
        }
        if !scanner.take(b',') {
            scanner.expect(b'}').ok()?;
            break;
        } else if scanner.peek() != Some(b'"') {
            return None;
        }
    }
    scanner.is_at_end().then_some(members)
}

fn member_name<'m>(message: &'m [u8], name: &RawText) -> Option<Cow<'m, str>> {
    if name.range.is_empty() { Some(Cow::Borrowed("")) } else { text(message, name) }
}

/// What a text means; none if it is empty, or has a bad escape.
fn text<'m>(message: &'m [u8], raw: &RawText) -> Option<Cow<'m, str>> {
    let bytes = &message[raw.range.clone()];
    if bytes.is_empty() {
        return None;
    }
    if !raw.escaped {
        return std::str::from_utf8(bytes).ok().map(Cow::Borrowed);
    }
    let mut out = Vec::new();
    unescape(bytes, &mut out).ok()?;
    String::from_utf8(out).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_needs_three_texts_in_any_order() {
        let message = r#"{"x":[1,{"id":2}],"data":"{}","type":"cols","id":"a\"b"}"#;
        let envelope = read_envelope(message.as_bytes()).unwrap();
        assert_eq!((envelope.id.as_ref(), envelope.kind), ("a\"b", Kind::Collections));
        assert_eq!(&message[envelope.data.range], "{}");
        let escaped = r#" { "\u0069d" : "1" , "type":"\u0063ols", "data" : "\"" , "id":"2" } "#;
        let envelope = read_envelope(escaped.as_bytes()).unwrap();
        assert_eq!((envelope.id.as_ref(), envelope.kind), ("2", Kind::Collections));
        assert!(envelope.data.escaped);
        for bad in [
            "",
            " ",
            "this",
            "[1,2]",
            "7",
            "\"id\"",
            "{",
            "{}",
            r#"{"id":"1","type":"cols"}"#,
            r#"{"id":7,"type":"cols","data":"{}"}"#,
            r#"{"id":"","type":"cols","data":"{}"}"#,
            r#"{"id":"1","type":"","data":"{}"}"#,
            r#"{"id":"1","type":"cols","data":""}"#,
            r#"{"id":"1","type":"cols","data":{}}"#,
            r#"{"id":null,"type":"cols","data":"{}"}"#,
            r#"{"id":"1","type":"cols","data":"{}"} x"#,
            r#"{"id":"1","type":"cols","data":"{}",}"#,
            r#"{"id":"1","type":"cols","data":"{}","x":}"#,
            r#"{"id":"1","type":"cols","data":"{}","x":nope}"#,
            r#"{"id":"1","id":2,"type":"cols","data":"{}"}"#,
            r#"{"id":"\x","type":"cols","data":"{}"}"#,
        ] {
            assert_eq!(read_envelope(bad.as_bytes()), Err(NotARequest), "{bad}");
        }
    }

    #[test]
    fn what_nobody_looks_at_may_be_as_large_as_it_likes() {
        for extra in ["1e400", "99999999999999999999999", "[-1e999]", r#"{"a":[1.5e99999]}"#] {
            let message = format!(r#"{{"id":"1","x":{extra},"type":"cols","data":"{{}}"}}"#);
            assert!(read_envelope(message.as_bytes()).is_ok(), "{extra}");
        }
    }
}
