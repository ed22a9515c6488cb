use super::*;
use crate::chunk::ChunkSizes;
use crate::cursor::Cursor;
use crate::error::Error;
use crate::limits::{PIECE_BYTES, WORK_MAX};
use crate::request::{Record, Request};
use crate::scan::Progress;

/// Brings a change to its end.
fn carry_out(shard: &mut Shard, request: &Request<&str>) {
    if let Outcome::Change(mut work) = shard.execute(request, &mut Vec::new()).unwrap() {
        while shard.step(&mut work) == Progress::More {}
    }
}

fn shard_with(data: &[&str]) -> Shard {
    let mut shard = Shard::new();
    let records = data.iter().enumerate().map(|(ts, data)| Record {
        collection: "c",
        document: "d",
        ts: ts as i64,
        data: *data,
    });
    carry_out(&mut shard, &Request::Insert(records.collect()));
    shard
}

fn history(contains: Option<&str>) -> Request<&str> {
    Request::History {
        collection: "c",
        document: "d",
        from: None,
        to: i64::MAX,
        limit: None,
        reverse: false,
        contains,
        excludes: None,
    }
}

/// The rest of a reply that must be long.
fn rest(executed: Result<Outcome, Error>) -> Cursor {
    match executed {
        Ok(Outcome::Reply(cursor)) => cursor,
        _ => panic!("the reply is not long"),
    }
}

#[test]
fn one_huge_record_is_given_out_in_pieces() {
    let data = "\u{1}é\"".repeat(4 << 20);
    let mut shard = shard_with(&[&data]);
    let latest = Request::Latest {
        collection: "c",
        document: Some("d"),
        ts: 9,
        from: None,
        contains: None,
        excludes: None,
    };
    for request in [history(None), latest] {
        let mut out = Vec::new();
        let mut cursor = rest(shard.execute(&request, &mut out));
        let mut steps = 1;
        loop {
            let before = out.len();
            let progress = cursor.step(&mut out, PIECE_BYTES);
            assert!(out.len() - before <= PIECE_BYTES + 64);
            steps += 1;
            if progress == Progress::Done {
                break;
            }
        }
        assert!(steps <= out.len() / PIECE_BYTES + 1);
        assert!(out.len() - (4 << 20) * (6 + 2 + 2) < 64, "escaped whole, and little around it");
    }
}

#[test]
fn a_search_that_finds_nothing_yields() {
    let data = "x".repeat(WORK_MAX / 10);
    let mut shard = shard_with(&vec![data.as_str(); 1000]);
    let mut out = Vec::new();
    let mut cursor = rest(shard.execute(&history(Some("/y/")), &mut out));
    let mut steps = 1;
    while cursor.step(&mut out, PIECE_BYTES) == Progress::More {
        steps += 1;
    }
    assert!((90..=110).contains(&steps), "{steps}");
    assert_eq!(out, b"\"records\":[]");
}

/// The reply to a request, and in how many steps it came.
fn reply(shard: &mut Shard, request: &Request<&str>) -> (String, usize) {
    let (mut out, mut steps) = (Vec::new(), 1);
    if let Outcome::Reply(mut cursor) = shard.execute(request, &mut out).unwrap() {
        while cursor.step(&mut out, PIECE_BYTES) == Progress::More {
            steps += 1;
        }
    }
    (String::from_utf8(out).unwrap(), steps)
}

/// A pattern whose search costs each byte as much as the whole pattern, in a record, a document's name and a key.
#[test]
fn a_search_of_one_long_text_yields() {
    let letters = |count: u64| {
        let letter =
            |number: u64| if ((number * number * 0x9e37_79b9) >> 13).is_multiple_of(2) { 'a' } else { 'b' };
        (0..count).map(letter).collect::<String>()
    };
    let text = letters(60_000) + "a" + &letters(300) + "éc";
    let mut shard = Shard::new();
    for (document, data) in [("short", "no"), (&text, "x"), ("short", &text)] {
        let record = Record { collection: "c", document, ts: data.len() as i64, data };
        carry_out(&mut shard, &Request::Insert(vec![record]));
    }
    carry_out(&mut shard, &Request::SetValue { collection: "c", key: &text, value: "v" });
    for (pattern, is_found) in [("/[ab]*b[ab]{300}é[cd]/", false), ("/[ab]*a[ab]{300}é[cd]/", true)] {
        let latest = Request::Latest {
            collection: "c",
            document: Some(pattern),
            ts: i64::MAX,
            from: None,
            contains: None,
            excludes: None,
        };
        let history = Request::History {
            collection: "c",
            document: "short",
            from: None,
            to: i64::MAX,
            limit: None,
            reverse: false,
            contains: Some(pattern),
            excludes: None,
        };
        for request in [latest, history, Request::MatchValues { collection: "c", key: pattern }] {
            let (reply, steps) = reply(&mut shard, &request);
            assert_eq!(reply.contains(&text), is_found, "{request:?}");
            assert!(steps > 20 && !reply.contains("no"), "{request:?} took {steps} steps");
        }
    }
}

#[test]
fn a_bad_pattern_is_an_error_where_there_is_nothing() {
    let mut shard = Shard::new();
    let latest = |document, contains, excludes| Request::Latest {
        collection: "c",
        document,
        ts: 0,
        from: None,
        contains,
        excludes,
    };
    let keys = Request::MatchValues { collection: "c", key: "/(/" };
    let bad = Some("/(/");
    for request in
        [latest(bad, None, None), latest(None, bad, None), latest(None, None, bad), history(bad), keys]
    {
        let mut out = Vec::new();
        assert!(shard.execute(&request, &mut out).is_err() && out.is_empty());
    }
}

#[test]
fn deleted_data_is_freed_in_steps() {
    let mut shard = Shard::new();
    let names: Vec<String> = (0..5000).map(|number| number.to_string()).collect();
    let records =
        names.iter().map(|name| Record { collection: "c", document: name.as_str(), ts: 1, data: "x" });
    carry_out(&mut shard, &Request::Insert(records.collect()));
    shard.execute(&Request::DeleteCollection { collection: "c" }, &mut Vec::new()).unwrap();
    assert_eq!(
        (shard.collection_count(), shard.document_count(), shard.record_count(), shard.bytes()),
        (0, 0, 0, 0)
    );
    let mut steps = 1;
    while shard.collect_garbage() {
        steps += 1;
    }
    assert!(steps > 10, "{steps}");
}

#[test]
fn a_literal_that_sealed_chunks_cannot_hold_is_told_without_their_texts() {
    let sizes = crate::ChunkSizes { seals: true, ..crate::ChunkSizes::default() };
    let mut shard = Shard::with_sizes(sizes);
    let texts: Vec<_> = (0..20_000).map(|number| format!("{{\"value\":{number}.5}}")).collect();
    let record = |(ts, data): (usize, &'_ String)| (ts as i64, data.clone());
    for (ts, data) in texts.iter().enumerate().map(record) {
        let records = vec![Record { collection: "c", document: "d", ts, data: data.as_str() }];
        carry_out(&mut shard, &Request::Insert(records));
    }
    let mut out = Vec::new();
    assert!(matches!(shard.execute(&history(Some("broken")), &mut out), Ok(Outcome::Reply(_))));
    let plain = shard.bytes();
    let mut sealer = crate::sealed::Sealer::default();
    while let Some(work) = shard.take_sealing_work() {
        shard.put_sealed(work.run(&mut sealer));
    }
    assert!(shard.bytes() < plain / 4, "{} of {plain}", shard.bytes());
    for (literal, found) in [("broken", 0), (":777.5", 1), (":777.", 1), ("\"value\":12345.5}", 1)] {
        out.clear();
        let mut steps = 1;
        if let Ok(Outcome::Reply(mut cursor)) = shard.execute(&history(Some(literal)), &mut out) {
            steps += 1;
            while cursor.step(&mut out, PIECE_BYTES) == Progress::More {
                steps += 1;
            }
        }
        assert!(steps <= 3, "{literal}: {steps} steps");
        let text = String::from_utf8(out.clone()).unwrap();
        assert_eq!(text.matches("ts").count(), found, "{literal}: {text}");
    }
}

/// Where the thread that seals has too little of a CPU, its lag is made up for in small steps, and not before.
#[test]
fn who_falls_behind_with_sealing_is_helped() {
    let sizes = ChunkSizes { seals: true, ..ChunkSizes::default() };
    let mut shard = Shard::with_sizes(sizes);
    let fill = |shard: &mut Shard, from: i64| {
        for name in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"] {
            let mut loader = shard.load_document("c", name);
            (from..from + 8000).for_each(|ts| loader.put(ts, "{\"value\":21.5}"));
        }
    };
    fill(&mut shard, 0);
    let mut under_way = Vec::new();
    assert!(shard.take_sealing_step().is_none(), "nobody has been given anything");
    while let Some(work) = shard.take_sealing_work() {
        under_way.push(work);
    }
    assert_eq!(under_way.len(), crate::limits::SEALING_UNDER_WAY_MAX);
    let mut sealer = crate::sealed::Sealer::default();
    let before = shard.bytes();
    let mut steps = 0;
    while let Some(work) = shard.take_sealing_step() {
        assert!(work.record_count() <= 1280, "{}", work.record_count());
        assert!(shard.put_sealed(work.run(&mut sealer)) > 0);
        steps += 1;
    }
    assert!(steps > 10 && shard.bytes() < before, "{steps}");
    for work in under_way.drain(..) {
        shard.put_sealed(work.run(&mut sealer));
    }
    while let Some(work) = shard.take_sealing_work() {
        shard.put_sealed(work.run(&mut sealer));
    }
    fill(&mut shard, 8000);
    assert!(shard.take_sealing_work().is_some() && shard.take_sealing_step().is_none(), "it keeps up");
}
