//! The handshake: no input may make it panic; a head that is complete stays so with bytes behind it.
#![no_main]

use fluxion_net::inside::extension::Compression;
use fluxion_net::inside::http::read_head;
use fluxion_net::inside::{HEAD_BYTES_MAX, NAME_BYTES_MAX, handshake};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    match read_head(input) {
        Ok(Some((used, head))) => {
            assert!(used <= input.len() && used <= HEAD_BYTES_MAX);
            assert!(matches!(read_head(&input[..used]), Ok(Some((same, _))) if same == used));
            match handshake::read(&head, Compression::Dedicated) {
                Ok(handshake) => {
                    assert!(handshake.api_key.is_none_or(|key| !key.is_empty()));
                    assert!(handshake.name.is_none_or(|name| name.len() <= NAME_BYTES_MAX));
                    assert!(handshake.response.ends_with(b"\r\n\r\n"));
                    let ends = handshake.response.windows(4).filter(|bytes| *bytes == b"\r\n\r\n");
                    assert_eq!(ends.count(), 1);
                }
                Err(refusal) => assert!(refusal.into_bytes().starts_with(b"HTTP/1.1 4")),
            }
        }
        Ok(None) => assert!(input.len() <= HEAD_BYTES_MAX),
        Err(refusal) => assert!(refusal.into_bytes().starts_with(b"HTTP/1.1 4")),
    }
});
