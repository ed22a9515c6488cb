//! A command's line: parsed, run, and its exit code.

use super::arguments;
use super::command::Command;
use super::connection::Connection;
use super::output::{Interrupted, escape::printable_lines, is_broken_pipe};
use super::shell;
use crate::environment::without_empty_variables;
use anyhow::Result;
use clap::{CommandFactory, FromArgMatches, Parser};
use std::ffi::OsString;
use std::process::ExitCode;

const EXIT_FAILED: u8 = 1;

/// A command with the flags that all of them share.
#[derive(Parser)]
#[command(name = "fluxiondb", version, subcommand_required = true)]
struct CommandLine {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: Command,
}

/// Runs the command that the arguments name, if they name one. `whole` makes the whole command line, the server's flags
/// too, for completion scripts.
pub fn run_if_named(arguments: &[OsString], whole: fn() -> clap::Command) -> Option<ExitCode> {
    let arguments = arguments::for_command(&CommandLine::command(), arguments)?;
    let parser = without_empty_variables(CommandLine::command());
    let parsed =
        parser.try_get_matches_from(arguments).and_then(|found| CommandLine::from_arg_matches(&found));
    Some(match parsed {
        Ok(line) => exit_code(run(line, whole)),
        Err(error) => {
            // That nobody reads the help is no failure.
            let _ = error.print();
            ExitCode::from(if error.use_stderr() { EXIT_FAILED } else { 0 })
        }
    })
}

fn run(line: CommandLine, whole: fn() -> clap::Command) -> Result<()> {
    let CommandLine { connection, command } = line;
    if let Some(run) = on_directory(&command) {
        return run;
    }
    match command {
        Command::Completion(command) => command.run(whole()),
        Command::Health(command) => command.run(&connection),
        Command::Shell => shell::run(&connection, &CommandLine::command()),
        command => command.run(&mut connection.open()?),
    }
}

/// Runs a command that is about the directory of a stopped server.
fn on_directory(command: &Command) -> Option<Result<()>> {
    Some(match command {
        Command::Check(command) => command.run(),
        Command::Dump(command) => command.run(),
        Command::Export(command) => command.run_stopped(command.directory()?),
        Command::Backup(command) => command.run_stopped(command.directory()?),
        _ => return None,
    })
}

fn exit_code(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Who reads the output has had enough, as `head` does.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) if error.is::<Interrupted>() => {
            ExitCode::from(error.downcast_ref().map_or(EXIT_FAILED, Interrupted::exit_code))
        }
        Err(error) => {
            eprintln!("fluxiondb: {}", printable_lines(&format!("{error:#}")));
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
