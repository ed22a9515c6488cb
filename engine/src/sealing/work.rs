//! The work of sealing some chunks of a document, apart from the shard.

use super::queue::Place;
use crate::chunk::{Chunk, OpenChunk, Patched, opened};
use crate::sealed::{Sealed, Sealer};
use std::sync::Arc;

/// A chunk as the thread that seals gets it.
#[derive(Clone)]
pub(crate) enum Part {
    Full(Arc<OpenChunk>),
    /// It is sealed anew, together with its neighbours.
    Sealed(Sealed),
    /// It is sealed anew with what came late.
    Patched(Arc<Patched>),
}

/// Neighbouring chunks that become one.
pub(crate) type Unit = Vec<Part>;

impl Part {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Full(full) => full.len(),
            Self::Sealed(sealed) => sealed.len(),
            Self::Patched(patched) => patched.len(),
        }
    }

    pub(crate) fn text_bytes(&self) -> usize {
        match self {
            Self::Full(full) => full.text_bytes(),
            Self::Sealed(sealed) => sealed.text_bytes(),
            Self::Patched(patched) => patched.text_bytes(),
        }
    }

    /// Whether a chunk is the one that was given out, unchanged.
    pub(crate) fn is(&self, chunk: &Chunk) -> bool {
        match (self, chunk) {
            (Self::Full(was), Chunk::Full(now)) => Arc::ptr_eq(was, now),
            (Self::Sealed(was), Chunk::Sealed(now)) => Arc::ptr_eq(was.bytes(), now.bytes()),
            (Self::Patched(was), Chunk::Patched(now)) => Arc::ptr_eq(was, now),
            _ => false,
        }
    }

    /// The chunk as it can be read whole.
    fn whole(&self) -> Arc<OpenChunk> {
        match self {
            Self::Full(full) => full.clone(),
            Self::Sealed(sealed) => Arc::new(opened(&Chunk::Sealed(sealed.clone()))),
            Self::Patched(patched) => Arc::new(opened(&Chunk::Patched(patched.clone()))),
        }
    }
}

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
            let parts: Vec<_> = unit.iter().map(Part::whole).collect();
            let sealed = sealer.seal(parts.iter().flat_map(|chunk| chunk.records().each()), None);
            (unit, sealed)
        };
        SealedWork { place: self.place, units: self.units.into_iter().map(seal).collect() }
    }

    /// The number of records.
    pub fn record_count(&self) -> usize {
        self.units.iter().flatten().map(Part::len).sum()
    }
}

impl SealedWork {
    /// The number of records.
    pub fn record_count(&self) -> usize {
        self.units.iter().flat_map(|(unit, _)| unit).map(Part::len).sum()
    }
}
