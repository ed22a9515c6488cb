//! The files in `fixtures/`; the README there says what they are.

use std::path::{Path, PathBuf};

/// The path of a fixture.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(name)
}
