//! What a subscription asks for, and what it is answered.

/// The kind of pushes that a subscription gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The newest record of each document, as it is when there is room to send it.
    Latest,
    /// Every effective change, in order.
    All,
}

/// The treatment of a subscriber of all changes that doesn't take them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slow {
    /// Its subscription ends.
    Close,
    /// The oldest changes go.
    Drop,
}

/// The terms of a subscription, generic over how its texts are held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms<S> {
    /// The collection's name.
    pub collection: S,
    /// A literal name or `/pattern/flags`; without it, all documents.
    pub document: Option<S>,
    /// What a record's text must contain.
    pub contains: Option<S>,
    /// What it must not contain.
    pub excludes: Option<S>,
    /// The kind of pushes.
    pub mode: Mode,
    /// Whether it begins with what is there.
    pub snapshot: bool,
    /// The cursor that it goes on from.
    pub since: Option<S>,
    /// The least time between two pushes.
    pub every_ms: u32,
    /// What happens when more than the buffer waits.
    pub slow: Slow,
    /// Bytes of changes that may come in while nothing is taken.
    pub buffer_bytes: usize,
}

impl<S> Terms<S> {
    /// The same terms with texts that are held otherwise.
    pub fn map<'a, T>(&'a self, mut f: impl FnMut(&'a S) -> T) -> Terms<T> {
        Terms {
            collection: f(&self.collection),
            document: self.document.as_ref().map(&mut f),
            contains: self.contains.as_ref().map(&mut f),
            excludes: self.excludes.as_ref().map(&mut f),
            mode: self.mode,
            snapshot: self.snapshot,
            since: self.since.as_ref().map(&mut f),
            every_ms: self.every_ms,
            slow: self.slow,
            buffer_bytes: self.buffer_bytes,
        }
    }
}

/// Names whoever gets the pushes of a subscription; what is in it is the caller's business.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receiver(pub [u32; 4]);

/// A subscription of one shard; by default one that never is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscriptionId {
    pub(super) index: u32,
    pub(super) generation: u32,
}

impl Default for SubscriptionId {
    fn default() -> Self {
        Self { index: u32::MAX, generation: 0 }
    }
}

/// The reason for which a cursor can't be resumed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missed {
    /// What came after it is not all known any more.
    History,
    /// It is of another life of the server, which this one knows nothing of.
    Epoch,
}

impl Missed {
    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Missed::History => "history",
            Missed::Epoch => "epoch",
        }
    }
}

/// A subscription that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Its name on this shard.
    pub id: SubscriptionId,
    /// The place that it begins at.
    pub cursor: String,
    /// Whether it goes on from the cursor that was given, if one was.
    pub resumed: Option<Result<(), Missed>>,
}
