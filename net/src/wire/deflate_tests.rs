use super::*;

/// The next of a sequence that looks random.
fn random(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 20) as usize
}

fn inflate(inflater: &mut Inflater, compressed: &[u8], bytes_max: usize) -> Result<Vec<u8>, InflateError> {
    let mut inflating = Inflating::new(compressed.to_vec());
    while !inflating.step(inflater, bytes_max)? {}
    Ok(inflating.message)
}

/// Text that repeats itself, in part.
fn text(state: &mut u64, length: usize) -> Vec<u8> {
    let mut text = Vec::new();
    while text.len() < length {
        match random(state) % 3 {
            0 => text.extend((0..50).map(|_| random(state) as u8)),
            1 => text.extend_from_slice(b"{\"temperature\":21.5,\"state\":\"on\"}"),
            _ => text.extend(text.iter().take(100).copied().collect::<Vec<u8>>()),
        }
    }
    text.truncate(length);
    text
}

#[test]
fn the_examples_of_the_standard_are_read() {
    let mut inflater = Inflater::default();
    let hello = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    assert_eq!(inflate(&mut inflater, &hello, 5).unwrap(), b"Hello");
    // It refers to the message before.
    assert_eq!(inflate(&mut inflater, &[0xf2, 0x00, 0x11, 0x00, 0x00], 5).unwrap(), b"Hello");
    inflater.forget();
    assert_eq!(inflate(&mut inflater, &[0xf2, 0x00, 0x11, 0x00, 0x00], 5), Err(InflateError::Malformed));
    inflater.forget();
    let stored = [0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00];
    assert_eq!(inflate(&mut inflater, &stored, 5).unwrap(), b"Hello");
    let with_an_end = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
    assert_eq!(inflate(&mut inflater, &with_an_end, 5).unwrap(), b"Hello");
    let two_blocks = [0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00];
    assert_eq!(inflate(&mut inflater, &two_blocks, 5).unwrap(), b"Hello");
    assert_eq!(inflate(&mut inflater, &[0x00], 5).unwrap(), b"");
}

#[test]
fn segments_of_every_kind_in_any_order_make_a_message() {
    let mut state = 4711;
    for window_bits in 9..=15 {
        let (mut own, mut shared) = (Deflater::new(window_bits), Deflater::new(window_bits));
        let mut inflater = Inflater::default();
        for _ in 0..200 {
            let (mut message, mut compressed) = (Vec::new(), Vec::new());
            let parts = 1 + random(&mut state) % 6;
            for part in 0..parts {
                let length = [0, 1, 300, 5000, 70_000, 200_000][random(&mut state) % 6];
                let payload = text(&mut state, length);
                let is_last = part + 1 == parts;
                match random(&mut state) % 3 {
                    0 => own.put(&mut compressed, &payload, is_last),
                    1 => {
                        shared.forget();
                        shared.put(&mut compressed, &payload, is_last);
                        own.forget();
                    }
                    _ => {
                        put_stored(&mut compressed, &payload, is_last);
                        own.forget();
                    }
                }
                message.extend(payload);
            }
            assert!(inflate(&mut inflater, &compressed, message.len()).unwrap() == message);
        }
    }
}

#[test]
fn a_message_that_grows_too_long_is_refused_before_it_takes_memory() {
    let mut bomb = Vec::new();
    Deflater::new(15).put(&mut bomb, &vec![b'x'; 50 << 20], true);
    assert!(bomb.len() < 1 << 19);
    for limit in [0, 1, 1000, 1 << 20] {
        let mut inflating = Inflating::new(bomb.clone());
        let mut inflater = Inflater::default();
        let error = loop {
            match inflating.step(&mut inflater, limit) {
                Ok(more) => assert!(!more),
                Err(error) => break error,
            }
            assert!(inflating.message.len() <= limit);
        };
        assert_eq!(error, InflateError::TooBig);
        assert!(inflating.message.capacity() <= 2 * (limit + 1).max(INFLATE_STEP_BYTES));
    }
    assert_eq!(inflate(&mut Inflater::default(), &bomb, 50 << 20).unwrap().len(), 50 << 20);
}

#[test]
fn what_is_not_compressed_is_no_message_and_ends() {
    let mut state = 99;
    for round in 0..20_000 {
        let mut bytes = Vec::new();
        if round % 2 == 0 {
            bytes.extend((0..random(&mut state) % 300).map(|_| random(&mut state) as u8));
        } else {
            Deflater::new(15).put(&mut bytes, &text(&mut state, 300), true);
            let place = random(&mut state) % bytes.len();
            bytes[place] ^= 1 << (random(&mut state) % 8);
            bytes.truncate(random(&mut state) % (bytes.len() + 1));
        }
        if let Ok(message) = inflate(&mut Inflater::default(), &bytes, 1 << 20) {
            assert!(message.len() <= 1 << 20);
        }
    }
}
