//! A small blocking client of FluxionDB.
//!
//! ```no_run
//! use fluxion_client::{Client, HistoryQuery, NewRecord, Options};
//!
//! # fn main() -> Result<(), fluxion_client::Error> {
//! let mut client = Client::connect(Options::new("ws://localhost:8080", "dev"))?;
//! client.insert(&[
//!     NewRecord { ts: 1700000000, document: "device-1", data: r#"{"t":21.5}"#, collection: "sensors" },
//!     NewRecord { ts: 1700000060, document: "device-1", data: r#"{"t":22.5}"#, collection: "sensors" },
//! ])?;
//!
//! // A history of any length, a record at a time
//! for record in client.history(HistoryQuery::new("sensors", "device-1").reverse(true))? {
//!     let record = record?;
//!     println!("{} {}", record.ts, record.data);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Many requests in flight
//!
//! [`Client::send`] does not wait for the reply; [`Client::receive`] gives the next one, of whichever request,
//! and [`Client::wait`] that of one request. The server carries out the requests of a connection so that each
//! sees what the earlier ones did, but may answer them in another order.
//!
//! ```no_run
//! # use fluxion_client::{Client, Options, Request};
//! # fn main() -> Result<(), fluxion_client::Error> {
//! # let mut client = Client::connect(Options::new("ws://localhost:8080", "dev"))?;
//! for number in 0..100 {
//!     let key = format!("key-{number}");
//!     client.send(&Request::SetValue { collection: "settings", key: &key, value: "on" })?;
//! }
//! while let Some(reply) = client.receive()? {
//!     reply.done()?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # When the connection is lost
//!
//! A call that only reads is made again on a new connection; one that writes is not, since nobody knows whether
//! it took effect. Either way the next call connects again, with growing pauses between attempts
//! ([`Options::attempts`]). Requests that were in flight are lost, and [`Client::reconnect`] must be called
//! before [`Client::send`] takes others.
//!
//! # Subscriptions
//!
//! A [`Subscription`] tells of a collection's changes as they come, over a connection of its own.
//!
//! ```no_run
//! # use fluxion_client::{Client, Event, Options, SubscriptionQuery};
//! # use std::collections::BTreeMap;
//! # fn main() -> Result<(), fluxion_client::Error> {
//! # let client = Client::connect(Options::new("ws://localhost:8080", "dev"))?;
//! let mut newest = BTreeMap::new();
//! for event in client.subscribe(SubscriptionQuery::new("fleet").document("/^truck-/"))? {
//!     match event? {
//!         Event::Push(push) => push.fold_into(&mut newest),
//!         Event::Lost(error) => eprintln!("{error}: trying again"),
//!         Event::Reset(why) => eprintln!("beginning anew: {why:?}"),
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! When the connection is lost, or the server ends the subscription, it says so, and with the next call it is resumed
//! behind the last push that it gave: nothing is missed and nothing comes twice. Where the server can't resume it,
//! that is [`Event::Reset`], and a snapshot follows whose first push has [`Push::reset`] set. Attempts to connect are
//! [`Options::attempts`] in a row with growing pauses; the row ends with a push, or when a connection has stood for
//! longer than the longest pause. An end that follows another without a push between them is an error, and so is a
//! refusal: a key that was removed, or no permission.
//!
//! Nothing is read ahead: what the reader does not take waits in the server, which counts it and, for who takes too
//! long, ends the subscription or leaves something out, as the query says. A reader who takes nothing for the server's
//! idle timeout does not answer its pings either, loses the connection, and is resumed when it goes on.
//!
//! # TLS
//!
//! An address with `wss://` is spoken to over TLS. The server's certificate must be for the name in the address, and from an
//! authority that this machine trusts, or from those that [`Options::authorities`] names.
//!
//! # Limits
//!
//! A reply that holds too much at a time ([`Options::reply_bytes_max`]) or that does not end ([`Options::reply_time_max`])
//! is an error, and the connection is given up. Replies that are read record by record may be of any length.
//!
//! The crate knows only the protocol: nothing of the server's crates may be imported.

mod address;
mod authorities;
mod backoff;
mod calls;
mod client;
mod connection;
mod error;
mod frames;
mod handshake;
mod health;
mod incoming;
mod limits;
mod link;
mod options;
mod patience;
mod push;
mod records;
mod reply;
mod request;
mod stats;
mod stream;
mod subscription;
mod subscription_query;
mod transport;

pub use authorities::Authorities;
pub use client::Client;
pub use connection::Ticket;
pub use error::Error;
pub use health::check_health;
pub use limits::IN_FLIGHT_MAX;
pub use options::Options;
pub use push::{Change, Event, Push, Reset, SnapshotPart};
pub use records::{ApiKey, ConnectionInfo, NewRecord, Record, RecordKey, RecordText, Scope};
pub use reply::Reply;
pub use request::{HistoryQuery, LatestQuery, Request};
pub use stats::{CoreStats, Stats};
pub use stream::{Latest, Records};
pub use subscription::Subscription;
pub use subscription_query::{Mode, Slow, SubscriptionQuery};
