//! The chunks of a document in order of time: the newest by itself, the others in pages.
//!
//! The newest is where nearly all is read and written, so nothing lies between it and the document. Pages are shared with
//! snapshots: however many chunks there are, a snapshot holds pages, and a change in their middle moves those of a page.
//! Invariants: no page is empty; if there is any chunk, there is a newest.

use std::ops::Range;
use std::rc::Rc;

use super::any::Chunk;
use crate::limits::CHUNK_PAGE_LEN;

/// Where a chunk is; as the end of a range, the place behind it. Valid until chunks come or go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ChunkPlace {
    page: u32,
    index: u32,
}

impl ChunkPlace {
    fn new(page: usize, index: usize) -> Self {
        Self { page: page as u32, index: index as u32 }
    }
}

/// Chunks in order of time.
#[derive(Clone, Default)]
#[repr(C)]
pub(crate) struct Chunks {
    newest: Option<Chunk>,
    pages: Vec<Rc<Vec<Chunk>>>,
}

impl Chunks {
    pub(crate) fn is_empty(&self) -> bool {
        self.newest.is_none()
    }

    #[inline]
    pub(crate) fn newest(&self) -> Option<&Chunk> {
        self.newest.as_ref()
    }

    #[inline]
    pub(crate) fn newest_mut(&mut self) -> Option<&mut Chunk> {
        self.newest.as_mut()
    }

    /// The place of the newest; the end if there is none.
    pub(crate) fn newest_place(&self) -> ChunkPlace {
        ChunkPlace::new(self.pages.len(), 0)
    }

    /// The place behind the newest.
    pub(crate) fn end(&self) -> ChunkPlace {
        ChunkPlace::new(self.pages.len() + usize::from(self.newest.is_some()), 0)
    }

    #[inline]
    pub(crate) fn get(&self, at: ChunkPlace) -> Option<&Chunk> {
        match self.pages.get(at.page as usize) {
            Some(page) => page.get(at.index as usize),
            None => self.newest.as_ref().filter(|_| at == self.newest_place()),
        }
    }

    /// The chunk at a place, to be changed; its page is copied first if a snapshot holds it.
    pub(crate) fn get_mut(&mut self, at: ChunkPlace) -> Option<&mut Chunk> {
        let newest = self.newest_place();
        match self.pages.get_mut(at.page as usize) {
            Some(page) => Rc::make_mut(page).get_mut(at.index as usize),
            None => self.newest.as_mut().filter(|_| at == newest),
        }
    }

    /// The place behind one that is before the end.
    pub(crate) fn after(&self, at: ChunkPlace) -> ChunkPlace {
        let next = ChunkPlace { index: at.index + 1, ..at };
        self.normal(next)
    }

    /// The place before one; none before the first.
    pub(crate) fn before(&self, at: ChunkPlace) -> Option<ChunkPlace> {
        if at.index > 0 {
            return Some(ChunkPlace { index: at.index - 1, ..at });
        }
        let page = (at.page as usize).checked_sub(1)?;
        Some(ChunkPlace::new(page, self.pages.get(page).map_or(0, |page| page.len() - 1)))
    }

    /// The place so many chunks further, at most the end.
    pub(crate) fn forward(&self, mut at: ChunkPlace, mut count: usize) -> ChunkPlace {
        while let Some(page) = self.pages.get(at.page as usize) {
            let left = page.len() - at.index as usize;
            if count < left {
                return ChunkPlace { index: at.index + count as u32, ..at };
            }
            count -= left;
            at = ChunkPlace::new(at.page as usize + 1, 0);
        }
        if count > 0 { self.end() } else { at }
    }

    /// A place that may be behind the last of a page, as the first of the next.
    fn normal(&self, at: ChunkPlace) -> ChunkPlace {
        match self.pages.get(at.page as usize) {
            Some(page) if (at.index as usize) < page.len() => at,
            None if at.index == 0 => at,
            _ => ChunkPlace { page: at.page + 1, index: 0 },
        }
    }

    /// The place of the first chunk that is not `before`, as all behind it are not.
    pub(crate) fn partition_point(&self, before: impl Fn(&Chunk) -> bool) -> ChunkPlace {
        match &self.newest {
            Some(newest) if before(newest) => return self.end(),
            _ => {}
        }
        let page = self.pages.partition_point(|page| page.last().is_some_and(&before));
        let index = self.pages.get(page).map_or(0, |page| page.partition_point(&before));
        ChunkPlace::new(page, index)
    }

    /// Inserts a chunk before the one at a place; returns where it is.
    pub(crate) fn insert(&mut self, at: ChunkPlace, chunk: Chunk) -> ChunkPlace {
        if at == self.end() {
            if let Some(older) = self.newest.replace(chunk) {
                self.push_older(older);
            }
            return self.newest_place();
        }
        if at == self.newest_place() {
            return self.push_older(chunk);
        }
        let (mut page, mut index) = (at.page as usize, at.index as usize);
        if self.pages[page].len() >= CHUNK_PAGE_LEN {
            self.split(page);
            let half = self.pages[page].len();
            if index > half {
                (page, index) = (page + 1, index - half);
            }
        }
        Rc::make_mut(&mut self.pages[page]).insert(index, chunk);
        ChunkPlace::new(page, index)
    }

    /// Adds a chunk right before the newest.
    fn push_older(&mut self, chunk: Chunk) -> ChunkPlace {
        match self.pages.last_mut() {
            Some(page) if page.len() < CHUNK_PAGE_LEN => Rc::make_mut(page).push(chunk),
            // Many documents have only one.
            Some(_) | None => self.pages.push(Rc::new(vec![chunk])),
        }
        let page = self.pages.len() - 1;
        ChunkPlace::new(page, self.pages[page].len() - 1)
    }

    fn split(&mut self, page: usize) {
        let chunks = Rc::make_mut(&mut self.pages[page]);
        let later = chunks.split_off(chunks.len() / 2);
        self.pages.insert(page + 1, Rc::new(later));
    }

    /// Removes the chunk at a place, which then is that of the next, and returns it with that place.
    pub(crate) fn remove(&mut self, at: ChunkPlace) -> Option<(Chunk, ChunkPlace)> {
        if at.page as usize >= self.pages.len() {
            let chunk = self.newest.take()?;
            self.newest = self.pop_older();
            return Some((chunk, self.end()));
        }
        let page = Rc::make_mut(&mut self.pages[at.page as usize]);
        let chunk = page.remove(at.index as usize);
        if page.is_empty() {
            self.pages.remove(at.page as usize);
            return Some((chunk, ChunkPlace { index: 0, ..at }));
        }
        Some((chunk, self.join(at)))
    }

    /// Joins the page of a place with the one before it if both are small; returns where the place is then.
    fn join(&mut self, at: ChunkPlace) -> ChunkPlace {
        let page = at.page as usize;
        let before = page.checked_sub(1).map(|before| self.pages[before].len());
        match before {
            Some(before) if before + self.pages[page].len() <= CHUNK_PAGE_LEN / 2 => {
                let chunks = self.pages.remove(page);
                let chunks = Rc::try_unwrap(chunks).unwrap_or_else(|chunks| (*chunks).clone());
                Rc::make_mut(&mut self.pages[page - 1]).extend(chunks);
                self.normal(ChunkPlace::new(page - 1, before + at.index as usize))
            }
            _ => self.normal(at),
        }
    }

    /// The newest but one, taken out.
    fn pop_older(&mut self) -> Option<Chunk> {
        let page = Rc::make_mut(self.pages.last_mut()?);
        let chunk = page.pop();
        if page.is_empty() {
            self.pages.pop();
        }
        chunk
    }

    /// Puts chunks in the place of as many others, at least one of each.
    pub(crate) fn replace(&mut self, at: ChunkPlace, count: usize, with: impl IntoIterator<Item = Chunk>) {
        let mut with = with.into_iter();
        if let (Some(chunk), Some(first)) = (self.get_mut(at), with.next()) {
            *chunk = first;
        }
        let mut at = self.after(at);
        for _ in 1..count {
            at = self.remove(at).map_or(at, |(_, next)| next);
        }
        for chunk in with {
            at = self.insert(at, chunk);
            at = self.after(at);
        }
    }

    /// The pages from that of one place through that of another; places in it are those here, `moved` by as much.
    pub(crate) fn snapshot(&self, places: Range<ChunkPlace>) -> Self {
        let (first, last) = (places.start.page as usize, places.end.page as usize);
        let pages = self.pages[first.min(self.pages.len())..(last + 1).min(self.pages.len())].to_vec();
        // One that is not needed is held all the same where there is one, so that places have their order.
        Self { pages, newest: self.newest.clone().filter(|_| last >= self.pages.len()) }
    }

    /// A place as it is in a snapshot that begins with another.
    pub(crate) fn moved(at: ChunkPlace, first: ChunkPlace) -> ChunkPlace {
        ChunkPlace { page: at.page - first.page, ..at }
    }

    /// The number of records of these chunks, as far as it is less than so many.
    pub(crate) fn count_records(&self, places: Range<ChunkPlace>, enough: usize) -> usize {
        let (mut at, mut count) = (places.start, 0);
        while at < places.end && count < enough {
            count += self.get(at).map_or(0, Chunk::len);
            at = self.after(at);
        }
        count
    }

    /// Whether freeing them takes next to no time.
    pub(crate) fn are_few(&self, count: usize) -> bool {
        self.pages.len() <= 1 && self.pages.iter().all(|page| page.len() < count)
    }

    /// Frees those of a page; returns how many those are, none when all are gone.
    pub(crate) fn free_page(&mut self) -> usize {
        let page = self.pages.pop().map_or(0, |page| page.len());
        page + usize::from(self.newest.take().is_some())
    }

    /// All of them in order.
    #[cfg(test)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Chunk> {
        self.pages.iter().flat_map(|page| page.iter()).chain(&self.newest)
    }

    /// Checks the invariants, for tests.
    #[cfg(test)]
    pub(crate) fn check(&self) {
        assert!(self.pages.iter().all(|page| !page.is_empty() && page.len() <= CHUNK_PAGE_LEN));
        assert!(self.newest.is_some() || self.pages.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::super::open::OpenChunk;
    use super::*;

    fn chunk(ts: i64) -> Chunk {
        let mut chunk = OpenChunk::default();
        chunk.push(ts, "x");
        Chunk::new(chunk)
    }

    fn times(chunks: &Chunks) -> Vec<i64> {
        let mut times = Vec::new();
        let mut at = ChunkPlace::default();
        while let Some(chunk) = chunks.get(at) {
            times.push(chunk.first_ts());
            at = chunks.after(at);
        }
        assert_eq!(at, chunks.end());
        let mut backwards = Vec::new();
        while let Some(before) = chunks.before(at) {
            backwards.push(chunks.get(before).unwrap().first_ts());
            at = before;
        }
        assert!(backwards.iter().rev().eq(&times));
        times
    }

    #[test]
    fn they_are_what_a_plain_list_would_be() {
        let (mut chunks, mut plain, mut number) = (Chunks::default(), Vec::<i64>::new(), 7_u64);
        let mut longest = 0;
        let mut below = |count: usize| {
            number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (number >> 33) as usize % count
        };
        for round in 0..6000_i64 {
            let index = below(plain.len() + 1);
            let at = chunks.forward(ChunkPlace::default(), index);
            let grows = round % 3000 < 1800;
            match below(8) {
                0..6 if grows || plain.is_empty() => {
                    plain.insert(index, round);
                    let there = chunks.insert(at, chunk(round));
                    assert_eq!(chunks.get(there).unwrap().first_ts(), round);
                }
                _ if index == plain.len() => assert_eq!(at, chunks.end()),
                6 => {
                    let count = (1 + below(5)).min(plain.len() - index);
                    let with: Vec<_> = (0..1 + below(3) as i64).map(|one| -10 * round - one).collect();
                    plain.splice(index..index + count, with.iter().copied());
                    chunks.replace(at, count, with.into_iter().map(chunk));
                }
                _ => {
                    let (removed, next) = chunks.remove(at).unwrap();
                    assert_eq!(removed.first_ts(), plain.remove(index));
                    assert_eq!(next, chunks.forward(ChunkPlace::default(), index));
                }
            }
            chunks.check();
            longest = longest.max(plain.len());
            if round % 10 == 0 {
                assert_eq!(times(&chunks), plain);
            }
        }
        assert!(longest > 4 * CHUNK_PAGE_LEN && plain.len() < longest / 2, "{longest}, {}", plain.len());
    }

    #[test]
    fn a_snapshot_stays_as_it_was_and_has_only_what_is_needed() {
        let mut chunks = Chunks::default();
        for ts in 0..1000 {
            chunks.insert(chunks.end(), chunk(ts));
        }
        let [from, to] = [300, 400].map(|ts| chunks.partition_point(|chunk| chunk.first_ts() < ts));
        let snapshot = chunks.snapshot(from..to);
        let [there, end] = [from, to].map(|at| Chunks::moved(at, from));
        chunks.replace(from, 1, [chunk(-1)]);
        chunks.remove(chunks.newest_place());
        assert_eq!(snapshot.get(there).unwrap().first_ts(), 300);
        assert_eq!(snapshot.get(end).unwrap().first_ts(), 400);
        assert!(times(&snapshot).len() < 100 + 2 * CHUNK_PAGE_LEN);
        let whole = chunks.snapshot(ChunkPlace::default()..chunks.end());
        assert_eq!(times(&whole), times(&chunks));
        assert_eq!(chunks.newest().unwrap().first_ts(), 998);
    }
}
