//! Completion scripts for shells.

use crate::options::Options;
use anyhow::Result;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

/// `completions`
#[derive(Args, Clone)]
#[command(after_help = "Examples:
  fluxiondb completions bash > /etc/bash_completion.d/fluxiondb
  fluxiondb completions zsh > \"${fpath[1]}/_fluxiondb\"
  fluxiondb completions fish > ~/.config/fish/completions/fluxiondb.fish")]
pub struct Completions {
    /// For which shell
    shell: Shell,
}

impl Completions {
    /// Prints the script.
    pub fn run(&self) -> Result<()> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Options::command(), "fluxiondb", &mut script);
        use std::io::Write;
        let mut out = super::output::stdout();
        out.write_all(&script)?;
        Ok(out.flush()?)
    }
}
