//! The decoder: no message may make it panic, or read outside of it.
#![no_main]

use fluxion_net::inside::{Decoder, Kind, Target, read_envelope};
use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;

thread_local! {
    static DECODER: RefCell<Decoder> = RefCell::default();
}

fuzz_target!(|input: &[u8]| {
    // The reader of frames has seen to that.
    if std::str::from_utf8(input).is_err() {
        return;
    }
    let Ok(envelope) = read_envelope(input) else { return };
    assert!(!envelope.id.is_empty() && envelope.data.range.end <= input.len());
    DECODER.with_borrow_mut(|decoder| match envelope.kind {
        Kind::ApiKeys => drop(decoder.key_action(input, &envelope.data)),
        kind if kind.facts().target == Target::Shards => {
            drop(decoder.request(kind, input, &envelope.data).map(|request| format!("{request:?}")));
        }
        _ => {}
    });
});
