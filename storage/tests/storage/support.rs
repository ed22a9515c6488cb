//! Stores opened on a directory, and what is in the files.

use crossbeam_channel::{Receiver, Sender, unbounded};
use fluxion_engine::sealed::{Decoder, Sealed};
use fluxion_engine::{Batch, Change, Shard, SyncMode, shard_of};
use fluxion_storage::{Error, Loaded, Report, Sizes, Store, StoreOptions, Writers};
pub use fluxion_testkit::TempDir;
use rusqlite::{Connection, Row};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The bytes of all files of a directory but the lock's and those that SQLite shares between connections.
pub fn bytes(directory: &TempDir) -> BTreeMap<PathBuf, Vec<u8>> {
    let paths = directory.path().read_dir().unwrap().map(|entry| entry.unwrap().path());
    let kept = |path: &PathBuf| path.is_file() && !path.to_str().unwrap().ends_with("-shm");
    paths
        .filter(kept)
        .filter_map(|path| {
            let bytes = std::fs::read(&path).unwrap();
            (!bytes.is_empty()).then_some((path, bytes))
        })
        .collect()
}

pub fn options(directory: &Path, shard_count: usize) -> StoreOptions {
    StoreOptions {
        directory: directory.into(),
        shard_count,
        sync: SyncMode::Interval,
        salvage: false,
        cpus: Vec::new(),
        sizes: Sizes::default(),
    }
}

pub struct ShardWriter {
    pub batches: Sender<Batch>,
    pub reports: Receiver<Report>,
}

impl ShardWriter {
    pub fn store(&self, batch: Batch) {
        self.batches.send(batch).unwrap();
        assert_eq!(self.reports.recv().unwrap(), Report::Committed);
    }
}

/// A started store.
pub struct Running {
    pub writers: Vec<ShardWriter>,
    threads: Writers,
}

impl Running {
    pub fn start(directory: &Path, shard_count: usize) -> Running {
        Running::start_with(options(directory, shard_count))
    }

    pub fn start_with(options: StoreOptions) -> Running {
        let shard_count = options.shard_count;
        let (reporters, reports): (Vec<_>, Vec<_>) = (0..shard_count).map(|_| unbounded()).unzip();
        let report = |reporter: Sender<Report>| move |report| drop(reporter.send(report));
        let store = Store::open(options).unwrap();
        let (senders, threads) = store.start_writers(reporters.into_iter().map(report).collect()).unwrap();
        let ends = senders.into_iter().zip(reports);
        Running {
            writers: ends.map(|(batches, reports)| ShardWriter { batches, reports }).collect(),
            threads,
        }
    }

    pub fn end(self) {
        self.try_end().unwrap();
    }

    pub fn try_end(self) -> Result<(), Error> {
        drop(self.writers);
        self.threads.join()
    }
}

/// Records of consecutive times in one document.
pub fn records(collection: &str, times: std::ops::Range<i64>) -> Batch {
    let mut batch = Batch::default();
    for ts in times {
        let data = format!("{ts:048}");
        batch.push(Change::Put { collection, document: "d", ts, data: &data });
    }
    batch
}

/// A directory with collections of 20 records each, closed.
pub fn filled(shard_count: usize, collections: usize) -> TempDir {
    let directory = TempDir::new();
    let running = Running::start(&directory.0, shard_count);
    for number in 0..collections {
        let collection = format!("c{number}");
        running.writers[shard_of(&collection, shard_count).0].store(records(&collection, 0..20));
    }
    running.end();
    directory
}

/// Opens the store and loads all of it.
pub fn load(directory: &Path, shard_count: usize) -> Result<Loaded, Error> {
    let store = Store::open(options(directory, shard_count))?;
    let mut all = Loaded::default();
    for loader in store.loaders() {
        let Loaded { documents, records, entries } = loader.load(&mut Shard::new())?;
        all.documents += documents;
        all.records += records;
        all.entries += entries;
    }
    Ok(all)
}

/// The records in the chunks of all files.
pub fn stored(directory: &Path, shard_count: usize) -> Vec<(String, String, i64, String)> {
    let mut all = Vec::new();
    let query = "SELECT collection, documents.document, bytes FROM documents JOIN chunks ON chunks.document = documents.id";
    for (collection, document, bytes) in rows::<(String, String, Vec<u8>)>(directory, shard_count, query) {
        let mut decoder = Decoder::default();
        let sealed = Sealed::from_bytes(bytes, |_| None, &mut decoder).unwrap();
        let mut reader = decoder.open(&sealed);
        for block in 0..sealed.block_count() {
            let records = reader.block(block).records();
            all.extend(records.map(|(ts, data)| (collection.clone(), document.clone(), ts, data.to_owned())));
        }
    }
    all.sort();
    all
}

/// The rows of a query, over the files of all shards.
pub fn rows<T>(directory: &Path, shard_count: usize, sql: &str) -> Vec<T>
where
    T: for<'r> TryFrom<&'r Row<'r>, Error = rusqlite::Error>,
{
    let mut all = Vec::new();
    for index in 0..shard_count {
        let connection = Connection::open(directory.join(format!("shard-{index:03}.db"))).unwrap();
        let mut query = connection.prepare(sql).unwrap();
        let rows = query.query_map([], |row| row.try_into()).unwrap();
        all.extend(rows.map(Result::unwrap));
    }
    all
}
