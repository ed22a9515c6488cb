//! Searches for a pattern or a literal in a text, which can be interrupted and go on where they were.
//!
//! The answer is only whether there is a match anywhere: nothing is kept of where a match began.

use memchr::memmem::Finder;
use regex_automata::util::primitives::StateID;

use super::compiled::Pattern;
use super::lazy::{Place, Searched};
use crate::limits::WORK_MAX;

/// The place of a search for a pattern in its text.
pub(crate) enum Search {
    /// Before `at`, the literal that each match holds is not.
    Needed { at: usize },
    /// In the automaton that is made on the way.
    Lazy(Place),
    /// In the parts of the pattern: the byte before `at` led to these.
    Parts { at: usize, led_to: Vec<StateID> },
}

impl Default for Search {
    fn default() -> Self {
        Self::Needed { at: 0 }
    }
}

impl Search {
    /// A search of the parts from the beginning, for what the faster one is not able to.
    pub(super) fn of_parts() -> Self {
        Self::Parts { at: 0, led_to: Vec::new() }
    }

    /// Whether the pattern matches somewhere in the text; none if the work allowed is used up before that is known.
    pub(crate) fn run(&mut self, pattern: &Pattern, text: &str, work: &mut usize) -> Option<bool> {
        let place = match self {
            Self::Needed { at } => {
                if let Some(needed) = pattern.needed()
                    && !find_literal(needed, text, at, work)?
                {
                    return Some(false);
                }
                None
            }
            Self::Lazy(place) => Some(*place),
            Self::Parts { at, led_to } => return pattern.search_parts(text, at, led_to, work),
        };
        match pattern.search_lazy(text, place, work) {
            Searched::Found(found) => Some(found),
            Searched::Interrupted(place) => {
                *self = Self::Lazy(place);
                None
            }
            Searched::Unable => {
                *self = Self::of_parts();
                self.run(pattern, text, work)
            }
        }
    }
}

/// Searches for a literal from `at` on, a piece of the text at a time; none if the work allowed is used up before that is
/// known.
pub(super) fn find_literal(
    finder: &Finder<'_>,
    text: &str,
    at: &mut usize,
    work: &mut usize,
) -> Option<bool> {
    let len = finder.needle().len();
    loop {
        // Pieces overlap by what a match may reach into the next, which must not become most of the work.
        let end = text.len().min(*at + WORK_MAX.max(len) + len);
        *work = work.saturating_sub(end - *at);
        if finder.find(&text.as_bytes()[*at..end]).is_some() {
            return Some(true);
        }
        if end == text.len() {
            return Some(false);
        }
        *at = end - len;
        if *work == 0 {
            return None;
        }
    }
}
