//! Command lines as other command line tools write them, brought into one form: `-col x`, `--col x` and `--col=x`
//! become `--col=x`, and shared flags may stand before the command. With the value tied to its flag it may begin
//! with a dash. Also tells a command's line from the server's.

use clap::{Arg, Command};
use std::ffi::{OsStr, OsString};

/// The arguments for the parser of commands, if they are meant for it.
pub fn for_command(root: &Command, arguments: &[OsString]) -> Option<Vec<OsString>> {
    let mut arguments = arguments.iter();
    let program = arguments.next()?.clone();
    let mut before = Vec::new();
    let mut wants_help = false;
    let command = loop {
        let argument = arguments.next()?;
        if let Some(flag) = Flag::read(argument) {
            before.push(flag.tied(root.get_arguments(), &mut arguments)?);
        } else if argument == "help" && !wants_help {
            wants_help = true;
        } else {
            break root.find_subcommand(argument)?;
        }
    };
    let mut line = vec![program, command.get_name().into()];
    line.extend(before);
    line.extend(after_command(root, command, arguments));
    if wants_help {
        line.push("--help".into());
    }
    Some(line)
}

/// The arguments behind a command's name, in the form that the parser takes.
pub fn after_command<'a>(
    root: &Command,
    command: &Command,
    mut arguments: impl Iterator<Item = &'a OsString>,
) -> Vec<OsString> {
    let mut line = Vec::new();
    while let Some(argument) = arguments.next() {
        if argument == "--" {
            line.push(argument.clone());
            line.extend(arguments.cloned());
            break;
        }
        let known = command.get_arguments().chain(root.get_arguments());
        let tied = Flag::read(argument).and_then(|flag| flag.tied(known, &mut arguments));
        line.push(tied.unwrap_or_else(|| argument.clone()));
    }
    line
}

/// A flag as it was written.
struct Flag<'a> {
    name: &'a str,
    /// The whole argument without its dashes, if it holds the value too.
    with_value: Option<&'a OsStr>,
}

impl<'a> Flag<'a> {
    fn read(argument: &'a OsStr) -> Option<Flag<'a>> {
        let bytes = argument.as_encoded_bytes();
        let body_bytes = bytes.strip_prefix(b"--").or_else(|| bytes.strip_prefix(b"-"))?;
        let name_bytes = body_bytes.split(|byte| *byte == b'=').next()?;
        let name = std::str::from_utf8(name_bytes).ok().filter(|name| !name.is_empty())?;
        let with_value = (name_bytes.len() < body_bytes.len()).then(|| without_dashes(argument));
        Some(Flag { name, with_value })
    }

    /// The flag in its long form with its value, if it is one of `known`.
    fn tied<'k>(
        &self,
        mut known: impl Iterator<Item = &'k Arg>,
        rest: &mut impl Iterator<Item = &'a OsString>,
    ) -> Option<OsString> {
        let argument = known.find(|argument| argument.get_long() == Some(self.name))?;
        let mut tied = OsString::from("--");
        if let Some(with_value) = self.with_value {
            tied.push(with_value);
            return Some(tied);
        }
        tied.push(self.name);
        let takes_value = argument.get_action().takes_values() && !argument.is_require_equals_set();
        if let Some(value) = takes_value.then(|| rest.next()).flatten() {
            tied.push("=");
            tied.push(value);
        }
        Some(tied)
    }
}

fn without_dashes(argument: &OsStr) -> &OsStr {
    use std::os::unix::ffi::OsStrExt;
    let bytes = argument.as_bytes();
    OsStr::from_bytes(bytes.strip_prefix(b"--").or_else(|| bytes.strip_prefix(b"-")).unwrap_or(bytes))
}

#[cfg(test)]
mod tests {
    use super::super::command::Command as Commands;
    use super::super::connection::Connection;
    use super::*;
    use clap::{Args, Subcommand};

    fn line(text: &str) -> Option<String> {
        let root = Commands::augment_subcommands(Connection::augment_args(Command::new("f")));
        let arguments: Vec<OsString> = text.split(' ').map(OsString::from).collect();
        let line = for_command(&root, &arguments)?;
        Some(line.iter().map(|part| part.to_str().unwrap()).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn flags_take_one_form() {
        for (written, form) in [
            ("f fetch-latest -col a", "f fetch-latest --col=a"),
            ("f fetch-latest --col a --doc=b", "f fetch-latest --col=a --doc=b"),
            ("f fetch-latest -col=a=b -ts -5", "f fetch-latest --col=a=b --ts=-5"),
            ("f --url u -apikey=k fetch-collections", "f fetch-collections --url=u --apikey=k"),
            ("f fetch-document -reverse -col c", "f fetch-document --reverse --col=c"),
            ("f fetch-document --reverse=false", "f fetch-document --reverse=false"),
            ("f insert-record --data --doc --doc d", "f insert-record --data=--doc --doc=d"),
            ("f fetch-latest -h --nope x -", "f fetch-latest -h --nope x -"),
            ("f export --col", "f export --col"),
            ("f help export", "f export --help"),
        ] {
            assert_eq!(line(written).as_deref(), Some(form), "{written}");
        }
    }

    #[test]
    fn the_servers_lines_are_left_alone() {
        for text in [
            "f",
            "f --secret-key k",
            "f --help",
            "f help",
            "f --secret-key export",
            "f nope",
            "f -s k export",
        ] {
            assert_eq!(line(text), None, "{text}");
        }
    }
}
