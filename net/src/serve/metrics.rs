//! The metrics: every core tells of itself, and the one that was asked writes it down.

use crate::core::measures::{Measures, Process};
use crate::core::message::Message;
use crate::core::state::Core;
use crate::core::ticket::CoreIndex;
use crate::serve::exposition::write;
use crate::serve::flush::flush;
use crate::wire::http::{Response, Status};
use rustix::time::{ClockId, clock_gettime};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Answers `GET /metrics`.
pub async fn respond(core: &Core) -> Response {
    let core_count = core.core_count();
    let Some(scrape) = core.scrapes.begin(core_count) else {
        return Response::text(Status::Unavailable, "metrics are being asked for too often");
    };
    for to in 0..core_count {
        core.post(to, Message::Measure { from: core.index, scrape: scrape.number });
    }
    flush(core);
    Response::metrics(write(&scrape.complete().await, &process(core)))
}

/// Tells another core of this one.
pub fn tell(core: &Core, to: CoreIndex, scrape: u32) {
    core.post(to, Message::Measured { scrape, measures: Box::new(measure(core)) });
}

fn measure(core: &Core) -> Measures {
    let counters = &core.counters;
    let spin_ns = counters.spin_ns.get();
    let mut measures = Measures {
        core: core.index,
        connections: core.peers.count() as u64,
        connections_entered: counters.connections.get(),
        handshakes: core.handshakes.get() as u64,
        slow_readers: core
            .peers
            .all()
            .iter()
            .filter(|peer| !peer.borrow().outbox.has_room_for_pushes())
            .count() as u64,
        requests: counters.requests().collect(),
        errors: counters.errors().collect(),
        durations: core.durations.get(),
        refusals: counters.refusals().collect(),
        waits: counters.waits().collect(),
        bytes_in: counters.bytes_in.get(),
        bytes_out: counters.bytes_out.get(),
        busy_ns: cpu_time(ClockId::ThreadCPUTime).as_nanos().saturating_sub(u128::from(spin_ns)) as u64,
        spin_ns,
        messages: counters.messages.get(),
        queue: core.shared.mailboxes[core.index].waiting() as u64,
        commit_failures: counters.commit_failures.get(),
        committed_bytes: counters.committed_bytes.get(),
        commits: counters.commits.get(),
        pushes: counters.pushes.get(),
        push_lag: counters.push_lag.get(),
        ends: counters.ends().collect(),
        ..Measures::default()
    };
    measure_shard(core, &mut measures);
    measures
}

fn measure_shard(core: &Core, measures: &mut Measures) {
    let shard = core.shard.borrow();
    let handover = core.storage.handover.borrow();
    let state = core.storage.state(core.index);
    let (behind, lag) = shard.subscription_lag();
    measures.collections = shard.collection_count() as u64;
    measures.documents = shard.document_count() as u64;
    measures.records = shard.record_count() as u64;
    measures.entries = shard.entry_count() as u64;
    measures.memory = vec![
        ("data", shard.bytes() as u64),
        ("connections", core.peers.held_bytes() as u64),
        ("subscriptions", shard.subscription_bytes() as u64),
        ("unstored", handover.as_ref().map_or(0, |handover| handover.waiting_bytes(&shard)) as u64),
    ];
    measures.storage_failing = state.failing.is_some();
    measures.storage_behind = state.behind;
    measures.unstored_ns =
        handover.as_ref().map_or(0, |handover| handover.waiting_time(Instant::now()).as_nanos() as u64);
    measures.subscriptions = shard.subscription_count() as u64;
    measures.subscriptions_behind = behind as u64;
    measures.subscription_lag = lag;
    measures.skipped = shard.skipped_changes();
}

fn process(core: &Core) -> Process {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let started_at = now.saturating_sub(core.shared.started_at.elapsed()).as_secs_f64();
    Process { started_at, cpu: cpu_time(ClockId::ProcessCPUTime), resident_bytes: resident_bytes() }
}

fn cpu_time(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// From the kernel's memory, so reading it waits for nothing.
fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}
