//! The log of a file: what was committed and is not in the tables yet, as rows of packed changes.
//!
//! Each row has a checksum that goes on from the row before it, so a row that is missing, changed, or of another time is
//! noticed. A batch is one row; a large one is several, in one transaction.

use crate::checksum::Checksum;
use crate::error::Error;
use crate::file::ShardFile;
use crate::pack::Packer;
use crate::rows::Rows;
use crate::state::{LogStart, State};
use fluxion_engine::{Batch, Change};
use rusqlite::{OptionalExtension, params};

/// The end of a log, behind which the next batch goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogEnd {
    /// Where it begins.
    pub(crate) start: LogStart,
    /// The number of the next change.
    pub(crate) next_number: u64,
    /// What the next row's chain goes on from.
    pub(crate) chain: i64,
    /// The size of all rows.
    pub(crate) bytes: usize,
}

/// A row of the log, which is known to be whole.
pub(crate) struct LogRow {
    pub(crate) first: u64,
    pub(crate) changes: u64,
    pub(crate) chain: i64,
    pub(crate) bytes: Vec<u8>,
}

impl LogRow {
    /// The row behind it begins so.
    pub(crate) fn end(&self) -> LogStart {
        LogStart { number: self.first + self.changes, chain: self.chain }
    }
}

/// What a row's chain comes to.
pub(crate) fn chain(before: i64, first: u64, changes: u64, bytes: &[u8]) -> i64 {
    let numbers = Checksum::new().number(before).number(first as i64).number(changes as i64);
    numbers.bytes(bytes).get()
}

impl LogEnd {
    /// Finds the end of a file's log; `each` gets its rows. The inner error says what is wrong with it, and from where on.
    pub(crate) fn read(
        file: &ShardFile,
        mut each: impl FnMut(LogRow) -> Result<(), Error>,
    ) -> Result<Result<LogEnd, String>, Error> {
        let read = Error::in_file(&file.path);
        let State { log: start, .. } = file.run_ref(State::read)?;
        let mut end = LogEnd { start, next_number: start.number, chain: start.chain, bytes: 0 };
        let query = "SELECT first, changes, chain, bytes FROM log ORDER BY first";
        let mut query = file.connection.prepare_cached(query).map_err(&read)?;
        let mut rows = query.query([]).map_err(&read)?;
        while let Some(row) = rows.next().map_err(&read)? {
            let (first, changes): (i64, i64) = (row.get(0).map_err(&read)?, row.get(1).map_err(&read)?);
            let (first, changes) = (first as u64, changes as u64);
            let row = LogRow {
                first,
                changes,
                chain: row.get(2).map_err(&read)?,
                bytes: row.get(3).map_err(&read)?,
            };
            if first != end.next_number {
                return Ok(Err(format!("change {} of the log is missing", end.next_number)));
            }
            if chain(end.chain, first, changes, &row.bytes) != row.chain {
                return Ok(Err(format!(
                    "changes {first} to {} of the log are damaged, or of another time than what is before them",
                    first + changes.saturating_sub(1)
                )));
            }
            end.next_number += changes;
            end.chain = row.chain;
            end.bytes += row.bytes.len();
            each(row)?;
        }
        Ok(Ok(end))
    }

    /// Finds the end of a file's log, which is not looked at otherwise.
    pub(crate) fn find(file: &ShardFile) -> Result<LogEnd, Error> {
        file.run_ref(|connection| {
            let State { log: start, .. } = State::read(connection)?;
            let last = "SELECT first + changes, chain FROM log ORDER BY first DESC LIMIT 1";
            let last = connection.query_row(last, [], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
            let (next_number, chain): (i64, i64) = last.unwrap_or((start.number as i64, start.chain));
            let bytes = "SELECT coalesce(sum(length(bytes)), 0) FROM log";
            let bytes: i64 = connection.query_row(bytes, [], |row| row.get(0))?;
            Ok(LogEnd { start, next_number: next_number as u64, chain, bytes: bytes as usize })
        })
    }

    /// Stores a batch, and what it does to API keys, which are looked up without the log. On an error nothing of it is in the
    /// file.
    pub(crate) fn append(&mut self, file: &ShardFile, batch: &Batch) -> Result<(), Error> {
        let mut rows = Rows::begin(file)?;
        let mut end = *self;
        let mut packer = Packer::default();
        for change in batch.changes() {
            match change {
                Change::SetApiKey { key, scope } => rows.set_api_key(key, scope)?,
                Change::RemoveApiKey { key } => rows.remove_api_key(key)?,
                _ => {}
            }
            packer.push(change);
            if packer.bytes.len() >= rows.sizes.log_row_bytes {
                end.put(&rows, &packer)?;
                packer = Packer::default();
            }
        }
        if packer.changes > 0 {
            end.put(&rows, &packer)?;
        }
        rows.commit()?;
        *self = end;
        Ok(())
    }

    fn put(&mut self, rows: &Rows<'_>, packer: &Packer<'_>) -> Result<(), Error> {
        self.add(rows, packer.changes as u64, &packer.bytes)
    }

    /// Adds a row of packed changes.
    pub(crate) fn add(&mut self, rows: &Rows<'_>, changes: u64, bytes: &[u8]) -> Result<(), Error> {
        let chain = chain(self.chain, self.next_number, changes, bytes);
        let insert = "INSERT INTO log (first, changes, chain, bytes) VALUES (?1, ?2, ?3, ?4)";
        let (first, count) = (self.next_number as i64, changes as i64);
        rows.execute(insert, params![first, count, chain, bytes])?;
        self.next_number += changes;
        self.chain = chain;
        self.bytes += bytes.len();
        Ok(())
    }

    /// Removes the first rows, whose changes are all in the tables, about as many as one step may take; true if none is left of
    /// them.
    pub(crate) fn remove(
        &mut self,
        file: &ShardFile,
        done: &mut std::vec::IntoIter<LogRow>,
    ) -> Result<bool, Error> {
        let mut rows = Rows::begin(file)?;
        let (mut start, mut bytes) = (self.start, 0);
        for row in done.by_ref() {
            rows.execute("DELETE FROM log WHERE first = ?1", params![row.first as i64])?;
            start = row.end();
            bytes += row.bytes.len();
            if bytes >= rows.sizes.log_row_bytes {
                break;
            }
        }
        rows.set_log_start(start);
        rows.commit()?;
        self.start = start;
        self.bytes -= bytes;
        Ok(done.len() == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{Sizes, TEXT_BYTES_MAX};
    use crate::pack::Unpacker;
    use crate::store::tests::TempDir;

    fn batch(times: std::ops::Range<i64>) -> Batch {
        let data = "x".repeat(1000);
        let mut batch = Batch::default();
        for ts in times {
            batch.push(Change::Put { collection: "c", document: "d", ts, data: &data });
        }
        batch
    }

    /// The times in the log, or what is wrong with it.
    fn times(file: &ShardFile) -> Result<Vec<i64>, String> {
        let mut times = Vec::new();
        let end = LogEnd::read(file, |row| {
            times.extend(Unpacker::new(&row.bytes).map(|change| match change {
                Some(Change::Put { ts, .. }) => ts,
                other => panic!("{other:?}"),
            }));
            Ok(())
        });
        end.unwrap()?;
        Ok(times)
    }

    fn create(directory: &TempDir) -> ShardFile {
        let mut file = ShardFile::create(&directory.0, 0, None).unwrap();
        file.sizes = Sizes { log_row_bytes: 50_000, ..Sizes::default() };
        file
    }

    /// Far more than the page cache holds: what is in the write-ahead log before the commit is not seen before it.
    #[test]
    fn a_batch_of_any_size_is_one_transaction() {
        let directory = TempDir::new();
        let mut file = create(&directory);
        file.connection.pragma_update(None, "cache_size", -64).unwrap();
        let mut end = LogEnd::find(&file).unwrap();
        end.append(&file, &batch(0..10)).unwrap();
        let path = file.path.clone();
        let (sender, seen) = crossbeam_channel::unbounded();
        let look = move || {
            let other = ShardFile::open_to_read(&path).unwrap();
            let log = std::fs::metadata(path.with_extension("db-wal")).unwrap();
            sender.send((other.query::<i64>("SELECT count(*) FROM log").unwrap(), log.len())).unwrap();
            false
        };
        file.run(|connection| connection.commit_hook(Some(look))).unwrap();
        end.append(&file, &batch(10..4010)).unwrap();
        let seen: Vec<(i64, u64)> = seen.try_iter().collect();
        assert!(seen.len() == 1 && seen[0].0 == 1, "one commit, before which nothing is seen: {seen:?}");
        assert!(seen[0].1 > 3 << 20, "what the cache does not hold is in the write-ahead log: {seen:?}");
        assert_eq!(times(&file), Ok((0..4010).collect()));
        assert_eq!(file.query::<i64>("SELECT count(*) FROM log").unwrap(), 1 + 80);
    }

    #[test]
    fn a_full_disk_leaves_nothing_of_a_batch_and_room_lets_it_through() {
        let directory = TempDir::new();
        let file = create(&directory);
        let mut end = LogEnd::find(&file).unwrap();
        end.append(&file, &batch(0..10)).unwrap();
        file.connection.pragma_update(None, "max_page_count", 60).unwrap();
        let before = end;
        for _ in 0..2 {
            let wrong = end.append(&file, &batch(10..410)).unwrap_err().reason();
            assert!(wrong.starts_with("disk full"), "{wrong}");
            assert_eq!((times(&file), end), (Ok((0..10).collect()), before));
        }
        file.connection.pragma_update(None, "max_page_count", 4000).unwrap();
        end.append(&file, &batch(10..410)).unwrap();
        assert_eq!((times(&file), LogEnd::find(&file).unwrap()), (Ok((0..410).collect()), end));
    }

    #[test]
    fn a_row_that_is_missing_changed_or_of_another_time_is_noticed() {
        let spoil = [
            ("DELETE FROM log WHERE first = 101", "change 101 "),
            ("UPDATE log SET changes = changes + 1 WHERE first = 101", "changes 101 to "),
            ("UPDATE log SET bytes = zeroblob(length(bytes)) WHERE first = 101", "changes 101 to "),
            ("UPDATE log SET chain = chain + 1 WHERE first = 101", "changes 101 to "),
            (
                "UPDATE log SET bytes = (SELECT bytes FROM log WHERE first = 201) WHERE first = 101",
                "changes 101 to ",
            ),
            ("UPDATE state SET sum = sum + 1 WHERE name = 'log'", "changes 1 to "),
            ("UPDATE state SET count = count + 1 WHERE name = 'log'", "change 2 "),
        ];
        for (spoil, expected) in spoil {
            let directory = TempDir::new();
            let file = create(&directory);
            let mut end = LogEnd::find(&file).unwrap();
            for part in 0..3 {
                end.append(&file, &batch(part * 100..part * 100 + 40)).unwrap();
                end.append(&file, &batch(part * 100 + 40..part * 100 + 100)).unwrap();
            }
            assert_eq!(times(&file), Ok((0..300).collect()));
            file.connection.execute_batch(spoil).unwrap();
            let wrong = times(&file).unwrap_err();
            assert!(wrong.starts_with(expected), "{spoil}: {wrong}");
        }
    }

    /// SQLite's own limit, which the longest text and a row that was nearly full before it must stay below.
    #[test]
    fn the_longest_text_fits_into_a_row() {
        let directory = TempDir::new();
        let file = ShardFile::create(&directory.0, 0, None).unwrap();
        let limit = file.connection.limit(rusqlite::limits::Limit::SQLITE_LIMIT_LENGTH).unwrap();
        assert!(limit as usize > TEXT_BYTES_MAX + Sizes::default().log_row_bytes + 1000, "{limit}");
    }
}
