//! Sealing, which needs no shard: what is to be looked at, and the work that any thread can do.
//!
//! Protocol:
//! 1. A document that has filled chunks, or chunks inside that were left alone, waits in the queue, once.
//! 2. `Shard::take_sealing_work` gives out chunks of one document; nothing more of it is given out before they are back. So
//!    much may be under way as the limits say.
//! 3. `SealingWork::run` seals them, on any thread, and takes nothing from the shard.
//! 4. `Shard::put_sealed` puts the sealed chunks in place of those that have not been changed meanwhile. What has been
//!    changed is open, and waits until it is left alone.
//! 5. If more and more waits, because who seals has too little of a CPU, `Shard::take_sealing_step` gives out a little to be
//!    sealed at once by whoever owns the shard. So what waits is bounded, at what it costs.
//! 6. `Shard::cool` goes round all documents, for what was changed inside. Who calls it says how often.
//!
//! If work is never brought back, that document stays open, and in the end no work is given out; nothing else suffers.

mod queue;
mod work;

pub(crate) use queue::{Place, Queue};
pub(crate) use work::{Part, Unit};
pub use work::{SealedWork, SealingWork};
