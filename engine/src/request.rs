//! Requests to a shard, generic over how its texts are held.
//!
//! `Request<&str>` borrows from the message it was decoded from; `Packet` holds the same thing owned, to send to another
//! core. A request is already validated in form: numbers are numbers, names are not empty where they must not be,
//! and what a client may leave out is an `Option`, whatever it writes for "none".

use std::num::NonZeroU64;

/// One record on its way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<S> {
    /// The collection's name.
    pub collection: S,
    /// The document's name.
    pub document: S,
    /// Its time, in the user's unit.
    pub ts: i64,
    /// Its text.
    pub data: S,
}

/// The names and the time of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordKey<S> {
    /// The collection's name.
    pub collection: S,
    /// The document's name.
    pub document: S,
    /// Its time.
    pub ts: i64,
}

impl<S: Copy> Record<S> {
    pub(crate) fn map<T>(&self, mut f: impl FnMut(S) -> T) -> Record<T> {
        let &Self { collection, document, ts, data } = self;
        Record { collection: f(collection), document: f(document), ts, data: f(data) }
    }
}

impl<S: Copy> RecordKey<S> {
    pub(crate) fn map<T>(&self, mut f: impl FnMut(S) -> T) -> RecordKey<T> {
        let &Self { collection, document, ts } = self;
        RecordKey { collection: f(collection), document: f(document), ts }
    }
}

/// A request to one shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request<S> {
    /// Stores records, in this order; an equal time in the same document replaces.
    Insert(Vec<Record<S>>),
    /// The newest record of each document at a time.
    Latest {
        /// The collection's name.
        collection: S,
        /// A literal name or `/pattern/flags`; without it, all.
        document: Option<S>,
        /// The latest time that counts.
        ts: i64,
        /// The earliest time that counts.
        from: Option<i64>,
        /// A condition: the record contains this, a literal or a pattern.
        contains: Option<S>,
        /// A condition: the record does not contain this.
        excludes: Option<S>,
    },
    /// The records of one document between two times, both inclusive.
    History {
        /// The collection's name.
        collection: S,
        /// The document's name, always a literal.
        document: S,
        /// The earliest time; without it, from the first record on.
        from: Option<i64>,
        /// The latest time.
        to: i64,
        /// The most records to return.
        limit: Option<NonZeroU64>,
        /// Newest first.
        reverse: bool,
        /// A condition: a record contains this, a literal or a pattern.
        contains: Option<S>,
        /// A condition: a record does not contain this.
        excludes: Option<S>,
    },
    /// The names of all collections.
    Collections,
    /// Deletes a document.
    DeleteDocument {
        /// The document's name.
        document: S,
        /// Where; without it, in every collection of the shard.
        collection: Option<S>,
    },
    /// Deletes a collection with its documents and entries.
    DeleteCollection {
        /// The collection's name.
        collection: S,
    },
    /// Deletes single records.
    DeleteRecords(Vec<RecordKey<S>>),
    /// Deletes the records of one document between two times, both inclusive.
    DeleteRange {
        /// The collection's name.
        collection: S,
        /// The document's name.
        document: S,
        /// The earliest time.
        from: i64,
        /// The latest time.
        to: i64,
    },
    /// Sets an entry.
    SetValue {
        /// The collection's name.
        collection: S,
        /// The entry's key.
        key: S,
        /// Its new value.
        value: S,
    },
    /// The value of one entry, empty if there is none.
    GetValue {
        /// The collection's name.
        collection: S,
        /// The entry's key.
        key: S,
    },
    /// The entries whose key is this literal or matches this pattern.
    MatchValues {
        /// The collection's name.
        collection: S,
        /// A literal key or `/pattern/flags`.
        key: S,
    },
    /// All entries of a collection.
    AllValues {
        /// The collection's name.
        collection: S,
    },
    /// All keys of a collection.
    Keys {
        /// The collection's name.
        collection: S,
    },
    /// Removes an entry.
    RemoveValue {
        /// The collection's name.
        collection: S,
        /// The entry's key.
        key: S,
    },
}

impl<S> Request<S> {
    /// Whether it may change data.
    pub fn changes(&self) -> bool {
        match self {
            Self::Insert(_)
            | Self::SetValue { .. }
            | Self::DeleteDocument { .. }
            | Self::DeleteCollection { .. }
            | Self::DeleteRecords(_)
            | Self::DeleteRange { .. }
            | Self::RemoveValue { .. } => true,
            Self::Latest { .. }
            | Self::History { .. }
            | Self::Collections
            | Self::GetValue { .. }
            | Self::MatchValues { .. }
            | Self::AllValues { .. }
            | Self::Keys { .. } => false,
        }
    }

    /// The collection that it is about; of several the first.
    pub fn collection(&self) -> Option<&S> {
        match self {
            Self::Insert(records) => records.first().map(|record| &record.collection),
            Self::DeleteRecords(keys) => keys.first().map(|key| &key.collection),
            Self::DeleteDocument { collection, .. } => collection.as_ref(),
            Self::Collections => None,
            Self::Latest { collection, .. }
            | Self::History { collection, .. }
            | Self::DeleteCollection { collection }
            | Self::DeleteRange { collection, .. }
            | Self::SetValue { collection, .. }
            | Self::GetValue { collection, .. }
            | Self::MatchValues { collection, .. }
            | Self::AllValues { collection }
            | Self::Keys { collection }
            | Self::RemoveValue { collection, .. } => Some(collection),
        }
    }

    /// Whether it may delete data, so that there may be garbage afterwards; replacing is not deleting.
    pub fn deletes(&self) -> bool {
        match self {
            Self::DeleteDocument { .. }
            | Self::DeleteCollection { .. }
            | Self::DeleteRecords(_)
            | Self::DeleteRange { .. }
            | Self::RemoveValue { .. } => true,
            Self::Insert(_)
            | Self::SetValue { .. }
            | Self::Latest { .. }
            | Self::History { .. }
            | Self::Collections
            | Self::GetValue { .. }
            | Self::MatchValues { .. }
            | Self::AllValues { .. }
            | Self::Keys { .. } => false,
        }
    }

    /// The records or keys of records that it lists.
    pub(crate) fn item_count(&self) -> usize {
        match self {
            Self::Insert(records) => records.len(),
            Self::DeleteRecords(keys) => keys.len(),
            Self::DeleteDocument { .. }
            | Self::DeleteCollection { .. }
            | Self::DeleteRange { .. }
            | Self::SetValue { .. }
            | Self::RemoveValue { .. }
            | Self::Latest { .. }
            | Self::History { .. }
            | Self::Collections
            | Self::GetValue { .. }
            | Self::MatchValues { .. }
            | Self::AllValues { .. }
            | Self::Keys { .. } => 0,
        }
    }
}

impl Request<&str> {
    /// The bytes of all its texts, each as often as it occurs.
    pub fn text_bytes(&self) -> usize {
        match self {
            Self::Insert(records) => records
                .iter()
                .map(|record| record.collection.len() + record.document.len() + record.data.len())
                .sum(),
            Self::DeleteRecords(keys) => {
                keys.iter().map(|key| key.collection.len() + key.document.len()).sum()
            }
            _ => {
                let mut bytes = 0;
                self.map(|text| bytes += text.len());
                bytes
            }
        }
    }

    /// The memory that it takes while it waits: its texts and the lists of them.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.item_count() * size_of::<Record<&str>>() + self.text_bytes()
    }
}

impl<S: Copy> Request<S> {
    /// The same request with each of its texts replaced; each text is visited once, in a fixed order.
    #[rustfmt::skip]
    pub fn map<T>(&self, mut f: impl FnMut(S) -> T) -> Request<T> {
        match self {
            Self::Insert(records) => Request::Insert(records.iter().map(|record| record.map(&mut f)).collect()),
            &Self::Latest { collection, document, ts, from, contains, excludes } => Request::Latest {
                collection: f(collection), document: document.map(&mut f), ts, from,
                contains: contains.map(&mut f), excludes: excludes.map(&mut f),
            },
            &Self::History { collection, document, from, to, limit, reverse, contains, excludes } => Request::History {
                collection: f(collection), document: f(document), from, to, limit, reverse,
                contains: contains.map(&mut f), excludes: excludes.map(&mut f),
            },
            Self::Collections => Request::Collections,
            &Self::DeleteDocument { document, collection } => Request::DeleteDocument {
                document: f(document), collection: collection.map(f),
            },
            &Self::DeleteCollection { collection } => Request::DeleteCollection { collection: f(collection) },
            Self::DeleteRecords(keys) => Request::DeleteRecords(keys.iter().map(|key| key.map(&mut f)).collect()),
            &Self::DeleteRange { collection, document, from, to } => Request::DeleteRange {
                collection: f(collection), document: f(document), from, to,
            },
            &Self::SetValue { collection, key, value } => Request::SetValue {
                collection: f(collection), key: f(key), value: f(value),
            },
            &Self::GetValue { collection, key } => Request::GetValue { collection: f(collection), key: f(key) },
            &Self::MatchValues { collection, key } => Request::MatchValues { collection: f(collection), key: f(key) },
            &Self::AllValues { collection } => Request::AllValues { collection: f(collection) },
            &Self::Keys { collection } => Request::Keys { collection: f(collection) },
            &Self::RemoveValue { collection, key } => Request::RemoveValue { collection: f(collection), key: f(key) },
        }
    }
}
