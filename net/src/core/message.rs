//! The messages between cores. Every message is typed and owned; a request was classified and validated
//! once, by the core that received it.

use crate::core::certificates::Certificates;
use crate::core::handover::StorageState;
use crate::core::keys::KeyChange;
use crate::core::measures::Measures;
use crate::core::ticket::{CoreIndex, PeerAddress, StreamAddress, StreamId, Ticket};
use crate::requests::keys::KeyAction;
use fluxion_engine::{Packet, Push, Receiver, SealedWork, SubscriptionId, Terms};
use std::sync::Arc;

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
    /// From the thread that seals: chunks to be put in place.
    Sealed(SealedWork),
    /// Tell of yourself.
    Tell(Ticket, Question),
    /// Measure yourself for an answer to `GET /metrics`; answer with `Measured`.
    Measure {
        /// The core that is asked.
        from: CoreIndex,
        /// Which of its answers.
        scrape: u32,
    },
    /// The answer to `Measure`.
    Measured {
        /// Of which answer.
        scrape: u32,
        /// What there is to tell.
        measures: Box<Measures>,
    },
    /// To core 0: carry out this change of API keys, or list them.
    ManageKeys {
        /// Whom to answer.
        ticket: Ticket,
        /// The request's id.
        id: Box<str>,
        /// The action.
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
    /// Begin a subscription; answer with `Reply`.
    Subscribe {
        /// Whom to answer.
        ticket: Ticket,
        /// The request's id, and the subscription's name.
        id: Box<str>,
        /// Names it among those of its connection.
        key: u32,
        /// What it asks for.
        terms: Box<Terms<Box<str>>>,
    },
    /// End a subscription.
    Unsubscribe(Receiver),
    /// Send this to those of your connections that it is for.
    Push(Push),
    /// These subscriptions may be pushed more.
    Credit(Vec<SubscriptionId>),
    /// A core to itself: make more pushes.
    PumpSubscriptions,
    /// From the writer: the batch is stored.
    Committed,
    /// From the writer: the batch could not be stored for this reason, and will be tried again.
    CommitFailed(Arc<str>),
    /// The state of a shard's storage from now on.
    Storage {
        /// Whose.
        core: CoreIndex,
        /// Its state.
        state: StorageState,
    },
    /// Show new connections this certificate.
    RenewCertificates(Certificates),
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
            | Message::RenewCertificates(_)
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
            | Message::Sealed(_)
            | Message::Subscribe { .. }
            | Message::Unsubscribe(_)
            | Message::Push(_)
            | Message::Credit(_)
            | Message::PumpSubscriptions
            | Message::Measure { .. }
            | Message::Measured { .. }
            | Message::Tell(..) => false,
        }
    }
}
