//! Measures what a reply of half a GiB costs the client. Alone in its binary, since it looks at the process's memory.

#![allow(clippy::unwrap_used, reason = "clippy.toml spares unit tests only, and all of this is tests")]

use fluxion_client::HistoryQuery;
use fluxion_testkit::peer::Listener;
use tungstenite::protocol::frame::coding::Data;

const PIECES: usize = 2048;
const PIECE_RECORDS: usize = 1024;

fn peak_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

#[test]
fn a_history_of_any_length_costs_a_few_mib() {
    let listener = Listener::start(1, |_, peer| {
        let id = peer.hear().unwrap().id;
        peer.say_frame(Data::Text, format!("{{\"id\":\"{id}\",\"records\":[").into_bytes(), false);
        let record = format!("{{\"ts\":1,\"data\":\"{}\"}},", "x".repeat(233));
        let piece = record.repeat(PIECE_RECORDS).into_bytes();
        for _ in 0..PIECES {
            peer.say_frame(Data::Continue, piece.clone(), false);
        }
        peer.say_frame(Data::Continue, b"{\"ts\":2,\"data\":\"\"}]}".to_vec(), true);
        peer.hear();
    });
    let mut client = listener.client();
    let before = peak_bytes();
    let mut records = client.history(HistoryQuery::new("c", "d")).unwrap();
    let (mut count, mut bytes) = (0, 0);
    while let Some(record) = records.read().unwrap() {
        count += 1;
        bytes += record.data.len();
    }
    assert_eq!((count, bytes), (PIECES * PIECE_RECORDS + 1, PIECES * PIECE_RECORDS * 233));
    let grown = peak_bytes() - before;
    assert!(grown < 8 << 20, "{grown} bytes more");
    drop(client);
    listener.finish();
}
