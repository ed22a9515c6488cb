//! What a subscription asks for, as the protocol has it.

use serde::Serialize;
use std::time::Duration;

/// Asks to be told of a collection's changes. Without further say these are the newest records of all documents,
/// beginning with what is there.
///
/// ```
/// use fluxion_client::{Mode, SubscriptionQuery};
/// use std::time::Duration;
///
/// let dashboard = SubscriptionQuery::new("fleet").document("/^truck-/").every(Duration::from_millis(250));
/// let journal = SubscriptionQuery::new("fleet").mode(Mode::All).buffer(4 << 20);
/// # let _ = (dashboard, journal);
/// ```
#[derive(Clone, Debug, Serialize)]
pub struct SubscriptionQuery {
    #[serde(rename = "col")]
    collection: String,
    #[serde(rename = "doc", skip_serializing_if = "Option::is_none")]
    document: Option<String>,
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    contains: Option<String>,
    #[serde(rename = "filter", skip_serializing_if = "Option::is_none")]
    excludes: Option<String>,
    #[serde(skip_serializing_if = "is_default")]
    mode: Mode,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) snapshot: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) since: Option<String>,
    #[serde(rename = "every", skip_serializing_if = "is_default")]
    every_ms: u64,
    #[serde(skip_serializing_if = "is_default")]
    slow: Slow,
    #[serde(rename = "buffer", skip_serializing_if = "Option::is_none")]
    buffer_bytes: Option<u64>,
}

/// Of what a subscription tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The newest record of each document. Who is slow gets fewer and newer states.
    #[default]
    Latest,
    /// Every change, in order.
    All,
}

/// What becomes of a subscription to all changes whose reader is too slow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Slow {
    /// The server ends it; it can be resumed as far as the server remembers.
    #[default]
    Close,
    /// The oldest changes go, and the next push says how many.
    Drop,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl SubscriptionQuery {
    /// All documents of a collection, which need not be there yet.
    pub fn new(collection: impl Into<String>) -> SubscriptionQuery {
        SubscriptionQuery {
            collection: collection.into(),
            document: None,
            contains: None,
            excludes: None,
            mode: Mode::default(),
            snapshot: None,
            since: None,
            every_ms: 0,
            slow: Slow::default(),
            buffer_bytes: None,
        }
    }

    /// Only this document, or those that match `/pattern/`.
    pub fn document(mut self, document: impl Into<String>) -> Self {
        self.document = Some(document.into());
        self
    }

    /// Only records that contain a text or match `/pattern/`.
    pub fn contains(mut self, contains: impl Into<String>) -> Self {
        self.contains = Some(contains.into());
        self
    }

    /// No records that contain a text or match `/pattern/`.
    pub fn excludes(mut self, excludes: impl Into<String>) -> Self {
        self.excludes = Some(excludes.into());
        self
    }

    /// The newest records, or all changes.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Whether to begin with what is there. Unless it is said, the newest records do, and all changes do not.
    pub fn snapshot(mut self, snapshot: bool) -> Self {
        self.snapshot = Some(snapshot);
        self
    }

    /// Goes on behind a cursor that an earlier subscription to this collection has given.
    pub fn since(mut self, cursor: impl Into<String>) -> Self {
        self.since = Some(cursor.into());
        self
    }

    /// The least time between two pushes, up to a minute; parts of a millisecond are left out.
    pub fn every(mut self, time: Duration) -> Self {
        self.every_ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self
    }

    /// What becomes of it when more waits than the buffer holds; for all changes only.
    pub fn slow(mut self, slow: Slow) -> Self {
        self.slow = slow;
        self
    }

    /// Bytes that may wait for the reader, up to 16 MiB; for all changes only.
    pub fn buffer(mut self, bytes: usize) -> Self {
        self.buffer_bytes = Some(bytes as u64);
        self
    }

    /// Whether what is there comes first when it begins anew.
    pub(crate) fn wants_snapshot(&self) -> bool {
        self.snapshot.unwrap_or(self.mode == Mode::Latest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(query: SubscriptionQuery) -> String {
        serde_json::to_string(&query).unwrap()
    }

    #[test]
    fn only_what_is_asked_for_is_said() {
        assert_eq!(written(SubscriptionQuery::new("c")), r#"{"col":"c"}"#);
        let query = SubscriptionQuery::new("c").document("d").contains("w").excludes("f").mode(Mode::All);
        let query = query.snapshot(true).since("1-2").every(Duration::from_micros(2500));
        assert_eq!(
            written(query.slow(Slow::Drop).buffer(64)),
            r#"{"col":"c","doc":"d","where":"w","filter":"f","mode":"all","snapshot":true,"since":"1-2","every":2,"slow":"drop","buffer":64}"#
        );
    }

    #[test]
    fn the_newest_records_begin_with_what_is_there() {
        let query = SubscriptionQuery::new("c");
        assert!(query.wants_snapshot() && !query.clone().mode(Mode::All).wants_snapshot());
        assert!(!query.clone().snapshot(false).wants_snapshot());
        assert!(query.mode(Mode::All).snapshot(true).wants_snapshot());
    }
}
