//! Keeping data: one SQLite file and one writer thread a shard.
//!
//! It may import the engine, and nothing of the network layer or of the binary.
//! From below: `file` and `directory` know what lies on disk, `plan` and `commit` store a batch, `load` reads a shard,
//! `copying` fills files for `relocate`, which moves collections when the number of shards has changed, and for `import`,
//! which takes over a file of the C++ server. `writer` is the thread of a shard, and `store` the directory as a whole.

mod commit;
mod copying;
mod directory;
mod error;
mod file;
mod import;
mod life;
mod limits;
mod load;
mod plan;
mod relocate;
mod source;
mod store;
mod tally;
mod writer;

pub use error::Error;
pub use limits::TEXT_BYTES_MAX;
pub use load::{Loaded, Loader};
pub use store::{ApiKey, Store, StoreOptions};
pub use writer::{Report, Writers};
