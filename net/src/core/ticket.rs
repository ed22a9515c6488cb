//! Names that travel between cores: of cores, connections and streams, and the ticket by which a reply finds its way home.

use crate::requests::kind::Kind;
use std::time::Instant;

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
}

impl Asked {
    /// One that is carried out now.
    pub fn new(kind: Kind, at: Instant) -> Asked {
        Asked { kind, is_later: false, at }
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
