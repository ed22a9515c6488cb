//! A text of JSON with every string in it as the text that it means, and where the quotes around them stand: what is
//! between two of these is a string, whatever it holds. Nothing else is known of it, not even that it is JSON.

use crate::limits::QUOTES_MAX;
use crate::requests::vectors::run::Marks;

/// Such a text; its memory serves for one after the other.
#[derive(Default)]
pub struct Quotes {
    text: Vec<u8>,
    marks: Marks,
}

impl Quotes {
    /// Begins with the next text.
    pub fn clear(&mut self) {
        self.text.clear();
        self.marks.high = 0;
        self.marks.quotes.clear();
        self.marks.quotes.shrink_to(QUOTES_MAX);
    }

    /// The text, if it is UTF-8. Of ASCII that is known already: to look at each byte of a small message once more, just
    /// after it was written, took 20 ns of 130.
    pub fn text(&self) -> Option<&str> {
        if self.marks.high == 0 {
            // SAFETY: the runs have seen all of it, and no byte that is above ASCII.
            return Some(unsafe { std::str::from_utf8_unchecked(&self.text) });
        }
        simdutf8::basic::from_utf8(&self.text).ok()
    }

    /// The places of the quotes in it.
    pub fn places(&self) -> &[u32] {
        &self.marks.quotes
    }

    /// The text, to append to it what a run does not know.
    pub fn others(&mut self) -> &mut Vec<u8> {
        self.marks.high = u64::MAX;
        &mut self.text
    }

    pub(super) fn parts(&mut self) -> (&mut Vec<u8>, &mut Marks) {
        (&mut self.text, &mut self.marks)
    }
}
