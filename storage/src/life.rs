//! The lives of a shard, from a start of the server to its end, and the number that its changes have come to.
//!
//! A file says of the last life only if that ended in good order: a crash may have cost changes whose numbers somebody
//! knows, and they must not be given to others as if these were the same.

use crate::error::Error;
use crate::file::ShardFile;
use crate::limits::UNCHANGED_MAX;
use crate::log::LogEnd;
use rusqlite::params;

const META_LIFE: &str = "life";

/// Behind it stands the name of a collection, which may hold a NUL: SQLite's functions of texts end there.
const META_UNCHANGED: &str = "unchanged ";

/// The first text that is beyond those that begin so.
const META_UNCHANGED_END: &str = "unchanged!";

/// One life of a shard, and the one before if all of that is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Life {
    /// Tells it from all others, of other directories too.
    pub(crate) epoch: u64,
    /// Its number in this directory.
    pub(crate) number: u32,
    /// The epoch of the life before.
    pub(crate) before: Option<u64>,
    /// The number of its first change.
    pub(crate) first_number: u64,
}

impl Life {
    /// A new one.
    pub(crate) fn begin(file: &ShardFile, number: u32) -> Result<Life, Error> {
        let epoch = file.query::<i64>("SELECT random()")? as u64;
        let before = file.meta::<String>(META_LIFE)?.and_then(|text| read(&text));
        Ok(Life {
            epoch,
            number,
            before: before.map(|(epoch, _)| epoch),
            first_number: LogEnd::find(file)?.next_number,
        })
    }

    /// From now on the file says of no life, until this one has ended.
    pub(crate) fn mark_begun(file: &ShardFile) -> Result<(), Error> {
        if file.meta::<String>(META_LIFE)?.is_none() {
            return Ok(());
        }
        file.run_ref(|connection| {
            let delete = "DELETE FROM meta WHERE key = ?1 OR key >= ?2 AND key < ?3";
            connection.execute(delete, params![META_LIFE, META_UNCHANGED, META_UNCHANGED_END]).map(drop)
        })
    }

    /// Says that it has ended in good order, before the change of this number.
    pub(crate) fn mark_ended(
        self,
        file: &mut ShardFile,
        next_number: u64,
        unchanged: &[(String, u64)],
    ) -> Result<(), Error> {
        file.run(|connection| {
            let transaction = connection.transaction()?;
            let mut put = transaction.prepare("INSERT OR REPLACE INTO meta VALUES (?1, ?2)")?;
            put.execute(params![META_LIFE, format!("{:x} {next_number}", self.epoch)])?;
            for (collection, number) in unchanged.iter().take(UNCHANGED_MAX) {
                put.execute(params![format!("{META_UNCHANGED}{collection}"), *number as i64])?;
            }
            drop(put);
            transaction.commit()
        })
    }
}

/// The collections that had not changed from a number on when the life before ended.
pub(crate) fn unchanged(file: &ShardFile) -> Result<Vec<(String, u64)>, Error> {
    file.run_ref(|connection| {
        let query = "SELECT key, value FROM meta WHERE key >= ?1 AND key < ?2";
        let mut rows = connection.prepare(query)?;
        let row = |row: &rusqlite::Row<'_>| {
            let key = row.get::<_, String>(0)?;
            let name = key.strip_prefix(META_UNCHANGED).unwrap_or_default().to_owned();
            Ok((name, row.get::<_, i64>(1)? as u64))
        };
        rows.query_map(params![META_UNCHANGED, META_UNCHANGED_END], row)?.collect()
    })
}

fn read(text: &str) -> Option<(u64, u64)> {
    let (epoch, number) = text.split_once(' ')?;
    Some((u64::from_str_radix(epoch, 16).ok()?, number.parse().ok().filter(|number| *number > 0)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::Rows;
    use crate::state::LogStart;
    use crate::store::tests::TempDir;

    #[test]
    fn a_life_that_did_not_end_well_is_not_known_of() {
        let directory = TempDir::new();
        let mut file = ShardFile::create(&directory.0, 0, None).unwrap();
        let first = Life::begin(&file, 1).unwrap();
        assert_eq!((first.before, first.first_number), (None, 1));
        let known =
            [("a".to_owned(), 3), ("a\0b".to_owned(), 9), ("a b\n".to_owned(), 7), ("ü".to_owned(), 18)];
        let mut rows = Rows::begin(&file).unwrap();
        rows.set_log_start(LogStart { number: 18, chain: 5 });
        rows.commit().unwrap();
        first.mark_ended(&mut file, 18, &known).unwrap();
        let mut unchanged_then = unchanged(&file).unwrap();
        unchanged_then.sort();
        assert_eq!(unchanged_then, known);
        let second = Life::begin(&file, 2).unwrap();
        assert_eq!((second.before, second.first_number), (Some(first.epoch), 18));
        assert_ne!(second.epoch, first.epoch);
        Life::mark_begun(&file).unwrap();
        assert!(unchanged(&file).unwrap().is_empty());
        let third = Life::begin(&file, 3).unwrap();
        assert_eq!((third.before, third.first_number), (None, 18), "the second one crashed");
    }

    #[test]
    fn what_was_not_written_here_is_no_life() {
        for text in ["", "1", "x 1", "1 x", "1 0", "1 -1"] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(read("ff 7"), Some((255, 7)));
    }
}
