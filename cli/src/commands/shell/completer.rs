//! Tab at the prompt: commands, flags, and the values behind flags, those that the server holds too.

use super::words::{quoted, split};
use crate::commands::limits::OFFERED_NAMES_MAX;
use crate::commands::output::escape::is_hidden;
use fluxion_client::{Client, LatestQuery};
use rustyline::completion::{Completer, Pair};
use rustyline::{Context, Helper, Highlighter, Hinter, Validator};
use std::cell::RefCell;
use std::rc::Rc;

/// Names that a server holds.
pub trait Names {
    /// The names of collections.
    fn collections(&self) -> Vec<String>;
    /// Some names of documents of a collection, those that begin with `start`.
    fn documents(&self, collection: &str, start: &str) -> Vec<String>;
    /// The keys of a collection's entries.
    fn keys(&self, collection: &str) -> Vec<String>;
}

/// The client that the shell's commands use too. That names can't be had is told by the next command, which also finds the
/// server again.
impl Names for Rc<RefCell<Client>> {
    fn collections(&self) -> Vec<String> {
        let mut client = self.borrow_mut();
        if client.is_connected() { client.collections().unwrap_or_default() } else { Vec::new() }
    }

    fn documents(&self, collection: &str, start: &str) -> Vec<String> {
        let pattern = starting_with(start);
        let mut client = self.borrow_mut();
        if !client.is_connected() {
            return Vec::new();
        }
        let query = LatestQuery::new(collection, i64::MAX).document(&pattern);
        let Ok(latest) = client.latest(query) else { return Vec::new() };
        latest.map_while(Result::ok).map(|(name, _)| name).take(OFFERED_NAMES_MAX).collect()
    }

    fn keys(&self, collection: &str) -> Vec<String> {
        let mut client = self.borrow_mut();
        if client.is_connected() { client.key_names(collection).unwrap_or_default() } else { Vec::new() }
    }
}

/// A pattern that matches names with a start.
fn starting_with(start: &str) -> String {
    let mut pattern = String::from("/^");
    for letter in start.chars() {
        if letter.is_ascii_punctuation() {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern + "/s"
}

/// Offers what may stand at the cursor.
#[derive(Helper, Hinter, Highlighter, Validator)]
pub struct Completions<N: Names> {
    /// The parser of a line.
    pub root: clap::Command,
    /// The names that the server holds.
    pub names: N,
}

impl<N: Names> Completer for Completions<N> {
    type Candidate = Pair;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let before = &line[..at];
        let start = word_start(before);
        Ok((start, self.candidates(&before[..start], &before[start..])))
    }
}

/// Where the last word begins; one with blanks in it stands in quotes.
fn word_start(line: &str) -> usize {
    let blanks = line.match_indices([' ', '\t']).map(|(at, _)| at + 1);
    // The first place behind which the rest is one word, and all before it is whole.
    let mut starts = std::iter::once(0).chain(blanks).rev();
    starts.find(|start| split(&line[..*start]).is_ok()).unwrap_or(0)
}

impl<N: Names> Completions<N> {
    /// Gives what may stand for `word` behind the words before it.
    pub fn candidates(&self, before: &str, word: &str) -> Vec<Pair> {
        let typed = split(word).or_else(|_| split(&format!("{word}\""))).unwrap_or_default().concat();
        let mut offered = self.offers(&split(before).unwrap_or_default(), &typed);
        // A name that would command the terminal is not put on its line.
        offered.retain(|offer| offer.starts_with(&typed) && !offer.contains(is_hidden));
        offered.sort_unstable();
        offered.truncate(OFFERED_NAMES_MAX);
        let pair = |offer: String| {
            let replacement = quoted(&offer);
            Pair { display: replacement.clone(), replacement: replacement + " " }
        };
        offered.into_iter().map(pair).collect()
    }

    fn offers(&self, before: &[String], typed: &str) -> Vec<String> {
        let Some((command, rest)) = before.split_first() else {
            return self.root.get_subcommands().map(|command| command.get_name().to_owned()).collect();
        };
        let Some(command) = self.root.find_subcommand(command) else { return Vec::new() };
        let flag = rest.last().and_then(|word| flag(command, word)).filter(|flag| takes_word(flag));
        let named = positional(command, rest);
        let Some(flag) = flag else {
            let flags = command.get_arguments().filter_map(|flag| Some(format!("--{}", flag.get_long()?)));
            let takes_name = command.get_positionals().any(|taken| taken.get_id() == "collection");
            let names = if takes_name && named.is_none() { self.names.collections() } else { Vec::new() };
            return flags.chain(names).collect();
        };
        let values: Vec<String> =
            flag.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
        let collection = value_of(rest, "col").or(named);
        match (flag.get_long(), collection) {
            _ if !values.is_empty() => values,
            (Some("col"), _) => self.names.collections(),
            (Some("doc"), Some(collection)) => self.names.documents(collection, typed),
            (Some("key"), Some(collection)) => self.names.keys(collection),
            _ => Vec::new(),
        }
    }
}

/// The flag that a word is, written with one dash or two.
fn flag<'c>(command: &'c clap::Command, word: &str) -> Option<&'c clap::Arg> {
    let name = word.strip_prefix("--").or_else(|| word.strip_prefix('-'))?;
    command.get_arguments().find(|flag| flag.get_long() == Some(name))
}

/// Whether a flag's value is the next word.
fn takes_word(flag: &clap::Arg) -> bool {
    flag.get_action().takes_values() && !flag.is_require_equals_set()
}

/// The first word that is neither a flag nor the value of one.
fn positional<'w>(command: &clap::Command, words: &'w [String]) -> Option<&'w str> {
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match flag(command, word) {
            Some(flag) if takes_word(flag) => drop(words.next()),
            None if !word.starts_with('-') => return Some(word),
            _ => {}
        }
    }
    None
}

/// The value that a flag has in the words before.
fn value_of<'w>(words: &'w [String], name: &str) -> Option<&'w str> {
    let mut found = None;
    for (index, word) in words.iter().enumerate() {
        let Some(body) = word.strip_prefix("--").or_else(|| word.strip_prefix('-')) else { continue };
        match body.split_once('=') {
            Some((flag, value)) if flag == name => found = Some(value),
            None if body == name => found = words.get(index + 1).map(String::as_str).or(found),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::command;
    use super::*;

    struct Fixed;

    impl Names for Fixed {
        fn collections(&self) -> Vec<String> {
            ["a/b", "ünï q", "x\u{1b}]0;t\u{7}", "y\u{202e}"].map(String::from).to_vec()
        }

        fn documents(&self, collection: &str, start: &str) -> Vec<String> {
            vec![format!("doc of {collection}"), format!("{start}1")]
        }

        fn keys(&self, collection: &str) -> Vec<String> {
            vec![format!("key of {collection}")]
        }
    }

    fn offers(line: &str) -> Vec<String> {
        let completions = Completions { root: command(), names: Fixed };
        let start = word_start(line);
        let offers = completions.candidates(&line[..start], &line[start..]);
        offers.into_iter().map(|pair| pair.replacement).collect()
    }

    #[test]
    fn tab_offers_commands_flags_and_values() {
        assert_eq!(offers("fetch-c"), ["fetch-collections "]);
        assert_eq!(offers("delete-document --d"), ["--doc "]);
        assert_eq!(offers("delete-document --col "), ["a/b ", "\"ünï q\" "]);
        assert_eq!(offers("delete-document --col \"ünï q"), ["\"ünï q\" "]);
        assert_eq!(offers("fetch-latest --format "), ["csv ", "json ", "table "]);
        assert_eq!(offers("fetch-latest --unit n"), ["ns "]);
        assert_eq!(offers("fetch-latest -col \"ünï q\" -doc d"), ["d1 ", "\"doc of ünï q\" "]);
        assert_eq!(offers("get-values --col=a --key "), ["\"key of a\" "]);
        assert_eq!(offers("get-values --key "), Vec::<String>::new());
        assert_eq!(offers("nonsense --key "), Vec::<String>::new());
        assert!(["--all ", "a/b "].iter().all(|offer| offers("tail ").contains(&offer.to_string())));
        assert_eq!(offers("tail --doc a a"), ["a/b "]);
        assert_eq!(offers("tail --every 5 a/b --doc d"), ["d1 ", "\"doc of a/b\" "]);
        assert_eq!(offers("tail a/b a"), Vec::<String>::new());
    }

    #[test]
    fn a_start_is_matched_literally() {
        assert_eq!(starting_with("a/b.c"), "/^a\\/b\\.c/s");
    }
}
