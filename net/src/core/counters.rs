//! Counts what a core does: plain cells that only its own thread touches, read when somebody asks.

use crate::core::histogram::Histogram;
use crate::requests::kind::Kind;
use std::cell::Cell;

/// One count.
#[derive(Default)]
pub struct Count(Cell<u64>);

impl Count {
    /// Adds to it.
    pub fn add(&self, number: u64) {
        self.0.set(self.0.get() + number);
    }

    /// Its value.
    pub fn get(&self) -> u64 {
        self.0.get()
    }
}

macro_rules! reasons {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// Every one, in order, with its name in `stats`.
            pub const ALL: &'static [($name, &'static str)] = &[$(($name::$variant, $text),)*];
        }
    };
}

reasons! {
    /// Why something was refused, or a connection ended by the server.
    Refusal {
        /// As many connections are open as may be.
        Connections = "connections",
        /// As many connections with its key are open as may be.
        KeyConnections = "key_connections",
        /// As many connections from its address are open as may be.
        AddressConnections = "address_connections",
        /// As many handshakes are under way as may be.
        Handshakes = "handshakes",
        /// The handshake is none that can be served.
        BadHandshake = "bad_handshake",
        /// The peer of a TLS port speaks no TLS.
        NotTls = "not_tls",
        /// The peer and the server don't agree on how to speak TLS.
        Tls = "tls",
        /// The API key is missing or not known.
        Key = "key",
        /// The scope does not allow it.
        Permission = "permission",
        /// The frames break the WebSocket protocol.
        Protocol = "protocol",
        /// The message is no request.
        NotARequest = "not_a_request",
        /// Changes can't be stored for now.
        Storage = "storage",
        /// The connections make the server hold more than they may.
        Memory = "memory",
        /// The peer was silent, or took nothing, for too long.
        Silence = "silence",
    }
}

reasons! {
    /// Why a connection's socket was not read although there may have been something to read.
    Wait {
        /// Its window of requests and bytes is full.
        Window = "window",
        /// The writers of the shards have fallen behind.
        Storage = "storage",
        /// Its turn was over.
        Turn = "turn",
    }
}

reasons! {
    /// Why a subscription ended.
    End {
        /// The client has ended it.
        Unsubscribed = "unsubscribed",
        /// Its connection has ended.
        Connection = "connection",
        /// It did not take what it was pushed.
        Slow = "slow",
    }
}

/// The counters of one core.
pub struct Counters {
    requests: [Count; Kind::COUNT],
    errors: [Count; Kind::COUNT],
    ends: Vec<Count>,
    refusals: Vec<Count>,
    waits: Vec<Count>,
    /// Bytes received on open connections.
    pub bytes_in: Count,
    /// Bytes sent on open connections.
    pub bytes_out: Count,
    /// Connections that were entered.
    pub connections: Count,
    /// Messages that the core has had of cores and of writers.
    pub messages: Count,
    /// Time, in nanoseconds, for which it looked for work and found none.
    pub spin_ns: Count,
    /// Batches of changes that were not stored at the first attempt, or at a further one.
    pub commit_failures: Count,
    /// Bytes of changes that were stored.
    pub committed_bytes: Count,
    /// The time from the handing over of a batch until it was stored.
    pub commits: Histogram,
    /// Messages of subscriptions.
    pub pushes: Count,
    /// The time from the burst of work in which a change was made until it left for the connections that are told of it.
    pub push_lag: Histogram,
}

impl Default for Counters {
    fn default() -> Self {
        Counters {
            requests: std::array::from_fn(|_| Count::default()),
            refusals: Refusal::ALL.iter().map(|_| Count::default()).collect(),
            waits: Wait::ALL.iter().map(|_| Count::default()).collect(),
            errors: std::array::from_fn(|_| Count::default()),
            ends: End::ALL.iter().map(|_| Count::default()).collect(),
            bytes_in: Count::default(),
            bytes_out: Count::default(),
            connections: Count::default(),
            messages: Count::default(),
            spin_ns: Count::default(),
            commit_failures: Count::default(),
            committed_bytes: Count::default(),
            commits: Histogram::default(),
            pushes: Count::default(),
            push_lag: Histogram::default(),
        }
    }
}

impl Counters {
    /// Counts a request.
    pub fn request(&self, kind: Kind) {
        self.requests[kind as usize].add(1);
    }

    /// Counts a request that was answered with an error.
    pub fn error(&self, kind: Kind) {
        self.errors[kind as usize].add(1);
    }

    /// Counts the end of a subscription.
    pub fn end(&self, reason: End) {
        self.ends[reason as usize].add(1);
    }

    /// Counts a refusal.
    pub fn refusal(&self, reason: Refusal) {
        self.refusals[reason as usize].add(1);
    }

    /// Counts that a connection was not read.
    pub fn wait(&self, reason: Wait) {
        self.waits[reason as usize].add(1);
    }

    /// Each kind of request, and how many of it there were.
    pub fn requests(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Kind::ALL.iter().map(|kind| (kind.facts().name, self.requests[*kind as usize].get()))
    }

    /// Each kind of request, and how many of it were answered with an error.
    pub fn errors(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Kind::ALL.iter().map(|kind| (kind.facts().name, self.errors[*kind as usize].get()))
    }

    /// Each reason, and how many subscriptions ended for it.
    pub fn ends(&self) -> impl Iterator<Item = (&'static str, u64)> {
        End::ALL.iter().map(|(reason, name)| (*name, self.ends[*reason as usize].get()))
    }

    /// Each reason, and how many refusals it had.
    pub fn refusals(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Refusal::ALL.iter().map(|(reason, name)| (*name, self.refusals[*reason as usize].get()))
    }

    /// Each reason, and how many waits it had.
    pub fn waits(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Wait::ALL.iter().map(|(reason, name)| (*name, self.waits[*reason as usize].get()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thing_is_counted_under_its_own_name() {
        let counters = Counters::default();
        counters.request(Kind::History);
        counters.request(Kind::History);
        counters.refusal(Refusal::Memory);
        counters.wait(Wait::Turn);
        assert!(counters.requests().all(|(name, count)| count == if name == "qdoc" { 2 } else { 0 }));
        assert!(counters.refusals().all(|(name, count)| count == u64::from(name == "memory")));
        assert!(counters.waits().all(|(name, count)| count == u64::from(name == "turn")));
    }
}
