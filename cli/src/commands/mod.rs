//! The commands: everything that an operator does with a running server, from the same binary.
//!
//! A command line is a command's if its first word that is no flag names one; all else is the server's business.
//! JSON goes to stdout, errors go to stderr with exit code 1. From below: `output`, `times`, `limits` and `connection`;
//! the commands, in `records`, `server` and `files`; `command`, which is the list of them; the `shell`; and the `line`.

mod arguments;
mod command;
mod completion;
mod connection;
mod files;
mod limits;
mod line;
mod output;
mod records;
mod server;
mod shell;
mod times;

pub use command::Command;
pub use line::run_if_named;
