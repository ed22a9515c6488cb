//! The time that a server has for each step of a connection's beginning.

use crate::error::Error;
use std::io;
use std::time::{Duration, Instant};

/// The time that an answer may take.
pub(crate) struct Patience {
    pub(crate) time: Duration,
    pub(crate) end: Instant,
}

impl Patience {
    pub(crate) fn new(time: Duration) -> Patience {
        Patience { time, end: Instant::now() + time }
    }

    /// As much time once more, from now on.
    pub(crate) fn again(&self) -> Patience {
        Patience::new(self.time)
    }

    /// The error when it is over.
    pub(crate) fn over(&self) -> Error {
        Error::Silent(self.time)
    }

    /// The error of a socket that waits for so long.
    pub(crate) fn failed(&self, error: io::Error) -> Error {
        Error::from_socket(error, self.time)
    }
}
