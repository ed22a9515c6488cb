//! All that can go wrong, in words for the user. No error holds the API key: addresses are told without their query.

use std::fmt::{self, Write};
use std::io;
use std::time::Duration;

/// Why a request or a connection failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The address, or the key or name that goes into it, can't be used.
    Address(String),
    /// No connection could be made.
    Unreachable {
        /// Host and port.
        address: String,
        /// The words of the system.
        source: io::Error,
    },
    /// The certificate authorities that a server's certificate may be from can't be read.
    Authorities(String),
    /// The server's certificate is not to be trusted, or TLS can't be spoken with it.
    Untrusted {
        /// Host and port.
        address: String,
        /// The reason.
        why: String,
    },
    /// The server did not accept the connection, such as for an unknown API key.
    Refused {
        /// HTTP status.
        status: u16,
        /// The words of the server.
        reason: String,
    },
    /// The server answered the request with an error. The connection goes on.
    Server(String),
    /// The server closed the connection.
    Closed {
        /// The code of its close frame, if it sent one.
        code: Option<u16>,
        /// The reason of its close frame.
        reason: String,
    },
    /// The connection broke.
    Broken(io::Error),
    /// The server sent nothing for so long.
    Silent(Duration),
    /// A reply, or what waits to be taken, is longer than [`Options::reply_bytes_max`](crate::Options::reply_bytes_max).
    TooLong(usize),
    /// A reply did not end within [`Options::reply_time_max`](crate::Options::reply_time_max).
    Endless(Duration),
    /// Something came that no FluxionDB server sends.
    Protocol(String),
    /// The server ended a subscription, and again as soon as it was resumed.
    Ended(String),
    /// [`IN_FLIGHT_MAX`](crate::IN_FLIGHT_MAX) requests are waiting: receive replies before sending more.
    TooManyInFlight,
    /// The connection was lost earlier; [`Client::reconnect`](crate::Client::reconnect) makes a new one.
    NotConnected,
}

impl Error {
    /// Whether the connection is lost. If not, it can be used further.
    pub fn is_disconnect(&self) -> bool {
        !matches!(
            self,
            Error::Server(_)
                | Error::Ended(_)
                | Error::TooManyInFlight
                | Error::Address(_)
                | Error::Authorities(_)
        )
    }

    /// Whether another attempt may succeed.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Error::Unreachable { .. } | Error::Closed { .. } | Error::Broken(_) | Error::Silent(_) => true,
            Error::Refused { status, .. } => *status == 503,
            _ => false,
        }
    }

    /// The error of a reply that is not what was asked for.
    pub(crate) fn unreadable(error: &serde_json::Error) -> Error {
        Error::Protocol(format!("a reply that can't be read: {error}"))
    }

    /// Tells a timeout from other failures of the socket.
    pub(crate) fn from_socket(error: io::Error, timeout: Duration) -> Error {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Error::Silent(timeout),
            _ => Error::Broken(error),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Address(what) | Error::Authorities(what) => formatter.write_str(what),
            Error::Server(what) => write_shown(formatter, what),
            Error::Unreachable { address, source } => {
                write!(formatter, "can't connect to {address}: {source}")
            }
            Error::Untrusted { address, why } => {
                write!(formatter, "no TLS connection to {address}: {why}")
            }
            Error::Refused { status, reason } => {
                formatter.write_str("the server refused the connection: ")?;
                write_shown(formatter, reason)?;
                write!(formatter, " (status {status})")
            }
            Error::Closed { code, reason } => write_closed(formatter, *code, reason),
            Error::Broken(source) => write!(formatter, "the connection broke: {source}"),
            Error::Silent(time) => write!(formatter, "the server was silent for {} s", time.as_secs_f64()),
            Error::TooLong(bytes) => {
                write!(
                    formatter,
                    "the server sent more than {bytes} bytes where a reply or a record is held whole"
                )
            }
            Error::Endless(time) => {
                write!(formatter, "a reply did not end within {} s", time.as_secs_f64())
            }
            Error::Protocol(what) => write!(formatter, "this is no FluxionDB server: {what}"),
            Error::Ended(reason) => {
                formatter.write_str("the server ended the subscription: ")?;
                write_shown(formatter, reason)
            }
            Error::TooManyInFlight => {
                write!(formatter, "{} requests are waiting for their replies", crate::IN_FLIGHT_MAX)
            }
            Error::NotConnected => formatter.write_str("the connection was lost"),
        }
    }
}

fn write_closed(formatter: &mut fmt::Formatter<'_>, code: Option<u16>, reason: &str) -> fmt::Result {
    let meaning = match code {
        None => return formatter.write_str("the server ended the connection"),
        Some(1001) => "it is stopping",
        Some(1008) => "the API key is no longer valid, or the request broke the protocol",
        Some(1009) => "a message is too long; its --max-message-bytes decides",
        Some(_) => "",
    };
    let code = code.unwrap_or_default();
    // Here the server's own words don't say what to do.
    let reason = if reason.is_empty() || code == 1009 { meaning } else { reason };
    match reason {
        "" => write!(formatter, "the server closed the connection (code {code})"),
        _ => {
            formatter.write_str("the server closed the connection: ")?;
            write_shown(formatter, reason)?;
            write!(formatter, " (code {code})")
        }
    }
}

/// Writes the server's words without what a terminal would obey: control characters, and marks that turn the direction of
/// text.
fn write_shown(formatter: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    for letter in text.chars() {
        let turns = matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}')
            || matches!(letter, '\u{2066}'..='\u{2069}');
        if letter.is_control() || turns {
            write!(formatter, "{}", letter.escape_default())?;
        } else {
            formatter.write_char(letter)?;
        }
    }
    Ok(())
}

// What the system says is part of the text, so it is no `source` too: it would be told twice.
impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_says_what_its_code_means() {
        let told = |code, reason: &str| Error::Closed { code, reason: reason.to_string() }.to_string();
        assert_eq!(told(None, ""), "the server ended the connection");
        assert!(told(Some(1009), "").contains("--max-message-bytes"));
        assert_eq!(told(Some(1011), "disk full"), "the server closed the connection: disk full (code 1011)");
        assert_eq!(told(Some(4000), ""), "the server closed the connection (code 4000)");
    }

    #[test]
    fn the_servers_words_do_not_command_the_terminal() {
        let hostile = "x\x1b]0;t\x07\u{9b}2J\u{202e}\n".to_string();
        for error in [
            Error::Server(hostile.clone()),
            Error::Refused { status: 503, reason: hostile.clone() },
            Error::Closed { code: Some(4000), reason: hostile },
        ] {
            let text = error.to_string();
            assert!(text.contains(r"x\u{1b}]0;t\u{7}\u{9b}2J\u{202e}\n"), "{text}");
        }
    }

    #[test]
    fn a_cause_is_told_once() {
        let source = io::Error::from(io::ErrorKind::ConnectionRefused);
        let cause = source.to_string();
        let error = Error::Unreachable { address: "x:1".into(), source };
        assert!(error.to_string().contains(&cause) && std::error::Error::source(&error).is_none());
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let refused = |status| Error::Refused { status, reason: String::new() };
        assert!(!refused(401).is_passing() && refused(503).is_passing());
        assert!(!Error::Server("permission denied".into()).is_disconnect());
        assert!(Error::Silent(Duration::from_secs(1)).is_disconnect());
    }
}
