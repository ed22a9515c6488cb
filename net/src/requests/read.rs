//! From the nodes of a message's data to the engine's request: which members each kind has, and what they must be.

use crate::requests::field::Field;
use crate::requests::keys::KeyAction;
use crate::requests::kind::Kind;
use crate::requests::members::{Members, size};
use crate::requests::wrong::{Said, Wrong};
use fluxion_engine::{Record, RecordKey, Request};
use simd_json::Node;
use std::num::NonZeroU64;

/// Reads the data of a request to the shards.
pub fn read_request<'a>(kind: Kind, nodes: &[Node<'a>]) -> Said<Request<&'a str>> {
    let members = || Members::read(nodes).ok_or(Wrong::NotAnObject);
    match kind {
        Kind::Insert => {
            let mut records = Vec::with_capacity(list_len(nodes));
            read_records(nodes, 0, |record| records.push(record))?;
            Ok(Request::Insert(records))
        }
        Kind::DeleteRecords => {
            let mut keys = Vec::with_capacity(list_len(nodes));
            read_record_keys(nodes, 0, |key| keys.push(key))?;
            Ok(Request::DeleteRecords(keys))
        }
        Kind::Collections => Ok(Request::Collections),
        Kind::Latest
        | Kind::History
        | Kind::DeleteDocument
        | Kind::DeleteCollection
        | Kind::DeleteRecord
        | Kind::DeleteRange
        | Kind::SetValue
        | Kind::GetValue
        | Kind::MatchValues
        | Kind::AllValues
        | Kind::Keys
        | Kind::RemoveValue => read_object(kind, &members()?),
        Kind::Connections
        | Kind::ApiKeys
        | Kind::Stats
        | Kind::Subscribe
        | Kind::Unsubscribe
        | Kind::Auth
        | Kind::Unknown => {
            unreachable!("{kind:?} is not for the shards")
        }
    }
}

/// Reads the data of those kinds of request that are given an object.
pub fn read_object<'a>(kind: Kind, members: &Members<'a>) -> Said<Request<&'a str>> {
    Ok(match kind {
        Kind::Latest => Request::Latest {
            collection: members.collection()?,
            document: members.optional_document()?,
            ts: members.required_integer(Field::Ts)?,
            from: members.integer(Field::From)?.filter(|from| *from != 0),
            contains: members.given_text(Field::Where)?,
            excludes: members.given_text(Field::Filter)?,
        },
        Kind::History => read_history(members)?,
        Kind::DeleteDocument => Request::DeleteDocument {
            document: members.document()?,
            collection: members.optional_collection()?,
        },
        Kind::DeleteCollection => Request::DeleteCollection { collection: members.collection()? },
        Kind::DeleteRecord => Request::DeleteRecords(vec![read_record_key(members)?]),
        Kind::DeleteRange => {
            let from = members.required_integer(Field::FromTs)?;
            let to = members.required_integer(Field::ToTs)?;
            let (collection, document) = (members.collection()?, members.document()?);
            in_order((Field::FromTs, from), (Field::ToTs, to))?;
            Request::DeleteRange { collection, document, from, to }
        }
        Kind::SetValue => Request::SetValue {
            collection: members.collection()?,
            key: members.required_text(Field::Key)?,
            value: members.required_text(Field::Value)?,
        },
        Kind::GetValue => {
            Request::GetValue { collection: members.collection()?, key: members.required_text(Field::Key)? }
        }
        Kind::MatchValues => Request::MatchValues {
            collection: members.collection()?,
            key: members.required_text(Field::Key)?,
        },
        Kind::RemoveValue => Request::RemoveValue {
            collection: members.collection()?,
            key: members.required_text(Field::Key)?,
        },
        Kind::AllValues => Request::AllValues { collection: members.collection()? },
        Kind::Keys => Request::Keys { collection: members.collection()? },
        _ => unreachable!("{kind:?} is not given an object"),
    })
}

fn read_history<'a>(members: &Members<'a>) -> Said<Request<&'a str>> {
    let (collection, document) = (members.collection()?, members.document()?);
    let from = members.integer(Field::From)?;
    let to = members.required_integer(Field::To)?;
    if let Some(from) = from {
        in_order((Field::From, from), (Field::To, to))?;
    }
    let limit = members.integer(Field::Limit)?;
    Ok(Request::History {
        collection,
        document,
        from,
        to,
        limit: limit.and_then(|limit| NonZeroU64::new(u64::try_from(limit).ok()?)),
        reverse: members.flag(Field::Reverse)?,
        contains: members.given_text(Field::Where)?,
        excludes: members.given_text(Field::Filter)?,
    })
}

fn in_order(first: (Field, i64), last: (Field, i64)) -> Said<()> {
    if first.1 > last.1 { Err(Wrong::OutOfOrder(first, last)) } else { Ok(()) }
}

/// The number of items, if it is a list.
fn list_len(nodes: &[Node<'_>]) -> usize {
    if let Some(Node::Array { len, .. }) = nodes.first() { *len } else { 0 }
}

/// Reads each object of an array; an error names the index of the one that is wrong, the first having `first_index`.
fn read_each<'a>(
    nodes: &[Node<'a>],
    first_index: usize,
    mut read: impl FnMut(&Members<'a>) -> Said<()>,
) -> Said<usize> {
    let Some(Node::Array { len, .. }) = nodes.first() else {
        return Err(Wrong::NotAList);
    };
    let mut at = 1;
    for index in first_index..first_index + *len {
        let item = Members::read(&nodes[at..]).ok_or(Wrong::RecordNotAnObject(index))?;
        read(&item).map_err(|wrong| Wrong::Record(index, Box::new(wrong)))?;
        at += size(&nodes[at]);
    }
    Ok(*len)
}

/// Reads an array of records; gives how many there are.
pub fn read_records<'a>(
    nodes: &[Node<'a>],
    first_index: usize,
    mut take: impl FnMut(Record<&'a str>),
) -> Said<usize> {
    read_each(nodes, first_index, |members| {
        take(Record {
            collection: members.collection()?,
            document: members.document()?,
            ts: members.required_integer(Field::Ts)?,
            data: members.required_text(Field::Data)?,
        });
        Ok(())
    })
}

/// Reads an array of what names records; gives how many there are.
pub fn read_record_keys<'a>(
    nodes: &[Node<'a>],
    first_index: usize,
    mut take: impl FnMut(RecordKey<&'a str>),
) -> Said<usize> {
    read_each(nodes, first_index, |members| {
        take(read_record_key(members)?);
        Ok(())
    })
}

fn read_record_key<'a>(members: &Members<'a>) -> Said<RecordKey<&'a str>> {
    Ok(RecordKey {
        collection: members.collection()?,
        document: members.document()?,
        ts: members.required_integer(Field::Ts)?,
    })
}

/// Reads the data of a `keys` message.
pub fn read_key_action(nodes: &[Node<'_>]) -> Said<KeyAction> {
    let members = Members::read(nodes).ok_or(Wrong::NotAnObject)?;
    let action = members.required_text(Field::Action)?;
    let key = || members.text(Field::Key).map(|key| key.unwrap_or_default().to_owned());
    if action.eq_ignore_ascii_case("add") {
        let scope = members.text(Field::Scope)?;
        Ok(KeyAction::Add { key: key()?, scope: scope.unwrap_or_default().to_owned() })
    } else if action.eq_ignore_ascii_case("remove") {
        Ok(KeyAction::Remove { key: key()? })
    } else if action.eq_ignore_ascii_case("list") {
        Ok(KeyAction::List)
    } else {
        Err(Wrong::UnknownAction)
    }
}
