//! The work of sealing some chunks of a document, apart from the shard.

use super::queue::Place;
use crate::chunk::OpenChunk;
use crate::sealed::{Sealed, Sealer};
use std::sync::Arc;

/// Neighbouring chunks that become one.
pub(crate) type Unit = Vec<Arc<OpenChunk>>;

/// Chunks that are to be sealed.
pub struct SealingWork {
    pub(crate) place: Place,
    pub(crate) units: Vec<Unit>,
}

/// Chunks that have been sealed, with those that they are made of.
pub struct SealedWork {
    pub(crate) place: Place,
    pub(crate) units: Vec<(Unit, Option<Sealed>)>,
}

impl SealingWork {
    /// Seals the chunks.
    pub fn run(self, sealer: &mut Sealer) -> SealedWork {
        let seal = |unit: Unit| {
            let sealed = sealer.seal(unit.iter().flat_map(|chunk| chunk.records().each()), None);
            (unit, sealed)
        };
        SealedWork { place: self.place, units: self.units.into_iter().map(seal).collect() }
    }

    /// The number of records.
    pub fn record_count(&self) -> usize {
        self.units.iter().flatten().map(|chunk| chunk.len()).sum()
    }
}

impl SealedWork {
    /// The number of records.
    pub fn record_count(&self) -> usize {
        self.units.iter().flat_map(|(unit, _)| unit).map(|chunk| chunk.len()).sum()
    }
}
