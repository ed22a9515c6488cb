//! Sealed chunks of arbitrary bytes: they are refused, or all reads of them are safe and agree with each other.
//! The checksum and the length are set right, as no fuzzer would guess them.
#![no_main]

use fluxion_engine::sealed::{BLOCK_RECORDS, Decoder, Sealed, TemplateTable};
use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;
use std::sync::Arc;

/// Where the length is in the head.
const LENGTH_AT: usize = 8;

thread_local! {
    static DECODER: RefCell<Decoder> = RefCell::default();
}

fn read(chunk: &Sealed, decoder: &mut Decoder) {
    assert!(chunk.first_ts() <= chunk.last_ts() && chunk.len() > 0);
    assert_eq!(
        (chunk.count_before(chunk.first_ts()), chunk.count_through(chunk.last_ts())),
        (0, chunk.len())
    );
    let mut reader = decoder.open(chunk);
    for literal in ["", "a", "\"state\":\"ok\"", "-1.5", "}{"] {
        let _ = reader.may_contain(literal);
    }
    let columns: Vec<_> = reader.number_columns().collect();
    for block in (0..chunk.block_count()).rev().take(8) {
        let records: Vec<(i64, String)> =
            reader.block(block).records().map(|(ts, text)| (ts, text.to_owned())).collect();
        assert_eq!(records.len(), chunk.block_len(block));
        for place in [0, records.len() - 1] {
            let index = block * BLOCK_RECORDS + place;
            let (ts, text) = &records[place];
            assert_eq!(chunk.count_before(*ts), index);
            assert_eq!(chunk.ts(index), *ts);
            assert_eq!(reader.record(index).records().next(), Some((*ts, text.as_str())));
        }
        let mut numbers = Vec::new();
        for column in columns.iter().take(8) {
            reader.numbers(block, column.template, column.slot, &mut numbers);
        }
    }
    let _ = chunk.verify(decoder);
}

fuzz_target!(|input: &[u8]| {
    let _ = TemplateTable::from_bytes(1, input.into());
    let mut bytes = input.to_vec();
    let length = bytes.len() as u32;
    if let Some(field) = bytes.get_mut(LENGTH_AT..LENGTH_AT + 4) {
        field.copy_from_slice(&length.to_le_bytes());
    }
    if let Some((body, checksum)) = bytes.split_last_chunk_mut::<4>() {
        *checksum = crc32fast::hash(body).to_le_bytes();
    }
    DECODER.with_borrow_mut(|decoder| {
        let table = Arc::new(TemplateTable::new(1, [&b"{\"a\":\xFF}"[..], b"\xFE"]));
        if let Ok(chunk) = Sealed::from_bytes(bytes, |_| Some(table), decoder) {
            read(&chunk, decoder);
        }
    });
});
