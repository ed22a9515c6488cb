//! The commands: everything that an operator does with a running server, from the same binary.
//!
//! A command line is a command's if its first word that is no flag names one; all else is the server's business.
//! JSON goes to stdout, errors go to stderr with exit code 1.

mod archive;
mod arguments;
mod backup;
mod checksum;
mod completions;
mod connection;
mod entries;
mod export;
mod fetch;
mod import;
mod keys;
mod legacy;
mod lines;
mod manifest;
mod output;
mod paths;
mod ping;
mod pipeline;
mod progress;
mod shell;
mod sources;
mod write;

use anyhow::Result;
use clap::{CommandFactory, Parser, Subcommand};
use connection::Connection;
use fluxion_client::Client;
use std::ffi::OsString;
use std::fmt;
use std::process::ExitCode;

const EXIT_FAILED: u8 = 1;

/// What can be asked of a running server.
#[derive(Clone, Subcommand)]
pub enum Command {
    /// List the names of all collections
    FetchCollections(fetch::Collections),
    /// Show the newest record of each document at a time
    FetchLatest(fetch::Latest),
    /// Show the records of a document
    FetchDocument(fetch::Document),
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
    /// Measure round trips to the server
    Ping(ping::Ping),
    /// Write collections and API keys to files
    Export(export::Export),
    /// Read collections and API keys from files
    Import(import::Import),
    /// Write everything to a directory, and check what was written
    Backup(backup::Backup),
    /// Read a backup into an empty server, and check what it holds then
    Restore(backup::Restore),
    /// Enter commands at a prompt
    Shell(shell::Shell),
    /// Print a completion script for a shell
    Completions(completions::Completions),
}

/// A command with the flags that all of them share.
#[derive(Parser)]
#[command(name = "fluxiondb", version, subcommand_required = true)]
struct CommandLine {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: Command,
}

impl fmt::Debug for Command {
    /// Some hold API keys, which must not show.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Command")
    }
}

/// Runs the command that the arguments name, if they name one.
pub fn run_if_named(arguments: &[OsString]) -> Option<ExitCode> {
    let arguments = arguments::for_command(&CommandLine::command(), arguments)?;
    Some(match CommandLine::try_parse_from(arguments) {
        Ok(line) => exit_code(run(line)),
        Err(error) => {
            // That nobody reads the help is no failure.
            let _ = error.print();
            ExitCode::from(if error.use_stderr() { EXIT_FAILED } else { 0 })
        }
    })
}

fn run(line: CommandLine) -> Result<()> {
    let CommandLine { connection, command } = line;
    match command {
        Command::Completions(command) => command.run(),
        Command::Shell(command) => command.run(&connection),
        command => execute(command, &mut connection.open()?),
    }
}

/// Runs a command on a connection that is there.
fn execute(command: Command, client: &mut Client) -> Result<()> {
    match command {
        Command::FetchCollections(command) => command.run(client),
        Command::FetchLatest(command) => command.run(client),
        Command::FetchDocument(command) => command.run(client),
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
        Command::Ping(command) => command.run(client),
        Command::Export(command) => command.run(client),
        Command::Import(command) => command.run(client),
        Command::Backup(command) => command.run(client),
        Command::Restore(command) => command.run(client),
        Command::Completions(command) => command.run(),
        Command::Shell(_) => anyhow::bail!("this is a shell already"),
    }
}

fn exit_code(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Who reads the output has had enough, as `head` does.
        Err(error) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fluxiondb: {error:#}");
            ExitCode::from(EXIT_FAILED)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_are_well_formed() {
        CommandLine::command().debug_assert();
    }
}
