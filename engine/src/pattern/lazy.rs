//! A search in an automaton whose states are made when they are first needed, which can stop at any byte.
//!
//! A byte for which the next state is known costs next to nothing, and one for which it must be made as much as the whole
//! pattern may have parts. Its memory is bounded and begins anew when it is full; then what other searches with the same
//! pattern had come to is void. Unicode's word boundaries it knows in ASCII only.

use regex_automata::hybrid::LazyStateID;
use regex_automata::hybrid::dfa::{Builder, Cache, Config, DFA};
use regex_automata::nfa::thompson::NFA;
use regex_automata::util::prefilter::Prefilter;
use regex_automata::util::start;
use regex_automata::{MatchKind, Span};
use regex_syntax::hir::Hir;

use crate::limits::{PATTERN_LAZY_BYTES, PATTERN_PREFIX_BYTES_MAX, PATTERN_PREFIX_WORK, PATTERN_STATE_WORK};

/// The automaton of a pattern, with the states that were made.
pub(super) struct Lazy {
    automaton: DFA,
    /// None until the first search.
    states: Option<Cache>,
    /// Finds where a match may begin, for patterns that begin with one of a few texts.
    prefixes: Option<Prefilter>,
    state_work: usize,
}

/// The place of a search.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    at: usize,
    state: LazyStateID,
    /// The count of times that the memory had begun anew when `state` was made.
    clears: usize,
}

/// The way a part of a search came out.
pub(super) enum Searched {
    Found(bool),
    Interrupted(Place),
    /// This automaton can't search this text.
    Unable,
}

impl Lazy {
    /// The automaton of these parts; none if there are too many for its memory.
    pub(super) fn new(parts: &NFA, parsed: &Hir) -> Option<Self> {
        let prefixes = Prefilter::from_hir_prefix(MatchKind::LeftmostFirst, parsed);
        let config = Config::new()
            .specialize_start_states(prefixes.is_some())
            .unicode_word_boundary(true)
            .cache_capacity(PATTERN_LAZY_BYTES);
        let automaton = Builder::new().configure(config).build_from_nfa(parts.clone()).ok()?;
        let state_work = parts.states().len() + PATTERN_STATE_WORK;
        Some(Self { automaton, states: None, prefixes, state_work })
    }

    pub(super) fn has_prefixes(&self) -> bool {
        self.prefixes.is_some()
    }

    /// Begins a search, or goes on from a place.
    pub(super) fn run(&mut self, text: &str, place: Option<Place>, work: &mut usize) -> Searched {
        let Self { automaton, states, prefixes, state_work } = self;
        let states = states.get_or_insert_with(|| automaton.create_cache());
        if place.is_some_and(|place| place.clears != states.clear_count()) {
            return Searched::Unable;
        }
        let run = Run { automaton, states, prefixes: prefixes.as_ref(), state_work: *state_work, text };
        run.run(place, work).unwrap_or(Searched::Unable)
    }
}

/// Where the next match may begin.
enum Prefix {
    At(usize),
    /// Not before this place.
    Beyond(usize),
    Nowhere,
}

/// One step of a search.
struct Run<'a> {
    automaton: &'a DFA,
    states: &'a mut Cache,
    prefixes: Option<&'a Prefilter>,
    state_work: usize,
    text: &'a str,
}

impl Run<'_> {
    /// None if the automaton fails.
    fn run(mut self, place: Option<Place>, work: &mut usize) -> Option<Searched> {
        let bytes = self.text.as_bytes();
        let (mut at, mut state) = match place {
            Some(place) => (place.at, place.state),
            None => (0, self.start(0)?),
        };
        while at < bytes.len() {
            if *work == 0 {
                return Some(Searched::Interrupted(Place { at, state, clears: self.states.clear_count() }));
            }
            if state.is_start()
                && let Some(prefixes) = self.prefixes
            {
                match self.next_prefix(prefixes, at, work) {
                    Prefix::At(found) => at = found,
                    Prefix::Beyond(looked_at) => {
                        at = looked_at;
                        continue;
                    }
                    Prefix::Nowhere => return Some(Searched::Found(false)),
                }
                state = self.start(at)?;
            }
            if !state.is_tagged() {
                at = self.pass_known(at, &mut state, work);
                if at == bytes.len() || *work == 0 {
                    continue;
                }
            }
            state = self.next(state, bytes[at], work)?;
            // A match is known one byte later. One that ends inside a character is an empty one there, which is none.
            if state.is_match() && self.text.is_char_boundary(at) {
                return Some(Searched::Found(true));
            }
            if state.is_dead() {
                return Some(Searched::Found(false));
            }
            if state.is_quit() {
                return None;
            }
            at += 1;
        }
        let last = self.automaton.next_eoi_state(self.states, state).ok()?;
        Some(Searched::Found(last.is_match()))
    }

    /// The state in which a search begins at a place.
    fn start(&mut self, at: usize) -> Option<LazyStateID> {
        let before = at.checked_sub(1).map(|before| self.text.as_bytes()[before]);
        self.automaton.start_state(self.states, &start::Config::new().look_behind(before)).ok()
    }

    /// Looks for the next place at which a match may begin, as far as the work allowed reaches.
    fn next_prefix(&self, prefixes: &Prefilter, at: usize, work: &mut usize) -> Prefix {
        let len = self.text.len();
        let end = len.min(at + *work);
        // A prefix may reach beyond what is looked at in this step.
        let span = Span::from(at..len.min(end + PATTERN_PREFIX_BYTES_MAX));
        let found = prefixes.find(self.text.as_bytes(), span).map(|found| found.start);
        *work = work.saturating_sub(found.unwrap_or(end).min(end) - at + PATTERN_PREFIX_WORK);
        match found {
            Some(found) if found < end => Prefix::At(found),
            None if end == len => Prefix::Nowhere,
            _ => Prefix::Beyond(end),
        }
    }

    /// Passes the bytes for which the next state is known and nothing special; gives the place of the first other.
    fn pass_known(&self, at: usize, state: &mut LazyStateID, work: &mut usize) -> usize {
        let end = self.text.len().min(at + *work);
        let mut passed = 0;
        for &byte in &self.text.as_bytes()[at..end] {
            let next = self.automaton.next_state_untagged(self.states, *state, byte);
            if next.is_tagged() {
                break;
            }
            *state = next;
            passed += 1;
        }
        *work -= passed;
        at + passed
    }

    /// The state that follows, made if it is not known.
    fn next(&mut self, state: LazyStateID, byte: u8, work: &mut usize) -> Option<LazyStateID> {
        let is_known =
            !state.is_tagged() && !self.automaton.next_state_untagged(self.states, state, byte).is_unknown();
        *work = work.saturating_sub(if is_known { 1 } else { self.state_work });
        self.automaton.next_state(self.states, state, byte).ok()
    }
}
