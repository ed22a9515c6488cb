//! A chunk of whatever kind.

use std::rc::Rc;
use std::sync::Arc;

use super::open::OpenChunk;
use super::patched::Patched;
use super::sizes::ChunkSizes;
use crate::limits::PATCH_TEXT_BYTES;
use crate::sealed::{Decoder, Sealed};

/// Records in ascending order of time.
#[derive(Clone)]
pub(crate) enum Chunk {
    Open(Rc<OpenChunk>),
    Full(Arc<OpenChunk>),
    Sealed(Sealed),
    Patched(Arc<Patched>),
}

impl Chunk {
    pub(crate) fn new(chunk: OpenChunk) -> Self {
        Self::Open(Rc::new(chunk))
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Sealed(sealed) => sealed.len(),
            Self::Patched(patched) => patched.len(),
            Self::Open(open) => open.len(),
            Self::Full(full) => full.len(),
        }
    }

    /// The memory of its records.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Sealed(sealed) => sealed.allocated_bytes(),
            Self::Patched(patched) => patched.bytes(),
            Self::Open(open) => open.bytes(),
            Self::Full(full) => full.bytes(),
        }
    }

    pub(crate) fn ts(&self, index: usize) -> i64 {
        match self {
            Self::Open(open) => open.ts(index),
            Self::Full(full) => full.ts(index),
            Self::Sealed(sealed) => sealed.ts(index),
            Self::Patched(patched) => patched.ts(index),
        }
    }

    #[inline]
    pub(crate) fn first_ts(&self) -> i64 {
        match self {
            Self::Open(open) => open.first_ts(),
            Self::Full(full) => full.first_ts(),
            Self::Sealed(sealed) => sealed.first_ts(),
            Self::Patched(patched) => patched.first_ts(),
        }
    }

    #[inline]
    pub(crate) fn last_ts(&self) -> i64 {
        match self {
            Self::Open(open) => open.last_ts(),
            Self::Full(full) => full.last_ts(),
            Self::Sealed(sealed) => sealed.last_ts(),
            Self::Patched(patched) => patched.last_ts(),
        }
    }

    pub(crate) fn text_bytes(&self) -> usize {
        match self {
            Self::Open(open) => open.text_bytes(),
            Self::Full(full) => full.text_bytes(),
            Self::Sealed(sealed) => sealed.text_bytes(),
            Self::Patched(patched) => patched.text_bytes(),
        }
    }

    /// The number of records before this time.
    pub(crate) fn count_before(&self, ts: i64) -> usize {
        match self {
            Self::Open(open) => open.count_before(ts),
            Self::Full(full) => full.count_before(ts),
            Self::Sealed(sealed) => sealed.count_before(ts),
            Self::Patched(patched) => patched.count_before(ts),
        }
    }

    /// The number of records at or before this time; the newest is what is most often asked for.
    pub(crate) fn count_through(&self, ts: i64) -> usize {
        match self {
            Self::Open(open) => open.count_through(ts),
            Self::Full(full) => full.count_through(ts),
            Self::Sealed(sealed) => sealed.count_through(ts),
            Self::Patched(patched) => patched.count_through(ts),
        }
    }

    /// Has the CPU fetch what the newest record and the next one need.
    #[inline]
    pub(crate) fn prefetch_end(&self) {
        if let Self::Open(open) = self {
            open.prefetch_end();
        }
    }

    /// The chunk as it is read, unless it is sealed.
    #[inline]
    pub(crate) fn unsealed(&self) -> Option<&OpenChunk> {
        match self {
            Self::Open(open) => Some(open),
            Self::Full(full) => Some(full),
            Self::Sealed(_) | Self::Patched(_) => None,
        }
    }

    /// The chunk, to be changed; copied first if a snapshot or the thread that seals holds it. None if it is sealed.
    #[inline]
    pub(crate) fn unsealed_mut(&mut self) -> Option<&mut OpenChunk> {
        if let Self::Full(full) = self {
            let open = Arc::try_unwrap(std::mem::take(full)).unwrap_or_else(|full| (*full).clone());
            *self = Self::new(open);
        }
        match self {
            Self::Open(open) => Some(Rc::make_mut(open)),
            Self::Full(_) | Self::Sealed(_) | Self::Patched(_) => None,
        }
    }

    /// The chunk if nobody else holds it, so that a change of its memory alone copies nothing.
    pub(crate) fn own_mut(&mut self) -> Option<&mut OpenChunk> {
        match self {
            Self::Open(open) => Rc::get_mut(open),
            Self::Full(_) | Self::Sealed(_) | Self::Patched(_) => None,
        }
    }

    /// Rounds until no more changes inside are to be expected; none if it is sealed as it is.
    pub(crate) fn heat(&self) -> Option<u8> {
        match self {
            Self::Open(open) => Some(open.heat()),
            Self::Full(full) => Some(full.heat()),
            Self::Patched(patched) => Some(patched.heat()),
            Self::Sealed(_) => None,
        }
    }

    /// Notes that a round has passed; nothing while somebody else holds it.
    pub(crate) fn cool(&mut self) {
        match self {
            Self::Open(open) => Rc::get_mut(open).into_iter().for_each(OpenChunk::cool),
            Self::Full(full) => Arc::get_mut(full).into_iter().for_each(OpenChunk::cool),
            Self::Patched(patched) => Arc::get_mut(patched).into_iter().for_each(Patched::cool),
            Self::Sealed(_) => {}
        }
    }

    /// Whether it is sealed, with patches or without.
    pub(crate) fn is_sealed(&self) -> bool {
        matches!(self, Self::Sealed(_) | Self::Patched(_))
    }

    /// The patches of a sealed chunk, to be added to; none if it is not sealed.
    pub(crate) fn patches_mut(&mut self) -> Option<&mut Patched> {
        if let Self::Sealed(sealed) = self {
            *self = Self::Patched(Arc::new(Patched::new(sealed.clone())));
        }
        match self {
            Self::Patched(patched) => Some(Arc::make_mut(patched)),
            Self::Open(_) | Self::Full(_) | Self::Sealed(_) => None,
        }
    }

    /// Whether one more text may be noted beside a sealed chunk; false if it is not sealed.
    pub(crate) fn takes_patch(&self, data_bytes: usize) -> bool {
        match self {
            Self::Sealed(_) => data_bytes <= PATCH_TEXT_BYTES,
            Self::Patched(patched) => patched.has_room(data_bytes),
            Self::Open(_) | Self::Full(_) => false,
        }
    }

    /// How many records of a sealed chunk are different from what is sealed.
    pub(crate) fn patch_count(&self) -> usize {
        match self {
            Self::Patched(patched) => patched.patch_count(),
            Self::Open(_) | Self::Full(_) | Self::Sealed(_) => 0,
        }
    }

    /// The chunk to be sealed on any thread, unless it is sealed; copied if a snapshot holds it.
    pub(crate) fn share_full(&mut self) -> Option<Arc<OpenChunk>> {
        if let Self::Open(open) = self {
            let open = Rc::try_unwrap(std::mem::take(open)).unwrap_or_else(|open| (*open).clone());
            *self = Self::Full(Arc::new(open));
        }
        match self {
            Self::Full(full) => Some(full.clone()),
            Self::Open(_) | Self::Sealed(_) | Self::Patched(_) => None,
        }
    }
}

/// Takes a sealed chunk apart into open ones of the usual size, which are warm; of others nothing.
pub(crate) fn open(sealed: &Chunk, sizes: &ChunkSizes) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    let mut chunk = OpenChunk::default();
    each_record(sealed, |ts, data| {
        if !chunk.has_room(data, sizes) {
            chunks.push(std::mem::take(&mut chunk));
        }
        chunk.push(ts, data);
    });
    chunks.push(chunk);
    chunks.iter_mut().for_each(|chunk| {
        chunk.shrink();
        chunk.warm();
    });
    chunks.into_iter().filter(|chunk| chunk.len() > 0).map(Chunk::new).collect()
}

/// All of a sealed chunk as one that is open.
pub(crate) fn opened(sealed: &Chunk) -> OpenChunk {
    let mut chunk = OpenChunk::default();
    each_record(sealed, |ts, data| chunk.push(ts, data));
    chunk
}

fn each_record(chunk: &Chunk, mut f: impl FnMut(i64, &str)) {
    match chunk {
        Chunk::Sealed(sealed) => {
            // Of its own: the one for reading may be in use, and what follows takes far longer than making one.
            let mut decoder = Decoder::default();
            let mut reader = decoder.open(sealed);
            for block in 0..sealed.block_count() {
                reader.block(block).records().for_each(|(ts, data)| f(ts, data));
            }
        }
        Chunk::Patched(patched) => patched.each_record(f),
        Chunk::Open(_) | Chunk::Full(_) => {}
    }
}
