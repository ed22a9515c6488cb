//! The data directory of a stopped server, read as the server would. Its records lie in memory meanwhile, packed as they are
//! on disk.

use crate::commands::output::escape::printable;
use anyhow::{Context, Result, anyhow, bail};
use fluxion_client::{ApiKey, RecordText, Scope};
use fluxion_engine::{Outcome, PIECE_BYTES, Progress, Request, Shard, ShardId, shard_of};
use fluxion_storage::Stopped;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::path::Path;

/// Records of the first page of a document, whose size is not known yet: as long as they may be, some may be held.
const FIRST_PAGE_RECORDS: u64 = 16;
const PAGE_RECORDS_MAX: u64 = 100_000;
/// The size that further pages are to have.
const PAGE_BYTES: u64 = 16 << 20;

/// An open directory, which no server can use meanwhile.
pub struct Directory {
    shards: Vec<Shard>,
    stopped: Stopped,
}

#[derive(Deserialize)]
struct Records<'a> {
    #[serde(borrow)]
    records: Vec<RecordText<'a>>,
}

#[derive(Deserialize)]
struct Documents {
    records: BTreeMap<String, IgnoredAny>,
}

#[derive(Deserialize)]
struct Values {
    values: BTreeMap<String, String>,
}

impl Directory {
    /// Opens it, and reads all that is in it.
    pub fn open(path: &Path) -> Result<Directory> {
        let stopped = Stopped::open(path).map_err(|error| anyhow!("{error}"))?;
        for missing in stopped.missing() {
            eprintln!("fluxiondb: {}", printable(&missing));
        }
        let shards = stopped.load().map_err(|error| anyhow!("{error}"))?;
        Ok(Directory { shards, stopped })
    }

    /// The names of all collections, in order.
    pub fn collections(&mut self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for shard in &mut self.shards {
            let text = reply(shard, &Request::Collections, *b"[]")?;
            names.append(&mut serde_json::from_slice(&text)?);
        }
        names.sort_unstable();
        Ok(names)
    }

    /// The names of the documents of a collection, in order.
    pub fn documents(&mut self, collection: &str) -> Result<Vec<String>> {
        let request = Request::Latest {
            collection,
            document: None,
            ts: i64::MAX,
            from: None,
            contains: None,
            excludes: None,
        };
        let Documents { records } = self.ask(collection, &request)?;
        Ok(records.into_keys().collect())
    }

    /// The key-value entries of a collection.
    pub fn values(&mut self, collection: &str) -> Result<BTreeMap<String, String>> {
        let Values { values } = self.ask(collection, &Request::AllValues { collection })?;
        Ok(values)
    }

    /// Gives all records of a document, the earliest first.
    pub fn history(
        &mut self,
        collection: &str,
        document: &str,
        take: &mut impl FnMut(&RecordText<'_>) -> Result<()>,
    ) -> Result<()> {
        let shard = self.shard(collection);
        let (mut from, mut count) = (Some(i64::MIN), FIRST_PAGE_RECORDS);
        while from.is_some() {
            let limit = NonZeroU64::new(count);
            let (contains, excludes) = (None, None);
            let request = Request::History {
                collection,
                document,
                from,
                to: i64::MAX,
                limit,
                reverse: false,
                contains,
                excludes,
            };
            let text = reply(shard, &request, *b"{}")?;
            let Records { records } = serde_json::from_slice(&text)?;
            records.iter().try_for_each(&mut *take)?;
            let last = records.last().filter(|_| records.len() as u64 == count);
            from = last.and_then(|record| record.ts.checked_add(1));
            count = (PAGE_BYTES * count / text.len() as u64).clamp(1, PAGE_RECORDS_MAX);
        }
        Ok(())
    }

    /// The API keys.
    pub fn api_keys(&self) -> Result<Vec<ApiKey>> {
        let keys = self.stopped.api_keys().map_err(|error| anyhow!("{error}"))?;
        let known = |key: fluxion_storage::ApiKey| -> Result<ApiKey> {
            let scope: Scope = serde_json::from_value(key.scope.clone().into()).with_context(|| {
                format!("this version does not know the scope {:?} of an API key", key.scope)
            })?;
            Ok(ApiKey { key: key.key, scope, deletable: true })
        };
        keys.into_iter().map(known).collect()
    }

    fn shard(&mut self, collection: &str) -> &mut Shard {
        let ShardId(shard) = shard_of(collection, self.shards.len());
        &mut self.shards[shard]
    }

    fn ask<T: DeserializeOwned>(&mut self, collection: &str, request: &Request<&str>) -> Result<T> {
        let text = reply(self.shard(collection), request, *b"{}")?;
        Ok(serde_json::from_slice(&text)?)
    }
}

/// A whole reply, between the brackets that it comes without.
fn reply(shard: &mut Shard, request: &Request<&str>, [open, close]: [u8; 2]) -> Result<Vec<u8>> {
    let mut out = vec![open];
    match shard.execute(request, &mut out) {
        Ok(Outcome::Done) => {}
        Ok(Outcome::Reply(mut rest)) => while rest.step(&mut out, PIECE_BYTES) == Progress::More {},
        Ok(Outcome::Change(_)) => bail!("this only reads"),
        Err(error) => bail!("{error}"),
    }
    out.push(close);
    Ok(out)
}
