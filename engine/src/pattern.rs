//! Patterns and literals: what a name must equal or match, and what a record's text must or must not contain.
//!
//! A text is a pattern when it starts with `/`, has a later `/` that no `\` escapes, and nothing but the flags `i`, `m`,
//! `s` behind the first such; anything else is a literal. Compiling is bounded, and a search goes on in steps where the
//! text and the pattern are so large that one call could hold the core.

mod cache;
mod compiled;
mod filter;
mod lazy;
mod parts;
mod search;
mod syntax;

pub(crate) use cache::{NameTest, PatternCache};
pub(crate) use compiled::Pattern;
pub(crate) use filter::{Filter, FilterSearch};
pub(crate) use search::Search;

#[cfg(test)]
mod tests;
