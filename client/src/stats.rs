//! The server's counters. Members that a server does not send are zero, and those that this client does not know are kept.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The counters of a server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stats {
    /// Milliseconds since the server began.
    pub uptime_ms: u64,
    /// Those of each core.
    pub cores: Vec<CoreStats>,
    /// Further members.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// The counters of a core.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CoreStats {
    /// Number of the core.
    pub core: u64,
    /// Connections that are open.
    pub connections: u64,
    /// Requests by their type.
    pub requests: BTreeMap<String, u64>,
    /// Requests that were answered with an error.
    pub errors: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// Connections and requests that were turned away, by reason.
    pub refusals: BTreeMap<String, u64>,
    /// Times that something had to wait, by reason.
    pub waits: BTreeMap<String, u64>,
    /// Records held.
    pub records: u64,
    /// Documents held.
    pub documents: u64,
    /// Collections held.
    pub collections: u64,
    /// Bytes of the data held.
    pub data_bytes: u64,
    /// Further members.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn unknown_members_are_kept_and_missing_ones_are_zero() {
        let text = r#"{"cores":[{"core":1,"requests":{"ins":5},"later":[1]}],"uptime_ms":7,"version":"x"}"#;
        let stats: Stats = serde_json::from_str(text).unwrap();
        assert_eq!((stats.uptime_ms, stats.cores[0].requests["ins"], stats.cores[0].records), (7, 5, 0));
        let written = serde_json::to_value(&stats).unwrap();
        assert_eq!((&written["version"], &written["cores"][0]["later"]), (&json!("x"), &json!([1])));
    }
}
