//! Lists that the network layer answers with by itself, connections and API keys: a snapshot of what is to be listed,
//! written piece by piece like the engine's long replies. Secrets are in it, so it has no `Debug`.

use crate::requests::scope::Scope;
use fluxion_engine::{Progress, escape_json};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

/// One entry of a list.
pub enum Item {
    /// A connection.
    Connection {
        /// The peer's address.
        ip: IpAddr,
        /// Milliseconds since it came.
        since_ms: u128,
        /// Its label.
        name: Option<Rc<str>>,
        /// Whether it is the one that asks.
        is_self: bool,
    },
    /// An API key.
    Key {
        /// The key itself.
        secret: Arc<str>,
        /// Its scope.
        scope: Scope,
    },
}

/// A list that is being written.
pub struct Listing {
    items: std::vec::IntoIter<Item>,
    is_first: bool,
}

impl Listing {
    /// A list of these.
    pub fn new(items: Vec<Item>) -> Listing {
        Listing { items: items.into_iter(), is_first: true }
    }

    /// Appends items, of about `room` bytes, with commas between them.
    pub fn step(&mut self, out: &mut Vec<u8>, room: usize) -> Progress {
        let end = out.len() + room;
        for item in self.items.by_ref() {
            if !std::mem::take(&mut self.is_first) {
                out.push(b',');
            }
            item.put(out);
            if out.len() >= end {
                return Progress::More;
            }
        }
        Progress::Done
    }
}

impl Item {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Item::Connection { ip, since_ms, name, is_self } => {
                out.extend_from_slice(format!("{{\"ip\":\"{ip}\",\"since\":{since_ms},\"name\":").as_bytes());
                match name {
                    None => out.extend_from_slice(b"null"),
                    Some(name) => put_text(out, name),
                }
                out.extend_from_slice(format!(",\"self\":{is_self}}}").as_bytes());
            }
            Item::Key { secret, scope } => {
                out.extend_from_slice(b"{\"key\":");
                put_text(out, secret);
                let deletable = *scope != Scope::Master;
                let rest = format!(",\"scope\":\"{}\",\"deletable\":{deletable}}}", scope.name());
                out.extend_from_slice(rest.as_bytes());
            }
        }
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    escape_json(out, text.as_bytes());
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn items() -> Vec<Item> {
        let connection = |name: Option<&str>| Item::Connection {
            ip: Ipv4Addr::LOCALHOST.into(),
            since_ms: 7,
            name: name.map(Into::into),
            is_self: name.is_none(),
        };
        let key = Item::Key { secret: "m".into(), scope: Scope::Master };
        vec![connection(Some("a\"b")), connection(None), key]
    }

    #[test]
    fn pieces_together_are_the_whole() {
        let expected = concat!(
            r#"{"ip":"127.0.0.1","since":7,"name":"a\"b","self":false},"#,
            r#"{"ip":"127.0.0.1","since":7,"name":null,"self":true},"#,
            r#"{"key":"m","scope":"read_write_delete","deletable":false}"#
        );
        for room in [1, 60, 1000] {
            let mut listing = Listing::new(items());
            let mut out = Vec::new();
            while matches!(listing.step(&mut out, room), Progress::More) {}
            assert_eq!(String::from_utf8(out).as_deref(), Ok(expected));
        }
    }
}
