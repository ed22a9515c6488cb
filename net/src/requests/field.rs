//! The names of members in the data of requests, today's and the older ones.

use std::fmt;

/// A member that requests know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// `col`
    Col,
    /// `collection`
    Collection,
    /// `doc`
    Doc,
    /// `key`
    Key,
    /// `ts`
    Ts,
    /// `data`
    Data,
    /// `from`
    From,
    /// `to`
    To,
    /// `fromTs`
    FromTs,
    /// `toTs`
    ToTs,
    /// `limit`
    Limit,
    /// `reverse`
    Reverse,
    /// `where`
    Where,
    /// `filter`
    Filter,
    /// `value`
    Value,
    /// `action`
    Action,
    /// `scope`
    Scope,
    /// `mode`
    Mode,
    /// `snapshot`
    Snapshot,
    /// `since`
    Since,
    /// `every`
    Every,
    /// `slow`
    Slow,
    /// `buffer`
    Buffer,
    /// `sub`
    Sub,
}
/// The number of members that requests know.
pub const FIELD_COUNT: usize = Field::Sub as usize + 1;

/// The member with this name, if requests know it.
pub fn field(name: &str) -> Option<Field> {
    Some(match name {
        "col" => Field::Col,
        "collection" => Field::Collection,
        "doc" => Field::Doc,
        "key" => Field::Key,
        "ts" => Field::Ts,
        "data" => Field::Data,
        "from" => Field::From,
        "to" => Field::To,
        "fromTs" => Field::FromTs,
        "toTs" => Field::ToTs,
        "limit" => Field::Limit,
        "reverse" => Field::Reverse,
        "where" => Field::Where,
        "filter" => Field::Filter,
        "value" => Field::Value,
        "action" => Field::Action,
        "scope" => Field::Scope,
        "mode" => Field::Mode,
        "snapshot" => Field::Snapshot,
        "since" => Field::Since,
        "every" => Field::Every,
        "slow" => Field::Slow,
        "buffer" => Field::Buffer,
        "sub" => Field::Sub,
        _ => return None,
    })
}

impl Field {
    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Field::Col => "col",
            Field::Collection => "collection",
            Field::Doc => "doc",
            Field::Key => "key",
            Field::Ts => "ts",
            Field::Data => "data",
            Field::From => "from",
            Field::To => "to",
            Field::FromTs => "fromTs",
            Field::ToTs => "toTs",
            Field::Limit => "limit",
            Field::Reverse => "reverse",
            Field::Where => "where",
            Field::Filter => "filter",
            Field::Value => "value",
            Field::Action => "action",
            Field::Scope => "scope",
            Field::Mode => "mode",
            Field::Snapshot => "snapshot",
            Field::Since => "since",
            Field::Every => "every",
            Field::Slow => "slow",
            Field::Buffer => "buffer",
            Field::Sub => "sub",
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
