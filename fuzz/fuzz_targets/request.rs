//! The decoder: no message may make it panic, read outside of the message, or change the bytes behind it.
#![no_main]

use fluxion_net::decode::{Decoder, Kind};
use fluxion_net::limits::PADDING_BYTES;
use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;

thread_local! {
    static DECODER: RefCell<Decoder> = RefCell::default();
}

fuzz_target!(|input: &[u8]| {
    DECODER.with_borrow_mut(|decoder| {
        let mut buffer = input.to_vec();
        buffer.resize(input.len() + PADDING_BYTES, b'"');
        let Ok(envelope) = decoder.envelope(&mut buffer, input.len()) else { return };
        assert!(!decoder.id.is_empty() && envelope.data.end <= input.len());
        let wrong = match envelope.kind {
            Kind::ApiKeys => decoder.key_action(&mut buffer, envelope.data).err(),
            kind => decoder.request(kind, &mut buffer, envelope.data).map(|request| drop(format!("{request:?}"))).err(),
        };
        assert!(wrong.is_none_or(|wrong| !wrong.is_empty()));
        assert!(buffer[input.len()..].iter().all(|byte| *byte == b'"'));
    });
});
