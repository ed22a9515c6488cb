//! All that can be wrong with the data of a request. Display is the text that the client gets: it names the member, and
//! shows the value.

use crate::requests::field::Field;
use std::fmt;

/// A value, or what is wrong with it.
pub type Said<T> = Result<T, Wrong>;

/// The reason for which a request can't be carried out, as far as its data tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// The data is not JSON.
    NotJson,
    /// The data is no object.
    NotAnObject,
    /// The data is no list of records.
    NotAList,
    /// The record with this index is no object.
    RecordNotAnObject(usize),
    /// The record with this index has something wrong in it.
    Record(usize, Box<Wrong>),
    /// A member that must be there is not.
    Missing(Field),
    /// A name is empty.
    Empty(Field),
    /// A member is no text, but this.
    NotAText(Field, String),
    /// A member is no 64-bit integer, but this.
    NotAnInteger(Field, String),
    /// A member is no truth value, but this.
    NotAFlag(Field, String),
    /// A member is none of the texts that it may be, but this.
    NotOneOf(Field, &'static str, String),
    /// A member is not from 0 to a bound.
    OutOfRange {
        /// The member.
        field: Field,
        /// What it is.
        value: i64,
        /// The bound.
        max: i64,
    },
    /// Two times are not in order.
    OutOfOrder((Field, i64), (Field, i64)),
    /// An action on API keys that there is not.
    UnknownAction,
    /// A type of message that there is not.
    UnknownType,
    /// Authentication by message, without `--legacy-auth` or not as the first one.
    AuthMessage,
}

impl Wrong {
    /// A text that is none of those that a member may be; only its beginning is shown.
    pub fn not_one_of(field: Field, allowed: &'static str, text: &str) -> Wrong {
        Wrong::NotOneOf(field, allowed, text.chars().take(40).collect())
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wrong::NotJson => f.write_str("\"data\" is not valid JSON"),
            Wrong::NotAnObject => f.write_str("\"data\" must be an object"),
            Wrong::NotAList => f.write_str("\"data\" must be an array of records"),
            Wrong::RecordNotAnObject(index) => write!(f, "record {index} must be an object"),
            Wrong::Record(index, wrong) => write!(f, "record {index}: {wrong}"),
            Wrong::Missing(field) => write!(f, "\"{field}\" is missing"),
            Wrong::Empty(field) => write!(f, "\"{field}\" must not be empty"),
            Wrong::NotAText(field, shown) => write!(f, "\"{field}\" must be a text, not {shown}"),
            Wrong::NotAnInteger(field, shown) => {
                write!(f, "\"{field}\" must be a 64-bit integer, not {shown}")
            }
            Wrong::NotAFlag(field, shown) => {
                write!(f, "\"{field}\" must be true, false, 0 or 1, not {shown}")
            }
            Wrong::NotOneOf(field, allowed, shown) => {
                write!(f, "\"{field}\" must be {allowed}, not the text \"{shown}\"")
            }
            Wrong::OutOfRange { field, value, max } => {
                write!(f, "\"{field}\" must be from 0 to {max}, not {value}")
            }
            Wrong::OutOfOrder((first, from), (last, to)) => {
                write!(f, "\"{first}\" ({from}) must not be greater than \"{last}\" ({to})")
            }
            Wrong::UnknownAction => f.write_str("unknown action"),
            Wrong::UnknownType => f.write_str("unknown message type"),
            Wrong::AuthMessage => {
                f.write_str("auth messages are not supported; use the api-key query parameter")
            }
        }
    }
}
