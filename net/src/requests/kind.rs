//! The one place that says of each kind of message what it is, before its data is read: its names, the scope it needs,
//! and who carries it out. A new kind does not compile until all of that is said.

use crate::requests::scope::Scope;

/// The kinds of messages, by what they ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Stores records.
    Insert,
    /// The newest records.
    Latest,
    /// The records of a document.
    History,
    /// The names of the collections.
    Collections,
    /// Deletes a document.
    DeleteDocument,
    /// Deletes a collection.
    DeleteCollection,
    /// Deletes a record.
    DeleteRecord,
    /// Deletes records.
    DeleteRecords,
    /// Deletes the records between two times.
    DeleteRange,
    /// Sets an entry.
    SetValue,
    /// The value of an entry.
    GetValue,
    /// The entries that match.
    MatchValues,
    /// All entries of a collection.
    AllValues,
    /// All keys of a collection.
    Keys,
    /// Removes an entry.
    RemoveValue,
    /// The open connections.
    Connections,
    /// Manages API keys.
    ApiKeys,
    /// The counters of every core.
    Stats,
    /// Makes a subscription.
    Subscribe,
    /// Ends one.
    Unsubscribe,
    /// Authenticates, with `--legacy-auth` as the first message only.
    Auth,
    /// Any other text.
    Unknown,
}

/// Who carries a kind of message out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The shards, as an engine's request.
    Shards,
    /// Each core tells of itself.
    EveryCore,
    /// The core that decides about API keys.
    KeyOwner,
    /// The core that the connection is on, and the one that owns the collection.
    Subscriptions,
    /// Nobody: it is answered with an error.
    Nobody,
}

/// All that is known of a kind.
pub struct Facts {
    /// The name on the wire, in replies to `stats` too.
    pub name: &'static str,
    /// The least scope that may ask it.
    pub needs: Scope,
    /// Who carries it out.
    pub target: Target,
    /// It may take far longer than its length says: it searches, or compiles a pattern.
    pub cost_varies: bool,
}

impl Kind {
    /// The number of kinds.
    pub const COUNT: usize = Kind::Unknown as usize + 1;

    /// Every kind, in order.
    pub const ALL: [Kind; Kind::COUNT] = [
        Kind::Insert,
        Kind::Latest,
        Kind::History,
        Kind::Collections,
        Kind::DeleteDocument,
        Kind::DeleteCollection,
        Kind::DeleteRecord,
        Kind::DeleteRecords,
        Kind::DeleteRange,
        Kind::SetValue,
        Kind::GetValue,
        Kind::MatchValues,
        Kind::AllValues,
        Kind::Keys,
        Kind::RemoveValue,
        Kind::Connections,
        Kind::ApiKeys,
        Kind::Stats,
        Kind::Subscribe,
        Kind::Unsubscribe,
        Kind::Auth,
        Kind::Unknown,
    ];

    /// The kind for a message type, in today's or LTDB's name.
    pub fn from_name(name: &[u8]) -> Kind {
        match name {
            b"ins" | b"insert" => Kind::Insert,
            b"qry" | b"query" => Kind::Latest,
            b"qdoc" | b"query-user" => Kind::History,
            b"cols" | b"collections" => Kind::Collections,
            b"ddoc" | b"delete-user" => Kind::DeleteDocument,
            b"dcol" | b"delete-collection" => Kind::DeleteCollection,
            b"drec" | b"delete-record" => Kind::DeleteRecord,
            b"dmrec" | b"delete-multiple-records" => Kind::DeleteRecords,
            b"drrng" => Kind::DeleteRange,
            b"sval" | b"set-value" => Kind::SetValue,
            b"gval" | b"get-value" => Kind::GetValue,
            b"gvalues" => Kind::MatchValues,
            b"gvals" | b"get-all-values" => Kind::AllValues,
            b"gkeys" | b"get-all-keys" => Kind::Keys,
            b"rval" | b"remove-value" => Kind::RemoveValue,
            b"conn" => Kind::Connections,
            b"keys" => Kind::ApiKeys,
            b"stats" => Kind::Stats,
            b"sub" => Kind::Subscribe,
            b"unsub" => Kind::Unsubscribe,
            b"auth" | b"api-key" => Kind::Auth,
            _ => Kind::Unknown,
        }
    }

    /// All that is known of this kind.
    #[rustfmt::skip]
    pub const fn facts(self) -> Facts {
        use Scope::{Delete, Master, Read, Write};
        use Target::{EveryCore, KeyOwner, Nobody, Shards, Subscriptions};
        let (name, needs, target, cost_varies) = match self {
            Kind::Insert           => ("ins",     Write,  Shards, false),
            Kind::Latest           => ("qry",     Read,   Shards, true),
            Kind::History          => ("qdoc",    Read,   Shards, true),
            Kind::Collections      => ("cols",    Read,   Shards, true),
            Kind::DeleteDocument   => ("ddoc",    Delete, Shards, true),
            Kind::DeleteCollection => ("dcol",    Delete, Shards, true),
            Kind::DeleteRecord     => ("drec",    Delete, Shards, false),
            Kind::DeleteRecords    => ("dmrec",   Delete, Shards, true),
            Kind::DeleteRange      => ("drrng",   Delete, Shards, true),
            Kind::SetValue         => ("sval",    Write,  Shards, false),
            Kind::GetValue         => ("gval",    Read,   Shards, false),
            Kind::MatchValues      => ("gvalues", Read,   Shards, true),
            Kind::AllValues        => ("gvals",   Read,   Shards, true),
            Kind::Keys             => ("gkeys",   Read,   Shards, true),
            Kind::RemoveValue      => ("rval",    Delete, Shards, false),
            Kind::Connections      => ("conn",    Read,   EveryCore, false),
            Kind::ApiKeys          => ("keys",    Master, KeyOwner, false),
            Kind::Stats            => ("stats",   Read,   EveryCore, false),
            Kind::Subscribe        => ("sub",     Read,   Subscriptions, true),
            Kind::Unsubscribe      => ("unsub",   Read,   Subscriptions, false),
            Kind::Auth             => ("auth",    Read,   Nobody, false),
            Kind::Unknown          => ("unknown", Read,   Nobody, false),
        };
        Facts { name, needs, target, cost_varies }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_stands_once_in_the_list_and_knows_its_name() {
        for (index, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, index);
            assert_eq!(Kind::from_name(kind.facts().name.as_bytes()), kind);
        }
    }

    #[test]
    fn what_changes_data_needs_more_than_reading() {
        let reads: Vec<_> = Kind::ALL.into_iter().filter(|kind| kind.facts().needs == Scope::Read).collect();
        assert_eq!(
            reads,
            [
                Kind::Latest,
                Kind::History,
                Kind::Collections,
                Kind::GetValue,
                Kind::MatchValues,
                Kind::AllValues,
                Kind::Keys,
                Kind::Connections,
                Kind::Stats,
                Kind::Subscribe,
                Kind::Unsubscribe,
                Kind::Auth,
                Kind::Unknown
            ]
        );
    }
}
