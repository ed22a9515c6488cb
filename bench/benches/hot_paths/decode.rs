//! Message bytes to a typed request.

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use fluxion_engine::Request;
use fluxion_net::inside::Decoder;

fn message(kind: &str, data: &str) -> Vec<u8> {
    let escaped = data.replace('\\', "\\\\").replace('"', "\\\"");
    format!(r#"{{"id":"000000000001","type":"{kind}","data":"{escaped}"}}"#).into_bytes()
}

fn decode(bencher: Bencher<'_, '_>, message: Vec<u8>, items: usize) {
    let mut decoder = Decoder::default();
    let counted = bencher.counter(BytesCount::new(message.len())).counter(ItemsCount::new(items));
    counted.bench_local(|| {
        let envelope = decoder.envelope(&message).unwrap();
        match decoder.request(&message, &envelope).unwrap() {
            Request::Insert(records) => assert_eq!(records.len(), items),
            request => drop(divan::black_box(request)),
        }
    });
}

#[divan::bench(args = [1, 100, 500])]
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
