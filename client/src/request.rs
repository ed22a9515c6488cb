//! Every request of the protocol, typed, and how it is written.

use crate::records::{NewRecord, RecordKey, Scope};
use serde::Serialize;
use serde_json::json;

/// A request. `Debug` is left out, since some hold API keys.
#[derive(Clone, Copy)]
pub enum Request<'a> {
    /// Stores records, all or none of them.
    Insert(&'a [NewRecord<'a>]),
    /// The newest record of each document at a time.
    Latest(LatestQuery<'a>),
    /// The records of one document.
    History(HistoryQuery<'a>),
    /// The names of all collections.
    Collections,
    /// Deletes a document, in one collection or in all.
    DeleteDocument {
        /// Its name.
        document: &'a str,
        /// Where; `None` is everywhere.
        collection: Option<&'a str>,
    },
    /// Deletes a collection.
    DeleteCollection {
        /// Its name.
        collection: &'a str,
    },
    /// Deletes one record.
    DeleteRecord(RecordKey<'a>),
    /// Deletes many records.
    DeleteRecords(&'a [RecordKey<'a>]),
    /// Deletes the records of a document between two times, both included.
    DeleteRange {
        /// Collection.
        collection: &'a str,
        /// Document.
        document: &'a str,
        /// First time.
        from: i64,
        /// Last time.
        to: i64,
    },
    /// Sets a key-value entry.
    SetValue {
        /// Collection.
        collection: &'a str,
        /// Key.
        key: &'a str,
        /// Value.
        value: &'a str,
    },
    /// The value of one key, `""` if there is none.
    GetValue {
        /// Collection.
        collection: &'a str,
        /// Key.
        key: &'a str,
    },
    /// The entries of one key or of those that match `/pattern/`.
    MatchValues {
        /// Collection.
        collection: &'a str,
        /// Key or pattern.
        key: &'a str,
    },
    /// All entries.
    AllValues {
        /// Collection.
        collection: &'a str,
    },
    /// The keys of all entries.
    KeyNames {
        /// Collection.
        collection: &'a str,
    },
    /// Removes an entry.
    RemoveValue {
        /// Collection.
        collection: &'a str,
        /// Key.
        key: &'a str,
    },
    /// The server's connections.
    Connections,
    /// The server's counters.
    Stats,
    /// Adds an API key, or changes its scope.
    AddApiKey {
        /// The key.
        key: &'a str,
        /// The scope that it has.
        scope: Scope,
    },
    /// Removes an API key.
    RemoveApiKey {
        /// The key.
        key: &'a str,
    },
    /// All API keys.
    ListApiKeys,
}

impl Request<'_> {
    /// The protocol's name of it.
    pub fn kind(&self) -> &'static str {
        match self {
            Request::Insert(_) => "ins",
            Request::Latest(_) => "qry",
            Request::History(_) => "qdoc",
            Request::Collections => "cols",
            Request::DeleteDocument { .. } => "ddoc",
            Request::DeleteCollection { .. } => "dcol",
            Request::DeleteRecord(_) => "drec",
            Request::DeleteRecords(_) => "dmrec",
            Request::DeleteRange { .. } => "drrng",
            Request::SetValue { .. } => "sval",
            Request::GetValue { .. } => "gval",
            Request::MatchValues { .. } => "gvalues",
            Request::AllValues { .. } => "gvals",
            Request::KeyNames { .. } => "gkeys",
            Request::RemoveValue { .. } => "rval",
            Request::Connections => "conn",
            Request::Stats => "stats",
            Request::AddApiKey { .. } | Request::RemoveApiKey { .. } | Request::ListApiKeys => "keys",
        }
    }

    /// Whether it changes nothing, so that it may be made twice.
    pub fn is_read(&self) -> bool {
        use Request::*;
        matches!(
            self,
            Latest(_)
                | History(_)
                | Collections
                | GetValue { .. }
                | MatchValues { .. }
                | AllValues { .. }
                | KeyNames { .. }
                | Connections
                | Stats
                | ListApiKeys
        )
    }

    /// Writes the request as a message; `data` is room to work in.
    pub(crate) fn write(&self, id: u64, data: &mut Vec<u8>, message: &mut Vec<u8>) {
        data.clear();
        self.write_data(data);
        write_message(id, self.kind(), data, message);
    }

    fn write_data(&self, out: &mut Vec<u8>) {
        match *self {
            Request::Insert(records) => write_json(out, &records),
            Request::Latest(query) => write_json(out, &query),
            Request::History(query) => write_json(out, &query),
            Request::Collections | Request::Connections | Request::Stats => write_json(out, &json!({})),
            Request::DeleteDocument { document, collection: Some(collection) } => {
                write_json(out, &json!({"doc": document, "col": collection}))
            }
            Request::DeleteDocument { document, collection: None } => {
                write_json(out, &json!({"doc": document}))
            }
            Request::DeleteRecord(key) => write_json(out, &key),
            Request::DeleteRecords(keys) => write_json(out, &keys),
            Request::DeleteRange { collection, document, from, to } => {
                write_json(out, &json!({"col": collection, "doc": document, "fromTs": from, "toTs": to}))
            }
            Request::SetValue { collection, key, value } => {
                write_json(out, &json!({"col": collection, "key": key, "value": value}))
            }
            Request::GetValue { collection, key }
            | Request::MatchValues { collection, key }
            | Request::RemoveValue { collection, key } => {
                write_json(out, &json!({"col": collection, "key": key}))
            }
            Request::AllValues { collection }
            | Request::KeyNames { collection }
            | Request::DeleteCollection { collection } => write_json(out, &json!({"col": collection})),
            Request::AddApiKey { key, scope } => {
                write_json(out, &json!({"action": "add", "key": key, "scope": scope.as_str()}))
            }
            Request::RemoveApiKey { key } => write_json(out, &json!({"action": "remove", "key": key})),
            Request::ListApiKeys => write_json(out, &json!({"action": "list"})),
        }
    }
}

/// Writes a message of a type with these data, which are JSON.
pub(crate) fn write_message(id: u64, kind: &str, data: &[u8], message: &mut Vec<u8>) {
    message.clear();
    message.extend_from_slice(format!("{{\"id\":\"{id}\",\"type\":\"{kind}\",\"data\":").as_bytes());
    let text = std::str::from_utf8(data).unwrap_or_default();
    write_json(message, &text);
    message.push(b'}');
}

/// Plain data written to memory can't fail.
pub(crate) fn write_json<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    let written = serde_json::to_writer(out, value);
    debug_assert!(written.is_ok());
}

/// Asks for the newest record of each document that is not newer than a time.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct LatestQuery<'a> {
    #[serde(rename = "col")]
    collection: &'a str,
    ts: i64,
    #[serde(rename = "doc", skip_serializing_if = "Option::is_none")]
    document: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<i64>,
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    contains: Option<&'a str>,
    #[serde(rename = "filter", skip_serializing_if = "Option::is_none")]
    excludes: Option<&'a str>,
}

impl<'a> LatestQuery<'a> {
    /// All documents of a collection, at a time.
    pub fn new(collection: &'a str, ts: i64) -> LatestQuery<'a> {
        LatestQuery { collection, ts, document: None, from: None, contains: None, excludes: None }
    }

    /// Only this document, or those that match `/pattern/`.
    pub fn document(mut self, document: &'a str) -> Self {
        self.document = Some(document);
        self
    }

    /// Only records that are at least as new as this.
    pub fn from(mut self, from: i64) -> Self {
        self.from = Some(from);
        self
    }

    /// Only records that contain a text or match `/pattern/`. An older one does not take their place.
    pub fn contains(mut self, contains: &'a str) -> Self {
        self.contains = Some(contains);
        self
    }

    /// No records that contain a text or match `/pattern/`.
    pub fn excludes(mut self, excludes: &'a str) -> Self {
        self.excludes = Some(excludes);
        self
    }
}

/// Asks for the records of a document, in order of time.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct HistoryQuery<'a> {
    #[serde(rename = "col")]
    collection: &'a str,
    #[serde(rename = "doc")]
    document: &'a str,
    from: i64,
    to: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<i64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    reverse: bool,
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    contains: Option<&'a str>,
    #[serde(rename = "filter", skip_serializing_if = "Option::is_none")]
    excludes: Option<&'a str>,
}

impl<'a> HistoryQuery<'a> {
    /// All records of a document.
    pub fn new(collection: &'a str, document: &'a str) -> HistoryQuery<'a> {
        HistoryQuery {
            collection,
            document,
            from: i64::MIN,
            to: i64::MAX,
            limit: None,
            reverse: false,
            contains: None,
            excludes: None,
        }
    }

    /// The first time, included.
    pub fn from(mut self, from: i64) -> Self {
        self.from = from;
        self
    }

    /// The last time, included.
    pub fn to(mut self, to: i64) -> Self {
        self.to = to;
        self
    }

    /// At most so many records; 0 is all.
    pub fn limit(mut self, limit: i64) -> Self {
        self.limit = Some(limit);
        self
    }

    /// The newest first.
    pub fn reverse(mut self, reverse: bool) -> Self {
        self.reverse = reverse;
        self
    }

    /// Only records that contain a text or match `/pattern/`.
    pub fn contains(mut self, contains: &'a str) -> Self {
        self.contains = Some(contains);
        self
    }

    /// No records that contain a text or match `/pattern/`.
    pub fn excludes(mut self, excludes: &'a str) -> Self {
        self.excludes = Some(excludes);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(request: Request<'_>) -> String {
        let (mut data, mut message) = (Vec::new(), Vec::new());
        request.write(7, &mut data, &mut message);
        String::from_utf8(message).unwrap()
    }

    #[test]
    fn a_request_is_json_with_json_in_it() {
        let record = NewRecord { ts: -1, document: "ü\"", data: "\\", collection: "c" };
        assert_eq!(
            written(Request::Insert(&[record])),
            r#"{"id":"7","type":"ins","data":"[{\"ts\":-1,\"doc\":\"ü\\\"\",\"data\":\"\\\\\",\"col\":\"c\"}]"}"#
        );
        assert_eq!(written(Request::Collections), r#"{"id":"7","type":"cols","data":"{}"}"#);
    }

    #[test]
    fn only_what_is_asked_for_is_said() {
        assert_eq!(
            written(Request::Latest(LatestQuery::new("c", 5))),
            r#"{"id":"7","type":"qry","data":"{\"col\":\"c\",\"ts\":5}"}"#
        );
        let query =
            HistoryQuery::new("c", "d").from(1).to(2).limit(3).reverse(true).contains("w").excludes("f");
        let text = written(Request::History(query)).replace('\\', "");
        let data =
            r#"{"col":"c","doc":"d","from":1,"to":2,"limit":3,"reverse":true,"where":"w","filter":"f"}"#;
        assert!(text.contains(data), "{text}");
    }
}
