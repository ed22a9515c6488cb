//! Connections that are turned down before they are entered: counted each, logged now and then.

use crate::core::counters::Refusal;
use crate::core::state::Core;
use crate::core::tally::Full;
use crate::wire::http::{Response, Status};
use std::net::IpAddr;
use std::time::Instant;
use tracing::warn;

/// Counts a connection that is turned down.
pub fn note(core: &Core, reason: Refusal, ip: IpAddr) {
    core.counters.refusal(reason);
    if let Some(others) = core.refusal_lines.pass(Instant::now()) {
        let reason = Refusal::ALL[reason as usize].1;
        warn!(core = core.index, %ip, reason, others, "connection refused, and `others` before it");
    }
}

/// Refuses a connection that is one too many; gives the response.
pub fn refuse(core: &Core, full: Full, ip: IpAddr) -> Response {
    let (reason, status, why) = match full {
        Full::All => (Refusal::Connections, Status::Unavailable, "too many connections".into()),
        Full::Key(max) => {
            let why = format!("too many connections with this API key: {max} are allowed");
            (Refusal::KeyConnections, Status::TooManyRequests, why)
        }
        Full::Address(max) => {
            let why = format!("too many connections from this address: {max} are allowed");
            (Refusal::AddressConnections, Status::TooManyRequests, why)
        }
    };
    note(core, reason, ip);
    Response::text(status, &why)
}

/// Tells of those that no line was written for, when there have been no further ones since.
pub fn tell_rest(core: &Core, now: Instant) {
    if let Some(others) = core.refusal_lines.overdue(now) {
        warn!(core = core.index, others, "further connections refused");
    }
}
