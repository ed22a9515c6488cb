//! API keys and connections.

use super::output::{Format, FormatFlag, Rows, print_json, print_ok, stdout};
use anyhow::{Result, anyhow};
use clap::Args;
use fluxion_client::{Client, Scope};
use serde_json::json;

/// `add-key`
#[derive(Args, Clone)]
#[command(after_help = "Examples:
  fluxiondb add-key --key dashboard
  fluxiondb add-key --key importer --scope read_write")]
pub struct AddKey {
    /// The key to add
    #[arg(long, value_name = "KEY")]
    key: String,
    /// What it allows: readonly, read_write or read_write_delete
    #[arg(long, value_name = "SCOPE", default_value = "readonly")]
    scope: String,
}

impl AddKey {
    /// Adds it, and prints what the server says.
    pub fn run(&self, client: &mut Client) -> Result<()> {
        let scope: Scope = self.scope.parse().map_err(|error| anyhow!("--scope {error}"))?;
        let scope = client.add_api_key(&self.key, scope)?;
        print_json(&json!({"status": "ok", "scope": scope}))
    }
}

/// `remove-key`
#[derive(Args, Clone)]
#[command(after_help = "Example:
  fluxiondb remove-key --key dashboard")]
pub struct RemoveKey {
    /// The key to remove; its connections are closed
    #[arg(long, value_name = "KEY")]
    key: String,
}

impl RemoveKey {
    /// Removes it.
    pub fn run(&self, client: &mut Client) -> Result<()> {
        client.remove_api_key(&self.key)?;
        print_ok()
    }
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
