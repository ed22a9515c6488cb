//! The data directory: made private, and locked against a second server.

use crate::error::Error;
use crate::file::{FILE_MODE, file_index, files_of};
use crate::limits::SHARDS_MAX;
use crate::mark;
use rustix::fs::{FlockOperation, flock};
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tracing::warn;

const LOCK_NAME: &str = "fluxiondb.lock";

/// Keeps other servers out of a directory for as long as it lives; the system lets go of it when the process ends.
pub(crate) struct DirectoryLock {
    _file: File,
}

/// Makes the directory if it isn't there, and locks it.
pub(crate) fn lock(directory: &Path) -> Result<DirectoryLock, Error> {
    let wrong = |error| Error::Directory(directory.to_owned(), error);
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(|error| {
        // "File exists" would not say what is wrong with that.
        let is_file = error.kind() == ErrorKind::AlreadyExists;
        wrong(if is_file { ErrorKind::NotADirectory.into() } else { error })
    })?;
    let path = directory.join(LOCK_NAME);
    let file = OpenOptions::new().create(true).append(true).mode(FILE_MODE).open(path).map_err(wrong)?;
    hold(file, directory)
}

fn hold(file: File, directory: &Path) -> Result<DirectoryLock, Error> {
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(DirectoryLock { _file: file }),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(Error::InUse(directory.to_owned())),
        Err(error) => Err(Error::Directory(directory.to_owned(), error.into())),
    }
}

/// Keeps servers out of a directory that is only read; it must be there. Where nothing can be written, there is no server to
/// keep out, and no lock unless a server has left its file.
pub(crate) fn lock_to_read(directory: &Path) -> Result<Option<DirectoryLock>, Error> {
    let wrong = |error| Error::Directory(directory.to_owned(), error);
    if !std::fs::metadata(directory).map_err(wrong)?.is_dir() {
        return Err(wrong(ErrorKind::NotADirectory.into()));
    }
    let path = directory.join(LOCK_NAME);
    let opened = OpenOptions::new().create(true).append(true).mode(FILE_MODE).open(&path);
    let Ok(file) = opened.or_else(|_| File::open(&path)) else { return Ok(None) };
    hold(file, directory).map(Some)
}

/// The shards that have a file, ascending.
pub(crate) fn shards(directory: &Path) -> Result<Vec<usize>, Error> {
    let wrong = |error| Error::Directory(directory.to_owned(), error);
    let mut shards = Vec::new();
    for entry in directory.read_dir().map_err(wrong)? {
        let name = entry.map_err(wrong)?.file_name();
        shards.extend(name.to_str().and_then(file_index).filter(|index| *index < SHARDS_MAX));
    }
    shards.sort_unstable();
    Ok(shards)
}

/// Keeps others from reading a file that holds keys.
pub(crate) fn make_private(path: &Path) {
    if let Err(error) = std::fs::set_permissions(path, Permissions::from_mode(FILE_MODE)) {
        warn!(file = %path.display(), %error, "it holds API keys, and can't be kept from other users");
    }
}

/// Refuses files that their owner may not write. Root can, and others may be let by a mode for their group, so it takes
/// more than to try: somebody wanted them to stay as they are.
pub(crate) fn check_modes(database: &Path) -> Result<(), Error> {
    for path in files_of(database) {
        let mode = match std::fs::metadata(&path) {
            Ok(file) => file.permissions().mode() & 0o7777,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(Error::File(path, error)),
        };
        if mode & 0o200 == 0 {
            let why = format!(
                "its owner may not write it (mode {mode:04o}); `chmod u+w` it, if that is not on purpose"
            );
            return Err(Error::Unusable(path, why));
        }
    }
    Ok(())
}

/// Removes a shard's files.
pub(crate) fn remove_database(path: &Path) -> Result<(), Error> {
    // The mark first: without its file it would say that this is missing.
    remove_if_there(mark::path_beside(path))?;
    remove_files(path)
}

/// Removes a file of SQLite's and those that it keeps beside it.
pub(crate) fn remove_files(database: &Path) -> Result<(), Error> {
    files_of(database).into_iter().try_for_each(remove_if_there)
}

fn remove_if_there(path: PathBuf) -> Result<(), Error> {
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::File(path, error)),
        _ => Ok(()),
    }
}
