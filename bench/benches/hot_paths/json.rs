//! Text made the inside of a JSON string, as every record of a reply is.

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use fluxion_engine::escape_json;

/// Payloads of each look.
const PAYLOADS: [(&str, &str, usize); 4] = [
    ("clean", "abcdefghijklmnop", 3),
    ("json", r#"{"temperature":21.5}"#, 2),
    ("long and clean", "abcdefghijklmnop", 4_096),
    ("long json", r#"{"temperature":21.5}"#, 3_277),
];

#[divan::bench(args = PAYLOADS.map(|(name, ..)| name))]
fn escape(bencher: Bencher<'_, '_>, name: &str) {
    let (_, text, times) = PAYLOADS.into_iter().find(|&(known, ..)| known == name).unwrap();
    let text = text.repeat(times);
    let mut out = Vec::with_capacity(text.len() * 2);
    bencher.counter(BytesCount::new(text.len())).bench_local(|| {
        out.clear();
        escape_json(&mut out, black_box(text.as_bytes()));
        assert!(out.len() >= text.len());
    });
}
