//! API keys and connections.

use crate::commands::limits::KEY_BYTES_MAX;
use crate::commands::output::{Format, FormatFlag, Rows, print_json, print_ok, stdout};
use anyhow::{Context, Result, anyhow, ensure};
use clap::Args;
use fluxion_client::{Client, Scope};
use serde_json::json;
use std::borrow::Cow;
use std::io::{self, BufRead, Read};

/// `add-key`
#[derive(Args, Clone)]
#[command(after_help = "Examples:
  fluxiondb add-key --key dashboard
  openssl rand -hex 16 | tee key | fluxiondb add-key --key - --scope read_write
  FLUXIONDB_KEY=importer fluxiondb add-key --scope read_write")]
pub struct AddKey {
    /// The key to add; `-` reads it from stdin, so that it does not show in `ps`
    #[arg(long, value_name = "KEY|-", env = "FLUXIONDB_KEY", hide_env_values = true)]
    key: String,
    /// Its scope: readonly, read_write or read_write_delete
    #[arg(long, value_name = "SCOPE", default_value = "readonly")]
    scope: String,
}

impl AddKey {
    /// Adds it, and prints what the server says.
    pub fn run(&self, client: &mut Client) -> Result<()> {
        let scope: Scope = self.scope.parse().map_err(|error| anyhow!("--scope {error}"))?;
        let scope = client.add_api_key(&given_key(&self.key)?, scope)?;
        print_json(&json!({"status": "ok", "scope": scope}))
    }
}

/// `remove-key`
#[derive(Args, Clone)]
#[command(after_help = "Example:
  fluxiondb remove-key --key dashboard")]
pub struct RemoveKey {
    /// The key to remove, whose connections are closed; `-` reads it from stdin
    #[arg(long, value_name = "KEY|-", env = "FLUXIONDB_KEY", hide_env_values = true)]
    key: String,
}

impl RemoveKey {
    /// Removes it.
    pub fn run(&self, client: &mut Client) -> Result<()> {
        client.remove_api_key(&given_key(&self.key)?)?;
        print_ok()
    }
}

/// The key that was given, or the first line of stdin. A blank one is surely a mistake.
fn given_key(flag: &str) -> Result<Cow<'_, str>> {
    let (key, source) = match flag {
        "-" => {
            let mut line = String::new();
            let read = io::stdin().lock().take(KEY_BYTES_MAX + 1).read_line(&mut line);
            read.context("can't read the key from stdin")?;
            ensure!(
                line.len() as u64 <= KEY_BYTES_MAX,
                "the key on stdin is longer than {KEY_BYTES_MAX} bytes"
            );
            let end = line.trim_end_matches(['\r', '\n']).len();
            line.truncate(end);
            (Cow::Owned(line), "the key on stdin")
        }
        _ => (Cow::Borrowed(flag), "--key"),
    };
    ensure!(!key.trim().is_empty(), "{source} is blank");
    Ok(key)
}

/// `list-api-keys`
#[derive(Args, Clone)]
pub struct ListApiKeys {
    #[command(flatten)]
    format: FormatFlag,
}

impl ListApiKeys {
    /// Prints the keys in order.
    pub fn run(&self, client: &mut Client) -> Result<()> {
        let mut keys = client.api_keys()?;
        keys.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        if self.format.format == Format::Json {
            return print_json(&keys);
        }
        let mut rows = Rows::new(stdout(), self.format.format, &["key", "scope", "deletable"])?;
        for key in &keys {
            rows.push(&[&key.key, key.scope.as_str(), &key.deletable.to_string()])?;
        }
        Ok(rows.finish()?)
    }
}

/// `connections`
#[derive(Args, Clone)]
pub struct Connections {
    #[command(flatten)]
    format: FormatFlag,
}

impl Connections {
    /// Prints them, the longest connected first.
    pub fn run(&self, client: &mut Client) -> Result<()> {
        let mut connections = client.connections()?;
        connections.sort_by_key(|connection| std::cmp::Reverse(connection.since));
        if self.format.format == Format::Json {
            return print_json(&connections);
        }
        let mut rows = Rows::new(stdout(), self.format.format, &["ip", "since", "self", "name"])?;
        for connection in &connections {
            let name = connection.name.as_deref().unwrap_or_default();
            let (since, is_self) = (connection.since.to_string(), connection.is_self.to_string());
            rows.push(&[&connection.ip, &since, &is_self, name])?;
        }
        Ok(rows.finish()?)
    }
}
