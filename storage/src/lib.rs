//! Keeping data: one SQLite file and one writer thread a shard.
//!
//! It may import the engine, and nothing of the network layer or of the binary. `store` opens a directory, `load` fills
//! shards from it, `writer` stores what changes. `placement` moves collections when the number of shards has changed,
//! `import` takes over a file of the C++ server.

mod commit;
mod copying;
mod directory;
mod error;
mod import;
mod limits;
mod load;
mod placement;
mod plan;
mod progress;
mod schema;
mod store;
mod writer;

pub use directory::DirectoryLock;
pub use error::Error;
pub use load::{Loaded, Loader};
pub use store::{ApiKey, ShardStore, Store, StoreOptions, SyncMode};
pub use writer::{Report, Writer};
