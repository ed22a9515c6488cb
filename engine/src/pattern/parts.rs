//! A search that follows all parts of a pattern at once, one byte after the other, and can stop at any.
//!
//! At each place in the text it knows which parts the pattern may be in, each once. So a byte costs at most as much as
//! there are parts, and what has to be kept between two steps is a list of them.

use regex_automata::nfa::thompson::{NFA, State};
use regex_automata::util::primitives::StateID;

/// The parts at one place, and the memory to find them.
pub(super) struct Scratch {
    /// The parts in the order in which they were entered.
    entered: Vec<StateID>,
    /// The index in `entered` at which a part is, if it is there.
    places: Vec<u32>,
    waiting: Vec<StateID>,
}

impl Scratch {
    pub(super) fn new(part_count: usize) -> Self {
        Self { entered: Vec::new(), places: vec![0; part_count], waiting: Vec::new() }
    }

    /// The most memory that it takes for so many parts.
    pub(super) fn bytes(part_count: usize) -> usize {
        part_count * (2 * size_of::<StateID>() + size_of::<u32>())
    }

    /// Goes on before `at` with the parts that the last byte led to; none if the work allowed is used up before it is known
    /// whether there is a match.
    pub(super) fn run(
        &mut self,
        parts: &NFA,
        text: &str,
        at: &mut usize,
        led_to: &mut Vec<StateID>,
        work: &mut usize,
    ) -> Option<bool> {
        loop {
            let Entered { has_match, cost } = self.enter_all(parts, text, *at, led_to);
            // A match that ends inside a character is an empty one there, which is none.
            if has_match && text.is_char_boundary(*at) {
                return Some(true);
            }
            let Some(&byte) = text.as_bytes().get(*at) else { return Some(false) };
            led_to.clear();
            led_to.extend(self.entered.iter().filter_map(|id| step(parts.state(*id), byte)));
            *at += 1;
            if led_to.is_empty() && parts.is_always_start_anchored() {
                return Some(false);
            }
            *work = work.saturating_sub(cost);
            if *work == 0 {
                return None;
            }
        }
    }

    /// Enters these parts, the first one for a match that begins here, and what follows from them without a byte.
    fn enter_all(&mut self, parts: &NFA, text: &str, at: usize, led_to: &[StateID]) -> Entered {
        self.entered.clear();
        let (mut has_match, mut cost) = (false, 1);
        self.waiting.clear();
        self.waiting.extend_from_slice(led_to);
        if at == 0 || !parts.is_always_start_anchored() {
            self.waiting.push(parts.start_anchored());
        }
        while let Some(id) = self.waiting.pop() {
            cost += 1;
            if !self.enter(id) {
                continue;
            }
            match parts.state(id) {
                State::Match { .. } => has_match = true,
                State::Look { look, next } => {
                    if parts.look_matcher().matches(*look, text.as_bytes(), at) {
                        self.waiting.push(*next);
                    }
                }
                State::Capture { next, .. } => self.waiting.push(*next),
                State::Union { alternates } => self.waiting.extend_from_slice(alternates),
                State::BinaryUnion { alt1, alt2 } => self.waiting.extend([*alt1, *alt2]),
                State::ByteRange { .. } | State::Sparse(_) | State::Dense(_) | State::Fail => {}
            }
        }
        Entered { has_match, cost }
    }

    /// Enters a part; false if it was there.
    fn enter(&mut self, id: StateID) -> bool {
        let place = &mut self.places[id];
        if self.entered.get(*place as usize) == Some(&id) {
            return false;
        }
        *place = self.entered.len() as u32;
        self.entered.push(id);
        true
    }
}

struct Entered {
    has_match: bool,
    /// The number of parts that were looked at, those that were there already among them.
    cost: usize,
}

/// The part that follows by this byte.
fn step(state: &State, byte: u8) -> Option<StateID> {
    match state {
        State::ByteRange { trans } => trans.matches_byte(byte).then_some(trans.next),
        State::Sparse(sparse) => sparse.matches_byte(byte),
        State::Dense(dense) => dense.matches_byte(byte),
        State::Look { .. }
        | State::Union { .. }
        | State::BinaryUnion { .. }
        | State::Capture { .. }
        | State::Fail
        | State::Match { .. } => None,
    }
}
