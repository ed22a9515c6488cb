//! The flags that say which server a command talks to.

use anyhow::{Result, bail};
use clap::Args;
use fluxion_client::{Authorities, Client, Options, check_health};
use std::path::PathBuf;
use std::time::Duration;

/// Attempts to connect again, within a second: an operator sees the error and decides.
const ATTEMPTS: u32 = 4;

/// Where a server is that was started without saying where.
const URL_DEFAULT: &str = "ws://localhost:8080";

/// Which server, and as whom.
#[derive(Args, Clone)]
pub struct Connection {
    /// Address of the server; wss:// for TLS
    #[arg(long, global = true, env = "FLUXIONDB_URL", value_name = "URL", default_value = URL_DEFAULT,
          help_heading = "Connection")]
    url: String,

    /// Certificates of the authorities that a wss:// server's certificate may be from, in PEM [default: those that this
    /// machine trusts]
    #[arg(long, global = true, env = "FLUXIONDB_CA", value_name = "FILE", help_heading = "Connection")]
    ca: Option<PathBuf>,

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

    /// Name of this connection in the server's list of them
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
        let Some(key) = self.apikey.as_deref().filter(|key| !key.is_empty()) else {
            bail!("missing required --apikey or FLUXIONDB_APIKEY");
        };
        let mut options = Options::new(self.url(), key)
            .authorities(self.authorities())
            .timeout(Duration::from_secs(self.timeout))
            .attempts(ATTEMPTS);
        if let Some(name) = self.name.as_deref().filter(|name| !name.is_empty()) {
            options = options.name(name);
        }
        Ok(Client::connect(options)?)
    }

    /// Asks for the server's health, which takes no key.
    pub fn check_health(&self) -> Result<()> {
        Ok(check_health(self.url(), &self.authorities(), Duration::from_secs(self.timeout))?)
    }

    fn authorities(&self) -> Authorities {
        match self.ca.as_ref().filter(|file| !file.as_os_str().is_empty()) {
            Some(file) => Authorities::in_file(file),
            None => Authorities::of_system(),
        }
    }

    fn url(&self) -> &str {
        // A variable that is empty is as good as none.
        if self.url.is_empty() { URL_DEFAULT } else { &self.url }
    }
}
