//! Requests about subscriptions: their members, defaults and bounds.

use crate::limits::{BUFFER_BYTES_DEFAULT, BUFFER_BYTES_MAX, EVERY_MS_MAX};
use crate::requests::field::Field;
use crate::requests::members::Members;
use crate::requests::wrong::{Said, Wrong};
use fluxion_engine::{Mode, Slow, Terms};
use simd_json::Node;

/// Reads the data of a `sub` message.
pub fn read_terms(nodes: &[Node<'_>]) -> Said<Terms<Box<str>>> {
    let members = Members::read(nodes).ok_or(Wrong::NotAnObject)?;
    let mode = match members.given_text(Field::Mode)? {
        None | Some("latest") => Mode::Latest,
        Some("all") => Mode::All,
        Some(other) => return Err(Wrong::not_one_of(Field::Mode, "\"latest\" or \"all\"", other)),
    };
    let slow = match members.given_text(Field::Slow)? {
        None | Some("close") => Slow::Close,
        Some("drop") => Slow::Drop,
        Some(other) => return Err(Wrong::not_one_of(Field::Slow, "\"close\" or \"drop\"", other)),
    };
    let buffer = within(&members, Field::Buffer, BUFFER_BYTES_MAX as i64)?;
    let text = |field| -> Said<Option<Box<str>>> { Ok(members.given_text(field)?.map(Box::from)) };
    Ok(Terms {
        collection: members.collection()?.into(),
        document: members.optional_document()?.map(Box::from),
        contains: text(Field::Where)?,
        excludes: text(Field::Filter)?,
        mode,
        snapshot: members.given_flag(Field::Snapshot)?.unwrap_or(mode == Mode::Latest),
        since: text(Field::Since)?,
        every_ms: within(&members, Field::Every, EVERY_MS_MAX)?.unwrap_or(0) as u32,
        slow,
        buffer_bytes: buffer.map_or(BUFFER_BYTES_DEFAULT, |bytes| bytes as usize),
    })
}

/// Reads the data of an `unsub` message: the subscription's name.
pub fn read_name(nodes: &[Node<'_>]) -> Said<Box<str>> {
    let members = Members::read(nodes).ok_or(Wrong::NotAnObject)?;
    match members.required_text(Field::Sub)? {
        "" => Err(Wrong::Empty(Field::Sub)),
        name => Ok(name.into()),
    }
}

/// An integer from 0 to a bound, if it is there.
fn within(members: &Members<'_>, field: Field, max: i64) -> Said<Option<i64>> {
    match members.integer(field)? {
        Some(value) if !(0..=max).contains(&value) => Err(Wrong::OutOfRange { field, value, max }),
        value => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::PADDING_BYTES;
    use crate::requests::decode::Decoder;

    fn read<T>(data: &str, read: impl FnOnce(&[Node<'_>]) -> Said<T>) -> Result<T, String> {
        let mut text = data.as_bytes().to_vec();
        text.resize(data.len() + PADDING_BYTES, 0);
        Decoder::default().read_text(&mut text, data.len(), read).map_err(|wrong| wrong.to_string())
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        let terms = read(r#"{"col":"c","doc":"","every":null,"unknown":[1]}"#, read_terms).unwrap();
        let expected = Terms {
            collection: "c".into(),
            document: None,
            contains: None,
            excludes: None,
            mode: Mode::Latest,
            snapshot: true,
            since: None,
            every_ms: 0,
            slow: Slow::Close,
            buffer_bytes: 1 << 20,
        };
        assert_eq!(terms, expected);
        assert!(!read(r#"{"col":"c","mode":"all"}"#, read_terms).unwrap().snapshot);
    }

    #[test]
    fn everything_can_be_given() {
        let data = concat!(
            r#"{"col":"c","doc":"/^t/","where":"w","filter":"f","mode":"all","snapshot":1,"since":"9f-1","every":"60000","#,
            r#""slow":"drop","buffer":16777216}"#
        );
        let terms = read(data, read_terms).unwrap();
        assert_eq!((terms.mode, terms.slow, terms.snapshot), (Mode::All, Slow::Drop, true));
        assert_eq!((terms.every_ms, terms.buffer_bytes), (60_000, 16 << 20));
        let texts = [&terms.document, &terms.contains, &terms.excludes, &terms.since];
        assert_eq!(texts.map(|text| text.as_deref().unwrap_or("")), ["/^t/", "w", "f", "9f-1"]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_value() {
        for (data, wrong) in [
            (r#"[]"#, r#""data" must be an object"#),
            (r#"{}"#, r#""col" is missing"#),
            (r#"{"col":""}"#, r#""col" must not be empty"#),
            (r#"{"col":"c","doc":1}"#, r#""doc" must be a text, not 1"#),
            (r#"{"col":"c","where":1}"#, r#""where" must be a text, not 1"#),
            (r#"{"col":"c","filter":[]}"#, r#""filter" must be a text, not an array"#),
            (r#"{"col":"c","since":5}"#, r#""since" must be a text, not 5"#),
            (r#"{"col":"c","mode":"some"}"#, r#""mode" must be "latest" or "all", not the text "some""#),
            (r#"{"col":"c","mode":7}"#, r#""mode" must be a text, not 7"#),
            (r#"{"col":"c","slow":"wait"}"#, r#""slow" must be "close" or "drop", not the text "wait""#),
            (r#"{"col":"c","snapshot":2}"#, r#""snapshot" must be true, false, 0 or 1, not 2"#),
            (r#"{"col":"c","every":"soon"}"#, r#""every" must be a 64-bit integer, not the text "soon""#),
            (r#"{"col":"c","every":60001}"#, r#""every" must be from 0 to 60000, not 60001"#),
            (r#"{"col":"c","every":-1}"#, r#""every" must be from 0 to 60000, not -1"#),
            (r#"{"col":"c","buffer":16777217}"#, r#""buffer" must be from 0 to 16777216, not 16777217"#),
        ] {
            assert_eq!(read(data, read_terms).err().as_deref(), Some(wrong), "{data}");
        }
        for (data, wrong) in [
            (r#"{}"#, r#""sub" is missing"#),
            (r#"{"sub":""}"#, r#""sub" must not be empty"#),
            (r#"{"sub":1}"#, r#""sub" must be a text, not 1"#),
            ("1", r#""data" must be an object"#),
        ] {
            assert_eq!(read(data, read_name).err().as_deref(), Some(wrong), "{data}");
        }
        assert_eq!(read(r#"{"sub":"s1"}"#, read_name).as_deref(), Ok("s1"));
    }
}
