//! Between the network layer and storage, which don't know each other: the writers' answers go to the cores, the
//! stored data to the shards, the stored keys to the key tables.

use crate::error::Error;
use crate::options::DataSettings;
use crossbeam_channel::Sender;
use fluxion_engine::{Batch, Shard, SyncMode};
use fluxion_net::journal::{JournalOptions, Reporter, StoredShard};
use fluxion_net::keys::Scope;
use fluxion_net::server::Persistence;
use fluxion_storage::{ApiKey, Loaded, Loader, Report, Store, StoreOptions, Writers};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use tracing::info;

/// A shard's least share of the changes that may wait: a few large messages.
const SHARD_DIRTY_BYTES_MIN: usize = 4 << 20;
/// A batch is at most this part of what may wait, so that the next one collects while it is stored.
const BATCHES_WAITING: usize = 8;

/// Opens the data directory for this many shards; imports and moves what has to be.
pub fn open(data: &DataSettings, shard_count: usize) -> Result<(Persistence, RunningWriters), Error> {
    let store = Store::open(StoreOptions {
        directory: data.directory.clone(),
        shard_count,
        sync: data.sync,
        cpus: data.writer_cpus.clone(),
    })?;
    let api_keys = store.api_keys()?.into_iter().map(restore_key).collect::<Result<_, _>>()?;
    let waiting_bytes_max = (data.dirty_bytes_max / shard_count).max(SHARD_DIRTY_BYTES_MIN);
    let journal = JournalOptions {
        sync_always: data.sync == SyncMode::Always,
        flush_interval: data.flush_interval,
        batch_bytes: waiting_bytes_max / BATCHES_WAITING,
        waiting_bytes_max,
    };
    let loaders = store.loaders();
    let starting = Rc::new(RefCell::new(Starting::new(store, shard_count)));
    let shards = loaders.into_iter().enumerate();
    let shards = shards.map(|(index, loader)| stored_shard(index, loader, starting.clone())).collect();
    Ok((Persistence { journal, shards, api_keys }, RunningWriters(starting)))
}

fn restore_key(ApiKey { key, scope }: ApiKey) -> Result<(String, Scope), Error> {
    match Scope::parse(&scope) {
        Some(scope) => Ok((key, scope)),
        None => Err(Error::UnknownScope(scope)),
    }
}

/// The writers, which are all started when the first core wants its own; a core's reporter is set before its first batch.
struct Starting {
    store: Option<Store>,
    reporters: Vec<Arc<OnceLock<Reporter>>>,
    senders: Vec<Option<Sender<Batch>>>,
    writers: Option<Writers>,
}

impl Starting {
    fn new(store: Store, shard_count: usize) -> Starting {
        let reporters = (0..shard_count).map(|_| Arc::default()).collect();
        Starting { store: Some(store), reporters, senders: Vec::new(), writers: None }
    }

    fn sender(&mut self, index: usize, reporter: Reporter) -> Result<Sender<Batch>, fluxion_storage::Error> {
        if let Some(store) = self.store.take() {
            let (senders, writers) =
                store.start_writers(self.reporters.iter().cloned().map(answer).collect())?;
            self.senders = senders.into_iter().map(Some).collect();
            self.writers = Some(writers);
        }
        let known = self.reporters[index].set(reporter);
        assert!(known.is_ok(), "a writer has one core");
        Ok(self.senders[index].take().unwrap_or_else(|| unreachable!("a core has one writer")))
    }
}

/// Passes a writer's reports on to its core.
fn answer(reporter: Arc<OnceLock<Reporter>>) -> impl Fn(Report) + Send + 'static {
    move |report| match (reporter.get(), report) {
        (Some(reporter), Report::Committed) => reporter.committed(),
        (Some(reporter), Report::Failed(why)) => reporter.failed(why),
        (None, _) => unreachable!("a report without a batch"),
    }
}

fn stored_shard(index: usize, loader: Loader, starting: Rc<RefCell<Starting>>) -> StoredShard {
    let start = move |reporter: Reporter| {
        starting.borrow_mut().sender(index, reporter).map_err(|error| error.to_string())
    };
    let load = move |shard: &mut Shard| {
        let loaded = loader.load(shard).map_err(|error| error.to_string())?;
        if loaded.records + loaded.entries > 0 {
            let Loaded { documents, records, entries } = loaded;
            info!(shard = index, documents, records, entries, "loaded");
        }
        Ok(())
    };
    StoredShard { start: Box::new(start), load: Box::new(load) }
}

/// The writers of a running server.
pub struct RunningWriters(Rc<RefCell<Starting>>);

impl RunningWriters {
    /// Waits until all are done, now that the server has ended; the error says what could not be stored.
    pub fn join(self) -> Result<(), fluxion_storage::Error> {
        let writers = self.0.borrow_mut().writers.take();
        writers.map_or(Ok(()), Writers::join)
    }
}
