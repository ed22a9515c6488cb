//! All commands that are run on a connection, and which is which.

use super::completion::Completion;
use super::files::{backup, check, dump, export, import};
use super::records::{entries, fetch, tail, write};
use super::server::{health, keys, ping, stats};
use anyhow::{Result, bail};
use clap::Subcommand;
use fluxion_client::Client;
use std::fmt;

/// The commands to a running server.
#[derive(Clone, Subcommand)]
pub enum Command {
    /// List the names of all collections
    FetchCollections(fetch::Collections),
    /// Show the newest record of each document at a time
    FetchLatest(fetch::Latest),
    /// Show the records of a document
    FetchDocument(fetch::Document),
    /// Follow a collection: show its changes as they come
    Tail(tail::Tail),
    /// Insert a record; an equal time replaces it
    InsertRecord(write::Insert),
    /// Delete one record
    DeleteRecord(write::DeleteRecord),
    /// Delete the records of a document between two times
    DeleteRange(write::DeleteRange),
    /// Delete a document
    DeleteDocument(write::DeleteDocument),
    /// Delete a collection with all that is in it
    DeleteCollection(write::DeleteCollection),
    /// Set a key-value entry
    SetValue(entries::SetValue),
    /// Show key-value entries
    GetValues(entries::GetValues),
    /// List the keys of key-value entries
    ListKeys(entries::ListKeys),
    /// Delete a key-value entry
    DeleteValue(entries::DeleteValue),
    /// Add an API key, or change its scope; takes the master key
    AddKey(keys::AddKey),
    /// Remove an API key; takes the master key
    RemoveKey(keys::RemoveKey),
    /// List the API keys; takes the master key
    ListApiKeys(keys::ListApiKeys),
    /// List the server's connections
    Connections(keys::Connections),
    /// Show what each core of the server has done and holds
    Stats(stats::Stats),
    /// Measure round trips to the server
    Ping(ping::Ping),
    /// Ask whether the server is well; needs no API key
    Health(health::Health),
    /// Write collections and API keys to files
    Export(export::Export),
    /// Read collections and API keys from files
    Import(import::Import),
    /// Write everything to a directory, and check what was written
    Backup(backup::Backup),
    /// Read a backup into an empty server, and check what it holds then
    Restore(backup::Restore),
    /// Look for damage in the data directory of a stopped server
    Check(check::Check),
    /// Print what lies in the data directory of a stopped server, a line each
    Dump(dump::Dump),
    /// Enter commands at a prompt
    #[command(after_help = "Examples:
  fluxiondb shell
  echo 'fetch-collections' | fluxiondb shell")]
    Shell,
    /// Print a completion script for a shell
    #[command(alias = "completions")]
    Completion(Completion),
}

impl fmt::Debug for Command {
    /// Some hold API keys, which must not show.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Command")
    }
}

impl Command {
    /// Runs a command on a connection that is there.
    pub fn run(self, client: &mut Client) -> Result<()> {
        match self {
            Command::FetchCollections(command) => command.run(client),
            Command::FetchLatest(command) => command.run(client),
            Command::FetchDocument(command) => command.run(client),
            Command::Tail(command) => command.run(client),
            Command::InsertRecord(command) => command.run(client),
            Command::DeleteRecord(command) => command.run(client),
            Command::DeleteRange(command) => command.run(client),
            Command::DeleteDocument(command) => command.run(client),
            Command::DeleteCollection(command) => command.run(client),
            Command::SetValue(command) => command.run(client),
            Command::GetValues(command) => command.run(client),
            Command::ListKeys(command) => command.run(client),
            Command::DeleteValue(command) => command.run(client),
            Command::AddKey(command) => command.run(client),
            Command::RemoveKey(command) => command.run(client),
            Command::ListApiKeys(command) => command.run(client),
            Command::Connections(command) => command.run(client),
            Command::Stats(command) => command.run(client),
            Command::Ping(command) => command.run(client),
            Command::Export(command) => command.run(client),
            Command::Import(command) => command.run(client),
            Command::Backup(command) => command.run(client),
            Command::Restore(command) => command.run(client),
            Command::Check(_) | Command::Dump(_) => {
                bail!("this shell talks to a server; a directory is for one that is stopped")
            }
            Command::Health(_) => {
                bail!("`ping` asks the server that this shell talks to; health is asked from outside")
            }
            Command::Completion(_) => bail!("this shell completes by itself; scripts are for others"),
            Command::Shell => bail!("this is a shell already"),
        }
    }
}
