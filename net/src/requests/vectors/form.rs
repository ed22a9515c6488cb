//! The forms of vector code, and the choice among them, made once.

use crate::requests::vectors::quotes::Quotes;
use crate::requests::vectors::run::{CONTROL, Marks, NOTHING, STRING_END, Stop};
use crate::requests::vectors::words::run_words;
#[cfg(target_arch = "x86_64")]
use crate::requests::vectors::x86::{run_avx2, run_avx512};

/// The fastest form that this CPU has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vectors(Form);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Words,
}

impl Default for Vectors {
    fn default() -> Self {
        Vectors::all().next().unwrap_or(Vectors(Form::Words))
    }
}

impl Vectors {
    /// Every form that this CPU has, the fastest first.
    pub fn all() -> impl Iterator<Item = Vectors> {
        #[cfg(target_arch = "x86_64")]
        let others = [
            (
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vbmi2")
                    && is_x86_feature_detected!("bmi1")
                    && is_x86_feature_detected!("bmi2")
                    && is_x86_feature_detected!("popcnt"),
                Form::Avx512,
            ),
            (
                is_x86_feature_detected!("avx2")
                    && is_x86_feature_detected!("bmi1")
                    && is_x86_feature_detected!("popcnt"),
                Form::Avx2,
            ),
        ];
        #[cfg(not(target_arch = "x86_64"))]
        let others = [];
        let others = others.into_iter().filter(|(has, _): &(bool, Form)| *has).map(|(_, form)| form);
        others.chain([Form::Words]).map(Vectors)
    }

    /// Appends the text that `raw` means, up to an escape that it does not know; says how many bytes of `raw` that took.
    pub fn unescape(self, raw: &[u8], text: &mut Vec<u8>) -> (usize, Stop) {
        self.run::<NOTHING>(raw, text, &mut Marks::default())
    }

    /// The same of a string that begins at the start of `raw`, behind its quote.
    pub fn unescape_string(self, raw: &[u8], text: &mut Vec<u8>) -> (usize, Stop) {
        self.run::<STRING_END>(raw, text, &mut Marks::default())
    }

    /// The same of a text with strings in it, as far as there is no control character.
    pub fn unescape_strings(self, raw: &[u8], quotes: &mut Quotes) -> (usize, Stop) {
        let (text, marks) = quotes.parts();
        self.run::<CONTROL>(raw, text, marks)
    }

    #[inline]
    fn run<const END: u8>(self, raw: &[u8], text: &mut Vec<u8>, marks: &mut Marks) -> (usize, Stop) {
        match self.0 {
            // SAFETY: a form exists only where `all` has found what it needs.
            #[cfg(target_arch = "x86_64")]
            Form::Avx512 => unsafe { run_avx512::<END>(raw, text, marks) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Form::Avx2 => unsafe { run_avx2::<END>(raw, text, marks) },
            Form::Words => run_words::<END>(raw, text, marks),
        }
    }
}

#[cfg(test)]
#[path = "form_tests.rs"]
mod tests;
