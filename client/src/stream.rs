//! Records read one by one while the reply is still coming. A stream that is dropped early is skipped when the next
//! reply is asked for.

use crate::connection::Connection;
use crate::error::Error;
use crate::records::{Record, RecordText};
use serde::Deserialize;
use std::borrow::Cow;
use std::ops::Range;

/// The records of a history, in the order asked for.
///
/// As an iterator it gives records of their own; [`Records::read`] gives them where they were received, which costs
/// less.
pub struct Records<'a> {
    connection: &'a mut Connection,
    ended: bool,
}

impl<'a> Records<'a> {
    pub(crate) fn new(connection: &'a mut Connection) -> Records<'a> {
        Records { connection, ended: false }
    }

    /// The next record; `None` behind the last one.
    pub fn read(&mut self) -> Result<Option<RecordText<'_>>, Error> {
        let Some(range) = next_element(self.connection, &mut self.ended)? else { return Ok(None) };
        serde_json::from_slice(&self.connection.incoming.text[range])
            .map(Some)
            .map_err(|error| Error::unreadable(&error))
    }
}

impl Iterator for Records<'_> {
    type Item = Result<Record, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.read().map(|record| record.map(Record::from)).transpose();
        self.ended |= next.as_ref().is_some_and(Result::is_err);
        next
    }
}

/// The newest record of each document, in no particular order.
pub struct Latest<'a> {
    connection: &'a mut Connection,
    ended: bool,
}

impl<'a> Latest<'a> {
    pub(crate) fn new(connection: &'a mut Connection) -> Latest<'a> {
        Latest { connection, ended: false }
    }

    /// The next document with its record; `None` behind the last one.
    pub fn read(&mut self) -> Result<Option<(Cow<'_, str>, RecordText<'_>)>, Error> {
        let Some(range) = next_element(self.connection, &mut self.ended)? else { return Ok(None) };
        split_entry(&self.connection.incoming.text[range])
            .map(Some)
            .map_err(|error| Error::unreadable(&error))
    }
}

impl Iterator for Latest<'_> {
    type Item = Result<(String, Record), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.read().map(|entry| entry.map(|(name, record)| (name.into_owned(), record.into())));
        self.ended |= next.is_err();
        next.transpose()
    }
}

fn next_element(connection: &mut Connection, ended: &mut bool) -> Result<Option<Range<usize>>, Error> {
    if *ended {
        return Ok(None);
    }
    let found = connection.next_element()?;
    *ended = found.is_none();
    Ok(found)
}

/// Takes `"name":{"ts":…,"data":…}` apart.
fn split_entry(text: &[u8]) -> Result<(Cow<'_, str>, RecordText<'_>), serde_json::Error> {
    #[derive(Deserialize)]
    struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
    let mut names = serde_json::Deserializer::from_slice(text).into_iter::<Name<'_>>();
    let name = names.next().transpose()?.map(|name| name.0).unwrap_or_default();
    let rest = text[names.byte_offset()..].trim_ascii_start();
    let record = serde_json::from_slice(rest.strip_prefix(b":").unwrap_or(rest))?;
    Ok((name, record))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_a_name_and_a_record() {
        let (name, record) = split_entry(r#""ü\"{" : {"ts":-5,"data":"x\n"}"#.as_bytes()).unwrap();
        assert_eq!(name, "ü\"{");
        assert_eq!(record, RecordText { ts: -5, data: "x\n".into() });
        let (name, _) = split_entry(br#""plain":{"ts":1,"data":"y"}"#).unwrap();
        assert!(matches!(name, Cow::Borrowed("plain")));
    }
}
