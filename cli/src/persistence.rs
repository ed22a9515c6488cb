//! Between the network layer and storage, which don't know each other: the writers' answers go to the cores, the
//! stored data to the shards, the stored keys to the key tables.

use crate::options::DataSettings;
use fluxion_net::journal::{JournalOptions, Reporter, StoredShard};
use fluxion_net::keys::Scope;
use fluxion_net::server::Persistence;
use fluxion_storage::{ApiKey, DirectoryLock, Report, ShardStore, Store, StoreOptions, SyncMode, Writer};
use std::cell::RefCell;
use std::rc::Rc;
use tracing::info;

/// A shard's least share of the changes that may wait: a few large messages.
const SHARD_DIRTY_BYTES_MIN: usize = 4 << 20;
/// A batch is at most this part of what may wait, so that the next one collects while it is stored.
const BATCHES_WAITING: usize = 8;

/// The writers of a running server, and the lock on their directory.
pub struct Writers {
    writers: Rc<RefCell<Vec<Writer>>>,
    lock: DirectoryLock,
}

impl Writers {
    /// Waits until all are done, now that the server has ended; the error says what could not be stored.
    pub fn join(self) -> Result<(), String> {
        let results: Vec<_> = self.writers.take().into_iter().map(Writer::join).collect();
        drop(self.lock);
        results.into_iter().collect::<Result<(), _>>().map_err(|error| error.to_string())
    }
}

/// Opens the data directory for so many shards; imports and re-places what has to be.
pub fn open(data: &DataSettings, shard_count: usize) -> Result<(Persistence, Writers), String> {
    let store = Store::open(StoreOptions {
        directory: data.directory.clone(),
        shard_count,
        sync: if data.sync_always { SyncMode::Always } else { SyncMode::Interval },
        cpus: data.writer_cpus.clone(),
    })
    .map_err(|error| error.to_string())?;
    let api_keys = store.api_keys().map_err(|error| error.to_string())?;
    let api_keys = api_keys.into_iter().map(restore_key).collect::<Result<_, _>>()?;
    let (shards, lock) = store.into_shards();
    let writers = Rc::new(RefCell::new(Vec::new()));
    let shards = shards.into_iter().enumerate();
    let shards = shards.map(|(index, shard)| stored_shard(index, shard, writers.clone())).collect();
    let waiting_bytes_max = (data.dirty_bytes_max / shard_count).max(SHARD_DIRTY_BYTES_MIN);
    let journal = JournalOptions {
        sync_always: data.sync_always,
        flush_interval: data.flush_interval,
        batch_bytes: waiting_bytes_max / BATCHES_WAITING,
        waiting_bytes_max,
    };
    Ok((Persistence { journal, shards, api_keys }, Writers { writers, lock }))
}

fn restore_key(ApiKey { key, scope }: ApiKey) -> Result<(String, Scope), String> {
    match Scope::parse(&scope) {
        Some(scope) => Ok((key, scope)),
        None => Err(format!(
            "a stored API key has the scope {scope:?}, which this version does not know: start the version that \
             wrote it, and remove that key or add it again with another scope"
        )),
    }
}

fn stored_shard(index: usize, store: ShardStore, writers: Rc<RefCell<Vec<Writer>>>) -> StoredShard {
    let loader = store.loader();
    let start = move |reporter: Reporter| {
        let (sender, batches) = crossbeam_channel::unbounded();
        let report = move |report| match report {
            Report::Committed => reporter.committed(),
            Report::Failed(why) => reporter.failed(why),
        };
        let writer = store.start(batches, report).map_err(|error| error.to_string())?;
        writers.borrow_mut().push(writer);
        Ok(sender)
    };
    let load = move |shard: &mut fluxion_engine::Shard| {
        let loaded = loader.load(shard).map_err(|error| error.to_string())?;
        if loaded.records + loaded.entries > 0 {
            let fluxion_storage::Loaded { documents, records, entries } = loaded;
            info!(shard = index, documents, records, entries, "loaded");
        }
        Ok(())
    };
    StoredShard { start: Box::new(start), load: Box::new(load) }
}
