//! Connections that are turned down before they are entered: counted each, logged now and then.

use crate::core::counters::Refusal;
use crate::core::state::Core;
use std::net::IpAddr;
use std::time::Instant;
use tracing::warn;

/// Counts a connection that is turned down.
pub fn note(core: &Core, reason: Refusal, ip: IpAddr) {
    core.counters.refusal(reason);
    if let Some(others) = core.refusal_lines.pass(Instant::now()) {
        let reason = Refusal::ALL[reason as usize].1;
        warn!(core = core.index, %ip, reason, others, "connections refused; `others` since the last line");
    }
}
