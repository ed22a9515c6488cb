//! The two conditions on a record's text, and how far they have come on one of them.

use std::rc::Rc;

use memchr::memmem::Finder;

use super::compiled::Pattern;
use super::search::{Search, find_literal};

/// A condition on a text.
pub(super) enum TextTest<'a> {
    /// Boxed: a finder is large, and most requests have none.
    Literal(Box<Finder<'a>>),
    Pattern(Rc<Pattern>),
}

impl<'a> TextTest<'a> {
    pub(super) fn literal(text: &'a str) -> Self {
        Self::Literal(Box::new(Finder::new(text)))
    }

    fn is_found(&self, text: &str, state: &mut FilterSearch, work: &mut usize) -> Option<bool> {
        match self {
            Self::Literal(finder) => find_literal(finder, text, &mut state.literal_at, work),
            Self::Pattern(pattern) => state.search.run(pattern, text, work),
        }
    }

    fn into_owned(self) -> TextTest<'static> {
        match self {
            Self::Literal(finder) => TextTest::Literal(Box::new(finder.into_owned())),
            Self::Pattern(pattern) => TextTest::Pattern(pattern),
        }
    }
}

/// The search of one text that a filter has not finished.
#[derive(Default)]
pub(crate) struct FilterSearch {
    search: Search,
    literal_at: usize,
    /// The text contains what it must; the search is for what it must not.
    contains_is_met: bool,
}

/// The two conditions: a text must contain the one and must not contain the other.
pub(crate) struct Filter<'a> {
    contains: Option<TextTest<'a>>,
    excludes: Option<TextTest<'a>>,
}

impl<'a> Filter<'a> {
    pub(super) fn new(contains: Option<TextTest<'a>>, excludes: Option<TextTest<'a>>) -> Self {
        Self { contains, excludes }
    }

    /// Whether there is no condition at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.contains.is_none() && self.excludes.is_none()
    }

    /// Whether a text passes; none if the work allowed is used up before that is known. Then it goes on from `state`,
    /// which is as new when a text is done.
    pub(crate) fn passes(&self, text: &str, state: &mut FilterSearch, work: &mut usize) -> Option<bool> {
        if self.is_empty() {
            return Some(true);
        }
        let passes = self.continue_search(text, state, work)?;
        *state = FilterSearch::default();
        Some(passes)
    }

    fn continue_search(&self, text: &str, state: &mut FilterSearch, work: &mut usize) -> Option<bool> {
        if !state.contains_is_met
            && let Some(contains) = &self.contains
        {
            if !contains.is_found(text, state, work)? {
                return Some(false);
            }
            *state = FilterSearch { contains_is_met: true, ..FilterSearch::default() };
        }
        match &self.excludes {
            Some(excludes) => excludes.is_found(text, state, work).map(|found| !found),
            None => Some(true),
        }
    }

    /// A literal that a text must hold to pass, if one is known.
    pub(crate) fn needed(&self) -> Option<&str> {
        let finder = match self.contains.as_ref()? {
            TextTest::Literal(finder) => finder,
            TextTest::Pattern(pattern) => pattern.needed()?,
        };
        std::str::from_utf8(finder.needle()).ok()
    }

    /// The memory of its patterns.
    pub(crate) fn pattern_bytes(&self) -> usize {
        let bytes = |test: &TextTest<'_>| match test {
            TextTest::Literal(_) => 0,
            TextTest::Pattern(pattern) => pattern.bytes(),
        };
        self.contains.iter().chain(&self.excludes).map(bytes).sum()
    }

    pub(crate) fn into_owned(self) -> Filter<'static> {
        Filter {
            contains: self.contains.map(TextTest::into_owned),
            excludes: self.excludes.map(TextTest::into_owned),
        }
    }
}
