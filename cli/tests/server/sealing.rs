//! That chunks are sealed while the server runs, and that nobody notices but by the memory.

use crate::support::{PATIENCE, Server};
use serde_json::{Value, json};
use std::time::Instant;

const RECORDS: u64 = 20_000;

fn text(time: u64) -> String {
    format!("{{\"value\":{time}.5,\"state\":\"good\"}}")
}

fn data_bytes(stats: &Value) -> u64 {
    let cores = stats["stats"]["cores"].as_array().unwrap();
    cores.iter().map(|core| core["data_bytes"].as_u64().unwrap()).sum()
}

#[test]
fn old_records_are_sealed_and_read_and_changed_as_before() {
    let server = Server::start(&["--cores", "2"]);
    let mut client = server.client();
    for first in (0..RECORDS).step_by(1000) {
        let record = |time: u64| json!({"ts": time as i64 * 10, "doc": "d", "data": text(time), "col": "c"});
        let records: Vec<_> = (first..first + 1000).map(record).collect();
        client.done("ins", &json!(records));
    }
    let begun = Instant::now();
    // The thread that seals gives no sign of it; the newest thousand and some stay as they are.
    while data_bytes(&client.call("stats", &json!({}))) > RECORDS * 10 {
        assert!(begun.elapsed() < PATIENCE, "{}", client.call("stats", &json!({})));
        std::thread::yield_now();
    }
    client.done("ins", &json!([{"ts": 5005, "doc": "d", "data": "late", "col": "c"}]));
    client.done("dmrec", &json!([{"ts": 100_000, "doc": "d", "col": "c"}]));
    let all = client.call("qdoc", &json!({"col": "c", "doc": "d", "to": RECORDS * 10}));
    let records = all["records"].as_array().unwrap();
    assert_eq!(records.len() as u64, RECORDS);
    let mut expected: Vec<_> = (0..RECORDS).map(|time| (time as i64 * 10, text(time))).collect();
    expected[10_000] = (5005, "late".into());
    expected.sort();
    for (record, (ts, data)) in records.iter().zip(&expected) {
        assert_eq!((record["ts"].as_i64(), record["data"].as_str()), (Some(*ts), Some(data.as_str())));
    }
    let found =
        client.call("qdoc", &json!({"col": "c", "doc": "d", "to": RECORDS * 10, "where": "\"value\":777.5"}));
    assert_eq!(found["records"].as_array().map(Vec::len), Some(1));
    let then = client.call("qry", &json!({"col": "c", "ts": 43_217}));
    assert_eq!(then["records"]["d"], json!({"ts": 43_210, "data": text(4321)}));
}
