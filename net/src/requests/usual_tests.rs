//! The reader of the usual against the parser: what it takes, and that it takes nothing otherwise.

use super::*;
use crate::requests::decode::Decoder;
use crate::requests::samples::{self, Choices};
use crate::requests::unescape::unescape_strings;
use crate::requests::vectors::Vectors;

/// Whether the reader takes this data, and what it is then.
fn taken(kind: Kind, data: &str) -> Option<String> {
    let mut quotes = Quotes::default();
    unescape_strings(Vectors::default(), data.as_bytes(), &mut quotes).ok()?;
    read_usual(kind, &quotes).map(|request| format!("{request:?}"))
}

#[test]
fn what_clients_send_is_taken() {
    for (kind, data) in [
        (Kind::Insert, r#"[{"ts":1700000000000,"doc":"d","data":"{\"a\":\"\\\"\\n\"}","col":"c"}]"#),
        (
            Kind::Insert,
            r#"[{"collection": "c", "key": "d", "data": "\u00e9", "ts": -5}, {"ts":0,"doc":"d","col":"c","data":""}]"#,
        ),
        (Kind::Insert, "[]"),
        (Kind::Insert, " [ ] "),
        (
            Kind::Latest,
            r#"{"col":"c","ts":9223372036854775807,"doc":"","from":null,"where":"a","filter":"/b/i"}"#,
        ),
        (Kind::History, r#"{"col":"c","doc":"d","from":0,"to":1700000000000,"limit":100,"reverse":true}"#),
        (Kind::History, r#"{"col":"c","doc":"d","to":1,"reverse":0}"#),
        (Kind::SetValue, r#"{"col":"c","key":"k","value":"{\"a\":1}"}"#),
        (Kind::GetValue, r#"{"col":"c","key":"k"}"#),
        (Kind::DeleteRecord, r#"{"col":"c","doc":"d","ts":"7"}"#),
        (Kind::DeleteRecords, r#"[{"col":"c","doc":"d","ts":7}]"#),
        (Kind::DeleteDocument, r#"{"doc":"d"}"#),
        (Kind::Keys, r#"{"col":"ü"}"#),
    ] {
        assert!(taken(kind, data).is_some(), "{data}");
    }
}

#[test]
fn what_needs_the_parser_is_left_to_it() {
    for (kind, data) in [
        (Kind::Insert, ""),
        (Kind::Insert, "[{}]"),
        (Kind::Insert, r#"[{"ts":1.5,"doc":"d","data":"","col":"c"}]"#),
        (Kind::Insert, r#"[{"ts":9223372036854775808,"doc":"d","data":"","col":"c"}]"#),
        (Kind::Insert, r#"[{"ts":01,"doc":"d","data":"","col":"c"}]"#),
        (Kind::Insert, r#"[{"ts":1,"doc":"","data":"","col":"c"}]"#),
        (Kind::Insert, r#"[{"ts":1,"ts":1,"doc":"d","data":"","col":"c"}]"#),
        (Kind::Insert, r#"[{"ts":1,"doc":"d","key":"d","data":"","col":"c"}]"#),
        (Kind::Insert, r#"[{"ts":1,"doc":"d","data":"\x","col":"c"}]"#),
        (Kind::Insert, r#"[{"ts":1,"doc":"d","data":"","col":"c"}]]"#),
        (Kind::Insert, r#"[{"ts":1,"doc":"d","data":"","col":"c"}]\"#),
        (Kind::Insert, "[{\"ts\":1,\"doc\":\"d\",\"data\":\"\t\",\"col\":\"c\"}]"),
        (Kind::GetValue, r#"{"col":"c","key":"k","x":1}"#),
        (Kind::GetValue, r#"{"col":"c","key":"k"} ""#),
        (Kind::GetValue, r#"{"col":"c","key":\"k"}"#),
        (Kind::GetValue, r#"{"col":"c","key":"k"\/}"#),
        (Kind::GetValue, r#"{"col":"c",\u0020"key":"k"}"#),
        (Kind::GetValue, r#"{"col"\u003a"c","key":"k"}"#),
        (Kind::GetValue, r#"{"col":"c","key":null}"#),
        (Kind::GetValue, r#"{"col":"c","key":"k",}"#),
        (Kind::Collections, "{}"),
        (Kind::Unknown, "{}"),
    ] {
        assert_eq!(taken(kind, data), None, "{data}");
    }
}

fn read(decoder: &mut Decoder, message: &[u8], is_parsed: bool) -> String {
    match decoder.envelope(message) {
        Err(not_a_request) => format!("{not_a_request:?}"),
        Ok(envelope) if is_parsed => format!("{envelope:?} {:?}", decoder.parsed_request(message, &envelope)),
        Ok(envelope) => format!("{envelope:?} {:?}", decoder.request(message, &envelope)),
    }
}

#[test]
fn both_ways_come_to_the_same_on_random_messages() {
    let mut random = 0x2545_f491_4f6c_dd1du64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let mut decoders: Vec<Decoder> = Vectors::all().map(Decoder::with).collect();
    let (mut requests, mut errors, mut usual) = (0, 0, 0);
    for _ in 0..60_000 {
        let bytes: Vec<u8> = (0..next() % 60).flat_map(|_| next().to_le_bytes()).collect();
        let message = samples::message(&mut Choices(&bytes));
        let expected = read(&mut decoders[0], message.as_bytes(), true);
        requests += usize::from(expected.contains(" Ok("));
        errors += usize::from(expected.contains(" Err("));
        if let Ok(envelope) = decoders[0].envelope(message.as_bytes()) {
            usual += usize::from(taken(envelope.kind, decoders[0].text()).is_some());
        }
        for decoder in &mut decoders {
            assert_eq!(read(decoder, message.as_bytes(), false), expected, "{message}");
        }
    }
    assert!(usual > 10_000 && errors > 10_000, "{requests} requests, {usual} usual, and {errors} errors");
}
