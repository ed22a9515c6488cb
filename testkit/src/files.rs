//! Directories that go away, and the files in `fixtures/`; the README there says what they are.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A directory that is gone after the test; its content is its path.
pub struct TempDir(pub PathBuf);

impl TempDir {
    /// Makes one beside the test's program: on a disk, which `/tmp` need not be.
    #[expect(clippy::new_without_default, reason = "each is another one")]
    pub fn new() -> TempDir {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::SeqCst));
        let program = std::env::current_exe().unwrap();
        let path = program.parent().unwrap().with_file_name("tmp").join(name);
        std::fs::create_dir_all(&path).unwrap();
        TempDir(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Where it is, as a command line has it.
    pub fn text(&self) -> &str {
        self.0.to_str().unwrap()
    }

    /// The path of something in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        // What a failed test left is worth looking at.
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// The path of a fixture.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(name)
}
