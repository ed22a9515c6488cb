//! Records that are sealed come back byte for byte, in a chunk that is hardly longer than they are, and a literal that
//! occurs in a text is never denied.
//!
//! The first byte of the input says how it becomes texts: cut at each line, or as changes of what devices send.
#![no_main]

use fluxion_engine::sealed::{Decoder, Sealed, Sealer, TemplateTable};
use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;
use std::sync::Arc;

thread_local! {
    static BUFFERS: RefCell<(Sealer, Decoder)> = RefCell::default();
}

const ODD: [&str; 32] = [
    "1.0",
    "1.00",
    "-0",
    "-0.0",
    "1e5",
    "00",
    "12345678901234567890",
    ".5",
    "5.",
    "-",
    "--1",
    "0x1F",
    "007",
    "999999999999999999",
    "-999999999999999999",
    "0.000000000000000001",
    "null",
    "true",
    "\"",
    "\\\"",
    "\\",
    "\\u00e9",
    "größe",
    "😀",
    "\u{0}",
    "{",
    "}",
    ":",
    ",",
    " ",
    "\"a\":",
    "",
];

fn telemetry(kind: u8, index: usize, noise: i64) -> String {
    let value = |at: i64, decimals: usize| {
        let number = (at * 100 + noise % 977) as f64 / 100.0;
        format!("{number:.decimals$}")
    };
    match kind % 6 {
        0 => format!(r#"{{"temperature":{},"humidity":{},"state":"ok"}}"#, value(22, 2), value(48, 1)),
        1 => format!(
            r#"{{"lat":{},"alt":{},"state":"{}"}}"#,
            value(48, 5),
            10668 + noise,
            ["up", "down"][index % 2]
        ),
        2 => format!(r#"{{"p":"{}","id":{},"side":"buy"}}"#, value(64123, 2), 123_456_789 + 3 * index),
        3 => format!(
            r#"{{"v":{},"u":"{:016x}"}}"#,
            noise as f64 / 3.0,
            noise.wrapping_mul(0x1234_5678_9ABC_DEF1)
        ),
        4 => format!("INFO user {noise} took {} ms", value(1, 1)),
        _ => format!("[{index}, {noise}, \"größe {noise}\", null, true]"),
    }
}

/// Texts of a device, each changed as the input says.
fn mutated(input: &[u8]) -> Vec<String> {
    let Some((&kind, changes)) = input.split_first() else { return Vec::new() };
    let mut texts = Vec::new();
    for (index, change) in changes.chunks(4).enumerate() {
        let byte = |at: usize| change.get(at).copied().unwrap_or(0);
        let noise = i64::from(i16::from_le_bytes([byte(0), byte(1)]));
        let mut text = telemetry(kind, index, noise);
        if byte(2) & 1 == 1 {
            let mut at = usize::from(byte(3)) % (text.len() + 1);
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            text.insert_str(at, ODD[usize::from(byte(2) >> 1) % ODD.len()]);
        }
        // One change for many records, so that more than one block is filled.
        texts.extend(std::iter::repeat_n(text, 1 + usize::from(byte(2) >> 6) * 20));
    }
    texts
}

fn check(
    records: &[(i64, &str)],
    table: Option<&Arc<TemplateTable>>,
    sealer: &mut Sealer,
    decoder: &mut Decoder,
) -> Vec<Vec<u8>> {
    let Some(chunk) = sealer.seal(records.iter().copied(), table) else {
        assert!(records.is_empty());
        return Vec::new();
    };
    let plain: usize = records.iter().map(|(_, text)| text.len() + 12).sum();
    assert!(chunk.bytes().len() <= plain + 128 + 40 * records.len().div_ceil(128));
    let known = chunk.table().cloned();
    let chunk =
        Sealed::from_bytes(chunk.bytes().clone(), |_| known, decoder).expect("what is sealed is good");
    chunk.verify(decoder).expect("what is sealed is right");
    let mut reader = decoder.open(&chunk);
    let mut left = records;
    for block in 0..chunk.block_count() {
        let (now, later) = left.split_at(chunk.block_len(block));
        assert!(reader.block(block).records().eq(now.iter().copied()));
        left = later;
    }
    assert!(left.is_empty());
    let (ts, text) = records[records.len() / 2];
    assert_eq!(reader.record(chunk.count_before(ts)).records().next(), Some((ts, text)));
    for (start, length) in [(0, 5), (text.len() / 2, 9), (text.len() / 3, 70)] {
        if let Some(literal) = text.get(start..(start + length).min(text.len())) {
            assert!(reader.may_contain(literal), "{literal:?} of {text:?}");
        }
    }
    chunk.own_templates().into_iter().map(<[u8]>::to_vec).collect()
}

fuzz_target!(|input: &[u8]| {
    let Some((&how, input)) = input.split_first() else { return };
    let texts = if how & 1 == 0 {
        String::from_utf8_lossy(input).split('\n').map(str::to_owned).collect()
    } else {
        mutated(input)
    };
    let step = i64::from(how >> 1) + 1;
    let records: Vec<(i64, &str)> =
        texts.iter().enumerate().map(|(index, text)| (index as i64 * step * step, text.as_str())).collect();
    BUFFERS.with_borrow_mut(|(sealer, decoder)| {
        let templates = check(&records, None, sealer, decoder);
        let table = Arc::new(TemplateTable::new(7, templates.iter().map(Vec::as_slice)));
        check(&records, Some(&table), sealer, decoder);
    });
});
