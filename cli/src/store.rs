//! Between the network layer and storage, which don't know each other: the writers' answers go to the cores, the
//! stored data to the shards, the stored keys to the key tables.

use crate::error::Error;
use crate::limits::{BATCHES_WAITING, SHARD_DIRTY_BYTES_MIN};
use crate::options::DataSettings;
use fluxion_engine::Shard;
use fluxion_net::{LoadError, Persistence, Reporter, Scope, StorageOptions};
use fluxion_storage::{ApiKey, Loaded, Loader, Report, Sizes, Store, StoreOptions, Writers};
use tracing::info;

/// The data directory, open, and when changes are stored in it.
pub struct OpenStore {
    store: Store,
    options: StorageOptions,
    api_keys: Vec<(String, Scope)>,
}

/// Opens the data directory for this many shards; imports and moves what has to be.
pub fn open(data: &DataSettings, shard_count: usize) -> Result<OpenStore, Error> {
    let store = Store::open(StoreOptions {
        directory: data.directory.clone(),
        shard_count,
        sync: data.sync,
        cpus: data.writer_cpus.clone(),
        salvage: data.salvage,
        sizes: Sizes::default(),
    })?;
    let api_keys = store.api_keys()?.into_iter().map(restore_key).collect::<Result<_, _>>()?;
    let waiting_bytes_max = (data.dirty_bytes_max / shard_count).max(SHARD_DIRTY_BYTES_MIN);
    let options = StorageOptions {
        sync: data.sync,
        flush_interval: data.flush_interval,
        batch_bytes: waiting_bytes_max / BATCHES_WAITING,
        waiting_bytes_max,
    };
    Ok(OpenStore { store, options, api_keys })
}

impl OpenStore {
    /// The loaders that fill the shards.
    pub fn loaders(&self) -> Vec<fluxion_net::Loader> {
        let load = |(index, loader): (usize, Loader)| -> fluxion_net::Loader {
            Box::new(move |shard| load(index, loader, shard))
        };
        self.store.loaders().into_iter().enumerate().map(load).collect()
    }

    /// Starts the writers, which answer these; the shards have been filled by now, so a file that turned out to be
    /// damaged was left as it is.
    pub fn start_writers(self, reporters: Vec<Reporter>) -> Result<(Persistence, Writers), Error> {
        let reports = reporters.into_iter().map(|reporter| {
            move |report| match report {
                Report::Committed => reporter.committed(),
                Report::Failed(why) => reporter.failed(why),
            }
        });
        let (writers, running) = self.store.start_writers(reports.collect())?;
        Ok((Persistence { options: self.options, writers, api_keys: self.api_keys }, running))
    }
}

fn load(index: usize, loader: Loader, shard: &mut Shard) -> Result<(), LoadError> {
    let Loaded { documents, records, entries } = loader.load(shard)?;
    if records + entries > 0 {
        info!(shard = index, documents, records, entries, "loaded");
    }
    Ok(())
}

fn restore_key(ApiKey { key, scope }: ApiKey) -> Result<(String, Scope), Error> {
    match Scope::parse(&scope) {
        Some(scope) => Ok((key, scope)),
        None => Err(Error::UnknownScope(scope)),
    }
}
