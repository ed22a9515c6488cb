//! A prompt for commands over one connection, with a history, and completion of commands, flags and the names that the
//! server holds. Read from a pipe, it runs the lines and fails if one of them failed.

mod completer;
mod words;

use super::arguments;
use super::command::Command;
use super::connection::Connection;
use super::output::{Interrupted, escape::printable_lines, is_broken_pipe};
use anyhow::{Result, bail};
use clap::{FromArgMatches, Subcommand};
use completer::Completions;
use fluxion_client::Client;
use rustyline::error::ReadlineError;
use rustyline::history::DefaultHistory;
use rustyline::{CompletionType, Config, Editor};
use std::cell::RefCell;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::rc::Rc;

const PROMPT: &str = "fluxiondb> ";
const HISTORY_LEN_MAX: usize = 1000;
const WELCOME: &str =
    "Type a command, such as fetch-collections; `help` lists them, Tab completes, Ctrl-D leaves.";

/// The editor of lines; completion asks the server over the same connection.
type LineEditor = Editor<Completions<Rc<RefCell<Client>>>, DefaultHistory>;

/// Reads and runs lines until the end of the input. `shared` has the flags that all commands share.
pub fn run(connection: &Connection, shared: &clap::Command) -> Result<()> {
    let client = Rc::new(RefCell::new(connection.open()?));
    let interactive = std::io::stdin().is_terminal();
    let config = Config::builder()
        .max_history_size(HISTORY_LEN_MAX)?
        .auto_add_history(false)
        .completion_type(CompletionType::List)
        .build();
    let mut editor = LineEditor::with_config(config)?;
    editor.set_helper(Some(Completions { root: command(), names: client.clone() }));
    let history = interactive.then(history_file).flatten();
    if let Some(path) = &history {
        // There is none the first time.
        let _ = editor.load_history(path);
        println!("{WELCOME}");
    }
    let mut failed = 0;
    while let Some(line) = read_line(&mut editor)? {
        match line.trim() {
            "" => continue,
            "exit" | "quit" => break,
            line => failed += usize::from(!run_line(line, shared, &mut client.borrow_mut())),
        }
        if may_be_kept(&line) && editor.add_history_entry(line.trim()).unwrap_or(false) {
            save_history(&mut editor, history.as_deref());
        }
    }
    if failed > 0 && !interactive {
        bail!("{failed} of the commands failed");
    }
    Ok(())
}

/// The next line; nothing at the end of the input.
fn read_line(editor: &mut LineEditor) -> Result<Option<String>> {
    loop {
        match editor.readline(PROMPT) {
            Ok(line) => return Ok(Some(line)),
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    }
}

/// The parser of a line: the commands without the name of the program and the flags of the connection.
fn command() -> clap::Command {
    let root = clap::Command::new("fluxiondb").no_binary_name(true).disable_version_flag(true);
    Command::augment_subcommands(root)
        .mut_subcommand("shell", |shell| shell.hide(true))
        .mut_subcommand("health", |health| health.hide(true))
        .mut_subcommand("completion", |completion| completion.hide(true))
        .subcommand_required(true)
}

/// Runs a line, tells an error, and says whether it went well.
fn run_line(line: &str, shared: &clap::Command, client: &mut Client) -> bool {
    let run = |client: &mut Client| {
        let Some(command) = parse(line, shared)? else { return Ok(()) };
        // The server drops who sits at the prompt for long, and an earlier command may have been cut short.
        if client.ping().is_err() {
            client.reconnect()?;
        }
        command.run(client)
    };
    match run(client) {
        Ok(()) => true,
        Err(error) if is_broken_pipe(&error) || error.is::<Interrupted>() => true,
        Err(error) => {
            eprintln!("error: {}", printable_lines(&format!("{error:#}")));
            false
        }
    }
}

/// The command of a line; nothing where the line asked for help, which has been printed.
fn parse(line: &str, shared: &clap::Command) -> Result<Option<Command>> {
    let words: Vec<OsString> =
        words::split(line).map_err(anyhow::Error::msg)?.into_iter().map(OsString::from).collect();
    let root = command();
    let line = match words.first().and_then(|word| root.find_subcommand(word)) {
        Some(found) => {
            let mut line = vec![OsString::from(found.get_name())];
            line.extend(arguments::after_command(shared, found, words[1..].iter()));
            line
        }
        None => words,
    };
    match root.try_get_matches_from(line).and_then(|matches| Command::from_arg_matches(&matches)) {
        Ok(command) => Ok(Some(command)),
        Err(error) if !error.use_stderr() => {
            error.print()?;
            Ok(None)
        }
        Err(error) => {
            let text = error.to_string();
            let what = text.split("\n\nFor more information").next().unwrap_or_default();
            bail!("{}", what.trim_start_matches("error: ").trim_end())
        }
    }
}

/// Lines that hold API keys are not written to the history.
fn may_be_kept(line: &str) -> bool {
    !["add-key", "remove-key", "apikey"].iter().any(|secret| line.contains(secret))
}

fn history_file() -> Option<PathBuf> {
    let dir = std::env::var_os("XDG_STATE_HOME").filter(|dir| !dir.is_empty()).map(PathBuf::from);
    let dir = dir.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/state")))?;
    Some(dir.join("fluxiondb/history"))
}

/// That there is no place for a history is no reason to stop. rustyline makes the file for its owner only.
fn save_history(editor: &mut LineEditor, path: Option<&std::path::Path>) {
    if let Some(path) = path
        && path.parent().is_some_and(|dir| std::fs::create_dir_all(dir).is_ok())
    {
        let _ = editor.append_history(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stay_out_of_the_history() {
        assert!(may_be_kept("fetch-collections"));
        assert!(!may_be_kept("add-key --key secret"));
    }
}
