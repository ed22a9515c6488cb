//! Lines of the log about connections and requests. Those that clients can cause at will are throttled, and say how many
//! others there were. What clients have chosen, names of collections and labels, is quoted and escaped; keys, and what
//! requests hold and are answered with, are in no line.

use crate::core::peers::{Identity, Peer};
use crate::core::state::Core;
use crate::core::ticket::Asked;
use std::time::{Duration, Instant};
use tracing::{debug, info, warn};

/// A connection has been entered.
pub fn opened(core: &Core, identity: &Identity) {
    let Identity { ip, name, scope, .. } = identity;
    let key = identity.key.map(|key| key.0);
    debug!(core = core.index, %ip, name = name.as_deref().map(tracing::field::debug), key, scope = scope.name(), "connection opened");
}

/// A connection's socket is closed.
pub fn closed(core: &Core, peer: &Peer) {
    let (Identity { ip, name, since, .. }, traffic) = (&peer.identity, &peer.traffic);
    debug!(
        core = core.index,
        %ip,
        name = name.as_deref().map(tracing::field::debug),
        lifetime_ms = millis(since.elapsed()),
        requests = traffic.requests,
        bytes_in = traffic.bytes_in,
        bytes_out = traffic.bytes_out,
        "connection closed"
    );
}

/// A connection has a collection deleted.
pub fn collection_deleted(core: &Core, peer: &Peer) {
    if let Some(others) = core.deletion_lines.pass(Instant::now()) {
        let (Identity { ip, name, .. }, collection) = (&peer.identity, &peer.asked.collection);
        info!(%ip, name = name.as_deref().map(tracing::field::debug), ?collection, others, "collection deleted, and `others` before it");
    }
}

/// A request took so long: a line if that is too long.
pub fn slow(core: &Core, peer: &Peer, asked: &Asked, took: Duration, reply_bytes: Option<usize>) {
    if core.options.slow.is_none_or(|slow| took < slow) {
        return;
    }
    if let Some(others) = core.slow_lines.pass(Instant::now()) {
        let Identity { ip, name, .. } = &peer.identity;
        warn!(
            %ip,
            name = name.as_deref().map(tracing::field::debug),
            r#type = asked.kind.facts().name,
            collection = ?asked.collection,
            duration_ms = millis(took),
            waiting_ms = millis(asked.waited),
            request_bytes = asked.bytes,
            reply_bytes,
            others,
            "slow request, and `others` before it"
        );
    }
}

/// The last piece of a large reply has been made.
pub fn large_reply(core: &Core, asked: &Asked, reply_bytes: usize) {
    if let Some(others) = core.large_reply_lines.pass(Instant::now()) {
        info!(
            r#type = asked.kind.facts().name,
            collection = ?asked.collection,
            reply_bytes,
            duration_ms = millis(asked.at.elapsed()),
            others,
            "large reply, and `others` before it"
        );
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
