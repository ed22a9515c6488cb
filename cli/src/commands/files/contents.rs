//! What an export reads from: a server, or the data directory of one that is stopped.

use super::interrupt::Unfinished;
use super::lines::{DocumentLines, NewFile};
use super::pages::{Out, Pages};
use super::paths::document_file;
use super::progress::Progress;
use super::stopped::Directory;
use anyhow::{Context, Result};
use fluxion_client::{ApiKey, Client, LatestQuery};
use std::collections::BTreeMap;
use std::path::Path;

/// Where the data is.
pub enum Contents<'a> {
    /// In a server.
    Server(&'a mut Client),
    /// In the directory of one that is stopped.
    Directory(&'a mut Directory),
}

impl Contents<'_> {
    /// The names of all collections.
    pub fn collections(&mut self) -> Result<Vec<String>> {
        match self {
            Contents::Server(client) => client.collections().context("can't list the collections"),
            Contents::Directory(directory) => directory.collections(),
        }
    }

    /// The API keys.
    pub fn api_keys(&mut self) -> Result<Vec<ApiKey>> {
        match self {
            Contents::Server(client) => client.api_keys().context("can't list the API keys"),
            Contents::Directory(directory) => directory.api_keys(),
        }
    }

    /// The key-value entries of a collection.
    pub fn values(&mut self, collection: &str) -> Result<BTreeMap<String, String>> {
        match self {
            Contents::Server(client) => Ok(client.values(collection)?),
            Contents::Directory(directory) => directory.values(collection),
        }
    }

    /// Reads the records of all documents of a collection, to a directory or to nothing; `finished` is told of each document.
    pub fn read(
        &mut self,
        collection: &str,
        out: Out<'_>,
        progress: &mut Progress,
        finished: &mut impl FnMut(DocumentLines) -> Result<()>,
    ) -> Result<()> {
        match self {
            Contents::Server(client) => {
                let documents = newest(client, collection)?;
                Pages::new(collection, out, documents).read(client, progress, finished)
            }
            Contents::Directory(directory) => {
                let documents = directory.documents(collection)?;
                for (index, document) in documents.iter().enumerate() {
                    let create = |(dir, unfinished): (&Path, &Unfinished)| {
                        NewFile::create(&dir.join(document_file(document)), false, unfinished)
                    };
                    let mut lines = DocumentLines::new(document, out.map(create).transpose()?);
                    directory.history(collection, document, &mut |record| {
                        progress.count(|| index as f64 / documents.len() as f64);
                        lines.push(record)
                    })?;
                    finished(lines).with_context(|| format!("document {document:?}"))?;
                }
                Ok(())
            }
        }
    }
}

/// The documents of a collection with the time of their newest record, in order.
fn newest(client: &mut Client, collection: &str) -> Result<Vec<(String, i64)>> {
    let mut documents = Vec::new();
    let mut latest = client.latest(LatestQuery::new(collection, i64::MAX))?;
    while let Some((document, record)) = latest.read()? {
        documents.push((document.into_owned(), record.ts));
    }
    documents.sort_unstable();
    Ok(documents)
}
