use super::search::find_literal;
use super::*;
use crate::limits::{PATTERN_BYTES_MAX, WORK_MAX};
use memchr::memmem::Finder;
use std::time::Duration;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len() as u64) as usize]
    }

    fn pattern(&mut self, depth: u64) -> String {
        let inside = |random: &mut Self| random.pattern(depth - 1);
        match if depth == 0 { self.below(5) } else { self.below(14) } {
            0..3 => {
                self.pick(&["a", "b", "k", "é", "ß", " ", r"\n", "_", "7", r"\/", "K", "Å", ""]).to_owned()
            }
            3 => self
                .pick(&[
                    ".",
                    r"\w",
                    r"\W",
                    r"\d",
                    r"\s",
                    "[^a]",
                    "[a-k]",
                    r"\pL",
                    "[ab]",
                    "[é-ü]",
                    "[[:alpha:]]",
                    r"\S",
                ])
                .to_owned(),
            4 => self
                .pick(&[
                    r"\b",
                    r"\B",
                    "^",
                    "$",
                    r"\A",
                    r"\z",
                    r"(?-u:\b)",
                    r"\b{start}",
                    r"\b{end-half}",
                    "(?R:$)",
                ])
                .to_owned(),
            5..9 => inside(self) + &inside(self),
            9 => format!("(?:{}|{})", inside(self), inside(self)),
            10 | 11 => {
                let times = self.pick(&["*", "+", "?", "*?", "{2}", "{1,3}", "{0,2}?", "{2,}"]);
                format!("(?:{}){times}", inside(self))
            }
            12 => format!("(?{}:{})", self.pick(&["i", "m", "s", "x", "R", "U", "i-s"]), inside(self)),
            _ => format!("({})", inside(self)),
        }
    }

    fn text(&mut self) -> String {
        let ascii = ["a", "b", "k", "K", "A", " ", "\n", "_", "7", "/", "\r\n"];
        let any = ["a", "é", "É", "ß", "\u{212a}", "å", "Å", " ", "\n", "漢", "\u{1f600}", "k"];
        let letters: &[&str] = if self.below(2) == 0 { &ascii } else { &any };
        let len_max = if self.below(10) == 0 { 300 } else { 24 };
        (0..self.below(len_max)).map(|_| self.pick(letters)).collect()
    }
}

/// Runs a search to its end, a little at a time; gives how often it was interrupted too.
fn finish(mut search: Search, pattern: &Pattern, text: &str, random: &mut Random) -> (bool, usize) {
    for interruptions in 0.. {
        if let Some(found) = search.run(pattern, text, &mut (random.below(40) as usize)) {
            return (found, interruptions);
        }
    }
    unreachable!("each run comes further")
}

/// All ways to search give the answer of the library for which the automata were made.
#[test]
fn every_search_gives_the_same_answer() {
    let mut random = Random(10);
    let (mut found, mut patterns, mut interruptions) = (0, 0, 0);
    while patterns < 4000 {
        let inside = random.pattern(5);
        let flags = random.pick(&["", "", "i", "m", "s", "ims"]);
        let reference = regex::RegexBuilder::new(&inside)
            .case_insensitive(flags.contains('i'))
            .multi_line(flags.contains('m'))
            .dot_matches_new_line(flags.contains('s'))
            .build();
        let text = format!("/{inside}/{flags}");
        let parsed = syntax::parse(&text, &inside, flags);
        let Ok(reference) = reference else {
            assert!(parsed.is_err(), "{text}");
            continue;
        };
        let pattern = Pattern::new(&text, &parsed.unwrap()).unwrap();
        patterns += 1;
        for _ in 0..10 {
            let text_searched = random.text();
            let expected = reference.is_match(&text_searched);
            found += usize::from(expected);
            let mut check = |search: Search, way: &str| {
                let (found, interrupted) = finish(search, &pattern, &text_searched, &mut random);
                assert_eq!(found, expected, "{text} in {text_searched:?}, {way}");
                interruptions += interrupted;
            };
            check(Search::default(), "made on the way");
            check(Search::of_parts(), "in parts");
        }
    }
    assert!((10_000..30_000).contains(&found), "{found} of 40000 texts match");
    assert!(interruptions > 20_000, "{interruptions}");
}

/// Two searches share the states that are made, and each has those of the other made anew again and again.
#[test]
fn searches_with_one_pattern_do_not_disturb_each_other() {
    let mut random = Random(7);
    let parsed = syntax::parse("", "a[ab]{20}c", "").unwrap();
    let pattern = Pattern::new("", &parsed).unwrap();
    let letters: String = (0..20_000).map(|_| random.pick(&["a", "b"])).collect();
    let texts = [letters.clone() + &"a".repeat(21) + "c", letters];
    let mut searches = [Search::default(), Search::default()];
    let mut answers = [None, None];
    while answers.contains(&None) {
        for ((search, text), answer) in searches.iter_mut().zip(&texts).zip(&mut answers) {
            if answer.is_none() {
                *answer = search.run(&pattern, text, &mut 5000);
            }
        }
    }
    assert_eq!(answers, [Some(true), Some(false)]);
    assert!(searches.iter().any(|search| matches!(search, Search::Parts { .. })));
}

#[test]
fn flags_slashes_and_filters() {
    let mut cache = PatternCache::default();
    let mut passes = |contains: &str, excludes: &str, text: &str| {
        let (contains, excludes) = (Some(contains), Some(excludes));
        let given = |test: &&str| !test.is_empty();
        let filter = cache.filter(contains.filter(given), excludes.filter(given)).unwrap();
        filter.passes(text, &mut FilterSearch::default(), &mut usize::MAX.clone()).unwrap()
    };
    assert!(passes("", "", ""));
    assert!(passes("/ABC/i", "", "xabcx") && !passes("/ABC/", "", "xabcx"));
    assert!(passes(r"/^a\/b$/m", "", "x\na/b") && !passes(r"/^a\/b$/", "", "x\na/b"));
    assert!(passes("/a.b/s", "", "a\nb") && !passes("/a.b/", "", "a\nb"));
    assert!(passes("a.b", "/z/", "xa.bx") && !passes("a.b", "/x$/", "xa.bx") && !passes("", "b", "xa.bx"));
    assert!(passes(r"/\\/", "", r"a\b") && !passes(r"/\\/", "", "a/b"), "a pattern for one backslash");
    assert!(passes(r"/[\/]/", "", "a/b") && passes(r"/\\\//", "", r"a\/b"));
}

#[test]
fn a_filter_goes_on_where_it_was() {
    let mut cache = PatternCache::default();
    let text = "ab".repeat(5 * WORK_MAX) + "cé";
    let literal = "abc";
    for (contains, excludes, expected) in [
        (Some("/bcé/"), Some("/x/"), true),
        (Some(literal), Some("/cé$/"), false),
        (Some("/x/"), None, false),
        (Some("abab"), Some("abx"), true),
        (None, Some("/[^abc]$/"), false),
        (None, Some("x"), true),
    ] {
        let filter = cache.filter(contains, excludes).unwrap();
        let mut state = FilterSearch::default();
        for _ in 0..2 {
            let mut steps = 1;
            let passes = loop {
                match filter.passes(&text, &mut state, &mut WORK_MAX.clone()) {
                    Some(passes) => break passes,
                    None => steps += 1,
                }
            };
            assert_eq!(passes, expected, "{contains:?} {excludes:?}");
            assert!(steps >= 5, "{contains:?} {excludes:?}: {steps} steps");
        }
    }
}

#[test]
fn a_literal_is_found_wherever_pieces_meet() {
    for (len, place) in
        [(1, 0), (10, WORK_MAX - 5), (10, WORK_MAX + 5), (3 * WORK_MAX, 2 * WORK_MAX), (7, 5 * WORK_MAX)]
    {
        let needle = "x".repeat(len);
        let text = "-".repeat(place) + &needle + &"-".repeat(WORK_MAX);
        for (needle, expected) in [(needle.clone(), true), (needle + "y", false)] {
            let finder = Finder::new(&needle);
            let (mut at, mut steps) = (0, 1);
            let found = loop {
                match find_literal(&finder, &text, &mut at, &mut 1) {
                    Some(found) => break found,
                    None => steps += 1,
                }
            };
            assert_eq!(found, expected, "{len} at {place}");
            assert!(steps <= 1 + text.len() / WORK_MAX);
        }
    }
}

/// A text of 60 KB once took such patterns 3.6 s, in which nobody else was served.
#[test]
fn no_step_of_a_search_is_long() {
    let mut random = Random(3);
    let binary: String = (0..60_000).map(|_| random.pick(&["a", "b"])).collect();
    let mut cache = PatternCache::default();
    for text in
        ["/[ab]*a[ab]{5000}c/", "/[ab]*a[ab]{20}c/", "/[ab]*a[ab]{300}c/", "/(?:a?){2000}c/", r"/(\w+b)*c/"]
    {
        let filter = cache.filter(Some(text), None).unwrap();
        for record in [binary.as_str(), &binary[..2000], &(binary.clone() + "é")] {
            let (mut state, mut longest) = (FilterSearch::default(), Duration::ZERO);
            // Each step as a cursor makes them; a few of the thousands are enough.
            for _ in 0..30 {
                let since = std::time::Instant::now();
                let passes = filter.passes(record, &mut state, &mut WORK_MAX.clone());
                longest = longest.max(since.elapsed());
                if passes.is_some() {
                    break;
                }
            }
            println!("{text} in {} bytes: {longest:?}", record.len());
            assert!(longest < Duration::from_millis(200), "{text}: {longest:?}");
        }
    }
}

/// The worst found of what is allowed; prints what each takes.
#[test]
fn no_pattern_takes_long_to_compile() {
    let fill = |part: &str| part.repeat((PATTERN_BYTES_MAX - 10) / part.len());
    let large = r"[\x{0}-\x{10ffff}]";
    for inside in [
        fill("ab|cd|") + "z",
        format!("(?i){}z", fill("ab|cd|")),
        format!("(?i){}", fill("k")),
        format!("(?i){}", fill("[ks]")),
        fill("(a*)*"),
        fill(r"\b"),
        fill("[^a]"),
        fill(r"\d"),
        r"\w".repeat(100),
        format!("(?i){}", r"[\w]".repeat(5)),
        format!("(?i){large}"),
        format!("(?i){}", fill(large)),
        "[ab]*a[ab]{14000}c".to_owned(),
        r"\w{1,25}".to_owned(),
        format!("({})", r"\w{3}".repeat(8)),
        fill("(?:a{1,10}){1,10}"),
        (0..1500).map(|number| format!("{:04}|", number * 7919 % 10_000)).collect(),
    ] {
        let text = format!("/{inside}/");
        let since = std::time::Instant::now();
        let compiled = PatternCache::default().name_test(&text).map(|_| ());
        let took = since.elapsed();
        println!("{took:9.1?} {:30} {:?}", text.chars().take(30).collect::<String>(), compiled.is_ok());
        assert!(took < Duration::from_millis(500), "{text} took {took:?}");
    }
}
