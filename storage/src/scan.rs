//! Reading a file that may be damaged anywhere: what is good is given on, row by row, and what is not is told.
//!
//! Rows are read as `tables` does it, past what SQLite can't make sense of.

mod tables;

use crate::checksum::Sum;
use crate::damage::{Damage, Found};
use crate::error::{Error, describe};
use crate::file::ShardFile;
use crate::log::{LogRow, chain};
use crate::pack::Unpacker;
use crate::rows::{CHUNK_COLUMNS, ChunkRow, api_key_checksum, document_checksum, entry_checksum};
use crate::state::{LogStart, State, TABLES, Table};
use fluxion_engine::Change;
use fluxion_engine::sealed::{Decoder, Sealed};
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use tables::{Named, Numbered, number, text};

/// What gets the good rows, in this order. Those that belong to each other are not together: chunks come as they were made.
pub(crate) trait Taker {
    /// A chunk, which overlaps none that was given before.
    fn chunk(&mut self, names: (&str, &str), row: &ChunkRow, bytes: &[u8]) -> Result<(), Error>;
    /// An entry.
    fn entry(&mut self, collection: &str, key: &str, value: &str) -> Result<(), Error>;
    /// An API key.
    fn api_key(&mut self, key: &str, scope: &str) -> Result<(), Error>;
    /// A row of the log, all of whose changes can be read.
    fn log(&mut self, row: &LogRow) -> Result<(), Error>;
}

/// Reads all of a file. An error is one of the taker's.
pub(crate) fn scan(file: &ShardFile, taker: &mut impl Taker) -> Result<Found, Error> {
    let mut scan = Scan { connection: &file.connection, found: Found::default(), sums: Default::default() };
    let state = State::read(&file.connection);
    if let Err(error) = &state {
        scan.found
            .add(Damage::new(format!("what the file says of itself can't be read: {}", describe(error))));
    }
    let state = state.ok();
    let mut told = [0; TABLES.len() + 1];
    let names = scan.documents(state.map(|state| state.sums[Table::Documents as usize]));
    told[1] = scan.found.count();
    scan.chunks(&names, taker)?;
    told[2] = scan.found.count();
    scan.entries(taker)?;
    told[3] = scan.found.count();
    scan.api_keys(taker)?;
    told[4] = scan.found.count();
    for (index, name) in TABLES.iter().enumerate() {
        // Rows that have been told of explain that the sum is another.
        let expected = state.map(|state| state.sums[index]).filter(|_| told[index] == told[index + 1]);
        let found = scan.sums[index];
        if let Some(Sum { count, .. }) = expected.filter(|expected| *expected != found) {
            let what = match count - found.count {
                0 => format!("the rows of {name} are not all those that were written last"),
                _ => format!("there are {} rows of {name} where {count} were written last", found.count),
            };
            scan.found.add(Damage::new(what));
        }
    }
    scan.log(state.map(|state| state.log), taker)?;
    Ok(scan.found)
}

struct Scan<'a> {
    connection: &'a Connection,
    found: Found,
    sums: [Sum; TABLES.len()],
}

type Names = HashMap<i64, (String, String)>;

impl Scan<'_> {
    fn documents(&mut self, expected: Option<Sum>) -> Names {
        let told = self.found.count();
        let mut names = Names::new();
        let rows = Numbered { connection: self.connection, table: "documents", id: "id" };
        let (sum, found) = (&mut self.sums[Table::Documents as usize], &mut self.found);
        let taken: Result<(), Error> = rows.each(
            "id, collection, document, checksum",
            found,
            |row, found| {
                let (id, collection, document) = (number(row, 0), text(row, 1), text(row, 2));
                sum.add(number(row, 3));
                if number(row, 3) == document_checksum(id, collection, document) {
                    names.insert(id, (collection.to_owned(), document.to_owned()));
                } else {
                    found.add(Damage {
                        collection: Some(collection.to_owned()),
                        document: Some(document.to_owned()),
                        ..Damage::new("the name of a document, or of its collection, has changed")
                    });
                }
                Ok(())
            },
            |_| Damage::default(),
        );
        debug_assert!(taken.is_ok(), "nothing is written");
        let indexed =
            expected.filter(|_| self.found.count() > told).and_then(|sum| self.indexed_documents(sum));
        let Some(indexed) = indexed else { return names };
        self.found.add(Damage::new(
            "but all names of documents are known from their index, so nothing is lost by that",
        ));
        indexed
    }

    /// The names as their index has them, if they come to the sum that the rows should have.
    fn indexed_documents(&self, expected: Sum) -> Option<Names> {
        let query = "SELECT id, collection, document FROM documents INDEXED BY sqlite_autoindex_documents_1
                     ORDER BY collection, document";
        let (mut names, mut sum) = (Names::new(), Sum::default());
        let mut query = self.connection.prepare(query).ok()?;
        let mut rows = query.query([]).ok()?;
        while let Some(row) = rows.next().ok()? {
            let (id, collection, document) = (number(row, 0), text(row, 1), text(row, 2));
            sum.add(document_checksum(id, collection, document));
            names.insert(id, (collection.to_owned(), document.to_owned()));
        }
        (sum == expected).then_some(names)
    }

    fn chunks(&mut self, names: &Names, taker: &mut impl Taker) -> Result<(), Error> {
        let connection = self.connection;
        let rows = Numbered { connection, table: "chunks", id: "id" };
        let (sum, found) = (&mut self.sums[Table::Chunks as usize], &mut self.found);
        let mut decoder = Decoder::default();
        // The last time by the first, of the chunks of each document.
        let mut taken: HashMap<i64, BTreeMap<i64, i64>> = HashMap::new();
        let place = |row: &ChunkRow| {
            let names = names.get(&row.document);
            Damage {
                collection: names.map(|(collection, _)| collection.clone()),
                document: names.map(|(_, document)| document.clone()),
                from: Some(row.first_ts),
                to: Some(row.last_ts),
                what: String::new(),
            }
        };
        rows.each(
            &format!("{CHUNK_COLUMNS}, bytes"),
            found,
            |row, found| {
                let bytes = row.get_ref(7).ok().and_then(|bytes| bytes.as_blob().ok()).unwrap_or_default();
                let Ok(row) = ChunkRow::of(row) else {
                    found.add(Damage::new("a row of chunks has other columns than it should"));
                    return Ok(());
                };
                sum.add(row.checksum);
                let times = taken.entry(row.document).or_default();
                let is_free =
                    times.range(..=row.last_ts).next_back().is_none_or(|(_, last)| *last < row.first_ts);
                let wrong = match names.get(&row.document) {
                    _ if row.expected(bytes) != row.checksum => "the checksum is wrong".to_owned(),
                    None => "they belong to no document".to_owned(),
                    Some(_) if !is_free => "they are there twice".to_owned(),
                    Some((collection, document)) => match wrong_inside(&row, bytes, &mut decoder) {
                        Some(wrong) => wrong,
                        None => {
                            times.insert(row.first_ts, row.last_ts);
                            return taker.chunk((collection, document), &row, bytes);
                        }
                    },
                };
                found.add(Damage { what: format!("{} records: {wrong}", row.records), ..place(&row) });
                Ok(())
            },
            // What stands before the bytes can often be read, if these can't.
            |id| {
                let query = format!("SELECT {CHUNK_COLUMNS} FROM chunks WHERE id = ?1");
                let row = connection.query_row(&query, [id], ChunkRow::of);
                row.map_or_else(|_| Damage::default(), |row| place(&row))
            },
        )
    }

    fn entries(&mut self, taker: &mut impl Taker) -> Result<(), Error> {
        let rows = Named { connection: self.connection, table: "entries", names: &["collection", "key"] };
        let (sum, found) = (&mut self.sums[Table::Entries as usize], &mut self.found);
        rows.each("collection, key, value, checksum", found, |row, found| {
            let (collection, key, value) = (text(row, 0), text(row, 1), text(row, 2));
            sum.add(number(row, 3));
            if number(row, 3) == entry_checksum(collection, key, value) {
                return taker.entry(collection, key, value);
            }
            found.add(Damage {
                collection: Some(collection.to_owned()),
                ..Damage::new(format!("the entry of key {key:?}, or its name, has changed"))
            });
            Ok(())
        })
    }

    fn api_keys(&mut self, taker: &mut impl Taker) -> Result<(), Error> {
        let rows = Named { connection: self.connection, table: "api_keys", names: &["api_key"] };
        let (sum, found) = (&mut self.sums[Table::ApiKeys as usize], &mut self.found);
        rows.each("api_key, scope, checksum", found, |row, found| {
            let (key, scope) = (text(row, 0), text(row, 1));
            sum.add(number(row, 2));
            if number(row, 2) == api_key_checksum(key, scope) {
                return taker.api_key(key, scope);
            }
            // Not the key itself: it is a secret, if it is still one.
            found.add(Damage::new("an API key, or its scope, has changed"));
            Ok(())
        })
    }

    fn log(&mut self, start: Option<LogStart>, taker: &mut impl Taker) -> Result<(), Error> {
        let rows = Numbered { connection: self.connection, table: "log", id: "first" };
        let found = &mut self.found;
        // What the next row must go on from; not known behind one that can't be read.
        let mut before = start;
        let mut next_number = start.map_or(1, |start| start.number);
        rows.each(
            "first, changes, chain, bytes",
            found,
            |row, found| {
                let row = LogRow {
                    first: number(row, 0) as u64,
                    changes: number(row, 1) as u64,
                    chain: number(row, 2),
                    bytes: row.get(3).unwrap_or_default(),
                };
                let after = LogStart { number: row.first.saturating_add(row.changes), chain: row.chain };
                let goes_on = before.filter(|before| before.number == row.first);
                let is_good = goes_on.is_some_and(|before| {
                    chain(before.chain, row.first, row.changes, &row.bytes) == row.chain
                });
                let missing = before.map_or(0, |before| row.first.saturating_sub(before.number));
                before = Some(after);
                next_number = next_number.max(after.number);
                if missing > 0 {
                    let first = row.first - missing;
                    found.add(Damage::new(format!(
                        "changes {first} to {} of the log are missing",
                        row.first - 1
                    )));
                }
                if is_good && Unpacker::new(&row.bytes).all(|change| change.is_some()) {
                    return taker.log(&row);
                }
                let what = format!(
                    "changes {} to {} of the log are damaged, or of another time than what is before them",
                    row.first,
                    after.number.saturating_sub(1)
                );
                found.add(Damage { what, ..place_of_changes(&row.bytes) });
                Ok(())
            },
            |_| Damage::default(),
        )?;
        self.found.next_number = next_number;
        Ok(())
    }
}

/// What is wrong with a chunk whose checksum is right.
fn wrong_inside(row: &ChunkRow, bytes: &[u8], decoder: &mut Decoder) -> Option<String> {
    match Sealed::from_bytes(bytes, |_| None, decoder) {
        Err(error) => Some(error.to_string()),
        Ok(sealed) => {
            let says = (row.first_ts, row.last_ts, row.records);
            let holds = (sealed.first_ts(), sealed.last_ts(), sealed.len() as i64);
            (says != holds).then(|| "they are others than the file says".to_owned())
        }
    }
}

/// What damaged changes were about, as far as they still can be read: of one collection its name.
fn place_of_changes(bytes: &[u8]) -> Damage {
    let (mut collections, mut documents, mut times) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for change in Unpacker::new(bytes).map_while(|change| change) {
        match change {
            Change::Put { collection, document, ts, .. }
            | Change::DeleteRecord { collection, document, ts } => {
                collections.insert(collection);
                documents.insert(document);
                times.insert(ts);
            }
            Change::DeleteRange { collection, document, from, to } => {
                collections.insert(collection);
                documents.insert(document);
                times.extend([from, to]);
            }
            Change::DeleteDocument { collection, document } => {
                collections.insert(collection);
                documents.insert(document);
            }
            Change::DeleteCollection { collection }
            | Change::SetValue { collection, .. }
            | Change::RemoveValue { collection, .. } => {
                collections.insert(collection);
            }
            Change::SetApiKey { .. } | Change::RemoveApiKey { .. } => {}
        }
    }
    let only =
        |names: &BTreeSet<&str>| names.first().filter(|_| names.len() == 1).map(|name| (*name).to_owned());
    Damage {
        collection: only(&collections),
        document: only(&documents),
        from: times.first().copied(),
        to: times.last().copied(),
        what: String::new(),
    }
}
