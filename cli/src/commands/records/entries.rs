//! Key-value entries.

use super::fetch::print_names;
use crate::commands::output::{Format, FormatFlag, Rows, print_json, print_ok, stdout};
use anyhow::Result;
use clap::Args;
use fluxion_client::Client;

/// `set-value`
#[derive(Args, Clone)]
#[command(after_help = "Example:
  fluxiondb set-value --col sensors --key unit --value celsius")]
pub struct SetValue {
    /// Collection
    #[arg(long, value_name = "NAME")]
    col: String,
    /// Key
    #[arg(long, value_name = "KEY")]
    key: String,
    /// Value
    #[arg(long, value_name = "TEXT")]
    value: String,
}

impl SetValue {
    /// Sets it.
    pub fn run(&self, client: &mut Client) -> Result<()> {
        client.set_value(&self.col, &self.key, &self.value)?;
        print_ok()
    }
}

/// `delete-value`
#[derive(Args, Clone)]
#[command(after_help = "Example:
  fluxiondb delete-value --col sensors --key unit")]
pub struct DeleteValue {
    /// Collection
    #[arg(long, value_name = "NAME")]
    col: String,
    /// Key
    #[arg(long, value_name = "KEY")]
    key: String,
}

impl DeleteValue {
    /// Deletes it.
    pub fn run(&self, client: &mut Client) -> Result<()> {
        client.remove_value(&self.col, &self.key)?;
        print_ok()
    }
}

/// `get-values`
#[derive(Args, Clone)]
#[command(after_help = "Examples:
  fluxiondb get-values --col sensors
  fluxiondb get-values --col sensors --key unit
  fluxiondb get-values --col sensors --key '/^device-/' --format table")]
pub struct GetValues {
    /// Collection
    #[arg(long, value_name = "NAME")]
    col: String,
    /// Key, or /pattern/ [default: all]
    #[arg(long, value_name = "KEY|/PATTERN/")]
    key: Option<String>,
    #[command(flatten)]
    format: FormatFlag,
}

impl GetValues {
    /// Prints an object from keys to values.
    pub fn run(&self, client: &mut Client) -> Result<()> {
        let values = match self.key.as_deref() {
            None | Some("") => client.values(&self.col)?,
            Some(key) => client.matching_values(&self.col, key)?,
        };
        if self.format.format == Format::Json {
            return print_json(&values);
        }
        let mut rows = Rows::new(stdout(), self.format.format, &["key", "value"])?;
        for (key, value) in &values {
            rows.push(&[key, value])?;
        }
        Ok(rows.finish()?)
    }
}

/// `list-keys`
#[derive(Args, Clone)]
#[command(after_help = "Examples:
  fluxiondb list-keys --col sensors
  fluxiondb list-keys --col sensors --key '/^device-/'")]
pub struct ListKeys {
    /// Collection
    #[arg(long, value_name = "NAME")]
    col: String,
    /// Only this key, or those that match /pattern/
    #[arg(long, value_name = "KEY|/PATTERN/")]
    key: Option<String>,
    #[command(flatten)]
    format: FormatFlag,
}

impl ListKeys {
    /// Prints the keys in order.
    pub fn run(&self, client: &mut Client) -> Result<()> {
        let mut keys = client.key_names(&self.col)?;
        if let Some(wanted) = self.key.as_deref().filter(|key| !key.is_empty()) {
            // For a literal that is not there the server gives an empty value, which is no entry.
            let matching = client.matching_values(&self.col, wanted)?;
            keys.retain(|key| matching.contains_key(key));
        }
        keys.sort_unstable();
        print_names("key", &keys, self.format.format)
    }
}
