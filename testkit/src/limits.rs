//! The times for which tests wait.

use std::time::Duration;

/// Longer than anything takes that works; a test that meets it has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);
