//! The documents that have something to be sealed.

use std::collections::VecDeque;

use crate::limits::{SEALING_QUEUE_MAX, SEALING_UNDER_WAY_MAX, SEALING_WAITING};

/// Where a document is: the slots of its collection, and its own in that.
///
/// Both may have been freed and taken by others since, so whoever comes back looks whether it is still the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) collection: usize,
    pub(crate) document: usize,
}

/// Documents in the order in which they came to wait.
#[derive(Default)]
pub(crate) struct Queue {
    places: VecDeque<Place>,
    under_way: usize,
    /// How many times in a row what was given out was not all of a document's.
    cut_count: usize,
}

impl Queue {
    /// Adds a document; false if too many wait. It is found again by the next round.
    pub(crate) fn add(&mut self, place: Place) -> bool {
        let has_room = self.places.len() < SEALING_QUEUE_MAX;
        if has_room {
            self.places.push_back(place);
        }
        has_room
    }

    /// The next document, unless so much is under way that it has to wait.
    pub(crate) fn next(&mut self) -> Option<Place> {
        if self.under_way < SEALING_UNDER_WAY_MAX { self.places.pop_front() } else { None }
    }

    /// The next document, however much is under way, if whoever seals does not keep up: much waits of each document, or of
    /// many documents, while as much is under way as may be.
    pub(crate) fn next_if_behind(&mut self) -> Option<Place> {
        let waits = self.cut_count >= SEALING_UNDER_WAY_MAX || self.places.len() >= SEALING_WAITING;
        if waits && self.under_way >= SEALING_UNDER_WAY_MAX { self.places.pop_front() } else { None }
    }

    /// Notes that something of a document is being sealed.
    pub(crate) fn begin(&mut self) {
        self.under_way += 1;
    }

    /// Notes whether a document has more than what was given out at a time.
    pub(crate) fn note_cut(&mut self, is_cut: bool) {
        self.cut_count = if is_cut { self.cut_count.saturating_add(1) } else { 0 };
    }

    /// Notes that it is back.
    pub(crate) fn end(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }
}
