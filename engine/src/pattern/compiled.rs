//! A compiled pattern: one automaton made from its parts and one made from that, which give the same answer.
//!
//! The lazy one is the faster, often by far, but there are patterns and texts that it is not able to search. The one of the
//! parts is.

use std::cell::RefCell;

use memchr::memmem::Finder;
use regex_automata::nfa::thompson::{NFA, WhichCaptures};
use regex_automata::util::primitives::StateID;
use regex_syntax::hir::{Hir, HirKind};

use super::lazy::{Lazy, Place, Searched};
use super::parts::Scratch;
use crate::error::Error;
use crate::limits::{PATTERN_COMPILED_BYTES_MAX, PATTERN_LAZY_BYTES, PATTERN_NEEDED_BYTES_MIN};

/// A compiled pattern. What its searches share can be borrowed at any time, for one runs at a time.
pub(crate) struct Pattern {
    parts: NFA,
    lazy: Option<RefCell<Lazy>>,
    /// The longest literal that each match holds, if that is quick to look for and nothing quicker is known.
    needed: Option<Finder<'static>>,
    scratch: RefCell<Scratch>,
}

impl Pattern {
    /// Compiles what was parsed of `text`.
    pub(super) fn new(text: &str, parsed: &Hir) -> Result<Self, Error> {
        let config = NFA::config()
            .which_captures(WhichCaptures::None)
            .nfa_size_limit(Some(PATTERN_COMPILED_BYTES_MAX));
        let parts = NFA::compiler()
            .configure(config)
            .build_from_hir(parsed)
            .map_err(|_| Error::PatternTooBig { pattern: text.to_owned() })?;
        let lazy = Lazy::new(&parts, parsed);
        let has_prefixes = lazy.as_ref().is_some_and(Lazy::has_prefixes);
        let literal =
            needed(parsed).filter(|literal| literal.len() >= PATTERN_NEEDED_BYTES_MIN && !has_prefixes);
        let needed = literal.map(|literal| Finder::new(literal).into_owned());
        let scratch = RefCell::new(Scratch::new(parts.states().len()));
        Ok(Self { parts, lazy: lazy.map(RefCell::new), needed, scratch })
    }

    pub(super) fn needed(&self) -> Option<&Finder<'static>> {
        self.needed.as_ref()
    }

    pub(super) fn search_lazy(&self, text: &str, place: Option<Place>, work: &mut usize) -> Searched {
        match &self.lazy {
            Some(lazy) => lazy.borrow_mut().run(text, place, work),
            None => Searched::Unable,
        }
    }

    pub(super) fn search_parts(
        &self,
        text: &str,
        at: &mut usize,
        led_to: &mut Vec<StateID>,
        work: &mut usize,
    ) -> Option<bool> {
        self.scratch.borrow_mut().run(&self.parts, text, at, led_to, work)
    }

    /// The memory that it takes, or may take when it has searched.
    pub(crate) fn bytes(&self) -> usize {
        let lazy = if self.lazy.is_some() { PATTERN_LAZY_BYTES } else { 0 };
        self.parts.memory_usage() + lazy + Scratch::bytes(self.parts.states().len())
    }
}

/// The longest literal that is in each match.
fn needed(parsed: &Hir) -> Option<&[u8]> {
    match parsed.kind() {
        HirKind::Literal(literal) => Some(&literal.0),
        HirKind::Capture(capture) => needed(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => needed(&repetition.sub),
        HirKind::Concat(all) => all.iter().filter_map(needed).max_by_key(|literal| literal.len()),
        HirKind::Repetition(_)
        | HirKind::Alternation(_)
        | HirKind::Class(_)
        | HirKind::Look(_)
        | HirKind::Empty => None,
    }
}
