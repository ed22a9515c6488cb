//! The handshake: no input may make it panic; a head that is complete stays so with bytes behind it.
#![no_main]

use fluxion_net::handshake::{HANDSHAKE_BYTES_MAX, NAME_BYTES_MAX, Outcome, read_request};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    match read_request(input) {
        Ok(Some((used, outcome))) => {
            assert!(used <= input.len() && used <= HANDSHAKE_BYTES_MAX);
            assert!(matches!(read_request(&input[..used]), Ok(Some((same, _))) if same == used));
            if let Outcome::Upgrade(handshake) = outcome {
                assert!(handshake.api_key.is_none_or(|key| !key.is_empty()));
                assert!(handshake.name.is_none_or(|name| name.len() <= NAME_BYTES_MAX));
                assert!(handshake.response.ends_with(b"\r\n\r\n"));
            }
        }
        Ok(None) => assert!(input.len() <= HANDSHAKE_BYTES_MAX),
        Err(refusal) => assert!(refusal.response.starts_with(b"HTTP/1.1 4")),
    }
});
