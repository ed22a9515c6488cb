//! What a file says of itself as a whole: what its tables come to, and where its log begins.

use crate::checksum::Sum;
use rusqlite::{Connection, params};

/// The tables whose rows are summed, as `state` names them.
pub(crate) const TABLES: [&str; 4] = ["documents", "chunks", "entries", "api_keys"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Table {
    Documents,
    Chunks,
    Entries,
    ApiKeys,
}

/// Where the log begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogStart {
    /// The number of the first change that is not in the tables.
    pub(crate) number: u64,
    /// What the first row's chain goes on from.
    pub(crate) chain: i64,
}

/// What a file says of itself as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) sums: [Sum; TABLES.len()],
    pub(crate) log: LogStart,
}

impl State {
    pub(crate) fn read(connection: &Connection) -> rusqlite::Result<State> {
        let mut query = connection.prepare_cached("SELECT count, sum FROM state WHERE name = ?1")?;
        let mut get =
            |name: &str| query.query_row([name], |row| Ok(Sum { count: row.get(0)?, sum: row.get(1)? }));
        let mut sums = [Sum::default(); TABLES.len()];
        for (sum, name) in sums.iter_mut().zip(TABLES) {
            *sum = get(name)?;
        }
        let Sum { count, sum } = get("log")?;
        Ok(State { sums, log: LogStart { number: count as u64, chain: sum } })
    }

    pub(crate) fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        let mut put = connection.prepare_cached("INSERT OR REPLACE INTO state VALUES (?1, ?2, ?3)")?;
        for (sum, name) in self.sums.iter().zip(TABLES) {
            put.execute(params![name, sum.count, sum.sum])?;
        }
        put.execute(params!["log", self.log.number as i64, self.log.chain])?;
        Ok(())
    }

    pub(crate) fn sum(&mut self, table: Table) -> &mut Sum {
        &mut self.sums[table as usize]
    }
}
