//! The two ways in which data is read, and all forms of the vector code: whatever the message, each must come to the same
//! request, or to the same words about what is wrong. The first byte says what the rest is: a message, data of a message,
//! or the choices of which a message is made.
#![no_main]

use fluxion_net::inside::{Decoder, Kind, Target, Vectors};
use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;

#[path = "../../net/src/requests/samples.rs"]
mod samples;
use samples::Choices;

thread_local! {
    static DECODERS: RefCell<Vec<Decoder>> = RefCell::new(Vectors::all().map(Decoder::with).collect());
}

fn read(decoder: &mut Decoder, message: &[u8], is_parsed: bool) -> String {
    let envelope = match decoder.envelope(message) {
        Ok(envelope) => envelope,
        Err(not_a_request) => return format!("{not_a_request:?}"),
    };
    let outer = format!("{envelope:?} {:?}", decoder.text());
    if envelope.kind == Kind::ApiKeys || envelope.kind.facts().target != Target::Shards {
        return outer;
    }
    let inner = if is_parsed {
        decoder.parsed_request(message, &envelope)
    } else {
        decoder.request(message, &envelope)
    };
    format!("{outer} {inner:?}")
}

fuzz_target!(|input: &[u8]| {
    let [first, rest @ ..] = input else { return };
    let message = match (first % 4, rest) {
        (0, _) => match std::str::from_utf8(rest) {
            Ok(message) => message.to_owned(),
            // The reader of frames has seen to that.
            Err(_) => return,
        },
        (1, [kind, style, rest @ ..]) => match std::str::from_utf8(rest) {
            Ok(data) => {
                let kind = Kind::ALL[usize::from(*kind) % Kind::COUNT].facts().name;
                samples::around(&mut Choices(&[*style]), kind, data)
            }
            Err(_) => return,
        },
        (1, _) => return,
        _ => samples::message(&mut Choices(rest)),
    };
    DECODERS.with_borrow_mut(|decoders| {
        let expected = read(&mut decoders[0], message.as_bytes(), true);
        for decoder in decoders {
            assert_eq!(read(decoder, message.as_bytes(), false), expected);
        }
    });
});
