//! What cores say to each other. Every message is typed and owned; a request was classified and validated
//! once, by the core that received it.

use crate::core::handover::StorageState;
use crate::core::keys::KeyChange;
use crate::core::outbox::{Reservation, StreamAddress};
use crate::requests::keys::KeyAction;
use fluxion_engine::Packet;
use std::sync::Arc;

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

/// Comes back with a reply, so that its home core knows what it was for.
#[derive(Clone, Copy, Debug)]
pub struct Ticket {
    /// The connection that asked.
    pub peer: PeerAddress,
    /// The gathering that the reply is a part of, if any.
    pub gather: Option<u32>,
    /// What is free again of the connection's window when the reply is there.
    pub reservation: Reservation,
}

/// A reply that is being made in pieces, on the core that owns the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StreamId(pub u64);

/// Asks a core to tell of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Its connections.
    Connections,
    /// Its counters.
    Stats,
}

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
    /// The answer to `Execute`, `Tell` or `ManageKeys`.
    Reply {
        /// From the request.
        ticket: Ticket,
        /// A whole reply, a part of one, or the first piece of either.
        payload: Vec<u8>,
        /// Set when there is more to come, to be asked for with `Pull`.
        rest: Option<StreamAddress>,
    },
    /// The next piece, please.
    Pull(StreamId),
    /// The answer to `Pull`.
    Piece {
        /// For whom.
        peer: PeerAddress,
        /// Of which stream.
        stream: StreamId,
        /// The bytes.
        payload: Vec<u8>,
        /// Nothing comes after it.
        last: bool,
    },
    /// Nobody waits for the rest of this stream.
    Abandon(StreamId),
    /// A core to itself: go on with this stream.
    Continue(StreamId),
    /// A core to itself: take another step of a change that takes many.
    StepChanges,
    /// A core to itself: free some more of what was deleted.
    CollectGarbage,
    /// Tell of yourself.
    Tell(Ticket, Question),
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
    /// To core 0: a core has applied the change, and nothing that the key was allowed before is under way any more.
    KeyChangeApplied(u64),
    /// Core 0 to itself: a change of API keys could not be stored, for this reason.
    KeyChangeNotStored(u64, Arc<str>),
    /// From the writer: the batch is stored.
    Committed,
    /// From the writer: the batch could not be stored for this reason, and will be tried again.
    CommitFailed(Arc<str>),
    /// How the storage of a shard is doing from now on.
    Storage {
        /// Whose.
        core: CoreIndex,
        /// Its state.
        state: StorageState,
    },
    /// Stop accepting, answer what is in flight, close, end.
    Stop,
    /// Look again whether all cores are done.
    CoreDone,
}

impl Message {
    /// Whether it goes before the work that waits: what decides who may do what, and how the server is doing, must not
    /// queue behind data. None of these depends on a message that it overtakes: a change of keys waits for the requests
    /// under way by itself.
    pub fn is_urgent(&self) -> bool {
        match self {
            Message::ManageKeys { .. }
            | Message::ApplyKeyChange { .. }
            | Message::KeyChangeApplied(_)
            | Message::KeyChangeNotStored(..)
            | Message::Committed
            | Message::CommitFailed(_)
            | Message::Storage { .. }
            | Message::Stop
            | Message::CoreDone => true,
            Message::Execute { .. }
            | Message::Reply { .. }
            | Message::Pull(_)
            | Message::Piece { .. }
            | Message::Abandon(_)
            | Message::Continue(_)
            | Message::StepChanges
            | Message::CollectGarbage
            | Message::Tell(..) => false,
        }
    }
}
