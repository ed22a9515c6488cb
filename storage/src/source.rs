//! The file of the C++ server, opened for the import and kept from others meanwhile.
//!
//! That server writes to it every few seconds and holds no lock in between. So it is looked for among the processes that
//! have the file open, and the file is locked for as long as the import takes, against any that could not be seen.

use crate::error::Error;
use crate::limits::BUSY_TIMEOUT;
use rusqlite::{Connection, ErrorCode, OpenFlags, Row};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// An open file of the C++ server.
pub(crate) struct Source<'a> {
    pub(crate) path: &'a Path,
    connection: Connection,
}

impl<'a> Source<'a> {
    /// Opens and locks it, for writing, so that what a crash of its server left unfinished is put right.
    pub(crate) fn open(path: &'a Path) -> Result<Source<'a>, Error> {
        if let Some(holder) = holder(path) {
            return Err(in_use(path, &holder));
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(Error::in_file(path))?;
        let source = Source { path, connection };
        source.run(|connection| connection.busy_timeout(BUSY_TIMEOUT))?;
        // In this mode a write-ahead log is kept from other processes too, not only from their transactions.
        source.run(|connection| connection.pragma_update(None, "locking_mode", "EXCLUSIVE"))?;
        match source.connection.execute_batch("BEGIN EXCLUSIVE") {
            Err(error) if is_locked(&error) => return Err(in_use(path, "another program")),
            begun => begun.map_err(Error::in_file(path))?,
        }
        if !source.has_table("records")? {
            let why = "it has no table `records`, so it is not a file of the C++ server; move it away";
            return Err(Error::Unusable(path.to_owned(), why.into()));
        }
        Ok(source)
    }

    fn run<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, Error> {
        work(&self.connection).map_err(Error::in_file(self.path))
    }

    /// Whether it has a table of this name.
    pub(crate) fn has_table(&self, name: &str) -> Result<bool, Error> {
        let find = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?1";
        self.run(|connection| connection.query_row(find, [name], |row| row.get(0)))
    }

    /// Counts its records.
    pub(crate) fn count(&self) -> Result<i64, Error> {
        self.run(|connection| connection.query_row("SELECT count(*) FROM records", [], |row| row.get(0)))
    }

    /// Calls `take` with each row, until there are no more or an error.
    pub(crate) fn each(
        &self,
        sql: &str,
        mut take: impl FnMut(&Row<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let read = Error::in_file(self.path);
        let mut query = self.connection.prepare(sql).map_err(&read)?;
        let mut rows = query.query([]).map_err(&read)?;
        while let Some(row) = rows.next().map_err(&read)? {
            take(row)?;
        }
        Ok(())
    }

    /// Closes it, which takes the rows in a write-ahead log beside it into the file.
    pub(crate) fn close(self) -> Result<(), Error> {
        self.run(|connection| connection.execute_batch("COMMIT"))?;
        let path = self.path;
        self.connection.close().map_err(|(_, error)| Error::in_file(path)(error))
    }
}

fn is_locked(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

fn in_use(path: &Path, holder: &str) -> Error {
    let why = format!(
        "it is to be imported, but {holder} uses it; stop the C++ server, which still holds data in its memory, and \
         start again"
    );
    Error::Unusable(path.to_owned(), why)
}

/// Another process that has the file open, of those that may be looked at.
fn holder(path: &Path) -> Option<String> {
    let file = fs::metadata(path).ok()?;
    let own = std::process::id();
    for process in fs::read_dir("/proc").ok()?.flatten() {
        let name = process.file_name();
        let Some(id) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(opened) = fs::read_dir(process.path().join("fd")) else { continue };
        let holds = |link: &Path| {
            // By name first: to look at each file of each process may take long.
            let named = fs::read_link(link).is_ok_and(|target| target.file_name() == path.file_name());
            named
                && fs::metadata(link)
                    .is_ok_and(|other| (other.dev(), other.ino()) == (file.dev(), file.ino()))
        };
        if id != own && opened.flatten().any(|link| holds(&link.path())) {
            let command = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some(format!("process {id} ({})", command.trim()));
        }
    }
    None
}
