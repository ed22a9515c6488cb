//! Results on stdout: JSON with two spaces of indentation, or rows as a table or CSV. Text of a server never commands the
//! terminal: see [`escape`].

pub mod escape;
mod json;
mod rows;
mod stop;

pub use json::{JsonArray, print_json, print_ok, write_line};
pub use rows::{Format, FormatFlag, Rows, stdout};
pub use stop::{Interrupted, Stop, is_broken_pipe, is_output_gone};
