//! What a shard can be asked to do, generic over how its texts are held.
//!
//! `Request<&str>` borrows from the message it was decoded from; `Packet` holds the same thing owned, to send to another
//! core. A request is already validated in form: numbers are numbers, names are not empty where they must not be.

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

/// What names one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordKey<S> {
    /// The collection's name.
    pub collection: S,
    /// The document's name.
    pub document: S,
    /// Its time.
    pub ts: i64,
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
        /// Empty for all, a literal name, or `/pattern/flags`.
        document: S,
        /// The latest time that counts.
        ts: i64,
        /// The earliest time that counts; 0 for no bound.
        from: i64,
        /// What the record must contain, a literal or a pattern; empty for anything.
        contains: S,
        /// What the record must not contain; empty for no such condition.
        excludes: S,
    },
    /// The records of one document between two times, both inclusive.
    History {
        /// The collection's name.
        collection: S,
        /// The document's name, always a literal.
        document: S,
        /// The earliest time.
        from: i64,
        /// The latest time.
        to: i64,
        /// The most records to return; 0 or less for no limit.
        limit: i64,
        /// Newest first.
        reverse: bool,
        /// What a record must contain, a literal or a pattern; empty for anything.
        contains: S,
        /// What a record must not contain; empty for no such condition.
        excludes: S,
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

impl<S: Copy> Request<S> {
    /// The same request with each of its texts replaced; each text is visited once, in a fixed order.
    #[rustfmt::skip]
    pub fn map<T>(&self, mut f: impl FnMut(S) -> T) -> Request<T> {
        match self {
            Self::Insert(records) => Request::Insert(records.iter().map(|record| Record {
                collection: f(record.collection), document: f(record.document), ts: record.ts, data: f(record.data),
            }).collect()),
            &Self::Latest { collection, document, ts, from, contains, excludes } => Request::Latest {
                collection: f(collection), document: f(document), ts, from,
                contains: f(contains), excludes: f(excludes),
            },
            &Self::History { collection, document, from, to, limit, reverse, contains, excludes } => Request::History {
                collection: f(collection), document: f(document), from, to, limit, reverse,
                contains: f(contains), excludes: f(excludes),
            },
            Self::Collections => Request::Collections,
            &Self::DeleteDocument { document, collection } => Request::DeleteDocument {
                document: f(document), collection: collection.map(f),
            },
            &Self::DeleteCollection { collection } => Request::DeleteCollection { collection: f(collection) },
            Self::DeleteRecords(keys) => Request::DeleteRecords(keys.iter().map(|key| RecordKey {
                collection: f(key.collection), document: f(key.document), ts: key.ts,
            }).collect()),
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
