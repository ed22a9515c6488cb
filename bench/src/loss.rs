//! The ends of connections that had to last.

use std::{fmt, io};

/// Why a connection is no more.
#[derive(Debug)]
pub enum Loss {
    /// The server sent a close frame.
    Closed {
        /// Its code, if it had one.
        code: Option<u16>,
        /// Its text, often empty.
        reason: String,
    },
    /// The server ended the connection without a close frame.
    Ended,
    /// The socket failed.
    Socket(io::Error),
    /// The server broke the WebSocket protocol.
    Protocol(&'static str),
}

impl Loss {
    /// The loss that a close frame's payload tells of.
    pub fn closed(payload: &[u8]) -> Self {
        let (code, reason) = match payload {
            [high, low, reason @ ..] => (Some(u16::from_be_bytes([*high, *low])), reason),
            _ => (None, &[][..]),
        };
        Self::Closed { code, reason: String::from_utf8_lossy(reason).into_owned() }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed { code: Some(code), reason } if reason.is_empty() => {
                write!(formatter, "the server closed the connection with {code}")
            }
            Self::Closed { code: Some(code), reason } => {
                write!(formatter, "the server closed the connection with {code}: {reason}")
            }
            Self::Closed { code: None, .. } => {
                formatter.write_str("the server closed the connection without a code")
            }
            Self::Ended => formatter.write_str("the server ended the connection without a close frame"),
            Self::Socket(error) => write!(formatter, "the connection failed: {error}"),
            Self::Protocol(what) => formatter.write_str(what),
        }
    }
}

impl std::error::Error for Loss {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_told_in_plain_words() {
        let cases = [
            (Loss::closed(b"\x03\xf0too many"), "the server closed the connection with 1008: too many"),
            (Loss::closed(b"\x03\xe9"), "the server closed the connection with 1001"),
            (Loss::closed(b""), "the server closed the connection without a code"),
            (Loss::Ended, "the server ended the connection without a close frame"),
        ];
        for (loss, text) in cases {
            assert_eq!(loss.to_string(), text);
        }
    }
}
