//! That memory which the server no longer needs goes back to the system.

use crate::support::{Server, TempDir, alone};
use serde_json::json;
use std::time::{Duration, Instant};

const MIB: usize = 1 << 20;
/// Memory that a core keeps for the next records, and the allocator for the next pieces of each size.
const KEPT_BYTES: usize = 24 * MIB;
/// The pages that SQLite keeps of each core's file.
const CACHE_BYTES: usize = 64 * MIB;
/// Generous: it takes two seconds.
const SECONDS: Duration = Duration::from_secs(20);

/// A hundred megabytes; so few records of each document that none are sealed.
fn fill(server: &Server) {
    let mut client = server.client();
    let text = "x".repeat(5000);
    for time in 0..125 {
        let record = |document| json!({"ts": time, "doc": format!("d{document}"), "data": text, "col": "c"});
        let records: Vec<_> = (0..160).map(record).collect();
        client.done("ins", &json!(records));
    }
}

/// Looks until the server holds less; there is no event for it.
fn wait_until_below(server: &Server, bytes: usize) {
    let begun = Instant::now();
    while server.rss_bytes() > bytes {
        let holds = server.rss_bytes() / MIB;
        assert!(begun.elapsed() < SECONDS, "{holds} MiB are held, not {} MiB", bytes / MIB);
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The allocator kept all of it for as long as the server was idle.
#[test]
fn deleted_data_frees_memory_for_others() {
    let _alone = alone();
    let server = Server::start(&["--cores", "1"]);
    let before = server.rss_bytes();
    fill(&server);
    assert!(server.rss_bytes() > before + 90 * MIB, "{}", server.rss_bytes());
    server.client().done("dcol", &json!({"col": "c"}));
    wait_until_below(&server, before + KEPT_BYTES);
}

#[test]
fn what_has_been_stored_frees_the_memory_of_its_batches() {
    let _alone = alone();
    let directory = TempDir::new();
    let server = Server::start(&["--cores", "1", "--data", directory.text(), "--flush-interval", "1"]);
    let before = server.rss_bytes();
    fill(&server);
    server.client().done("dcol", &json!({"col": "c"}));
    wait_until_below(&server, before + CACHE_BYTES + KEPT_BYTES);
}
