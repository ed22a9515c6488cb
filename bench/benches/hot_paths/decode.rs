//! Message bytes to a typed request. Decoding changes its input, so each turn has a fresh copy, made outside the time.

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use fluxion_engine::Request;
use fluxion_net::decode::Decoder;
use fluxion_net::limits::PADDING_BYTES;

/// A message with the spare bytes that the parser wants behind it, and its own length.
fn message(kind: &str, data: &str) -> (Vec<u8>, usize) {
    let escaped = data.replace('"', "\\\"");
    let mut bytes = format!(r#"{{"id":"000000000001","type":"{kind}","data":"{escaped}"}}"#).into_bytes();
    let len = bytes.len();
    bytes.resize(len + PADDING_BYTES, 0);
    (bytes, len)
}

fn decode(bencher: Bencher<'_, '_>, (message, len): (Vec<u8>, usize), items: usize) {
    let mut decoder = Decoder::default();
    bencher
        .counter(BytesCount::new(len))
        .counter(ItemsCount::new(items))
        .with_inputs(|| message.clone())
        .bench_local_refs(|buffer| {
            let envelope = decoder.envelope(buffer, len).unwrap();
            match decoder.request(envelope.kind, buffer, envelope.data).unwrap() {
                Request::Insert(records) => assert_eq!(records.len(), items),
                request => drop(divan::black_box(request)),
            }
        });
}

#[divan::bench(args = [1, 100, 10_000])]
fn insert(bencher: Bencher<'_, '_>, records: usize) {
    let record = |number: usize| {
        let data = "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijkl";
        format!(
            r#"{{"ts":{},"doc":"doc{:02}","data":"{data}","col":"col0"}}"#,
            1_700_000_000_000 + number,
            number % 100
        )
    };
    let data = format!("[{}]", (0..records).map(record).collect::<Vec<_>>().join(","));
    decode(bencher, message("ins", &data), records);
}

#[divan::bench]
fn history(bencher: Bencher<'_, '_>) {
    let data = r#"{"col":"col0","doc":"doc42","from":0,"to":1700000000000,"limit":1,"reverse":true}"#;
    decode(bencher, message("qdoc", data), 1);
}

#[divan::bench]
fn latest(bencher: Bencher<'_, '_>) {
    decode(bencher, message("qry", r#"{"col":"col0","ts":1700000000000}"#), 1);
}

#[divan::bench]
fn set_value(bencher: Bencher<'_, '_>) {
    let data = r#"{"col":"col0","key":"key42","value":"abcdefghijklmnopqrstuvwxyz0123456789abcdefghijkl"}"#;
    decode(bencher, message("sval", data), 1);
}

#[divan::bench]
fn get_value(bencher: Bencher<'_, '_>) {
    decode(bencher, message("gval", r#"{"col":"col0","key":"key42"}"#), 1);
}
