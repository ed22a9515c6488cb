//! The outer part of a message, `{"id","type","data"}`, read where it lies: one pass that builds nothing. Members other
//! than those three are checked to be JSON and otherwise ignored, however large. A member given twice counts the last time.

use crate::limits::LONG_DATA_BYTES;
use crate::requests::kind::Kind;
use crate::requests::scan::{RawText, Scanner, plain_len};
use crate::requests::unescape::{unescape, unescape_string};
use crate::requests::vectors::{Vectors, text_of};
use std::borrow::Cow;

/// The message is no request: not JSON, not an object, or a member is missing, empty or no text.
#[derive(Debug, PartialEq, Eq)]
pub struct NotARequest;

/// A message whose data has not been read yet.
#[derive(Debug, PartialEq, Eq)]
pub struct Envelope<'m> {
    /// Carried back by the reply.
    pub id: Cow<'m, str>,
    /// The kind of message.
    pub kind: Kind,
    /// The text of `data`, as it stands in the message.
    pub data: RawText,
}

/// Reads the outer part of a message, which is UTF-8. Of a short one the text that `data` means is put into `text`, in the
/// same pass; that of a long one is left to be read in steps.
pub fn read_envelope<'m>(
    vectors: Vectors,
    message: &'m [u8],
    text: &mut Vec<u8>,
) -> Result<Envelope<'m>, NotARequest> {
    if let Some(envelope) = read_usual(vectors, message, text) {
        return Ok(envelope);
    }
    let Members { id, kind, data } = read_members(vectors, message, text).ok_or(NotARequest)?;
    let id = meaning(vectors, message, &id.ok_or(NotARequest)?).ok_or(NotARequest)?;
    let kind = meaning(vectors, message, &kind.ok_or(NotARequest)?).ok_or(NotARequest)?;
    let data = data.filter(|data| !data.range.is_empty()).ok_or(NotARequest)?;
    if id.is_empty() || kind.is_empty() {
        return Err(NotARequest);
    }
    let kind = Kind::from_name(&kind);
    let id = match id {
        Cow::Borrowed(id) => std::str::from_utf8(id).map(Cow::Borrowed).map_err(|_| NotARequest)?,
        Cow::Owned(id) => String::from_utf8(id).map(Cow::Owned).map_err(|_| NotARequest)?,
    };
    Ok(Envelope { id, kind, data })
}

/// Reads a message as nearly every client writes it: the three members, each once, with nothing between them; none if it
/// is another, or a long one.
fn read_usual<'m>(vectors: Vectors, message: &'m [u8], text: &mut Vec<u8>) -> Option<Envelope<'m>> {
    if message.len() > LONG_DATA_BYTES {
        return None;
    }
    let (mut id, mut kind, mut data) = (None, None, None);
    let mut rest = message.strip_prefix(b"{")?;
    loop {
        let (member, name_len) = usual_member(rest)?;
        rest = rest[name_len..].strip_prefix(b"\"")?;
        let len = if let Member::Data = member {
            text.clear();
            unescape_string(vectors, rest, text).ok()?
        } else {
            plain_len(rest)
        };
        let (value, behind) = rest.split_at(len);
        let is_new = match member {
            Member::Id => id.replace(value).is_none(),
            Member::Kind => kind.replace(value).is_none(),
            _ => data.replace(message.len() - rest.len()..message.len() - behind.len()).is_none(),
        };
        rest = behind.strip_prefix(b"\"")?;
        match rest {
            b"}" if is_new => break,
            [b',', more @ ..] if is_new => rest = more,
            _ => return None,
        }
    }
    let (id, kind, range) = (id?, kind?, data?);
    if id.is_empty() || kind.is_empty() || range.is_empty() {
        return None;
    }
    let id = Cow::Borrowed(text_of(id)?);
    let escaped = text.len() < range.len();
    Some(Envelope { id, kind: Kind::from_name(kind), data: RawText { range, escaped } })
}

/// The members that count, where they are texts.
#[derive(Default)]
struct Members {
    id: Option<RawText>,
    kind: Option<RawText>,
    data: Option<RawText>,
}

#[derive(Clone, Copy)]
enum Member {
    Id,
    Kind,
    Data,
    Unknown,
}

fn member(name: &[u8]) -> Member {
    match name {
        b"id" => Member::Id,
        b"type" => Member::Kind,
        b"data" => Member::Data,
        _ => Member::Unknown,
    }
}

/// A member as nearly every client writes it, and the length of its name and what is around it.
#[inline]
fn usual_member(rest: &[u8]) -> Option<(Member, usize)> {
    match rest {
        [b'"', b'i', b'd', b'"', b':', ..] => Some((Member::Id, 5)),
        [b'"', b't', b'y', b'p', b'e', b'"', b':', ..] => Some((Member::Kind, 7)),
        [b'"', b'd', b'a', b't', b'a', b'"', b':', ..] => Some((Member::Data, 7)),
        _ => None,
    }
}

/// Finds the members; none if the message is no object.
fn read_members(vectors: Vectors, message: &[u8], text: &mut Vec<u8>) -> Option<Members> {
    let mut members = Members::default();
    // Made in the pass that finds it, but only the first time: a member that is given again and again would else be made
    // as often.
    let mut is_made = false;
    let is_short = message.len() <= LONG_DATA_BYTES;
    let mut scanner = Scanner::new(message);
    if !scanner.take(b'{') {
        return None;
    }
    while !scanner.take(b'}') {
        let member = match usual_member(&message[scanner.position()..]) {
            Some((member, len)) => {
                scanner.skip(len);
                member
            }
            None => {
                let name = scanner.member_name().ok()?;
                member(&meaning(vectors, message, &name)?)
            }
        };
        let is_text = scanner.peek() == Some(b'"');
        match member {
            Member::Id => members.id = read_text(&mut scanner, is_text)?,
            Member::Kind => members.kind = read_text(&mut scanner, is_text)?,
            Member::Data if is_text && is_short && members.data.is_none() => {
                text.clear();
                members.data = Some(scanner.string_into(vectors, text).ok()?);
                is_made = true;
            }
            Member::Data => {
                members.data = read_text(&mut scanner, is_text)?;
                is_made = false;
            }
            Member::Unknown => {
                scanner.value().ok()?;
            }
        }
        if !scanner.take(b',') {
            scanner.expect(b'}').ok()?;
            break;
        } else if scanner.peek() != Some(b'"') {
            return None;
        }
    }
    if let Some(data) = members.data.as_ref().filter(|_| is_short && !is_made) {
        text.clear();
        unescape(vectors, &message[data.range.clone()], text).ok()?;
    }
    scanner.is_at_end().then_some(members)
}

fn read_text(scanner: &mut Scanner<'_>, is_text: bool) -> Option<Option<RawText>> {
    if is_text {
        return scanner.string().ok().map(Some);
    }
    scanner.value().ok().map(|_| None)
}

/// The bytes that a text means; none if it has a bad escape.
fn meaning<'m>(vectors: Vectors, message: &'m [u8], raw: &RawText) -> Option<Cow<'m, [u8]>> {
    let bytes = &message[raw.range.clone()];
    if !raw.escaped {
        return Some(Cow::Borrowed(bytes));
    }
    let mut out = Vec::new();
    unescape(vectors, bytes, &mut out).ok()?;
    Some(Cow::Owned(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(message: &str) -> Result<(Envelope<'_>, String), NotARequest> {
        let mut text = b"left over".to_vec();
        read_envelope(Vectors::default(), message.as_bytes(), &mut text)
            .map(|envelope| (envelope, String::from_utf8(text).unwrap()))
    }

    #[test]
    fn an_envelope_needs_three_texts_in_any_order() {
        let message = r#"{"x":[1,{"id":2}],"data":"{}","type":"cols","id":"a\"b"}"#;
        let (envelope, text) = read(message).unwrap();
        assert_eq!((envelope.id.as_ref(), envelope.kind), ("a\"b", Kind::Collections));
        assert_eq!((&message[envelope.data.range], text.as_str()), ("{}", "{}"));
        let escaped = r#" { "\u0069d" : "1" , "type":"\u0063ols", "data" : "\"" , "id":"2" } "#;
        let (envelope, text) = read(escaped).unwrap();
        assert_eq!((envelope.id.as_ref(), envelope.kind), ("2", Kind::Collections));
        assert!(envelope.data.escaped && text == "\"");
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
            assert_eq!(read(bad), Err(NotARequest), "{bad}");
        }
    }

    #[test]
    fn data_given_again_counts_the_last_time() {
        let again = r#"{"data":"\"a","id":"1","data":7,"type":"cols","data":"\"b"}"#;
        assert_eq!(read(again).unwrap().1, "\"b");
        assert_eq!(read(r#"{"data":"a","id":"1","type":"cols","data":7}"#), Err(NotARequest));
        assert_eq!(read(r#"{"data":"\x","id":"1","type":"cols","data":"a"}"#), Err(NotARequest));
    }

    #[test]
    fn what_nobody_looks_at_may_be_as_large_as_it_likes() {
        for extra in ["1e400", "99999999999999999999999", "[-1e999]", r#"{"a":[1.5e99999]}"#] {
            let message = format!(r#"{{"id":"1","x":{extra},"type":"cols","data":"{{}}"}}"#);
            assert!(read(&message).is_ok(), "{extra}");
        }
    }
}
