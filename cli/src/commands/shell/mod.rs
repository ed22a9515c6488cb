//! A prompt for commands over one connection, with a history, and completion of commands, flags and the names of
//! collections. Read from a pipe, it runs the lines and fails if one of them failed.

use super::arguments;
use super::connection::Connection;
use super::{Command, CommandLine, execute, output};
use anyhow::{Result, bail};
use clap::{Args, CommandFactory, FromArgMatches};
use fluxion_client::Client;
use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::history::DefaultHistory;
use rustyline::{CompletionType, Config, Context, Editor, Helper, Highlighter, Hinter, Validator};
use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::PathBuf;

const PROMPT: &str = "fluxiondb> ";
const HISTORY_LEN_MAX: usize = 1000;
const WELCOME: &str =
    "Type a command, such as fetch-collections; `help` lists them, Tab completes, Ctrl-D leaves.";

/// `shell`
#[derive(Args, Clone)]
#[command(after_help = "Examples:
  fluxiondb shell
  echo 'fetch-collections' | fluxiondb shell")]
pub struct Shell {}

impl Shell {
    /// Reads and runs lines until the end of the input.
    pub fn run(&self, connection: &Connection) -> Result<()> {
        let mut client = connection.open()?;
        let interactive = std::io::stdin().is_terminal();
        let config = Config::builder()
            .max_history_size(HISTORY_LEN_MAX)?
            .auto_add_history(false)
            .completion_type(CompletionType::List)
            .build();
        let mut editor: Editor<Completions, DefaultHistory> = Editor::with_config(config)?;
        editor.set_helper(Some(Completions { root: command(), collections: Vec::new() }));
        let history = interactive.then(history_file).flatten();
        if let Some(path) = &history {
            // There is none the first time.
            let _ = editor.load_history(path);
            println!("{WELCOME}");
        }
        let mut failed = 0;
        while let Some(line) = read_line(&mut editor, &mut client, interactive)? {
            match line.trim() {
                "" => continue,
                "exit" | "quit" => break,
                line => failed += usize::from(!run_line(line, &mut client)),
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
}

/// The next line; nothing at the end of the input.
fn read_line(
    editor: &mut Editor<Completions, DefaultHistory>,
    client: &mut Client,
    interactive: bool,
) -> Result<Option<String>> {
    if interactive
        && client.is_connected()
        && let Some(helper) = editor.helper_mut()
    {
        // A connection that is lost is told by the next command.
        helper.collections = client.collections().unwrap_or_default();
        helper.collections.sort_unstable();
    }
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
    Command::augment(clap::Command::new("fluxiondb").no_binary_name(true).disable_version_flag(true))
        .mut_subcommand("shell", |shell| shell.hide(true))
        .subcommand_required(true)
}

impl Command {
    fn augment(command: clap::Command) -> clap::Command {
        <Command as clap::Subcommand>::augment_subcommands(command)
    }
}

/// Runs a line, tells an error, and says whether it went well.
fn run_line(line: &str, client: &mut Client) -> bool {
    let run = |client: &mut Client| {
        let Some(command) = parse(line)? else { return Ok(()) };
        // The server drops who sits at the prompt for long, and an earlier command may have been cut short.
        if client.ping().is_err() {
            client.reconnect()?;
        }
        execute(command, client)
    };
    match run(client) {
        Ok(()) => true,
        Err(error) if output::is_broken_pipe(&error) => true,
        Err(error) => {
            eprintln!("error: {error:#}");
            false
        }
    }
}

/// The command of a line; nothing where the line asked for help, which has been printed.
fn parse(line: &str) -> Result<Option<Command>> {
    let words: Vec<OsString> =
        split(line).map_err(anyhow::Error::msg)?.into_iter().map(OsString::from).collect();
    let root = command();
    let line = match words.first().and_then(|word| root.find_subcommand(word)) {
        Some(found) => {
            let mut line = vec![OsString::from(found.get_name())];
            line.extend(arguments::after_command(&CommandLine::command(), found, words[1..].iter()));
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

/// Words as a Unix shell splits them, with '…', "…" and \, and without all its other meanings.
fn split(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match letter {
            ' ' | '\t' => words.extend(word.take()),
            '\'' | '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match letters.next() {
                        None => return Err(format!("a {letter} is not closed")),
                        Some(end) if end == letter => break,
                        Some('\\') if letter == '"' => match letters.next() {
                            Some(escaped @ ('"' | '\\')) => word.push(escaped),
                            Some(other) => word.extend(['\\', other]),
                            None => return Err(format!("a {letter} is not closed")),
                        },
                        Some(other) => word.push(other),
                    }
                }
            }
            '\\' => word.get_or_insert_default().extend(letters.next()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    Ok(words)
}

/// A word as it must be typed.
fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_alphanumeric() || "-_./:=@%+,".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
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
fn save_history(editor: &mut Editor<Completions, DefaultHistory>, path: Option<&std::path::Path>) {
    if let Some(path) = path
        && path.parent().is_some_and(|dir| std::fs::create_dir_all(dir).is_ok())
    {
        let _ = editor.append_history(path);
    }
}

/// What Tab offers.
#[derive(Helper, Hinter, Highlighter, Validator)]
struct Completions {
    root: clap::Command,
    collections: Vec<String>,
}

impl Completer for Completions {
    type Candidate = Pair;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let before = &line[..at];
        let start = before.rfind([' ', '\t']).map_or(0, |blank| blank + 1);
        Ok((start, self.candidates(&before[..start], &before[start..])))
    }
}

impl Completions {
    /// What may stand for `word` behind the words before it.
    fn candidates(&self, before: &str, word: &str) -> Vec<Pair> {
        let words: Vec<&str> = before.split_whitespace().collect();
        let offered: Vec<String> = match (words.first(), words.last()) {
            (None, _) => {
                self.root.get_subcommands().map(|command| format!("{} ", command.get_name())).collect()
            }
            (_, Some(&("--col" | "-col"))) => {
                self.collections.iter().map(|name| quoted(name) + " ").collect()
            }
            (Some(command), _) => {
                let flags =
                    self.root.find_subcommand(command).into_iter().flat_map(|found| found.get_arguments());
                flags.filter_map(|flag| Some(format!("--{} ", flag.get_long()?))).collect()
            }
        };
        let typed = word.trim_start_matches('"');
        let fitting = offered.into_iter().filter(|offer| offer.trim_start_matches('"').starts_with(typed));
        fitting.map(|offer| Pair { display: offer.trim_end().to_owned(), replacement: offer }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_split_as_in_a_shell() {
        assert_eq!(
            split(r#"a  'b "c' "d \"e\\ \n" f\ g '' --x=y"#).unwrap(),
            ["a", "b \"c", "d \"e\\ \\n", "f g", "", "--x=y"]
        );
        assert!(split("a 'b").unwrap_err().contains("not closed"));
        for word in ["plain", "a b", "\"q\" \\", ""] {
            assert_eq!(split(&quoted(word)).unwrap(), [word]);
        }
    }

    #[test]
    fn tab_offers_commands_flags_and_collections() {
        let completions = Completions { root: command(), collections: vec!["a/b".into(), "ünï q".into()] };
        let offers = |before, word| {
            let offers = completions.candidates(before, word);
            offers.into_iter().map(|pair| pair.replacement).collect::<Vec<_>>()
        };
        assert_eq!(offers("", "fetch-c"), ["fetch-collections "]);
        assert_eq!(offers("delete-document ", "--d"), ["--doc "]);
        assert_eq!(offers("delete-document --col ", ""), ["a/b ", "\"ünï q\" "]);
        assert_eq!(offers("delete-document --col ", "\"ü"), ["\"ünï q\" "]);
    }

    #[test]
    fn keys_stay_out_of_the_history() {
        assert!(may_be_kept("fetch-collections"));
        assert!(!may_be_kept("add-key --key secret"));
    }
}
