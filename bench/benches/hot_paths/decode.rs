//! Message bytes to a typed request. Texts are JSON, as devices send it, so each of their quotes is escaped twice.

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use fluxion_engine::Request;
use fluxion_net::inside::Decoder;

const TEXT: &str = r#"{"temperature":22.517,"humidity":48.1,"battery":3.71,"state":"ok"}"#;

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

fn message(kind: &str, data: &str) -> Vec<u8> {
    format!(r#"{{"id":"000000000001","type":"{kind}","data":"{}"}}"#, escaped(data)).into_bytes()
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

fn records(count: usize, fraction: &str) -> Vec<u8> {
    let record = |number: usize| {
        format!(
            r#"{{"ts":{}{fraction},"doc":"doc{:02}","data":"{}","col":"col0"}}"#,
            1_700_000_000_000 + number,
            number % 100,
            escaped(TEXT)
        )
    };
    message("ins", &format!("[{}]", (0..count).map(record).collect::<Vec<_>>().join(",")))
}

#[divan::bench(args = [1, 100, 500])]
fn insert(bencher: Bencher<'_, '_>, count: usize) {
    decode(bencher, records(count, ""), count);
}

/// Times with a fraction are left to the parser.
#[divan::bench]
fn insert_with_fractions(bencher: Bencher<'_, '_>) {
    decode(bencher, records(100, ".5"), 100);
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
    let data = format!(r#"{{"col":"col0","key":"key42","value":"{}"}}"#, escaped(TEXT));
    decode(bencher, message("sval", &data), 1);
}

#[divan::bench]
fn get_value(bencher: Bencher<'_, '_>) {
    decode(bencher, message("gval", r#"{"col":"col0","key":"key42"}"#), 1);
}
