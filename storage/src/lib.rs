//! Keeping data: one SQLite file and one writer thread a shard.
//!
//! It may import the engine, and nothing of the network layer or of the binary.
//! From below: `file` and `directory` know what lies on disk, `rows` and `log` what is in a file and how it is changed.
//! `pack` is what the log is made of, `plan` what it comes to, and `merge` brings that into the tables, one `series` of records
//! after the other. `read` reads and checks a file, for `load`, which fills a shard, and for `check`. `copying` fills files for
//! `relocate`, which moves collections when the number of shards has changed, and for `import`, which takes over a file of
//! the C++ server. `lives`, `mark` and `presence` guard against files that were replaced, cut or removed.
//! `scan` reads files that may be damaged, for `salvage`, which replaces them by what is good of them, and for `stopped`, where
//! directories are read that no server uses. `writer` is the thread of a shard, and `store` the directory as a whole.

mod check;
mod checksum;
mod copying;
mod damage;
mod directory;
mod error;
mod file;
mod import;
mod life;
mod limits;
mod lives;
mod load;
mod log;
mod mark;
mod merge;
mod pack;
mod plan;
mod presence;
mod read;
mod relocate;
mod rows;
mod salvage;
mod scan;
mod series;
mod source;
mod state;
mod stopped;
mod store;
mod tally;
mod writer;

pub use damage::Damage;
pub use error::Error;
pub use limits::{Sizes, TEXT_BYTES_MAX};
pub use load::{Loaded, Loader};
pub use stopped::{Checked, Stopped, check};
pub use store::{ApiKey, Store, StoreOptions};
pub use writer::{Report, Writers};
