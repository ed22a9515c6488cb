//! Names that travel between cores: of cores, connections and streams, and the ticket by which a reply finds its way home.

use crate::limits::SHORT_NAME_BYTES;
use crate::requests::kind::Kind;
use std::fmt;
use std::time::{Duration, Instant};

/// The index of a core, which is also its shard's.
pub type CoreIndex = usize;

/// A connection: where it lives, and which of the connections that ever used the slot it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddress {
    /// The core that serves it.
    pub core: CoreIndex,
    /// Its place in that core's list.
    pub slot: u32,
    /// Distinguishes it from earlier users of the slot.
    pub generation: u32,
}

/// A reply that is being made in pieces, on the core that owns the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StreamId(pub u64);

/// A stream, and the core that it is on.
pub type StreamAddress = (CoreIndex, StreamId);

/// The share of its connection's window that a request under way takes until it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// Bytes of the request, and about as many as its reply will have.
    pub bytes: usize,
    /// The connection's next request begins only when this one is answered.
    pub alone: bool,
}

/// A request that was taken up.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// Its kind.
    pub kind: Kind,
    /// It is answered later, by mail.
    pub is_later: bool,
    /// When.
    pub at: Instant,
    /// The length of its message.
    pub bytes: usize,
    /// The time until the core that carries it out took it up.
    pub waited: Duration,
    /// The collection that it is about, if it is about one.
    pub collection: ShortName,
}

/// A name for the log, without memory of its own: what is too long is cut. Shown quoted, with control characters escaped.
#[derive(Clone, Copy)]
pub struct ShortName {
    bytes: [u8; SHORT_NAME_BYTES],
    len: u8,
    is_cut: bool,
}

impl ShortName {
    /// Becomes this name, as far as there is room for it.
    pub fn set(&mut self, name: &str) {
        let len = name.floor_char_boundary(SHORT_NAME_BYTES);
        self.bytes[..len].copy_from_slice(&name.as_bytes()[..len]);
        (self.len, self.is_cut) = (len as u8, len < name.len());
    }
}

impl Default for ShortName {
    fn default() -> ShortName {
        ShortName { bytes: [0; SHORT_NAME_BYTES], len: 0, is_cut: false }
    }
}

impl fmt::Debug for ShortName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy(&self.bytes[..usize::from(self.len)]);
        write!(f, "{text:?}{}", if self.is_cut { "…" } else { "" })
    }
}

impl Asked {
    /// One that is carried out now.
    pub fn new(kind: Kind, at: Instant, bytes: usize) -> Asked {
        let (waited, collection) = (Duration::ZERO, ShortName::default());
        Asked { kind, is_later: false, at, bytes, waited, collection }
    }

    /// Becomes another, whose kind and collection are not known yet.
    pub fn begin(&mut self, at: Instant, bytes: usize) {
        (self.kind, self.is_later, self.at, self.bytes) = (Kind::Unknown, false, at, bytes);
        self.collection.set("");
    }

    /// Notes the collection that the request is about.
    pub fn name(&mut self, collection: Option<&str>) {
        self.collection.set(collection.unwrap_or_default());
    }
}

/// Comes back with a reply, so that its home core knows what it was for.
#[derive(Clone, Copy, Debug)]
pub struct Ticket {
    /// The connection that asked.
    pub peer: PeerAddress,
    /// The gathering that the reply is a part of, if any.
    pub gather: Option<u32>,
    /// The share of the connection's window that is free again when the reply is there.
    pub reservation: Reservation,
    /// The request.
    pub asked: Asked,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_the_log_is_quoted_and_short() {
        let mut name = ShortName::default();
        name.set("a\n\"b");
        assert_eq!(format!("{name:?}"), r#""a\n\"b""#);
        name.set(&"\u{fc}".repeat(SHORT_NAME_BYTES));
        let shown = format!("{name:?}");
        assert!(shown.ends_with("\"…") && shown.len() < SHORT_NAME_BYTES + 8, "{shown}");
    }
}
