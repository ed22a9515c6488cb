//! Patterns and literals: what a name must equal or match, and what a record's text must or must not contain.
//!
//! A text is a pattern when it starts with `/`, has a later `/` that no `\` escapes, and nothing but the flags `i`, `m`,
//! `s` behind the first such; anything else is a literal. Matching takes linear time, and compiling is bounded by size. Compiled
//! patterns are shared through `Rc`, for a clone of `Regex` would start with a cold cache.

use std::rc::Rc;

use memchr::memmem::Finder;
use regex::{Regex, RegexBuilder};

use crate::error::Error;
use crate::limits::{PATTERN_BYTES_MAX, PATTERN_CACHE_LEN_MAX, PATTERN_COMPILED_BYTES_MAX};

/// What a name is asked to be.
pub(crate) enum NameTest<'a> {
    /// Exactly this.
    Literal(&'a str),
    /// Matched somewhere by this.
    Pattern(Rc<Regex>),
}

/// What a record's text is searched for.
enum TextTest<'a> {
    None,
    /// Boxed: a finder is large, and most requests have none.
    Literal(Box<Finder<'a>>),
    Pattern(Rc<Regex>),
}

impl TextTest<'_> {
    fn found_in(&self, text: &str) -> Option<bool> {
        match self {
            Self::None => None,
            Self::Literal(finder) => Some(finder.find(text.as_bytes()).is_some()),
            Self::Pattern(regex) => Some(regex.is_match(text)),
        }
    }

    fn into_owned(self) -> TextTest<'static> {
        match self {
            Self::None => TextTest::None,
            Self::Literal(finder) => TextTest::Literal(Box::new(finder.into_owned())),
            Self::Pattern(regex) => TextTest::Pattern(regex),
        }
    }
}

/// The two conditions on a record's text.
pub(crate) struct Filter<'a> {
    contains: TextTest<'a>,
    excludes: TextTest<'a>,
}

impl Filter<'_> {
    pub(crate) fn passes(&self, text: &str) -> bool {
        self.contains.found_in(text) != Some(false) && self.excludes.found_in(text) != Some(true)
    }

    /// Whether it lets everything pass without looking.
    pub(crate) fn is_open(&self) -> bool {
        matches!((&self.contains, &self.excludes), (TextTest::None, TextTest::None))
    }

    pub(crate) fn into_owned(self) -> Filter<'static> {
        Filter { contains: self.contains.into_owned(), excludes: self.excludes.into_owned() }
    }
}

/// The patterns a shard compiled lately, the most recently used last.
#[derive(Default)]
pub(crate) struct PatternCache {
    compiled: Vec<(Box<str>, Rc<Regex>)>,
}

impl PatternCache {
    pub(crate) fn name_test<'a>(&mut self, text: &'a str) -> Result<NameTest<'a>, Error> {
        Ok(match split(text) {
            None => NameTest::Literal(text),
            Some((pattern, flags)) => NameTest::Pattern(self.compile(text, pattern, flags)?),
        })
    }

    pub(crate) fn filter<'a>(
        &mut self,
        contains: Option<&'a str>,
        excludes: Option<&'a str>,
    ) -> Result<Filter<'a>, Error> {
        Ok(Filter { contains: self.text_test(contains)?, excludes: self.text_test(excludes)? })
    }

    fn text_test<'a>(&mut self, text: Option<&'a str>) -> Result<TextTest<'a>, Error> {
        let Some(text) = text else { return Ok(TextTest::None) };
        Ok(match split(text) {
            None => TextTest::Literal(Box::new(Finder::new(text))),
            Some((pattern, flags)) => TextTest::Pattern(self.compile(text, pattern, flags)?),
        })
    }

    fn compile(&mut self, text: &str, pattern: &str, flags: &str) -> Result<Rc<Regex>, Error> {
        if let Some(index) = self.compiled.iter().rposition(|(known, _)| **known == *text) {
            self.compiled[index..].rotate_left(1);
        } else {
            let regex = Rc::new(build(text, pattern, flags)?);
            if self.compiled.len() == PATTERN_CACHE_LEN_MAX {
                self.compiled.remove(0);
            }
            self.compiled.push((text.into(), regex));
        }
        let newest = self.compiled.len() - 1;
        Ok(Rc::clone(&self.compiled[newest].1))
    }
}

/// The inside of a pattern and its flags, or nothing if the text is a literal.
fn split(text: &str) -> Option<(&str, &str)> {
    let inside = text.strip_prefix('/')?;
    let mut is_escaped = false;
    let end = inside.bytes().position(|byte| {
        let is_end = byte == b'/' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_end
    })?;
    let flags = &inside[end + 1..];
    flags.bytes().all(|flag| matches!(flag, b'i' | b'm' | b's')).then_some((&inside[..end], flags))
}

fn build(text: &str, pattern: &str, flags: &str) -> Result<Regex, Error> {
    if text.len() > PATTERN_BYTES_MAX {
        return Err(Error::PatternTooLong { bytes: text.len() });
    }
    let built = RegexBuilder::new(pattern)
        .case_insensitive(flags.contains('i'))
        .multi_line(flags.contains('m'))
        .dot_matches_new_line(flags.contains('s'))
        .size_limit(PATTERN_COMPILED_BYTES_MAX)
        .dfa_size_limit(PATTERN_COMPILED_BYTES_MAX)
        .build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => Error::PatternTooBig { pattern: text.to_owned() },
        other => Error::PatternInvalid { pattern: text.to_owned(), reason: reason(&other.to_string()) },
    })
}

/// The parser draws the pattern over several lines; the last one says what is wrong.
fn reason(message: &str) -> String {
    let last = message.lines().last().unwrap_or(message);
    last.trim().trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_pattern_and_what_is_not() {
        assert_eq!(split("/a/"), Some(("a", "")));
        assert_eq!(split("/a/ims"), Some(("a", "ims")));
        assert_eq!(split("//"), Some(("", "")));
        assert_eq!(split(r"/a\/b/i"), Some((r"a\/b", "i")));
        assert_eq!(split(r"/\\/"), Some((r"\\", "")));
        assert_eq!(split(r"/\\\//s"), Some((r"\\\/", "s")));
        for literal in ["", "/", "a", "/home/u1", "/a/g", "/a", r"/a\/", "a/b/", "/a/b/i", r"/\\/a/"] {
            assert_eq!(split(literal), None, "{literal}");
        }
    }

    #[test]
    fn flags_slashes_and_filters() {
        let mut cache = PatternCache::default();
        let mut passes = |contains: &str, excludes: &str, text: &str| {
            let (contains, excludes) = (Some(contains), Some(excludes));
            let given = |test: &&str| !test.is_empty();
            cache.filter(contains.filter(given), excludes.filter(given)).unwrap().passes(text)
        };
        assert!(passes("", "", ""));
        assert!(passes("/ABC/i", "", "xabcx") && !passes("/ABC/", "", "xabcx"));
        assert!(passes(r"/^a\/b$/m", "", "x\na/b") && !passes(r"/^a\/b$/", "", "x\na/b"));
        assert!(passes("/a.b/s", "", "a\nb") && !passes("/a.b/", "", "a\nb"));
        assert!(
            passes("a.b", "/z/", "xa.bx") && !passes("a.b", "/x$/", "xa.bx") && !passes("", "b", "xa.bx")
        );
        assert!(passes("/(a|b)*c/", "", &"ab".repeat(10_000).replace("ba", "bca")));
        assert!(passes(r"/\\/", "", r"a\b") && !passes(r"/\\/", "", "a/b"), "a pattern for one backslash");
        assert!(passes(r"/[\/]/", "", "a/b") && passes(r"/\\\//", "", r"a\/b"));
    }

    #[test]
    fn errors_name_the_pattern_and_the_reason() {
        let mut cache = PatternCache::default();
        let mut message = |text: &str| cache.filter(Some(text), None).err().unwrap().to_string();
        assert!(
            message("/(?=a)b/").starts_with("bad pattern /(?=a)b/: look-around"),
            "{}",
            message("/(?=a)b/")
        );
        assert_eq!(message("/(/"), "bad pattern /(/: unclosed group");
        assert!(message(r"/(a)\1/").contains("backreferences"));
        assert!(message(r"/(\w{500}){500}/").contains("1048576 bytes"));
        assert!(message(&format!("/{}/", "x".repeat(PATTERN_BYTES_MAX))).contains("16386 bytes"));
    }

    #[test]
    fn the_cache_keeps_the_recent_ones() {
        let mut cache = PatternCache::default();
        for number in 0..200 {
            cache.filter(Some("/kept/"), Some(&format!("/{number}/"))).unwrap();
        }
        assert_eq!(cache.compiled.len(), PATTERN_CACHE_LEN_MAX);
        assert!(cache.compiled.iter().any(|(text, _)| &**text == "/kept/"));
    }
}
