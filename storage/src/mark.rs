//! The mark of a shard: a small file beside its database that says how far its changes have been stored.
//!
//! SQLite takes a write-ahead log that was cut, damaged or removed for a shorter one, without a word. So the writer notes
//! here, after each commit, the number of the next change, and up to which number all is on disk. A server that ends in
//! good order removes its marks; those that are found at a start were left by one that was killed, and the file must be at
//! least as far. The mark itself is not synced: what a crash of the system takes of it only makes it say less.
//!
//! No mark is no fault: it is not part of a backup.

use crate::error::Error;
use crate::file::FILE_MODE;
use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use tracing::warn;

/// The first bytes, with the layout's version. Then follow the numbers of a place and a checksum of all that.
const MAGIC: &[u8; 8] = b"FLUXMRK\x01";
const CHECKED_BYTES: usize = 8 + 4 * 8;
const BYTES: usize = CHECKED_BYTES + 4;

/// How far the changes of a shard have been stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reached {
    /// Tells the file from those of other directories and shards.
    pub(crate) file_id: u64,
    /// The number of the life in which it was written.
    pub(crate) life: u32,
    /// The number of the next change: all before it were committed.
    pub(crate) next: u64,
    /// All before this number are on disk, whatever happens to the system.
    pub(crate) synced: u64,
}

/// The mark's place beside its database.
pub(crate) fn path_beside(database: &Path) -> PathBuf {
    database.with_extension("mark")
}

/// Reads what a server has left. None if there is nothing, or nothing that it could have written as a whole.
pub(crate) fn read(database: &Path) -> Result<Option<Reached>, Error> {
    let path = path_beside(database);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::File(path, error)),
    };
    let reached = Reached::decode(&bytes);
    // A crash can leave it empty, before it was first written to.
    if reached.is_none() && !bytes.is_empty() {
        warn!(file = %path.display(), "it can't be read, so a damaged write-ahead log would not be noticed by it");
    }
    Ok(reached)
}

/// A running server's mark.
pub(crate) struct Mark {
    path: PathBuf,
    file: File,
    reached: Reached,
    /// Every commit is synced.
    syncs_always: bool,
    failed: bool,
}

impl Mark {
    /// Writes the first one of a life, in place of what is there.
    pub(crate) fn begin(database: &Path, reached: Reached, syncs_always: bool) -> Result<Mark, Error> {
        let path = path_beside(database);
        let options = OpenOptions::new().create(true).write(true).truncate(false).mode(FILE_MODE).clone();
        let begin = || {
            let file = options.open(&path)?;
            file.set_len(BYTES as u64)?;
            file.write_all_at(&reached.encode(), 0)?;
            Ok(file)
        };
        match begin() {
            Ok(file) => Ok(Mark { file, path, reached, syncs_always, failed: false }),
            Err(error) => Err(Error::File(path, error)),
        }
    }

    /// All changes before this number have been committed.
    pub(crate) fn committed(&mut self, next: u64) {
        self.reached.next = next;
        if self.syncs_always {
            self.reached.synced = next;
        }
        self.write();
    }

    /// All that has been committed is on disk.
    pub(crate) fn synced(&mut self) {
        if self.reached.synced != self.reached.next {
            self.reached.synced = self.reached.next;
            self.write();
        }
    }

    /// Removes it: the database alone has everything.
    pub(crate) fn end(self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            warn!(file = %self.path.display(), %error, "it can't be removed");
        }
    }

    /// A failure leaves one that says less, or none; it costs nothing but a guard.
    fn write(&mut self) {
        let written = self.file.write_all_at(&self.reached.encode(), 0);
        if let (Err(error), false) = (&written, self.failed) {
            warn!(file = %self.path.display(), %error, "it can't be written");
        }
        self.failed = written.is_err();
    }
}

impl Reached {
    fn encode(&self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        let numbers = [self.file_id, u64::from(self.life), self.next, self.synced];
        for (place, number) in bytes[8..CHECKED_BYTES].chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        let checksum = crc32fast::hash(&bytes[..CHECKED_BYTES]);
        bytes[CHECKED_BYTES..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Reached> {
        let bytes: &[u8; BYTES] = bytes.try_into().ok()?;
        let (checked, checksum) = bytes.split_at(CHECKED_BYTES);
        if !checked.starts_with(MAGIC) || crc32fast::hash(checked).to_le_bytes() != checksum {
            return None;
        }
        let number = |index: usize| {
            let at = 8 + index * 8;
            Some(u64::from_le_bytes(checked[at..at + 8].try_into().ok()?))
        };
        Some(Reached {
            file_id: number(0)?,
            life: number(1)?.try_into().ok()?,
            next: number(2)?,
            synced: number(3)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::TempDir;
    use std::os::unix::fs::PermissionsExt;

    const FIRST: Reached = Reached { file_id: 0x1234_5678_9abc_def0, life: 7, next: 100, synced: 100 };

    #[test]
    fn it_says_what_was_committed_and_what_is_on_disk() {
        for syncs_always in [false, true] {
            let directory = TempDir::new();
            let database = directory.0.join("shard-000.db");
            assert_eq!(read(&database).unwrap(), None);
            let mut mark = Mark::begin(&database, FIRST, syncs_always).unwrap();
            assert_eq!(read(&database).unwrap(), Some(FIRST));
            let mode = std::fs::metadata(directory.0.join("shard-000.mark")).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            mark.committed(150);
            let synced = if syncs_always { 150 } else { 100 };
            assert_eq!(read(&database).unwrap(), Some(Reached { next: 150, synced, ..FIRST }));
            mark.synced();
            assert_eq!(read(&database).unwrap(), Some(Reached { next: 150, synced: 150, ..FIRST }));
            drop(mark);
            let again = Reached { life: 8, next: 40, synced: 40, ..FIRST };
            let mark = Mark::begin(&database, again, syncs_always).unwrap();
            assert_eq!(read(&database).unwrap(), Some(again));
            mark.end();
            assert_eq!(read(&database).unwrap(), None);
        }
    }

    #[test]
    fn damage_makes_it_say_nothing() {
        let directory = TempDir::new();
        let database = directory.0.join("shard-000.db");
        drop(Mark::begin(&database, FIRST, true).unwrap());
        let path = path_beside(&database);
        let whole = std::fs::read(&path).unwrap();
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(read(&database).unwrap(), None, "bit {bit}");
        }
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert_eq!(read(&database).unwrap(), None, "{length} bytes");
        }
        std::fs::write(&path, [whole, vec![0]].concat()).unwrap();
        assert_eq!(read(&database).unwrap(), None);
    }
}
