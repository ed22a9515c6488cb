//! All data of one shard, and the one entry to it: `execute`.

mod execute;
mod load;
mod read;
mod seal;
mod state;
mod steps;
mod subscribe;
mod write;

pub use execute::Outcome;
pub use load::DocumentLoader;
pub use state::Shard;
pub use steps::Work;

#[cfg(test)]
mod tests;
