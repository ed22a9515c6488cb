//! The decoder: no message may make it panic, or read outside of it.
#![no_main]

use fluxion_net::inside::{Decoder, Kind, Target};
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
    DECODER.with_borrow_mut(|decoder| {
        let Ok(envelope) = decoder.envelope(input) else { return };
        assert!(!envelope.id.is_empty() && envelope.data.range.end <= input.len());
        match envelope.kind {
            Kind::ApiKeys => drop(decoder.key_action(input, &envelope)),
            kind if kind.facts().target == Target::Shards => {
                drop(decoder.request(input, &envelope).map(|request| format!("{request:?}")));
            }
            _ => {}
        }
    });
});
