//! What changes of a collection need from its shard: the sizes of chunks, and where to leave what is to be done later.

use std::cell::RefCell;
use std::rc::Rc;

use crate::chunk::{Blocks, ChunkSizes};
use crate::garbage::Garbage;
use crate::sealing::Queue;

/// What all collections of a shard share.
#[derive(Default)]
pub(crate) struct Upkeep {
    pub(crate) sizes: ChunkSizes,
    pub(crate) garbage: Garbage,
    pub(crate) queue: Queue,
    /// What reads sealed chunks, for one scan at a time: each step of a scan borrows it, and nothing else does.
    pub(crate) blocks: Rc<RefCell<Blocks>>,
}
