//! Which chunks of a document are sealed and when, and how they are opened again.
//!
//! Chunks that have been filled in order of time are sealed once enough newer records are behind them; how far that has
//! come is a time. Earlier ones that were changed since, or opened for that, are sealed when they have been left alone from
//! one round over all documents to the next, and so are the newest, but for the very newest record, which is asked for most.
//! However many chunks there are, each call looks at some of them.

use super::series::Document;
use super::units::Units;
use crate::chunk::{Chunk, ChunkPlace, ChunkSizes, OpenChunk, open};
use crate::limits::{
    PATCHES_COLD, PATCHES_DUE, PATCHES_REMOVED, SEALING_IDLE_ROUNDS, SEALING_LATENESS_MAX,
    SEALING_LOOK_CHUNKS, SEALING_RECORDS_MIN,
};
use crate::sealed::Sealed;
use crate::sealing::{Part, Unit};

/// The outcome of a look at a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Looked {
    /// There is more to look at.
    Partly,
    /// That was all, and there may be something to be sealed.
    Due,
    /// That was all.
    Done,
}

impl Document {
    pub(crate) fn is_queued(&self) -> bool {
        self.sealing.is_queued
    }

    pub(crate) fn set_queued(&mut self, is_queued: bool) {
        self.sealing.is_queued = is_queued;
    }

    /// The chunks that are to be sealed next, and whether it is to be looked at again for more.
    pub(crate) fn take_units(&mut self, sizes: &ChunkSizes) -> (Vec<Unit>, bool) {
        let mut units = Units::default();
        let mut has_more = self.take_patched(&mut units, sizes);
        if !units.are_enough(sizes) {
            has_more |= self.take_cold(&mut units, sizes);
        }
        if !units.are_enough(sizes) {
            has_more |= self.take_filled(&mut units, sizes);
        }
        if !units.are_enough(sizes) && self.sealing.is_tail_due {
            self.sealing.is_tail_due = false;
            self.take_tail(&mut units, sizes);
        }
        (units.into_whole(), has_more)
    }

    /// Takes sealed chunks with many patches; returns whether there may be more.
    fn take_patched(&mut self, units: &mut Units, sizes: &ChunkSizes) -> bool {
        let mut looks = SEALING_LOOK_CHUNKS;
        while !units.are_enough(sizes)
            && looks > 0
            && let Some(ts) = self.sealing.inside.as_mut().and_then(|inside| inside.patched.pop())
        {
            looks -= 1;
            if let Some(Chunk::Patched(patched)) = self.chunks.get(self.chunk_at(ts))
                && patched.patch_count() >= PATCHES_DUE
            {
                units.push(Part::Patched(patched.clone()));
                units.close(sizes);
            }
        }
        self.sealing.inside.as_ref().is_some_and(|inside| !inside.patched.is_empty())
    }

    /// Takes chunks that have been filled in order; returns whether there may be more.
    fn take_filled(&mut self, units: &mut Units, sizes: &ChunkSizes) -> bool {
        let end = self.end_of_old(sizes);
        let start = self.passed();
        let (mut at, mut next) = (start, start);
        let mut looks = SEALING_LOOK_CHUNKS;
        let mut is_cut = false;
        while at < end && !is_cut {
            let chunk = self.chunks.get(at).and_then(Chunk::unsealed);
            let goes_on = chunk.is_some_and(|chunk| units.is_empty() || units.fits(chunk, sizes));
            if !goes_on {
                units.close(sizes);
                next = at;
                is_cut = units.are_enough(sizes) || looks == 0;
            }
            if !is_cut {
                looks = looks.saturating_sub(1);
                self.push_unit(at, units, sizes);
                at = self.chunks.after(at);
            }
        }
        if !is_cut && (units.is_nearly_full(sizes) || units.is_empty()) {
            units.close(sizes);
            next = end.max(start);
        }
        units.forget();
        if let Some(next) = self.chunks.get(next) {
            self.sealing.next_ts = self.sealing.next_ts.max(next.first_ts());
        }
        is_cut
    }

    /// Takes the newest records but one, with those before them that are not sealed or were sealed in small parts.
    fn take_tail(&mut self, units: &mut Units, sizes: &ChunkSizes) {
        let Some(newest) = self.chunks.newest_mut().and_then(Chunk::unsealed_mut) else { return };
        let ts = newest.last_ts();
        if newest.len() > 1 {
            let alone = newest.split_off(newest.len() - 1);
            self.chunks.insert(self.chunks.end(), Chunk::new(alone));
        }
        let mut start = self.passed();
        let end = self.chunks.newest_place();
        let is_small = |chunk: &Chunk, after: usize| match chunk {
            Chunk::Sealed(sealed) => {
                sealed.len() <= 2 * after && sealed.len() + after <= sizes.sealed_records
            }
            Chunk::Open(_) | Chunk::Full(_) | Chunk::Patched(_) => false,
        };
        let mut after = self.chunks.count_records(start..end, sizes.sealed_records);
        while let Some(before) = self.chunks.before(start)
            && let Some(chunk) = self.chunks.get(before)
            && is_small(chunk, after)
        {
            after += chunk.len();
            start = before;
        }
        let mut at = start;
        while at < end {
            let Some(chunk) = self.chunks.get(at) else { break };
            if !units.is_empty() && !units.has_room(chunk.len(), chunk.text_bytes(), sizes) {
                units.close(sizes);
            }
            match chunk {
                Chunk::Sealed(sealed) => units.push(Part::Sealed(sealed.clone())),
                Chunk::Open(_) | Chunk::Full(_) => self.push_unit(at, units, sizes),
                Chunk::Patched(_) => units.close(sizes),
            }
            at = self.chunks.after(at);
        }
        units.close(sizes);
        self.sealing.next_ts = self.sealing.next_ts.max(ts);
    }

    /// Takes chunks further back that have been left alone; returns whether there may be more.
    fn take_cold(&mut self, units: &mut Units, sizes: &ChunkSizes) -> bool {
        let Some(from) = self.sealing.inside.as_ref().and_then(|inside| inside.cold_ts) else { return false };
        let end = self.end_of_looked_at(sizes);
        let mut at = self.chunks.partition_point(|chunk| chunk.last_ts() < from);
        let mut looks = SEALING_LOOK_CHUNKS;
        while at < end {
            let Some(chunk) = self.chunks.get(at) else { break };
            let goes_into = self.is_cold(at)
                && units.has_room(chunk.len(), chunk.text_bytes(), sizes)
                && !chunk.is_sealed();
            if !goes_into {
                units.close(sizes);
            }
            if units.is_empty() && (units.are_enough(sizes) || looks == 0) {
                break;
            }
            looks = looks.saturating_sub(1);
            match chunk {
                Chunk::Patched(patched) if self.is_cold(at) => units.push(Part::Patched(patched.clone())),
                Chunk::Patched(_) | Chunk::Sealed(_) => {}
                Chunk::Open(_) | Chunk::Full(_) if self.is_cold(at) => self.push_unit(at, units, sizes),
                Chunk::Open(_) | Chunk::Full(_) => {}
            }
            at = self.chunks.after(at);
        }
        units.close(sizes);
        let next = self.chunks.get(at).filter(|_| at < end).map(Chunk::first_ts);
        if let Some(inside) = &mut self.sealing.inside {
            inside.cold_ts = next;
        }
        next.is_some()
    }

    /// Whether a chunk is to be sealed for having been left alone: one that is open if its neighbours have been too, for
    /// with them it was or will be one; one with patches if they are several.
    fn is_cold(&self, at: ChunkPlace) -> bool {
        let heat = |at| self.chunks.get(at).and_then(Chunk::unsealed).map_or(0, OpenChunk::heat);
        match self.chunks.get(at) {
            Some(Chunk::Open(_) | Chunk::Full(_)) => {
                heat(at) == 0
                    && self.chunks.before(at).is_none_or(|at| heat(at) == 0)
                    && heat(self.chunks.after(at)) == 0
            }
            Some(Chunk::Patched(patched)) => patched.heat() == 0 && patched.patch_count() >= PATCHES_COLD,
            Some(Chunk::Sealed(_)) | None => false,
        }
    }

    fn push_unit(&mut self, at: ChunkPlace, units: &mut Units, sizes: &ChunkSizes) {
        let small = self
            .chunks
            .get(at)
            .and_then(Chunk::unsealed)
            .is_some_and(|chunk| chunk.text_bytes() <= sizes.sealed_text_bytes);
        if small && let Some(chunk) = self.chunks.get_mut(at).and_then(Chunk::share_full) {
            units.push(Part::Full(chunk));
        }
    }

    /// The place behind the chunks before those with the newest records.
    fn end_of_old(&self, sizes: &ChunkSizes) -> ChunkPlace {
        let mut end = self.chunks.newest_place();
        let mut newer = self.chunks.newest().map_or(0, Chunk::len);
        while newer < sizes.open_records << self.sealing.lateness
            && let Some(before) = self.chunks.before(end)
        {
            newer += self.chunks.get(before).map_or(0, Chunk::len);
            end = before;
        }
        end
    }

    /// The first chunk that sealing in order has not passed.
    fn passed(&self) -> ChunkPlace {
        self.chunks.partition_point(|chunk| chunk.first_ts() < self.sealing.next_ts)
    }

    /// The place behind those that sealing in order has passed.
    fn end_of_looked_at(&self, sizes: &ChunkSizes) -> ChunkPlace {
        self.passed().min(self.end_of_old(sizes))
    }

    /// Puts a sealed chunk in the place of those that it was made of, if none of them has changed. Returns how many records
    /// that were.
    pub(crate) fn put_sealed(&mut self, unit: &[Part], sealed: Sealed) -> usize {
        let first = self.chunks.partition_point(|chunk| chunk.last_ts() < sealed.first_ts());
        let (mut at, mut bytes) = (first, 0);
        for part in unit {
            let chunk = self.chunks.get(at).filter(|chunk| at < self.chunks.newest_place() && part.is(chunk));
            let Some(chunk) = chunk else {
                self.note_in_vain(unit);
                return 0;
            };
            bytes += chunk.bytes();
            at = self.chunks.after(at);
        }
        let count = sealed.len();
        self.bytes = self.bytes - bytes + sealed.allocated_bytes();
        self.chunks.replace(first, unit.len(), [Chunk::Sealed(sealed)]);
        count
    }

    /// Notes that what was given out has been changed meanwhile. If it was not sealed before, records come late by more than
    /// what stays open.
    fn note_in_vain(&mut self, unit: &[Part]) {
        if unit.iter().any(|part| matches!(part, Part::Full(_))) {
            self.sealing.lateness = (self.sealing.lateness + 1).min(SEALING_LATENESS_MAX);
        }
        self.sealing.note_change_inside();
    }

    /// Whether `cool` has something to look at.
    pub(crate) fn has_to_cool(&self) -> bool {
        let state = &self.sealing;
        let is_same = state.count_seen == self.record_count() as u32;
        state.inside.is_some() || !is_same || state.idle_rounds < SEALING_IDLE_ROUNDS
    }

    /// Notes which of the chunks that are not sealed have been left alone since the last time, and whether anything was
    /// added; takes what it costs from `looks`.
    pub(crate) fn cool(&mut self, sizes: &ChunkSizes, looks: &mut usize) -> Looked {
        // Once a round, however many parts it has.
        let is_begun = self.sealing.inside.as_ref().is_some_and(|inside| inside.round_ts > i64::MIN);
        let mut is_due = if is_begun { self.sealing.is_tail_due } else { self.cool_newest(sizes) };
        let Some(mut inside) = self.sealing.inside.take() else {
            return if is_due { Looked::Due } else { Looked::Done };
        };
        let end = self.end_of_looked_at(sizes);
        if inside.round_ts == i64::MIN {
            (inside.is_open, inside.is_cold) = (false, false);
        }
        let from = inside.round_ts;
        let mut at = self.chunks.partition_point(|chunk| chunk.last_ts() < from);
        while at < end && *looks > 0 {
            *looks -= 1;
            inside.is_open |= self.cool_chunk(at);
            inside.is_cold |= self.is_worth_sealing(at, sizes);
            at = self.chunks.after(at);
        }
        if let Some(next) = self.chunks.get(at).filter(|_| at < end) {
            inside.round_ts = next.first_ts().max(i64::MIN + 1);
            self.sealing.inside = Some(inside);
            return Looked::Partly;
        }
        // Records that don't come in order fill chunks without a word.
        let is_behind = end < self.end_of_old(sizes);
        if inside.is_cold {
            inside.cold_ts = Some(i64::MIN);
        }
        is_due |= inside.is_cold || is_behind;
        inside.round_ts = i64::MIN;
        let waits = inside.cold_ts.is_some() || !inside.patched.is_empty();
        let stays = inside.is_open || inside.is_cold || is_behind || waits;
        self.sealing.inside = stays.then_some(inside);
        if is_due { Looked::Due } else { Looked::Done }
    }

    /// Notes that a chunk was left alone for a round; returns whether it was not before.
    fn cool_chunk(&mut self, at: ChunkPlace) -> bool {
        let heat = self.chunks.get(at).and_then(Chunk::heat).unwrap_or(0);
        // One that a snapshot holds is looked at again the next time.
        if heat > 0
            && let Some(chunk) = self.chunks.get_mut(at)
        {
            chunk.cool();
        }
        heat > 0
    }

    fn is_worth_sealing(&self, at: ChunkPlace, sizes: &ChunkSizes) -> bool {
        let is_large = |chunk: &Chunk| {
            chunk.len() >= SEALING_RECORDS_MIN.min(sizes.sealed_records)
                && chunk.text_bytes() <= 2 * sizes.sealed_text_bytes
        };
        self.chunks.get(at).is_some_and(is_large) && self.is_cold(at)
    }

    /// Notes whether records have come since the last round; returns whether the newest are to be sealed.
    fn cool_newest(&mut self, sizes: &ChunkSizes) -> bool {
        let count = self.record_count() as u32;
        let state = &mut self.sealing;
        if state.count_seen != count {
            (state.count_seen, state.idle_rounds) = (count, 0);
            state.lateness = state.lateness.saturating_sub(1);
            return false;
        }
        if state.idle_rounds >= SEALING_IDLE_ROUNDS {
            return false;
        }
        state.idle_rounds += 1;
        if state.idle_rounds < SEALING_IDLE_ROUNDS {
            return false;
        }
        state.lateness = 0;
        let newest = self.chunks.newest().map_or(0, Chunk::len);
        let is_large = newest > SEALING_RECORDS_MIN.min(sizes.sealed_records)
            || self.passed() < self.chunks.newest_place();
        if !is_large && let Some(newest) = self.chunks.newest_mut().and_then(Chunk::own_mut) {
            newest.shrink();
        }
        self.sealing.is_tail_due = is_large;
        is_large
    }

    /// Opens a chunk, so that it can be changed.
    pub(super) fn open(&mut self, at: ChunkPlace, sizes: &ChunkSizes) {
        if let Some(chunk) = self.chunks.get(at).filter(|chunk| chunk.is_sealed()) {
            let opened = open(chunk, sizes);
            self.bytes -= chunk.bytes();
            self.bytes += opened.iter().map(Chunk::bytes).sum::<usize>();
            self.sealing.note_change_inside();
            self.chunks.replace(at, 1, opened);
        }
    }

    /// Notes a record beside a sealed chunk. Returns whether there may be something to be sealed now.
    pub(super) fn patch(&mut self, at: ChunkPlace, ts: i64, data: &str) -> bool {
        let Some(chunk) = self.chunks.get_mut(at) else { return false };
        let (bytes, patch_count) = (chunk.bytes(), chunk.patch_count());
        let is_new = chunk.patches_mut().is_some_and(|patches| patches.put(ts, data));
        self.bytes = self.bytes - bytes + chunk.bytes();
        let more = chunk.patch_count();
        let is_due = more > patch_count && more >= PATCHES_DUE && more % PATCHES_COLD == 0;
        let first_ts = chunk.first_ts();
        self.note_record(is_new);
        let inside = self.sealing.note_change_inside();
        if is_due {
            inside.patched.push(first_ts);
        }
        is_due
    }

    /// Prepares the chunks that have records both inside and outside of a range of time: of sealed ones few records are
    /// removed here, and for many they are opened.
    pub(super) fn open_ends(&mut self, from: i64, to: i64, sizes: &ChunkSizes) {
        for ts in [to, from] {
            let at = self.chunk_at(ts);
            let Some(chunk) = self.chunks.get(at).filter(|chunk| chunk.is_sealed()) else { continue };
            let inside = chunk.count_through(to).saturating_sub(chunk.count_before(from));
            if inside == 0 || inside == chunk.len() {
                continue;
            }
            if inside <= PATCHES_REMOVED && chunk.takes_patch(0) {
                self.remove_inside(at, from, inside);
            } else {
                self.open(at, sizes);
            }
        }
    }

    /// Removes some of the records of a sealed chunk, from a time on.
    fn remove_inside(&mut self, at: ChunkPlace, from: i64, count: usize) {
        let Some(chunk) = self.chunks.get_mut(at) else { return };
        let bytes = chunk.bytes();
        for _ in 0..count {
            let ts = chunk.ts(chunk.count_before(from));
            if let Some(patches) = chunk.patches_mut() {
                patches.remove(ts);
            }
        }
        self.bytes = self.bytes - bytes + chunk.bytes();
        self.note_removed(count);
        self.sealing.note_change_inside();
    }

    /// Opens the newest chunk, which is written to and read most.
    pub(super) fn open_newest(&mut self, sizes: &ChunkSizes) {
        self.open(self.chunks.newest_place(), sizes);
    }
}
