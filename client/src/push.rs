//! The messages of a subscription, typed and checked.

use crate::error::Error;
use crate::records::Record;
use serde::Deserialize;
use std::collections::BTreeMap;

/// What a subscription tells.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// Something has changed, or is a part of what was there at the beginning.
    Push(Push),
    /// The connection is lost. It is made again with the next call, and the subscription resumed.
    Lost(Error),
    /// The server has ended the subscription, in its own words, such as for a reader that was too slow. It is resumed
    /// with the next call.
    Ended(String),
    /// It goes on right behind the last push, as if nothing had happened.
    Resumed,
    /// It could not go on where it was: something may have been missed, and it begins anew with what is there.
    Reset(Reset),
}

/// Why a subscription begins anew.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reset {
    /// The cursor is of too long ago: the server no longer remembers what came behind it.
    History,
    /// The cursor is of another server's life, that this one knows nothing of.
    Epoch,
    /// The connection was lost while the server said what is there.
    CutShort,
    /// The server's own word for it.
    Other(String),
}

/// A push: what has changed up to its cursor.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Push {
    /// Where the subscription stands behind this push. Inside a snapshot nothing can be resumed from it.
    pub cursor: String,
    /// Whether this is a part of what was there when the subscription began.
    pub snapshot: Option<SnapshotPart>,
    /// Whether all that was told before is void.
    pub reset: bool,
    /// The newest record of each document that has changed; `None` when there is none any more, or it is not let through.
    pub records: BTreeMap<String, Option<Record>>,
    /// Changes in their order; in a snapshot of all, every record that there is.
    pub changes: Vec<Change>,
    /// The number of changes before these that were dropped, since the reader was too slow.
    pub skipped: u64,
}

/// A part of what was there when a subscription began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SnapshotPart {
    /// More comes.
    Part,
    /// The last one.
    Done,
}

/// One change of a collection.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "ChangeMembers")]
pub enum Change {
    /// A record was stored, or replaced by another text.
    Put {
        /// Document.
        document: String,
        /// The record.
        record: Record,
    },
    /// A record was deleted.
    DeleteRecord {
        /// Document.
        document: String,
        /// Its time.
        ts: i64,
    },
    /// The records between two times were deleted, both included.
    DeleteRange {
        /// Document.
        document: String,
        /// First time.
        from: i64,
        /// Last time.
        to: i64,
    },
    /// A document was deleted.
    DeleteDocument {
        /// Its name.
        document: String,
    },
    /// The collection was deleted.
    DeleteCollection,
}

/// A change as it stands in a push.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ChangeMembers {
    doc: Option<String>,
    ts: Option<i64>,
    data: Option<String>,
    from_ts: Option<i64>,
    to_ts: Option<i64>,
    #[serde(default)]
    del: bool,
}

impl TryFrom<ChangeMembers> for Change {
    type Error = String;

    fn try_from(members: ChangeMembers) -> Result<Change, String> {
        let ChangeMembers { doc, ts, data, from_ts, to_ts, del } = members;
        match (doc, ts, data, from_ts, to_ts, del) {
            (Some(document), Some(ts), Some(data), None, None, false) => {
                Ok(Change::Put { document, record: Record { ts, data } })
            }
            (Some(document), Some(ts), None, None, None, true) => Ok(Change::DeleteRecord { document, ts }),
            (Some(document), None, None, Some(from), Some(to), true) => {
                Ok(Change::DeleteRange { document, from, to })
            }
            (Some(document), None, None, None, None, true) => Ok(Change::DeleteDocument { document }),
            (None, None, None, None, None, true) => Ok(Change::DeleteCollection),
            _ => Err("a change of a kind that this client does not know".into()),
        }
    }
}

impl Push {
    /// Whether more of a snapshot follows, so that nothing can be resumed from its cursor.
    pub fn is_inside_snapshot(&self) -> bool {
        self.snapshot == Some(SnapshotPart::Part)
    }

    /// Brings what is held of the newest records up to this push.
    ///
    /// ```
    /// # use fluxion_client::{Event, Options, Subscription, SubscriptionQuery};
    /// # fn main() -> Result<(), fluxion_client::Error> {
    /// # let options = || Options::new("ws://localhost:1", "dev");
    /// # let Ok(subscription) = Subscription::open(options(), SubscriptionQuery::new("fleet")) else { return Ok(()) };
    /// let mut newest = Default::default();
    /// for event in subscription {
    ///     if let Event::Push(push) = event? {
    ///         push.fold_into(&mut newest);
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn fold_into(self, newest: &mut BTreeMap<String, Record>) {
        if self.reset {
            newest.clear();
        }
        for (document, record) in self.records {
            match record {
                Some(record) => newest.insert(document, record),
                None => newest.remove(&document),
            };
        }
    }
}

/// A message of the server that may concern a subscription.
#[derive(Deserialize)]
pub(crate) struct Message {
    pub(crate) id: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    sub: Option<String>,
    cursor: Option<String>,
    pub(crate) resumed: Option<bool>,
    why: Option<String>,
    error: Option<String>,
    snapshot: Option<SnapshotPart>,
    reset: Option<bool>,
    records: Option<BTreeMap<String, Option<Record>>>,
    changes: Option<Vec<Change>>,
    skipped: Option<u64>,
}

/// What the server says of a subscription of its own accord.
pub(crate) enum Told {
    Push(Push),
    End { reason: String, cursor: String },
}

impl Message {
    pub(crate) fn parse(text: &[u8]) -> Result<Message, Error> {
        serde_json::from_slice(text).map_err(|error| Error::unreadable(&error))
    }

    /// The cursor of a reply, unless it is an error.
    pub(crate) fn accepted(&mut self) -> Result<String, Error> {
        match self.error.take() {
            Some(error) => Err(Error::Server(error)),
            None => self.take_cursor(),
        }
    }

    /// Why it could not be resumed.
    pub(crate) fn reset(&mut self) -> Reset {
        match self.why.take() {
            Some(why) if why == "history" => Reset::History,
            Some(why) if why == "epoch" => Reset::Epoch,
            why => Reset::Other(why.unwrap_or_default()),
        }
    }

    /// What it says of this subscription; nothing if it is about something else.
    pub(crate) fn about(mut self, name: &str) -> Result<Option<Told>, Error> {
        if self.id.is_some() || self.sub.as_deref() != Some(name) {
            return Ok(None);
        }
        match self.kind.as_deref() {
            Some("push") => Ok(Some(Told::Push(Push {
                cursor: self.take_cursor()?,
                snapshot: self.snapshot,
                reset: self.reset.unwrap_or_default(),
                records: self.records.unwrap_or_default(),
                changes: self.changes.unwrap_or_default(),
                skipped: self.skipped.unwrap_or_default(),
            }))),
            Some("end") => {
                let reason = self.error.take().unwrap_or_default();
                Ok(Some(Told::End { reason, cursor: self.take_cursor()? }))
            }
            _ => Ok(None),
        }
    }

    fn take_cursor(&mut self) -> Result<String, Error> {
        self.cursor.take().ok_or_else(|| Error::Protocol("a subscription's message without a cursor".into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Result<Option<Told>, Error> {
        Message::parse(text.as_bytes())?.about("s")
    }

    fn push(text: &str) -> Push {
        match told(text) {
            Ok(Some(Told::Push(push))) => push,
            _ => panic!("{text} is no push"),
        }
    }

    #[test]
    fn changes_are_told_apart() {
        let text = r#"{"type":"push","sub":"s","cursor":"c","skipped":3,"changes":[{"doc":"d","ts":5,"data":"x"},
            {"doc":"d","ts":4,"del":true},{"doc":"d","fromTs":1,"toTs":3,"del":true},{"doc":"e","del":true},{"del":true}]}"#;
        let document = || "d".to_string();
        let push = push(text);
        assert_eq!(
            push.changes,
            [
                Change::Put { document: document(), record: Record { ts: 5, data: "x".into() } },
                Change::DeleteRecord { document: document(), ts: 4 },
                Change::DeleteRange { document: document(), from: 1, to: 3 },
                Change::DeleteDocument { document: "e".into() },
                Change::DeleteCollection,
            ]
        );
        assert_eq!((push.cursor.as_str(), push.skipped, push.reset), ("c", 3, false));
        let unknown = told(r#"{"type":"push","sub":"s","cursor":"c","changes":[{"doc":"d","moved":true}]}"#);
        assert!(unknown.is_err_and(|error| error.to_string().contains("does not know")));
    }

    #[test]
    fn pushes_fold_to_what_is_there() {
        let mut newest = BTreeMap::new();
        for text in [
            r#"{"type":"push","sub":"s","cursor":"1","snapshot":"part","reset":true,"records":{"a":{"ts":1,"data":"x"}}}"#,
            r#"{"type":"push","sub":"s","cursor":"1","snapshot":"done","records":{"b":{"ts":1,"data":"y"}}}"#,
            r#"{"type":"push","sub":"s","cursor":"2","records":{"a":null,"c":{"ts":2,"data":"z"},"d":null}}"#,
        ] {
            push(text).fold_into(&mut newest);
        }
        assert_eq!(newest.keys().collect::<Vec<_>>(), ["b", "c"]);
        let reset = r#"{"type":"push","sub":"s","cursor":"3","snapshot":"done","reset":true,"records":{}}"#;
        assert_eq!(push(reset).snapshot, Some(SnapshotPart::Done));
        push(reset).fold_into(&mut newest);
        assert!(newest.is_empty());
    }

    #[test]
    fn what_is_about_something_else_is_left_alone() {
        for text in [
            r#"{"type":"push","sub":"t","cursor":"1"}"#,
            r#"{"type":"news","sub":"s"}"#,
            r#"{"id":"7","value":""}"#,
        ] {
            assert!(told(text).unwrap().is_none(), "{text}");
        }
        assert!(told(r#"{"type":"push","sub":"s"}"#).is_err(), "no cursor");
        assert!(told("[]").is_err());
    }
}
