//! A list of names, or of names with their values: collections, keys, entries.
//!
//! State is the next slot, and how far into its name and value the reply has come.

use std::ops::Range;

use super::step::{Progress, Step};
use crate::pattern::{Pattern, Search};
use crate::table::{Named, Pages};

/// The part of each thing that is written, and the punctuation around them all.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListShape {
    /// `"name","name"`
    BareNames,
    /// `"name","name"]`
    Names,
    /// `"name":"value","name":"value"}`
    Values,
}

/// A walk over a table that may be cut anywhere.
pub(crate) struct ListScan {
    slots: Range<usize>,
    shape: ListShape,
    is_first: bool,
    /// Set while a thing is half written: whether in its value, and how much of that or of the name.
    cut: Option<(bool, usize)>,
    search: Search,
}

impl ListScan {
    pub(crate) fn new(slots: Range<usize>, shape: ListShape) -> Self {
        Self { slots, shape, is_first: true, cut: None, search: Search::default() }
    }

    /// The slots that are still needed.
    pub(crate) fn slots(&self) -> Range<usize> {
        self.slots.clone()
    }

    pub(crate) fn run<T: Named>(
        &mut self,
        things: &Pages<T>,
        names: Option<&Pattern>,
        step: &mut Step<'_>,
    ) -> Progress {
        while self.slots.start < self.slots.end {
            if step.is_spent() {
                return Progress::More;
            }
            if let Some(thing) = things.get(self.slots.start)
                && self.thing(thing, names, step) == Progress::More
            {
                return Progress::More;
            }
            step.look();
            self.slots.start += 1;
        }
        step.write(match self.shape {
            ListShape::BareNames => b"",
            ListShape::Names => b"]",
            ListShape::Values => b"}",
        });
        Progress::Done
    }

    fn thing<T: Named>(&mut self, thing: &T, names: Option<&Pattern>, step: &mut Step<'_>) -> Progress {
        let name = thing.name();
        if self.cut.is_none() {
            if let Some(names) = names {
                let Some(matches) = self.search.run(names, name, step.work()) else { return Progress::More };
                self.search = Search::default();
                if !matches {
                    return Progress::Done;
                }
            }
            step.write(if self.is_first { b"\"" } else { b",\"" });
            self.is_first = false;
        }
        let (mut in_value, mut offset) = self.cut.take().unwrap_or((false, 0));
        if !in_value {
            if !step.write_text(name, &mut offset) {
                self.cut = Some((in_value, offset));
                return Progress::More;
            }
            if self.shape == ListShape::Values {
                step.write(b"\":\"");
                in_value = true;
            }
        }
        if in_value && !step.write_text(thing.value(), &mut offset) {
            self.cut = Some((in_value, offset));
            return Progress::More;
        }
        step.write(b"\"");
        Progress::Done
    }
}
