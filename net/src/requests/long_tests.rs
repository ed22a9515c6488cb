//! Long messages must come to the same as short ones: what is taken, what is refused, and with which words.

use super::*;
use crate::requests::decode::Misread;

const SHARDS: usize = 3;

fn shard_of(name: &str, count: usize) -> usize {
    name.len() % count
}

/// The records, or what is wrong, of data read in steps.
fn read_long(kind: Kind, raw: &str) -> Result<Vec<(usize, String)>, Misread> {
    let mut decoder = Decoder::default();
    let mut long = LongRecords::new(kind, raw.as_bytes().to_vec(), SHARDS, shard_of);
    loop {
        assert!(long.bytes() > 0);
        if let LongStep::Done(packets) = long.step(&mut decoder)? {
            let shown = |(shard, packet): (usize, Packet)| (shard, format!("{:?}", packet.request()));
            return Ok(packets.into_iter().map(shown).collect());
        }
    }
}

/// The same of data read in one go.
fn read_short(kind: Kind, raw: &str) -> Result<Vec<(usize, String)>, Misread> {
    let mut text = Vec::new();
    unescape(Vectors::default(), raw.as_bytes(), &mut text)?;
    let mut decoder = Decoder::default();
    let len = text.len();
    text.resize(len + PADDING_BYTES, 0);
    let mut second = text.clone();
    tame_numbers(&mut second[..len]);
    let read = |nodes: &[Node<'_>]| read::read_request(kind, nodes).map(|request| Packet::new(&request));
    let packet = decoder.read_text(&mut second, len, read).map_err(Misread::Wrong)?;
    let request = packet.request();
    let mut parts: Vec<_> = (0..SHARDS).map(|_| PacketBuilder::default()).collect();
    match &request {
        Request::Insert(records) => {
            records.iter().for_each(|record| parts[shard_of(record.collection, SHARDS)].push_record(record));
        }
        Request::DeleteRecords(keys) => {
            keys.iter().for_each(|key| parts[shard_of(key.collection, SHARDS)].push_key(key));
        }
        other => panic!("{other:?}"),
    }
    let parts = parts.into_iter().enumerate().filter(|(_, part)| !part.is_empty());
    let shown = |(shard, part): (usize, PacketBuilder)| {
        let packet = if kind == Kind::Insert { part.insert() } else { part.delete_records() };
        (shard, format!("{:?}", packet.request()))
    };
    Ok(parts.map(shown).collect())
}

fn record(index: usize, data: &str) -> String {
    let collection = "c".repeat(1 + index % 4);
    serde_json::json!({"ts": index, "doc": format!("d{}", index % 7), "data": data, "col": collection})
        .to_string()
}

/// Data as it stands in a message.
fn raw(data: &str) -> String {
    let text = serde_json::Value::from(data).to_string();
    text[1..text.len() - 1].to_owned()
}

#[test]
fn many_records_are_read_group_by_group() {
    let records: Vec<String> = (0..5000).map(|index| record(index, r#"{"t":1.5,"s":"a\"b"}"#)).collect();
    for separator in [",", " ,\n "] {
        let list = raw(&format!(" [ {} ] ", records.join(separator)));
        assert!(list.len() > 4 * LONG_STEP_BYTES);
        assert_eq!(read_long(Kind::Insert, &list), read_short(Kind::Insert, &list));
        assert_eq!(read_long(Kind::DeleteRecords, &list), read_short(Kind::DeleteRecords, &list));
    }
    assert_eq!(read_long(Kind::Insert, "[]"), Ok(Vec::new()));
    assert_eq!(read_long(Kind::Insert, " [ ] "), Ok(Vec::new()));
}

#[test]
fn a_record_that_is_itself_long_stands_among_others() {
    let long = "x\"ü\n".repeat(LONG_STEP_BYTES);
    let records = [record(0, "first"), record(1, &long), record(2, "last"), record(3, &long)];
    let list = raw(&format!("[{}]", records.join(",")));
    assert_eq!(read_long(Kind::Insert, &list), read_short(Kind::Insert, &list));
}

#[test]
fn what_is_wrong_is_said_with_the_same_words() {
    let mut records: Vec<String> =
        (0..3000).map(|index| record(index, "some text to make it long")).collect();
    let good = records.clone();
    for wrong in [
        "7",
        "{}",
        r#"{"ts":true,"doc":"d","data":"x","col":"c"}"#,
        r#"{"ts":1e400,"doc":"d","data":"x","col":"c"}"#,
        r#"{"ts":1,"doc":"","data":"x","col":"c"}"#,
        r#"{"ts":1,"doc":"d","data":{"a":[1]},"col":"c"}"#,
        r#"{"ts":1,"doc":"d","data":"x","col":"c""#,
        "nonsense",
    ] {
        for place in [0, 1500, 2999] {
            records.clone_from(&good);
            records[place] = wrong.to_owned();
            let list = raw(&format!("[{}]", records.join(",")));
            assert_eq!(read_long(Kind::Insert, &list), read_short(Kind::Insert, &list), "{wrong} at {place}");
        }
    }
    let list = raw(&format!("[{}]", good.join(",")));
    for broken in [&list[1..], &list[..list.len() - 1], &format!("{list},"), &format!("{list} ]"), "{}", "7"]
    {
        assert_eq!(read_long(Kind::Insert, broken), read_short(Kind::Insert, broken));
    }
    assert_eq!(read_long(Kind::Insert, r"[\x]"), Err(Misread::NotARequest));
}

#[test]
fn a_long_object_is_read_as_a_short_one() {
    let value = "value with \"quotes\" and ü\n".repeat(3);
    let objects = [
        serde_json::json!({"col": "c", "key": "k", "value": value, "more": {"a": [1, "x"]}}).to_string(),
        r#"{"col":"c","key":"k","value":7}"#.into(),
        r#"{"col":"c","key":"k","value":{"a":1}}"#.into(),
        r#"{"col":"c","key":"k"}"#.into(),
        r#"{"c\u006fl":"c","key":"k","value":"x","col":null}"#.into(),
        r#"{"col":"c","key":"k","value":"x","extra":1e999}"#.into(),
        r#"{"col":"c","key":"k","value":"x",}"#.into(),
        r#"{"col":"c","key":"k","value":"x"} x"#.into(),
        r#"{"col":"c","key":"k","value":"\x"}"#.into(),
        "[1]".into(),
        "{".into(),
        "{}".into(),
        "7".into(),
    ];
    for object in objects {
        let message = serde_json::json!({"id": "1", "type": "sval", "data": object}).to_string();
        let mut decoder = Decoder::default();
        let envelope = decoder.envelope(message.as_bytes()).unwrap();
        let mut texts = Vec::new();
        let long = read_long_object(envelope.kind, message.as_bytes(), &envelope.data, &mut texts);
        assert_eq!(long, decoder.request(message.as_bytes(), &envelope), "{object}");
    }
}

#[test]
fn numbers_are_read_alike() {
    for number in
        ["5", "-7.9", "\"12\"", "\"1.5\"", "1e3", "99999999999999999999", "1e400", "true", "[1]", "null"]
    {
        let object = format!(r#"{{"col":"c","doc":"d","fromTs":{number},"toTs":2000}}"#);
        let message = serde_json::json!({"id": "1", "type": "drrng", "data": object}).to_string();
        let mut decoder = Decoder::default();
        let envelope = decoder.envelope(message.as_bytes()).unwrap();
        let mut texts = Vec::new();
        let long = read_long_object(envelope.kind, message.as_bytes(), &envelope.data, &mut texts);
        assert_eq!(long, decoder.request(message.as_bytes(), &envelope), "{number}");
    }
}
