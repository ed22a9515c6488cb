//! One shard's file, made, opened and recognised. A file that can't be used is left as it is.

use crate::error::Error;
use crate::limits::{BUSY_TIMEOUT, CACHE_KIB, CHECKPOINT_PAGES, PAGES_GIVEN_BACK, Sizes, WAL_BYTES_KEPT};
use crate::presence::Presence;
use crate::state::{LogStart, State};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The mode of all files: nobody else may read them, for API keys are in them.
pub(crate) const FILE_MODE: u32 = 0o600;

/// The layout that this version writes. Version 1, which had a row for each record, was in no release.
pub(crate) const FORMAT_VERSION: i64 = 2;

/// Before there is a table: pages that the log leaves can be given back.
const PAGES: &str = "PRAGMA auto_vacuum = INCREMENTAL";

const SCHEMA: &str = "
    CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
    CREATE TABLE state (name TEXT PRIMARY KEY, count INTEGER NOT NULL, sum INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE log (first INTEGER PRIMARY KEY, changes INTEGER NOT NULL, chain INTEGER NOT NULL, bytes BLOB NOT NULL);
    CREATE TABLE documents (id INTEGER PRIMARY KEY, collection TEXT NOT NULL, document TEXT NOT NULL,
                            checksum INTEGER NOT NULL, UNIQUE (collection, document));
    CREATE TABLE chunks (id INTEGER PRIMARY KEY, document INTEGER NOT NULL, first_ts INTEGER NOT NULL,
                         last_ts INTEGER NOT NULL, records INTEGER NOT NULL, text_bytes INTEGER NOT NULL,
                         checksum INTEGER NOT NULL, bytes BLOB NOT NULL, UNIQUE (document, first_ts));
    CREATE TABLE entries (collection TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, checksum INTEGER NOT NULL,
                          PRIMARY KEY (collection, key)) WITHOUT ROWID;
    CREATE TABLE api_keys (api_key TEXT PRIMARY KEY, scope TEXT NOT NULL, checksum INTEGER NOT NULL) WITHOUT ROWID;
    CREATE VIEW all_chunks (collection, document, first_ts, last_ts, records, text_bytes, bytes) AS
        SELECT collection, documents.document, first_ts, last_ts, records, text_bytes, length(bytes)
        FROM documents JOIN chunks ON chunks.document = documents.id;";

/// The number of the first change of all.
const FIRST_NUMBER: u64 = 1;

/// Statements that are kept ready: all that merging needs, and some.
const STATEMENTS_KEPT: usize = 64;

/// Where it is in the format of SQLite's files.
const USER_VERSION_AT: u64 = 60;

/// The key whose presence says that the file was finished; it is written in the transaction that makes the tables.
const META_VERSION: &str = "format_version";

/// An open file of a shard.
pub(crate) struct ShardFile {
    pub(crate) path: PathBuf,
    pub(crate) connection: Connection,
    pub(crate) sizes: Sizes,
    /// The `user_version` in the file itself, whatever its write-ahead log says; not known of one opened to read.
    pub(crate) life_beneath_log: u32,
    pub(crate) presence: Presence,
}

/// The name of a shard's file.
pub(crate) fn file_name(index: usize) -> String {
    format!("shard-{index:03}.db")
}

/// The number in a shard file's name.
pub(crate) fn file_index(name: &str) -> Option<usize> {
    let index = name.strip_prefix("shard-")?.strip_suffix(".db")?.parse().ok()?;
    (file_name(index) == name).then_some(index)
}

/// Syncs a directory, so that the names in it are on disk too.
pub(crate) fn sync_directory(directory: &Path) -> Result<(), Error> {
    let sync = || File::open(directory)?.sync_all();
    sync().map_err(|error| Error::File(directory.to_owned(), error))
}

impl AsRef<ShardFile> for ShardFile {
    fn as_ref(&self) -> &ShardFile {
        self
    }
}

impl ShardFile {
    /// Makes the file of a shard, or finishes an empty one that an interrupted start has left.
    pub(crate) fn create(directory: &Path, index: usize, store: Option<&str>) -> Result<ShardFile, Error> {
        let file = ShardFile::create_at(&directory.join(file_name(index)), index, store)?;
        sync_directory(directory)?;
        Ok(file)
    }

    /// Makes a file of that content in any place.
    pub(crate) fn create_at(path: &Path, index: usize, store: Option<&str>) -> Result<ShardFile, Error> {
        // SQLite gives its own files beside this one the same mode.
        OpenOptions::new()
            .create(true)
            .append(true)
            .mode(FILE_MODE)
            .open(path)
            .map_err(|error| Error::File(path.to_owned(), error))?;
        let mut file = ShardFile::connect(path)?;
        file.run_ref(|connection| connection.execute_batch(PAGES))?;
        file.use_log()?;
        file.run(|connection| {
            let transaction = connection.transaction()?;
            transaction.execute_batch(SCHEMA)?;
            let mut insert = transaction.prepare("INSERT INTO meta VALUES (?1, ?2)")?;
            insert.execute(params!["shard", index as i64])?;
            let new: String = transaction.query_row("SELECT hex(randomblob(16))", [], |row| row.get(0))?;
            insert.execute(params!["store", store.unwrap_or(&new)])?;
            insert.execute(params![META_VERSION, FORMAT_VERSION])?;
            drop(insert);
            let log = LogStart { number: FIRST_NUMBER, chain: 0 };
            State { sums: Default::default(), log }.write(&transaction)?;
            transaction.commit()
        })?;
        Ok(file)
    }

    /// Opens the file of a shard. Returns none if its making was interrupted.
    pub(crate) fn open(directory: &Path, index: usize) -> Result<Option<ShardFile>, Error> {
        ShardFile::connect(&directory.join(file_name(index)))?.recognised(index)
    }

    /// Opens the file of a shard of a stopped server, to read it only.
    pub(crate) fn open_stopped(directory: &Path, index: usize) -> Result<Option<ShardFile>, Error> {
        let path = directory.join(file_name(index));
        let [_, log, _] = files_of(&path);
        // Without a log nothing need be there or be made beside it.
        let has_log = std::fs::metadata(log).is_ok_and(|log| log.len() > 0);
        let read = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let (opened, flags) = match has_log {
            true => (path.clone(), read),
            false => (immutable_uri(&path), read | OpenFlags::SQLITE_OPEN_URI),
        };
        let beneath_log = user_version_beneath_log(&path);
        let file = ShardFile::connect_with(&opened, &path, flags, beneath_log)?;
        file.run_ref(|connection| {
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
            connection.pragma_update(None, "cache_size", -i64::from(CACHE_KIB))
        })?;
        file.recognised(index)
    }

    /// Looks whether it is a file of this shard. None if its making was interrupted.
    fn recognised(self, index: usize) -> Result<Option<ShardFile>, Error> {
        let file = self;
        let tables: i64 = file.query("SELECT count(*) FROM sqlite_master")?;
        if tables == 0 {
            return Ok(None);
        }
        let is_ours: i64 = file
            .query("SELECT count(*) FROM sqlite_master WHERE name IN ('meta', 'log', 'docs', 'records')")?;
        let version = if is_ours >= 2 { file.meta::<i64>(META_VERSION)? } else { None };
        match version {
            None => Err(file.unusable("it is not a file of this server; move it out of the data directory")),
            Some(version) if version > FORMAT_VERSION => Err(file.unusable(&format!(
                "it was written by a newer version of this server (format {version}, this one knows {FORMAT_VERSION}); \
                 start that version instead"
            ))),
            Some(version) if version < FORMAT_VERSION => Err(file.unusable(&format!(
                "it was written by a version of this server from before its release (format {version}, this one knows \
                 {FORMAT_VERSION}), and can't be read any more; export it with that version, and import it into an empty \
                 directory"
            ))),
            Some(_) => match file.meta::<i64>("shard")? {
                Some(shard) if shard == index as i64 => Ok(Some(file)),
                shard => Err(file.unusable(&format!(
                    "it is the file of shard {}, under another name; put the file of shard {index} back",
                    shard.unwrap_or(-1)
                ))),
            },
        }
    }

    /// Opens a file for reading only, beside its writer.
    pub(crate) fn open_to_read(path: &Path) -> Result<ShardFile, Error> {
        let file = ShardFile::connect_with(path, path, OpenFlags::SQLITE_OPEN_READ_ONLY, 0)?;
        file.run_ref(|connection| connection.busy_timeout(BUSY_TIMEOUT))?;
        Ok(file)
    }

    fn connect(path: &Path) -> Result<ShardFile, Error> {
        let beneath_log = user_version_beneath_log(path);
        let file = ShardFile::connect_with(path, path, OpenFlags::SQLITE_OPEN_READ_WRITE, beneath_log)?;
        file.run_ref(|connection| {
            connection.busy_timeout(BUSY_TIMEOUT)?;
            connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
            // Whatever is found wrong with this file or another: closing it again must not change it.
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
            connection.pragma_update(None, "temp_store", "MEMORY")?;
            connection.pragma_update(None, "cache_size", -i64::from(CACHE_KIB))?;
            connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
            connection.pragma_update(None, "journal_size_limit", WAL_BYTES_KEPT)?;
            connection.pragma_update(None, "synchronous", "FULL")
        })?;
        Ok(file)
    }

    fn connect_with(
        opened: &Path,
        path: &Path,
        flags: OpenFlags,
        life_beneath_log: u32,
    ) -> Result<ShardFile, Error> {
        let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(opened, flags).map_err(Error::in_file(path))?;
        let presence = Presence::note(path)?;
        let sizes = Sizes::default();
        Ok(ShardFile { path: path.to_owned(), connection, sizes, life_beneath_log, presence })
    }

    /// A file that was repaired or copied with `sqlite3` may have lost the mode that the writer counts on.
    pub(crate) fn use_log(&self) -> Result<(), Error> {
        let set = |connection: &Connection| {
            connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0))
        };
        let mode = self.run_ref(set)?;
        if mode == "wal" {
            return Ok(());
        }
        Err(self.unusable(&format!(
            "it can't have a write-ahead log (its journal mode stays {mode:?}), which needs memory that is shared through \
             the file system; network file systems don't offer that: give --data a directory on a local disk"
        )))
    }

    /// Lets SQLite put the file in order when it is closed, now that it is known to be good.
    pub(crate) fn release(&self) -> Result<(), Error> {
        self.run_ref(|connection| {
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false).map(drop)
        })
    }

    /// Empties the write-ahead log into the file, which is synced.
    pub(crate) fn checkpoint(&self) -> Result<(), Error> {
        match self.run_ref(checkpoint)? {
            true => Ok(()),
            false => {
                Err(self.unusable("another program reads it, for too long; close that, and start again"))
            }
        }
    }

    /// Looks through the whole file for damage.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let result: String = self.query("PRAGMA integrity_check(1)")?;
        if result == "ok" {
            return Ok(());
        }
        Err(self.damaged(&result))
    }

    pub(crate) fn meta<T: rusqlite::types::FromSql>(&self, key: &str) -> Result<Option<T>, Error> {
        self.run_ref(|connection| {
            let query = "SELECT value FROM meta WHERE key = ?1";
            connection.query_row(query, [key], |row| row.get(0)).optional()
        })
    }

    pub(crate) fn set_meta(&self, key: &str, value: impl rusqlite::ToSql) -> Result<(), Error> {
        self.run_ref(|connection| {
            connection.execute("INSERT OR REPLACE INTO meta VALUES (?1, ?2)", params![key, value]).map(drop)
        })
    }

    /// Returns the one value of a query.
    pub(crate) fn query<T: rusqlite::types::FromSql>(&self, sql: &str) -> Result<T, Error> {
        self.run_ref(|connection| connection.query_row(sql, [], |row| row.get(0)))
    }

    /// Does work with the connection; an error names the file.
    pub(crate) fn run<T>(
        &mut self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        work(&mut self.connection).map_err(Error::in_file(&self.path))
    }

    /// Does the same with a shared connection.
    pub(crate) fn run_ref<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        work(&self.connection).map_err(Error::in_file(&self.path))
    }

    pub(crate) fn unusable(&self, why: &str) -> Error {
        Error::Unusable(self.path.clone(), why.into())
    }

    /// The error for what doesn't agree with its checksums.
    pub(crate) fn damaged(&self, what: &str) -> Error {
        Error::Damaged(self.path.clone(), what.into())
    }

    /// Gives back pages that the log has left free.
    pub(crate) fn give_pages_back(&self) -> Result<(), Error> {
        self.run_ref(|connection| {
            // A step gives back a page, and no row.
            let mut give = connection.prepare(&format!("PRAGMA incremental_vacuum({PAGES_GIVEN_BACK})"))?;
            let mut pages = give.query([])?;
            while pages.next()?.is_some() {}
            Ok(())
        })
    }
}

/// A path as SQLite takes it with the word that nobody writes to the file.
fn immutable_uri(path: &Path) -> PathBuf {
    let mut uri = b"file:".to_vec();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'%' | b'?' | b'#' => uri.extend(format!("%{byte:02x}").bytes()),
            _ => uri.push(*byte),
        }
    }
    uri.extend(b"?immutable=1");
    PathBuf::from(OsString::from_vec(uri))
}

/// A file of SQLite's and those that it keeps beside it: its write-ahead log, and what its users share.
pub(crate) fn files_of(database: &Path) -> [PathBuf; 3] {
    ["", "-wal", "-shm"].map(|suffix| {
        let mut name = database.as_os_str().to_owned();
        name.push(suffix);
        name.into()
    })
}

/// Reads the number that SQLite keeps for others in the file's first page; 0 if there is none yet. SQLite must not have the
/// file open: closing it here would give up all of its locks.
pub(crate) fn user_version_beneath_log(path: &Path) -> u32 {
    let mut number = [0; 4];
    match File::open(path).and_then(|file| file.read_exact_at(&mut number, USER_VERSION_AT)) {
        Ok(()) => u32::from_be_bytes(number),
        Err(_) => 0,
    }
}

/// Begins a new write-ahead log by a commit that changes nothing. SQLite syncs the log's header with the first commit,
/// which may take seconds on a busy disk; those after it only write.
pub(crate) fn begin_log(connection: &Connection, life: u32) -> rusqlite::Result<()> {
    // This number is written even if it stays the same; a row would not be.
    connection.pragma_update(None, "user_version", life)
}

/// Copies what is in the write-ahead log into the file, syncs that, and empties the log. Returns whether all of that could
/// be done: others who read keep it from it.
pub(crate) fn checkpoint(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| Ok(row.get::<_, i64>(0)? == 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::TempDir;

    /// As on a file system without shared memory: SQLite says nothing and keeps the mode it had.
    #[test]
    fn a_file_that_cannot_have_a_log_is_refused() {
        let directory = TempDir::new();
        let path = directory.0.join(file_name(0));
        let connection =
            Connection::open_with_flags_and_vfs(&path, OpenFlags::default(), c"unix-none").unwrap();
        let presence = Presence::note(&path).unwrap();
        let sizes = Sizes::default();
        let file = ShardFile { path, connection, sizes, life_beneath_log: 0, presence };
        let wrong = file.use_log().unwrap_err().to_string();
        assert!(wrong.contains("shard-000.db") && wrong.contains("\"delete\""), "{wrong}");
        assert!(wrong.contains("local disk"), "{wrong}");
    }
}
