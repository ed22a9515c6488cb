//! Tests of the real binary, each against a process of its own.

#![allow(clippy::unwrap_used, reason = "clippy.toml spares unit tests only, and all of this is tests")]

#[path = "server/access.rs"]
mod access;
#[path = "server/bounds.rs"]
mod bounds;
#[path = "server/closing.rs"]
mod closing;
#[path = "server/command_line.rs"]
mod command_line;
#[path = "server/compression.rs"]
mod compression;
#[path = "server/conformance.rs"]
mod conformance;
#[path = "server/connections.rs"]
mod connections;
#[path = "server/cores.rs"]
mod cores;
#[path = "server/fairness.rs"]
mod fairness;
#[path = "server/follow.rs"]
mod follow;
#[path = "server/follow_churn.rs"]
mod follow_churn;
#[path = "server/follow_cuts.rs"]
mod follow_cuts;
#[path = "server/follow_model.rs"]
mod follow_model;
#[path = "server/follow_reader.rs"]
mod follow_reader;
#[path = "server/follow_subscription.rs"]
mod follow_subscription;
#[path = "server/limits.rs"]
mod limits;
#[path = "server/locked_memory.rs"]
mod locked_memory;
#[path = "server/log_lines.rs"]
mod log_lines;
#[path = "server/logging.rs"]
mod logging;
#[path = "server/memory.rs"]
mod memory;
#[path = "server/metrics.rs"]
mod metrics;
#[path = "server/numbers.rs"]
mod numbers;
#[path = "server/overload.rs"]
mod overload;
#[path = "server/reference.rs"]
mod reference;
#[path = "server/sealing.rs"]
mod sealing;
#[path = "server/shutdown.rs"]
mod shutdown;
#[path = "server/slow_subscribers.rs"]
mod slow_subscribers;
#[path = "server/stats.rs"]
mod stats;
#[path = "server/subscriptions.rs"]
mod subscriptions;
#[path = "server/tls.rs"]
mod tls;
#[path = "server/tls_peers.rs"]
mod tls_peers;

use fluxion_testkit as support;
