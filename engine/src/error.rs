//! Errors of a request that is well formed: its patterns can be wrong.
//!
//! Display is the text the client gets, so it names the pattern and the reason in plain words, on one line.

use std::fmt;

use crate::limits::{
    ERROR_PATTERN_CHARS_MAX, PATTERN_BYTES_MAX, PATTERN_COMPILED_BYTES_MAX, PATTERN_FOLDED_CHARS_MAX,
    PATTERN_TABLES_MAX, SUBSCRIPTION_PATTERNS_BYTES_MAX,
};

/// Why a request could not be carried out; nothing of it took effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The pattern can't be parsed, or asks for what linear-time matching can't do.
    PatternInvalid {
        /// The pattern as the client wrote it.
        pattern: String,
        /// The reason, as the parser gives it.
        reason: String,
    },
    /// The pattern's text is too long to be compiled.
    PatternTooLong {
        /// Its length.
        bytes: usize,
    },
    /// The pattern has too many classes of Unicode.
    PatternClassesTooMany {
        /// The pattern as the client wrote it.
        pattern: String,
        /// Their number.
        classes: usize,
    },
    /// The pattern ignores case, and its classes hold too many characters for that.
    PatternClassesTooLarge {
        /// The pattern as the client wrote it.
        pattern: String,
    },
    /// The pattern needs too much memory once compiled.
    PatternTooBig {
        /// The pattern as the client wrote it.
        pattern: String,
    },
    /// The patterns of all subscriptions take as much memory as they may.
    SubscriptionPatternsTooBig,
    /// The text that a subscription is to go on from is no cursor.
    CursorInvalid {
        /// The text.
        cursor: String,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PatternInvalid { pattern, reason } => {
                write!(f, "bad pattern {}: {reason}", shorten(pattern))
            }
            Self::PatternTooLong { bytes } => {
                write!(f, "bad pattern: it is {bytes} bytes long, and {PATTERN_BYTES_MAX} are allowed")
            }
            Self::PatternClassesTooMany { pattern, classes } => write!(
                f,
                "bad pattern {}: it has {classes} classes such as \\w or \\pL, and {PATTERN_TABLES_MAX} are allowed",
                shorten(pattern)
            ),
            Self::PatternClassesTooLarge { pattern } => write!(
                f,
                "bad pattern {}: ignoring case, its classes may hold {PATTERN_FOLDED_CHARS_MAX} characters: make them \
                 smaller, or leave out the flag i",
                shorten(pattern)
            ),
            Self::PatternTooBig { pattern } => {
                let limit = PATTERN_COMPILED_BYTES_MAX;
                write!(f, "bad pattern {}: compiled, it takes more than {limit} bytes", shorten(pattern))
            }
            Self::SubscriptionPatternsTooBig => {
                let limit = SUBSCRIPTION_PATTERNS_BYTES_MAX >> 20;
                write!(
                    f,
                    "too many patterns: those of all subscriptions take {limit} MiB, which is all that they may"
                )
            }
            Self::CursorInvalid { cursor } => write!(f, "\"since\" is no cursor: {}", shorten(cursor)),
        }
    }
}

impl std::error::Error for Error {}

fn shorten(pattern: &str) -> String {
    match pattern.char_indices().nth(ERROR_PATTERN_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &pattern[..end]),
        None => pattern.to_owned(),
    }
}
