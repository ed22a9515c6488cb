//! Everything that keeps the server from running or from ending well, in words for the one who started it.

use fluxion_net::{CertificateError, ServerError};
use std::fmt;
use std::io;
use tracing_subscriber::filter::ParseError;

/// Why the server can't run, or did not end well.
#[derive(Debug)]
pub enum Error {
    /// `--log` is neither a level nor a list of directives.
    LogLevel(String),
    /// `--log` is a list of directives that can't be read.
    LogDirectives(String, ParseError),
    /// The machine lacks something; the text names it and the remedy.
    Machine(String),
    /// The certificate for TLS can't be used.
    Certificate(CertificateError),
    /// Signals can't be caught.
    Signals(io::Error),
    /// This thread can't be started.
    Thread(&'static str, io::Error),
    /// The data directory can't be used, or not everything could be stored.
    Store(fluxion_storage::Error),
    /// A stored API key has a scope that only another version knows.
    UnknownScope(String),
    /// The cores can't be started, or one has failed.
    Server(ServerError),
    /// More than one of these.
    Several(Vec<Error>),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::LogLevel(text) => {
                write!(f, "--log {text:?} is not a level: off, error, warn, info, debug, trace")
            }
            Error::LogDirectives(text, why) => write!(f, "--log {text:?} is not understood: {why}"),
            Error::Machine(text) => f.write_str(text),
            Error::Certificate(error) => write!(f, "TLS: {error}"),
            Error::Signals(why) => write!(f, "can't catch signals: {why}"),
            Error::Thread(name, why) => write!(f, "can't start the thread {name:?}: {why}"),
            Error::Store(error) => error.fmt(f),
            Error::UnknownScope(scope) => write!(
                f,
                "a stored API key has the scope {scope:?}, which this version does not know: start the version that \
                 wrote it, and remove that key or add it again with another scope"
            ),
            Error::Server(error) => error.fmt(f),
            Error::Several(errors) => {
                let texts: Vec<String> = errors.iter().map(Error::to_string).collect();
                f.write_str(&texts.join("; "))
            }
        }
    }
}

impl std::error::Error for Error {}

impl From<fluxion_storage::Error> for Error {
    fn from(error: fluxion_storage::Error) -> Error {
        Error::Store(error)
    }
}

impl From<ServerError> for Error {
    fn from(error: ServerError) -> Error {
        Error::Server(error)
    }
}
