//! Subscriptions that ask the same: they share the test of names, the filter, and the bytes of what they are pushed while
//! they stand at the same place.
//!
//! Invariant: the members that are caught up have been pushed everything before `position` that concerns the group; and if
//! `marked` is not beyond it, there is nothing that they have not been pushed.

use hashbrown::HashMap;
use std::rc::Rc;

use super::failing::Failing;
use super::terms::{Mode, Slow, Terms};
use crate::limits::NAMES_KNOWN_BYTES_MAX;
use crate::pattern::{Filter, NameTest, Pattern, Search};

/// The test of a document's name.
pub(super) enum Names {
    /// Every name.
    All,
    /// This one.
    Literal(Box<str>),
    /// Those that match.
    Pattern(Rc<Pattern>, Known),
}

/// What is known of some names.
#[derive(Default)]
pub(super) struct Known {
    matches: HashMap<Box<str>, bool>,
    bytes: usize,
}

impl Known {
    fn note(&mut self, name: &str, matches: bool) {
        /// An entry of the map, beside the name.
        const ENTRY_BYTES: usize = 64;
        let bytes = name.len() + ENTRY_BYTES;
        if self.bytes + bytes > NAMES_KNOWN_BYTES_MAX {
            *self = Known::default();
        }
        if bytes <= NAMES_KNOWN_BYTES_MAX {
            self.bytes += bytes;
            self.matches.insert(name.into(), matches);
        }
    }
}

impl Names {
    pub(super) fn new(test: Option<NameTest<'_>>) -> Self {
        match test {
            None => Self::All,
            Some(NameTest::Literal(name)) => Self::Literal(name.into()),
            Some(NameTest::Pattern(pattern)) => Self::Pattern(pattern, Known::default()),
        }
    }

    /// The memory of the pattern and of what it may remember.
    pub(super) fn pattern_bytes(&self) -> usize {
        match self {
            Self::All | Self::Literal(_) => 0,
            Self::Pattern(pattern, _) => pattern.bytes() + NAMES_KNOWN_BYTES_MAX,
        }
    }

    /// Whether a name passes; a pattern is searched for once a name.
    pub(super) fn matches(&mut self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Literal(literal) => **literal == *name,
            Self::Pattern(pattern, known) => {
                if let Some(matches) = known.matches.get(name) {
                    return *matches;
                }
                let matches = Search::default().run(pattern, name, &mut { usize::MAX }) == Some(true);
                known.note(name, matches);
                matches
            }
        }
    }
}

/// Subscriptions that ask the same.
pub(super) struct Group {
    pub(super) tracked: u32,
    pub(super) key: Box<str>,
    pub(super) mode: Mode,
    pub(super) names: Names,
    pub(super) filter: Filter<'static>,
    /// The memory of its patterns.
    pub(super) pattern_bytes: usize,
    pub(super) failing: Failing,
    pub(super) members: Vec<u32>,
    pub(super) caught_up: Vec<u32>,
    /// Those that may be pushed something and stand each at a place of its own.
    pub(super) behind: Vec<u32>,
    pub(super) position: u64,
    /// The changes of the collection before that position, as far as they were ever known.
    pub(super) ordinal: u64,
    /// One past the last change that may concern it.
    pub(super) marked: u64,
    pub(super) is_dirty: bool,
}

impl Group {
    /// Notes that a change, before which the collection had so many, may concern it; true if there is somebody to push it to, who is not in the list of work yet.
    pub(super) fn mark(&mut self, number: u64, ordinal: u64) -> bool {
        if self.marked <= self.position && self.position <= number {
            // Nothing in between concerned it.
            (self.position, self.ordinal) = (number, ordinal);
        }
        self.marked = self.marked.max(number + 1);
        !self.caught_up.is_empty() && !std::mem::replace(&mut self.is_dirty, true)
    }
}

/// A text that is the same for terms that ask the same. What ends one and not the other must not be decided for both, so what
/// becomes of the slow is a part of it.
pub(super) fn key(terms: &Terms<&str>) -> Box<str> {
    let mut key = String::from(match terms.mode {
        Mode::Latest => "l",
        Mode::All if terms.slow == Slow::Drop => "d",
        Mode::All => "a",
    });
    for part in [terms.document, terms.contains, terms.excludes] {
        match part {
            None => key.push('-'),
            Some(text) => {
                key.push_str(&text.len().to_string());
                key.push(':');
                key.push_str(text);
            }
        }
    }
    key.into()
}
