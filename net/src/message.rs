//! What cores say to each other. Every message is typed and owned; a request was classified and validated
//! once, by the core that received it.

use crate::decode::KeyAction;
use crate::journal::StorageState;
use crate::keys::KeyChange;
use fluxion_engine::Packet;
use std::sync::Arc;

/// The index of a core, which is also its shard's.
pub type CoreIndex = usize;

/// A connection: where it lives, and which of the connections that ever used the slot it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkAddress {
    /// The core that serves it.
    pub core: CoreIndex,
    /// Its place in that core's list.
    pub slot: u32,
    /// Distinguishes it from earlier users of the slot.
    pub generation: u32,
}

/// What comes back with a reply, so that its home core knows what it was for.
#[derive(Clone, Copy, Debug)]
pub struct Ticket {
    /// The connection that asked.
    pub link: LinkAddress,
    /// The gathering that the reply is a part of, if any.
    pub gather: Option<u32>,
    /// Bytes of the connection's window that are free again when the reply is there.
    pub reserved_bytes: usize,
}

/// A reply that is being read in pieces, on the core that owns the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReadingId(pub u64);

/// A message to a core.
pub enum Message {
    /// Carry this out; answer with `Reply`.
    Execute {
        /// Whom to answer.
        ticket: Ticket,
        /// The request's id, or none where the answer is a part to be gathered.
        id: Option<Box<str>>,
        /// The request.
        packet: Packet,
    },
    /// The answer to `Execute`, `ListConnections` or `ManageKeys`.
    Reply {
        /// From the request.
        ticket: Ticket,
        /// A whole reply, a part of one, or the first piece of either.
        payload: Vec<u8>,
        /// Set when there is more to come, to be asked for with `Pull`.
        rest: Option<(CoreIndex, ReadingId)>,
    },
    /// The next piece, please.
    Pull(ReadingId),
    /// The answer to `Pull`.
    Piece {
        /// For whom.
        link: LinkAddress,
        /// Which reading.
        reading: ReadingId,
        /// The bytes.
        payload: Vec<u8>,
        /// Nothing comes after it.
        last: bool,
    },
    /// Nobody waits for the rest of this reading.
    Abandon(ReadingId),
    /// A core to itself: go on with this reading.
    Continue(ReadingId),
    /// A core to itself: free some more of what was deleted.
    CollectGarbage,
    /// List your connections.
    ListConnections(Ticket),
    /// To core 0: carry out this change of API keys, or list them.
    ManageKeys {
        /// Whom to answer.
        ticket: Ticket,
        /// The request's id.
        id: Box<str>,
        /// What to do.
        action: KeyAction,
    },
    /// From core 0: a change to apply; answer with `KeyChangeApplied`.
    ApplyKeyChange {
        /// Which change.
        number: u64,
        /// The change.
        change: KeyChange,
    },
    /// To core 0: a core has applied the change.
    KeyChangeApplied(u64),
    /// From the writer: the batch is stored.
    Committed,
    /// From the writer: the batch could not be stored for this reason, and will be tried again.
    CommitFailed(Arc<str>),
    /// How the storage of a shard is doing from now on.
    Storage {
        /// Whose.
        core: CoreIndex,
        /// How.
        state: StorageState,
    },
    /// Stop accepting, answer what is in flight, close, end.
    Stop,
    /// Look again whether all cores are done.
    CoreDone,
}
