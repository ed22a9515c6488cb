//! Reading the rows of a table, some of which can't be read.
//!
//! SQLite gives up at the first page that it can't make sense of, so what lies behind that is looked for: rows with a
//! number from the next number on that can be read, those with a name from the other end.

use crate::damage::{Damage, Found};
use crate::error::{Error, describe};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

/// A table whose rows have a number.
pub(super) struct Numbered<'a> {
    pub(super) connection: &'a Connection,
    pub(super) table: &'static str,
    pub(super) id: &'static str,
}

impl Numbered<'_> {
    /// Gives all rows that can be read; `place` says more of one that can't.
    pub(super) fn each(
        &self,
        columns: &str,
        found: &mut Found,
        mut take: impl FnMut(&Row<'_>, &mut Found) -> Result<(), Error>,
        place: impl Fn(i64) -> Damage,
    ) -> Result<(), Error> {
        let mut next = i64::MIN;
        loop {
            let Err(error) = self.run(columns, &mut next, |row| take(row, found))? else { return Ok(()) };
            let table = self.table;
            let why = describe(&error);
            // The row itself may be damaged, or the way to it.
            match self.first_from(next) {
                Ok(None) => return Ok(()),
                Ok(Some(id)) => {
                    let damage = place(id);
                    found.add(Damage { what: format!("a row of {table} can't be read: {why}"), ..damage });
                    let Some(behind) = id.checked_add(1) else { return Ok(()) };
                    next = behind;
                }
                Err(_) => {
                    let what = format!("rows of {table} can't be read: {why}");
                    found.add(Damage::new(what));
                    let Some(behind) = self.next_readable(next) else { return Ok(()) };
                    next = behind;
                }
            }
        }
    }

    /// Gives rows from `next` on, until one can't be read; `next` is behind the last.
    fn run(
        &self,
        columns: &str,
        next: &mut i64,
        mut take: impl FnMut(&Row<'_>) -> Result<(), Error>,
    ) -> Result<Result<(), rusqlite::Error>, Error> {
        let Numbered { table, id, .. } = self;
        let query = format!("SELECT {columns}, {id} FROM {table} WHERE {id} >= ?1 ORDER BY {id}");
        let mut query = match self.connection.prepare(&query) {
            Ok(query) => query,
            Err(error) => return Ok(Err(error)),
        };
        let last = query.column_count() - 1;
        let mut rows = match query.query([*next]) {
            Ok(rows) => rows,
            Err(error) => return Ok(Err(error)),
        };
        loop {
            match rows.next() {
                Ok(None) => return Ok(Ok(())),
                Ok(Some(row)) => {
                    take(row)?;
                    match row.get::<_, i64>(last) {
                        Ok(i64::MAX) => return Ok(Ok(())),
                        Ok(id) => *next = id + 1,
                        Err(error) => return Ok(Err(error)),
                    }
                }
                Err(error) => return Ok(Err(error)),
            }
        }
    }

    fn first_from(&self, from: i64) -> rusqlite::Result<Option<i64>> {
        let Numbered { table, id, .. } = self;
        let query = format!("SELECT min({id}) FROM {table} WHERE {id} >= ?1");
        self.connection.query_row(&query, [from], |row| row.get(0))
    }

    /// The first number behind this one from which on something can be read again.
    fn next_readable(&self, from: i64) -> Option<i64> {
        let from = from.max(0);
        let (mut bad, mut good) = (0_i64, None);
        let mut step = 1_i64;
        while good.is_none() {
            match self.first_from(from.checked_add(step)?) {
                Ok(None) => return None,
                Ok(Some(_)) => good = Some(step),
                Err(_) => {
                    bad = step;
                    step = step.checked_mul(2)?;
                }
            }
        }
        let mut good = good?;
        while good - bad > 1 {
            let middle = bad + (good - bad) / 2;
            match self.first_from(from + middle) {
                Ok(_) => good = middle,
                Err(_) => bad = middle,
            }
        }
        Some(from + good)
    }
}

/// A table whose rows are ordered by names.
pub(super) struct Named<'a> {
    pub(super) connection: &'a Connection,
    pub(super) table: &'static str,
    pub(super) names: &'static [&'static str],
}

impl Named<'_> {
    /// Gives all rows before the first that can't be read, and all behind the last.
    pub(super) fn each(
        &self,
        columns: &str,
        found: &mut Found,
        mut take: impl FnMut(&Row<'_>, &mut Found) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut last: Option<Vec<Vec<u8>>> = None;
        let forward = self.run(columns, "", |row, names| {
            last = Some(names);
            take(row, found).map(|()| true)
        })?;
        let Err(error) = forward else { return Ok(()) };
        let what = format!("rows of {} can't be read: {}", self.table, describe(&error));
        found.add(Damage::new(what));
        let _ = self.run(columns, " DESC", |row, names| {
            // They are ordered by their bytes.
            if last.as_ref().is_some_and(|last| names <= *last) {
                return Ok(false);
            }
            take(row, found).map(|()| true)
        })?;
        Ok(())
    }

    fn run(
        &self,
        columns: &str,
        order: &str,
        mut take: impl FnMut(&Row<'_>, Vec<Vec<u8>>) -> Result<bool, Error>,
    ) -> Result<Result<(), rusqlite::Error>, Error> {
        let by: Vec<String> = self.names.iter().map(|name| format!("{name}{order}")).collect();
        let query = format!("SELECT {columns} FROM {} ORDER BY {}", self.table, by.join(", "));
        let mut query = match self.connection.prepare(&query) {
            Ok(query) => query,
            Err(error) => return Ok(Err(error)),
        };
        let mut rows = match query.query([]) {
            Ok(rows) => rows,
            Err(error) => return Ok(Err(error)),
        };
        loop {
            match rows.next() {
                Ok(Some(row)) => {
                    let names = (0..self.names.len()).map(|column| bytes(row, column).to_vec()).collect();
                    if !take(row, names)? {
                        return Ok(Ok(()));
                    }
                }
                Ok(None) => return Ok(Ok(())),
                Err(error) => return Ok(Err(error)),
            }
        }
    }
}

fn bytes<'r>(row: &'r Row<'_>, column: usize) -> &'r [u8] {
    match row.get_ref(column) {
        Ok(ValueRef::Text(bytes) | ValueRef::Blob(bytes)) => bytes,
        _ => &[],
    }
}

/// A text of a row, whatever damage has made of it.
pub(super) fn text<'r>(row: &'r Row<'_>, column: usize) -> &'r str {
    std::str::from_utf8(bytes(row, column)).unwrap_or_default()
}

pub(super) fn number(row: &Row<'_>, column: usize) -> i64 {
    row.get(column).unwrap_or_default()
}
