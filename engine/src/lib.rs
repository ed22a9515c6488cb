//! The data of one shard: collections, documents, records, entries, and the feed of what changed.
//!
//! Pure and synchronous: nothing here may import threads, sockets, files, clocks or a database.
//! A request comes in as borrowed text, a reply goes out as JSON members appended to a byte buffer.
//! A reply too long for one step is finished by a `Cursor`, which owns a snapshot of what it reads.

mod builder;
mod chunk;
mod collection;
mod collections;
mod cursor;
mod document;
mod entry;
mod error;
mod feed;
mod garbage;
mod index;
pub mod inside;
mod json;
mod limits;
mod packet;
mod pattern;
mod placement;
mod request;
mod scan;
pub mod sealed;
mod sealing;
mod shard;
mod subscriptions;
mod sync;
mod table;
mod upkeep;
mod vectors;

pub use builder::PacketBuilder;
pub use chunk::ChunkSizes;
pub use cursor::Cursor;
pub use error::Error;
pub use feed::{Batch, Change, ChangeRef, Feed, ReaderId};
pub use json::escape_json;
pub use limits::PIECE_BYTES;
pub use packet::{Packet, Span};
pub use placement::{ShardId, shard_of};
pub use request::{Record, RecordKey, Request};
pub use scan::Progress;
pub use sealing::{SealedWork, SealingWork};
pub use shard::{DocumentLoader, Outcome, Shard, Work};
pub use subscriptions::{Accepted, Missed, Mode, Push, Receiver, Slow, SubscriptionId, Terms};
pub use sync::SyncMode;
