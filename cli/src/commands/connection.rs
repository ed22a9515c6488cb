//! The flags that say which server a command talks to.

use anyhow::{Result, bail};
use clap::Args;
use fluxion_client::{Client, Options};
use std::time::Duration;

/// Attempts to connect again, within a second: an operator sees the error and decides.
const ATTEMPTS: u32 = 4;

/// Which server, and as whom.
#[derive(Args, Clone)]
pub struct Connection {
    /// Address of the server, such as ws://localhost:8080
    #[arg(long, global = true, env = "FLUXIONDB_URL", value_name = "URL", help_heading = "Connection")]
    url: Option<String>,

    /// API key; better given by the environment, where `ps` does not show it
    #[arg(
        long,
        global = true,
        env = "FLUXIONDB_APIKEY",
        hide_env_values = true,
        value_name = "KEY",
        help_heading = "Connection"
    )]
    apikey: Option<String>,

    /// What the server's list of connections calls this one
    #[arg(long, global = true, value_name = "NAME", help_heading = "Connection")]
    name: Option<String>,

    /// Seconds that the server may be silent before it is given up
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 60, help_heading = "Connection",
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
}

impl Connection {
    /// Connects.
    pub fn open(&self) -> Result<Client> {
        let Some(url) = self.url.as_deref().filter(|url| !url.is_empty()) else {
            bail!("missing required --url or FLUXIONDB_URL, such as ws://localhost:8080");
        };
        let Some(key) = self.apikey.as_deref().filter(|key| !key.is_empty()) else {
            bail!("missing required --apikey or FLUXIONDB_APIKEY");
        };
        let mut options =
            Options::new(url, key).timeout(Duration::from_secs(self.timeout)).attempts(ATTEMPTS);
        if let Some(name) = self.name.as_deref().filter(|name| !name.is_empty()) {
            options = options.name(name);
        }
        Ok(Client::connect(options)?)
    }
}

/// Seconds since 1970, which `--ts` is when it is not given.
pub fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs() as i64)
}
