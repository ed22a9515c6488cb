//! Whether a file is still where it was opened. SQLite goes on writing to one that has been removed or replaced, and all of
//! that is gone when it is closed.

use crate::error::Error;
use rustix::fs::stat;
use rustix::io::Errno;
use std::path::{Path, PathBuf};

/// A file's place, and the file that was seen there. An open file keeps its number, so no other can come by it.
#[derive(Debug)]
pub(crate) struct Presence {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Presence {
    /// Notes the file that is there now.
    pub(crate) fn note(path: &Path) -> Result<Presence, Error> {
        let seen = stat(path).map_err(|error| Error::File(path.to_owned(), error.into()))?;
        Ok(Presence { path: path.to_owned(), device: seen.st_dev, inode: seen.st_ino })
    }

    /// Looks whether it is still there; if not, in words. It costs a microsecond.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        match stat(&self.path) {
            Ok(seen) if (seen.st_dev, seen.st_ino) == (self.device, self.inode) => Ok(()),
            Ok(_) => Err("the file has been replaced by another while the server was running"),
            Err(Errno::NOENT | Errno::NOTDIR) => {
                Err("the file has been removed, or moved away, while the server was running")
            }
            Err(_) => Err("the file can't be looked at any more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::TempDir;

    #[test]
    fn a_file_that_goes_or_is_replaced_is_missed() {
        let directory = TempDir::new();
        let inside = directory.0.join("data");
        std::fs::create_dir(&inside).unwrap();
        let path = inside.join("file");
        std::fs::write(&path, "x").unwrap();
        let _open = std::fs::File::open(&path).unwrap();
        let presence = Presence::note(&path).unwrap();
        std::fs::write(&path, "more").unwrap();
        assert_eq!(presence.check(), Ok(()));
        let aside = directory.0.join("aside");
        std::fs::rename(&inside, &aside).unwrap();
        assert!(presence.check().unwrap_err().contains("removed"));
        std::fs::create_dir(&inside).unwrap();
        std::fs::write(&path, "more").unwrap();
        assert!(presence.check().unwrap_err().contains("replaced"));
        std::fs::remove_dir_all(&inside).unwrap();
        std::fs::rename(&aside, &inside).unwrap();
        assert_eq!(presence.check(), Ok(()), "it has been put back");
        std::fs::remove_file(&path).unwrap();
        assert!(presence.check().unwrap_err().contains("removed"));
        assert!(Presence::note(&path).is_err());
    }
}
