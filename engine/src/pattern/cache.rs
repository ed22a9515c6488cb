//! The patterns that a shard compiled lately, and those that it found wrong.
//!
//! Clients repeat a handful of patterns, and a wrong one costs as much as a good one. Bounded in number and in memory.

use std::rc::Rc;

use super::compiled::Pattern;
use super::filter::{Filter, TextTest};
use super::syntax;
use crate::error::Error;
use crate::limits::{PATTERN_BYTES_MAX, PATTERN_CACHE_BYTES_MAX, PATTERN_CACHE_LEN_MAX};

/// The condition on a name.
pub(crate) enum NameTest<'a> {
    /// Exactly this.
    Literal(&'a str),
    /// Matched somewhere by this.
    Pattern(Rc<Pattern>),
}

struct Known {
    text: Box<str>,
    compiled: Result<Rc<Pattern>, Error>,
}

impl Known {
    fn bytes(&self) -> usize {
        self.text.len() + self.compiled.as_ref().map_or(0, |pattern| pattern.bytes())
    }
}

/// Patterns by their texts, the most recently used last.
#[derive(Default)]
pub(crate) struct PatternCache {
    known: Vec<Known>,
    bytes: usize,
}

impl PatternCache {
    pub(crate) fn name_test<'a>(&mut self, text: &'a str) -> Result<NameTest<'a>, Error> {
        Ok(match syntax::split(text) {
            None => NameTest::Literal(text),
            Some((inside, flags)) => NameTest::Pattern(self.compile(text, inside, flags)?),
        })
    }

    pub(crate) fn filter<'a>(
        &mut self,
        contains: Option<&'a str>,
        excludes: Option<&'a str>,
    ) -> Result<Filter<'a>, Error> {
        let contains = contains.map(|text| self.text_test(text)).transpose()?;
        let excludes = excludes.map(|text| self.text_test(text)).transpose()?;
        Ok(Filter::new(contains, excludes))
    }

    fn text_test<'a>(&mut self, text: &'a str) -> Result<TextTest<'a>, Error> {
        Ok(match syntax::split(text) {
            None => TextTest::literal(text),
            Some((inside, flags)) => TextTest::Pattern(self.compile(text, inside, flags)?),
        })
    }

    fn compile(&mut self, text: &str, inside: &str, flags: &str) -> Result<Rc<Pattern>, Error> {
        if text.len() > PATTERN_BYTES_MAX {
            return Err(Error::PatternTooLong { bytes: text.len() });
        }
        if let Some(index) = self.known.iter().rposition(|known| *known.text == *text) {
            self.known[index..].rotate_left(1);
            return self.known[self.known.len() - 1].compiled.clone();
        }
        let compiled = syntax::parse(text, inside, flags).and_then(|parsed| Pattern::new(text, &parsed));
        let known = Known { text: text.into(), compiled: compiled.map(Rc::new) };
        let compiled = known.compiled.clone();
        self.bytes += known.bytes();
        self.known.push(known);
        // The newest is kept even if it is larger than all may be together.
        while self.known.len() > PATTERN_CACHE_LEN_MAX
            || self.bytes > PATTERN_CACHE_BYTES_MAX && self.known.len() > 1
        {
            self.bytes -= self.known.remove(0).bytes();
        }
        compiled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_known(cache: &PatternCache, text: &str) -> bool {
        cache.known.iter().any(|known| *known.text == *text)
    }

    #[test]
    fn the_cache_keeps_the_recent_ones() {
        let mut cache = PatternCache::default();
        for number in 0..200 {
            cache.filter(Some("/kept/"), Some(&format!("/{number}/"))).unwrap();
        }
        assert!(is_known(&cache, "/kept/") && is_known(&cache, "/199/") && !is_known(&cache, "/100/"));
        assert!(cache.known.len() <= PATTERN_CACHE_LEN_MAX);
    }

    #[test]
    fn the_cache_is_bounded_in_memory() {
        let mut cache = PatternCache::default();
        for number in 0..PATTERN_CACHE_LEN_MAX {
            cache.name_test(&format!(r"/\w{{20}}{number}/")).ok().unwrap();
            assert_eq!(cache.bytes, cache.known.iter().map(Known::bytes).sum::<usize>());
            assert!(cache.bytes <= PATTERN_CACHE_BYTES_MAX);
        }
        assert!(cache.known.len() < PATTERN_CACHE_LEN_MAX);
    }

    #[test]
    fn what_is_wrong_is_known_to_be() {
        let mut cache = PatternCache::default();
        let message = |result: Result<NameTest<'_>, Error>| result.err().map(|error| error.to_string());
        let first = message(cache.name_test("/(/"));
        assert!(is_known(&cache, "/(/"));
        assert!(first.is_some() && message(cache.name_test("/(/")) == first);
        let big = message(cache.name_test(r"/(\w{500}){500}/")).unwrap();
        assert!(big.contains("more than 524288 bytes"), "{big}");
        let long = format!("/{}/", "x".repeat(PATTERN_BYTES_MAX));
        let too_long = message(cache.name_test(&long)).unwrap();
        assert!(too_long.contains("8194 bytes long, and 8192 are allowed"), "{too_long}");
        assert!(!is_known(&cache, &long), "what is refused by its length costs nothing to refuse again");
    }
}
