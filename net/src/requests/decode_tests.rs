//! Unit tests of the decoder: what is taken, what is refused, and with which words.

use super::*;

/// Sends `data` through envelope and decoder; gives the request's debug text or the error.
fn decode(kind: &str, data: &str) -> Result<String, String> {
    let message = serde_json::json!({"id": "i", "type": kind, "data": data}).to_string();
    let mut decoder = Decoder::default();
    let envelope = decoder.envelope(message.as_bytes()).unwrap();
    assert_eq!(envelope.id, "i");
    match decoder.request(message.as_bytes(), &envelope) {
        Ok(request) => Ok(format!("{request:?}")),
        Err(Misread::Wrong(wrong)) => Err(wrong.to_string()),
        Err(Misread::NotARequest) => Err("not a request".into()),
    }
}

#[test]
fn records_are_taken_under_both_names() {
    let new = decode("ins", r#"[{"ts":1,"doc":"d","data":"x\n","col":"c"}]"#);
    let old = decode("insert", r#"[{"collection":"c","key":"d","extra":{"ts":9},"data":"x\n","ts":"1"}]"#);
    assert!(new.is_ok());
    assert_eq!(new, old);
}

#[test]
fn a_bad_record_is_named_by_its_index() {
    let good = r#"{"ts":1,"doc":"d","data":"x","col":"c"}"#;
    for (bad, words) in [
        (r#"{"ts":1,"doc":"","data":"x","col":"c"}"#, r#"record 1: "doc" must not be empty"#),
        (r#"{"ts":1,"doc":"d","data":"x"}"#, r#"record 1: "col" is missing"#),
        (r#"{"doc":"d","data":"x","col":"c"}"#, r#"record 1: "ts" is missing"#),
        (
            r#"{"ts":1,"doc":"d","data":{"a":1},"col":"c"}"#,
            r#"record 1: "data" must be a text, not an object"#,
        ),
        (
            r#"{"ts":"soon","doc":"d","data":"x","col":"c"}"#,
            r#"record 1: "ts" must be a 64-bit integer, not the text "soon""#,
        ),
        (
            r#"{"ts":true,"doc":"d","data":"x","col":"c"}"#,
            r#"record 1: "ts" must be a 64-bit integer, not true"#,
        ),
        ("7", "record 1 must be an object"),
    ] {
        assert_eq!(decode("ins", &format!("[{good},{bad}]")), Err(words.to_string()));
    }
    assert_eq!(decode("ins", good), Err("\"data\" must be an array of records".into()));
    assert_eq!(decode("ins", "[{\"ts\":1"), Err("\"data\" is not valid JSON".into()));
}

#[test]
fn integers_come_as_numbers_and_texts_and_lose_their_fraction() {
    let ts = |text: &str| decode("drec", &format!(r#"{{"col":"c","doc":"d","ts":{text}}}"#));
    for (form, same) in [
        ("5.0", "5"),
        ("\"6\"", "6"),
        ("\"-7\"", "-7"),
        ("1e3", "1000"),
        ("-0.0", "0"),
        ("1.99", "1"),
        ("-1.5", "-1"),
        ("1700000000.123", "1700000000"),
        ("\"7.5\"", "7"),
        ("\"-0.9\"", "0"),
        ("\"15e-1\"", "1"),
        ("\"9007199254740993.9\"", "9007199254740993"),
    ] {
        assert!(ts(form).is_ok(), "{form}");
        assert_eq!(ts(form), ts(same), "{form}");
    }
    assert!(ts("9223372036854775807").is_ok_and(|r| r.contains("9223372036854775807")));
    assert!(ts("-9223372036854775808").is_ok_and(|r| r.contains("-9223372036854775808")));
    for bad in [
        "9223372036854775808",
        "1e300",
        "true",
        "null",
        "\"\"",
        "\"+1\"",
        "\"1.\"",
        "\".5\"",
        "\"1.5x\"",
        "\"inf\"",
        "\"1e400\"",
        "\" 1\"",
        "[1]",
        "9223372036854775807.0",
        "99999999999999999999999",
        "\"9223372036854775808\"",
    ] {
        assert!(ts(bad).is_err(), "{bad}");
    }
}

#[test]
fn bounds_must_be_in_order() {
    assert_eq!(
        decode("qdoc", r#"{"col":"c","doc":"d","from":5,"to":4}"#),
        Err(r#""from" (5) must not be greater than "to" (4)"#.into())
    );
    assert_eq!(decode("qdoc", r#"{"col":"c","doc":"d","from":5}"#), Err("\"to\" is missing".into()));
    assert!(decode("drrng", r#"{"col":"c","doc":"d","fromTs":9,"toTs":1}"#).is_err());
    assert!(decode("qdoc", r#"{"col":"c","doc":"d","to":4,"reverse":1,"limit":2.0}"#).is_ok());
    assert!(decode("qdoc", r#"{"col":"c","doc":"d","to":4,"reverse":2}"#).is_err());
}

#[test]
fn what_clients_write_for_none_is_none() {
    for (kind, data, same) in [
        ("ddoc", r#"{"doc":"d","col":""}"#, r#"{"doc":"d"}"#),
        ("qry", r#"{"col":"c","ts":1,"doc":"","from":0,"where":"","filter":""}"#, r#"{"col":"c","ts":1}"#),
        (
            "qdoc",
            r#"{"col":"c","doc":"d","to":-4,"limit":0,"where":"","filter":""}"#,
            r#"{"col":"c","doc":"d","to":-4}"#,
        ),
        ("qdoc", r#"{"col":"c","doc":"d","to":4,"limit":-1,"from":null}"#, r#"{"col":"c","doc":"d","to":4}"#),
    ] {
        assert!(decode(kind, same).is_ok());
        assert_eq!(decode(kind, data), decode(kind, same), "{data}");
    }
    let from_zero = decode("qdoc", r#"{"col":"c","doc":"d","to":4,"from":0}"#);
    assert_ne!(from_zero, decode("qdoc", r#"{"col":"c","doc":"d","to":4}"#), "there are times before 0");
}

#[test]
fn key_value_requests_keep_key_for_the_entry() {
    assert!(decode("sval", r#"{"collection":"c","key":"k","value":""}"#).is_ok());
    assert_eq!(decode("sval", r#"{"col":"c","key":"k"}"#), Err("\"value\" is missing".into()));
    assert_eq!(decode("gval", r#"{"col":"c"}"#), Err("\"key\" is missing".into()));
    assert_eq!(decode("gval", r#"{"key":"k"}"#), Err("\"col\" is missing".into()));
}

#[test]
fn key_actions_are_read_in_any_case() {
    let read = |data: &str| {
        let message = serde_json::json!({"id": "i", "type": "keys", "data": data}).to_string();
        let mut decoder = Decoder::default();
        let envelope = decoder.envelope(message.as_bytes()).unwrap();
        decoder.key_action(message.as_bytes(), &envelope)
    };
    assert!(read(r#"{"action":"LIST"}"#) == Ok(KeyAction::List));
    assert!(read(r#"{"action":"Remove","key":"k"}"#) == Ok(KeyAction::Remove { key: "k".into() }));
    assert!(read(r#"{"action":"rename"}"#) == Err(Misread::Wrong(Wrong::UnknownAction)));
    assert!(read("nonsense").is_err());
}

#[test]
fn a_decoder_gives_memory_back_after_a_huge_text() {
    let mut decoder = Decoder::default();
    let mut text = format!("[{}]", vec!["1"; DECODER_NODES_MAX + 1].join(",")).into_bytes();
    let len = text.len();
    text.resize(len + PADDING_BYTES, 0);
    assert_eq!(decoder.read_text(&mut text, len, |nodes| Ok(nodes.len())), Ok(DECODER_NODES_MAX + 2));
    assert!(decoder.parser.tape.0.capacity() < DECODER_NODES_MAX);
}

#[test]
fn numbers_that_nobody_looks_at_may_be_of_any_size() {
    let good = r#"{"ts":1,"doc":"d","data":"x","col":"c","extra":[1e400,-99999999999999999999999]}"#;
    assert!(decode("ins", &format!("[{good}]")).is_ok());
    let words = Err(r#"record 1: "ts" must be a 64-bit integer, not a number far beyond that"#.to_owned());
    for ts in ["1e400", "-1e400", "99999999999999999999999", "123456789012345678901234567890.5e300"] {
        let bad = format!(r#"{{"ts":{ts},"doc":"d","data":"x","col":"c"}}"#);
        assert_eq!(decode("ins", &format!("[{good},{bad}]")), words, "{ts}");
    }
}

#[test]
fn bad_escapes_make_it_no_request() {
    let message = br#"{"id":"i","type":"cols","data":"{\x}"}"#;
    assert_eq!(Decoder::default().envelope(message), Err(NotARequest));
}
