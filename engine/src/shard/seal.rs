//! Sealing as the shard's owner drives it; the protocol stands in `crate::sealing`.

use super::state::Shard;
use crate::sealing::{Place, SealedWork, SealingWork};

impl Shard {
    /// Chunks that are to be sealed by whatever thread; none if there are none now, or too many are under way.
    pub fn take_sealing_work(&mut self) -> Option<SealingWork> {
        self.collections.take_sealing_work()
    }

    /// Chunks that become one sealed chunk, for the shard's owner to seal on the spot, about a tenth of a millisecond; none as
    /// long as those who take the work keep up with what comes.
    pub fn take_sealing_step(&mut self) -> Option<SealingWork> {
        self.collections.take_sealing_step()
    }

    /// Puts in place what has been sealed, and returns how many records that are. What has been changed meanwhile stays as it
    /// is.
    pub fn put_sealed(&mut self, work: SealedWork) -> usize {
        self.collections.put_sealed(work)
    }

    /// Whether a document waits for some of its chunks to be sealed.
    pub fn has_sealing_work(&self) -> bool {
        self.collections.waiting_for_sealing() > 0
    }

    /// Looks at some documents for chunks that were changed long after they had been filled, and have been left alone for a
    /// whole round: they are sealed then. Returns whether a round has ended with this step.
    pub fn cool(&mut self) -> bool {
        match self.collections.cool(self.cool_at) {
            Some(place) => {
                self.cool_at = place;
                false
            }
            None => {
                self.cool_at = Place { collection: 0, document: 0 };
                true
            }
        }
    }
}
