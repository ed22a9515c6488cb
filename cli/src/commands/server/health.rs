//! The health of a server, for whoever watches over it: its exit code is all that a container's check looks at.

use crate::commands::connection::Connection;
use crate::commands::output::print_ok;
use anyhow::Result;
use clap::Args;

/// `health`
#[derive(Args, Clone)]
#[command(after_help = "Examples:
  fluxiondb health
  fluxiondb health --url ws://db.example:8080 --timeout 2

It takes no API key. Exit code 0: the server answers, and stores what it should. 1: it can't be reached, or
complains; stderr says of what.")]
pub struct Health {}

impl Health {
    /// Prints that all is well, or fails.
    pub fn run(&self, connection: &Connection) -> Result<()> {
        connection.check_health()?;
        print_ok()
    }
}
