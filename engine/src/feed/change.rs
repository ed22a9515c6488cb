//! One change of a shard, as its readers get it.
//!
//! Changes can be replayed: each names all that it needs, and the same changes in the same order give the same
//! data. A new kind must be known to everybody who reads feeds, so nobody matches it with a default arm.

/// One effective change, generic over how its texts are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<S> {
    /// A record was stored or replaced.
    Put {
        /// The collection's name.
        collection: S,
        /// The document's name.
        document: S,
        /// The record's time.
        ts: i64,
        /// The record's text.
        data: S,
    },
    /// A record was deleted.
    DeleteRecord {
        /// The collection's name.
        collection: S,
        /// The document's name.
        document: S,
        /// The record's time.
        ts: i64,
    },
    /// The records between two times, both inclusive, were deleted.
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
    /// A document was deleted.
    DeleteDocument {
        /// The collection's name.
        collection: S,
        /// The document's name.
        document: S,
    },
    /// A collection was deleted with its documents and entries.
    DeleteCollection {
        /// The collection's name.
        collection: S,
    },
    /// An entry was set.
    SetValue {
        /// The collection's name.
        collection: S,
        /// The entry's key.
        key: S,
        /// The entry's new value.
        value: S,
    },
    /// An entry was removed.
    RemoveValue {
        /// The collection's name.
        collection: S,
        /// The entry's key.
        key: S,
    },
    /// An API key was added, or given another scope.
    SetApiKey {
        /// The key.
        key: S,
        /// The name of its scope.
        scope: S,
    },
    /// An API key was removed.
    RemoveApiKey {
        /// The key.
        key: S,
    },
}

/// A change as a batch gives it out.
pub type ChangeRef<'a> = Change<&'a str>;

impl<S: Copy> Change<S> {
    #[rustfmt::skip]
    pub(super) fn map<T>(&self, mut f: impl FnMut(S) -> T) -> Change<T> {
        match *self {
            Self::Put { collection, document, ts, data } => Change::Put {
                collection: f(collection), document: f(document), ts, data: f(data),
            },
            Self::DeleteRecord { collection, document, ts } => Change::DeleteRecord {
                collection: f(collection), document: f(document), ts,
            },
            Self::DeleteRange { collection, document, from, to } => Change::DeleteRange {
                collection: f(collection), document: f(document), from, to,
            },
            Self::DeleteDocument { collection, document } => Change::DeleteDocument {
                collection: f(collection), document: f(document),
            },
            Self::DeleteCollection { collection } => Change::DeleteCollection { collection: f(collection) },
            Self::SetValue { collection, key, value } => Change::SetValue {
                collection: f(collection), key: f(key), value: f(value),
            },
            Self::RemoveValue { collection, key } => Change::RemoveValue { collection: f(collection), key: f(key) },
            Self::SetApiKey { key, scope } => Change::SetApiKey { key: f(key), scope: f(scope) },
            Self::RemoveApiKey { key } => Change::RemoveApiKey { key: f(key) },
        }
    }
}
