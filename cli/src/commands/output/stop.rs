//! The end of who reads the output.

use std::io;

/// Whether a command failed only because nobody reads its output any more.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let mut sources = error.chain().filter_map(|source| source.downcast_ref::<io::Error>());
    sources.any(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
