//! Everything that can go wrong with a data directory, in words that name the file, the fault, and the remedy.

use rusqlite::ErrorCode;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why data can't be read or stored.
#[derive(Debug)]
pub enum Error {
    /// The directory can't be used.
    Directory(PathBuf, io::Error),
    /// Another server has the directory.
    InUse(PathBuf),
    /// A file can't be read or written.
    File(PathBuf, io::Error),
    /// SQLite could not do something with a file.
    Database(PathBuf, rusqlite::Error),
    /// A file can't be used as it is: what is wrong, and what to do.
    Unusable(PathBuf, String),
    /// What a file holds doesn't agree with its checksums: what is damaged.
    Damaged(PathBuf, String),
    /// The thread of a writer could not be started, or has failed.
    Thread(String),
    /// The server ended before this many changes of a shard could be stored.
    NotStored {
        /// The file.
        path: PathBuf,
        /// Their number.
        changes: usize,
        /// Why the last attempt failed.
        why: String,
    },
    /// The file was removed or replaced while the server ran, and with it this many changes that it was given since the start.
    Gone {
        /// Where it was.
        path: PathBuf,
        /// What has become of it.
        why: &'static str,
        /// Their number, those that could not be stored any more included.
        changes: u64,
    },
    /// More than one of these.
    Several(Vec<Error>),
}

impl Error {
    /// Adds the file to an error of SQLite.
    pub(crate) fn in_file(path: &Path) -> impl Fn(rusqlite::Error) -> Error {
        move |error| Error::Database(path.to_owned(), error)
    }

    /// The file that it is about, if it is about one.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Error::Directory(path, _)
            | Error::InUse(path)
            | Error::File(path, _)
            | Error::Database(path, _)
            | Error::Damaged(path, _)
            | Error::Unusable(path, _)
            | Error::NotStored { path, .. }
            | Error::Gone { path, .. } => Some(path),
            Error::Thread(_) | Error::Several(_) => None,
        }
    }

    /// What is wrong, without the file.
    pub(crate) fn reason(&self) -> String {
        match self {
            Error::Database(_, why) => describe(why),
            Error::Damaged(_, what) | Error::Unusable(_, what) => what.clone(),
            other => other.to_string(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Directory(path, why) => {
                write!(f, "can't use the data directory {}: {why}", path.display())
            }
            Error::InUse(path) => write!(
                f,
                "the data directory {} is in use by another server; stop that one, or give this one another directory",
                path.display()
            ),
            Error::File(path, why) => write!(f, "{}: {why}", path.display()),
            Error::Database(path, why) if is_damage(why) => {
                write!(f, "{} is damaged ({why}); it was left as it is. {}", path.display(), remedy(path))
            }
            Error::Database(path, why) => write!(f, "{}: {}", path.display(), describe(why)),
            Error::Unusable(path, why) => write!(f, "{}: {why}", path.display()),
            Error::Damaged(path, what) => {
                write!(f, "{} is damaged ({what}); it was left as it is. {}", path.display(), remedy(path))
            }
            Error::Thread(why) => write!(f, "a writer's thread: {why}"),
            Error::Several(errors) => {
                let texts: Vec<String> = errors.iter().map(Error::to_string).collect();
                f.write_str(&texts.join("; "))
            }
            Error::Gone { path, why, changes } => {
                let are = if *changes == 1 { "change is" } else { "changes are" };
                write!(
                    f,
                    "{}: {why}: unless it was only moved away, {changes} {are} lost that were stored in it since the start, \
                     and all from before",
                    path.display()
                )
            }
            Error::NotStored { path, changes, why } => {
                let (are, they) = if *changes == 1 { ("change is", "it") } else { ("changes are", "they") };
                write!(
                    f,
                    "{}: {changes} {are} lost, because {they} could not be stored: {why}",
                    path.display()
                )
            }
        }
    }
}

impl std::error::Error for Error {}

/// What to do about a damaged file.
fn remedy(path: &Path) -> &'static str {
    match path.extension() == Some("db".as_ref()) && path.file_stem() != Some("fluxion".as_ref()) {
        true => {
            "Put back a backup of the whole directory, or start with --salvage, to go on with what is good of it; \
             `fluxiondb check` lists what is not"
        }
        false => "Put back a backup, or move the file away and try to repair it with `sqlite3 FILE .recover`",
    }
}

fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::Error as E;
    let kind = matches!(
        error,
        E::InvalidColumnType(..)
            | E::Utf8Error(..)
            | E::FromSqlConversionFailure(..)
            | E::IntegralValueOutOfRange(..)
    );
    kind || matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// An error of SQLite in plain words.
pub(crate) fn describe(error: &rusqlite::Error) -> String {
    let plain = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "disk full",
        Some(ErrorCode::SystemIoFailure) => "I/O error",
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => "the file is damaged",
        Some(ErrorCode::ReadOnly) => "the file can't be written",
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => "another program holds the file locked",
        Some(ErrorCode::CannotOpen) => "the file can't be opened",
        _ => return error.to_string(),
    };
    format!("{plain} ({error})")
}
