//! The nouns of the protocol as types.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;

/// A record to insert. Its time has the unit that you choose; an equal time replaces the record.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct NewRecord<'a> {
    /// Time.
    pub ts: i64,
    /// Document; not empty.
    #[serde(rename = "doc")]
    pub document: &'a str,
    /// Any text.
    pub data: &'a str,
    /// Collection; not empty.
    #[serde(rename = "col")]
    pub collection: &'a str,
}

/// The names and the time by which a record is found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RecordKey<'a> {
    /// Collection.
    #[serde(rename = "col")]
    pub collection: &'a str,
    /// Document.
    #[serde(rename = "doc")]
    pub document: &'a str,
    /// Time.
    pub ts: i64,
}

/// A record of a reply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Time.
    pub ts: i64,
    /// Text.
    pub data: String,
}

/// A record of a reply, in the buffer that it was received in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordText<'a> {
    /// Time.
    pub ts: i64,
    /// Text.
    #[serde(borrow)]
    pub data: Cow<'a, str>,
}

impl From<RecordText<'_>> for Record {
    fn from(record: RecordText<'_>) -> Record {
        Record { ts: record.ts, data: record.data.into_owned() }
    }
}

/// A connection of the server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConnectionInfo {
    /// Address of the client.
    pub ip: String,
    /// Milliseconds since it connected.
    pub since: i64,
    /// Whether it is the one that asks.
    #[serde(rename = "self")]
    pub is_self: bool,
    /// Its label.
    pub name: Option<String>,
}

/// The scope of an API key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scope {
    /// Reading.
    #[serde(rename = "readonly")]
    ReadOnly,
    /// Reading and writing.
    #[serde(rename = "read_write")]
    ReadWrite,
    /// All but managing keys.
    #[serde(rename = "read_write_delete")]
    ReadWriteDelete,
}

impl Scope {
    /// As the protocol has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Scope::ReadOnly => "readonly",
            Scope::ReadWrite => "read_write",
            Scope::ReadWriteDelete => "read_write_delete",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl std::str::FromStr for Scope {
    type Err = String;

    /// Case, spaces, commas, `-` and `_` do not matter.
    fn from_str(text: &str) -> Result<Scope, String> {
        let letters = text.chars().filter(|letter| !matches!(letter, ' ' | ',' | '-' | '_'));
        match letters.collect::<String>().to_ascii_lowercase().as_str() {
            "readonly" => Ok(Scope::ReadOnly),
            "readwrite" => Ok(Scope::ReadWrite),
            "readwritedelete" => Ok(Scope::ReadWriteDelete),
            _ => Err(format!("{text:?} is not a scope: take readonly, read_write or read_write_delete")),
        }
    }
}

/// An API key of the server.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct ApiKey {
    /// The key itself.
    pub key: String,
    /// The scope that it has.
    pub scope: Scope,
    /// Whether it can be removed; the master key can't.
    pub deletable: bool,
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ApiKey")
            .field("key", &"hidden")
            .field("scope", &self.scope)
            .field("deletable", &self.deletable)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read_as_the_server_reads_them() {
        for text in ["read_write", "READ-WRITE", "read, write", "ReadWrite"] {
            assert_eq!(text.parse(), Ok(Scope::ReadWrite), "{text}");
        }
        assert!("admin".parse::<Scope>().unwrap_err().contains("\"admin\""));
    }

    #[test]
    fn keys_do_not_show() {
        let key = ApiKey { key: "s3cret".into(), scope: Scope::ReadOnly, deletable: true };
        assert!(!format!("{key:?}").contains("s3cret"));
    }
}
