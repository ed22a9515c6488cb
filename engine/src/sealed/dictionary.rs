//! Finding the different texts of a column, if they are few.

use super::template::hash;
use super::texts::Span;
use crate::limits::SEALED_DICTIONARY_LEN_MAX;

/// Places of the table in which texts are found, twice as many as there may be texts.
const PLACES: usize = 2 * SEALED_DICTIONARY_LEN_MAX;

/// No text is at this place.
const FREE: u16 = u16::MAX;

/// After so many texts, more than half of which are different, no more are looked at.
const TRIAL_LEN: usize = 64;

/// The different texts of a column, and the number of each of its texts.
pub(super) struct Dictionary {
    places: Vec<u16>,
    hashes: Vec<u64>,
    /// The different texts.
    pub(super) entries: Vec<Span>,
    /// For each text its number.
    pub(super) ids: Vec<i64>,
}

impl Default for Dictionary {
    fn default() -> Self {
        Self { places: vec![FREE; PLACES], hashes: Vec::new(), entries: Vec::new(), ids: Vec::new() }
    }
}

impl Dictionary {
    /// Numbers the texts that end at these places. False if texts of their own are as good.
    pub(super) fn make(&mut self, bytes: &[u8], ends: &[u32]) -> bool {
        self.places.fill(FREE);
        self.hashes.clear();
        self.entries.clear();
        self.ids.clear();
        let (mut at, mut latest) = (0, 0);
        for &end in ends {
            let span = Span { at, len: end - at };
            let text = span.of(bytes);
            if self.entries.get(latest).is_none_or(|known| known.of(bytes) != text) {
                match self.number(bytes, text, span) {
                    Some(number) => latest = number,
                    None => return false,
                }
            }
            self.ids.push(latest as i64);
            at = end;
            if self.ids.len() == TRIAL_LEN && self.entries.len() > TRIAL_LEN / 2 {
                return false;
            }
        }
        let entry_bytes: usize = self.entries.iter().map(|entry| entry.len as usize + 1).sum();
        let id_bits = usize::BITS - self.entries.len().saturating_sub(1).leading_zeros();
        2 * (entry_bytes + ends.len() * id_bits as usize / 8) <= bytes.len()
    }

    /// The number of a text, a new one if it is new; none if there are too many.
    fn number(&mut self, bytes: &[u8], text: &[u8], span: Span) -> Option<usize> {
        let hash = hash(text);
        let mut place = hash as usize % PLACES;
        loop {
            let number = usize::from(self.places[place]);
            if number == usize::from(FREE) {
                if self.entries.len() == SEALED_DICTIONARY_LEN_MAX {
                    return None;
                }
                self.places[place] = self.entries.len() as u16;
                self.hashes.push(hash);
                self.entries.push(span);
                return Some(self.entries.len() - 1);
            }
            if self.hashes[number] == hash && self.entries[number].of(bytes) == text {
                return Some(number);
            }
            place = (place + 1) % PLACES;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(texts: &[String]) -> (Vec<u8>, Vec<u32>) {
        let mut ends = Vec::new();
        let mut bytes = Vec::new();
        for text in texts {
            bytes.extend_from_slice(text.as_bytes());
            ends.push(bytes.len() as u32);
        }
        (bytes, ends)
    }

    #[test]
    fn few_texts_are_numbered_and_many_are_not() {
        let mut dictionary = Dictionary::default();
        let few: Vec<String> = (0..500).map(|index| format!("state {}", index * 7 % 31)).collect();
        let (bytes, ends) = column(&few);
        assert!(dictionary.make(&bytes, &ends));
        assert_eq!(dictionary.entries.len(), 31);
        for (text, &id) in few.iter().zip(&dictionary.ids) {
            assert_eq!(dictionary.entries[id as usize].of(&bytes), text.as_bytes());
        }
        let many: Vec<String> = (0..500).map(|index| format!("id {index}")).collect();
        let (bytes, ends) = column(&many);
        assert!(!dictionary.make(&bytes, &ends));
        let late: Vec<String> =
            (0..5000).map(|index: usize| format!("{}", index.saturating_sub(3000))).collect();
        let (bytes, ends) = column(&late);
        assert!(!dictionary.make(&bytes, &ends));
    }
}
