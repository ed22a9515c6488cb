//! Completion scripts for shells.

use super::output::stdout;
use anyhow::Result;
use clap::Args;
use clap_complete::Shell;
use std::io::Write;

/// `completion`
#[derive(Args, Clone)]
#[command(after_help = "Examples:
  fluxiondb completion bash > /etc/bash_completion.d/fluxiondb
  fluxiondb completion zsh > \"${fpath[1]}/_fluxiondb\"
  fluxiondb completion fish > ~/.config/fish/completions/fluxiondb.fish")]
pub struct Completion {
    /// For which shell
    shell: Shell,
    /// Leave out what commands and flags do
    #[arg(long)]
    no_descriptions: bool,
}

impl Completion {
    /// Prints the script that completes `whole`.
    pub fn run(&self, whole: clap::Command) -> Result<()> {
        let mut whole = if self.no_descriptions { without_descriptions(whole) } else { whole };
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut whole, "fluxiondb", &mut script);
        let mut out = stdout();
        out.write_all(&script)?;
        Ok(out.flush()?)
    }
}

fn without_descriptions(command: clap::Command) -> clap::Command {
    command.about(None).mut_args(|argument| argument.help(None)).mut_subcommands(without_descriptions)
}
