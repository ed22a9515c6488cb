//! Records, documents and collections.

use crate::support::Server;
use crate::tools::{HARD_NAMES, error, json, ok, text};
use serde_json::json;

fn insert(server: &Server, col: &str, doc: &str, ts: &str, data: &str) {
    ok(server, &["insert-record", "--col", col, "--doc", doc, "--ts", ts, "--data", data]);
}

#[test]
fn records_are_inserted_and_fetched() {
    let server = Server::start(&["--cores", "1"]);
    assert_eq!(text(&server, &["fetch-collections"]), "[]\n");
    assert_eq!(text(&server, &["fetch-latest", "--col", "c"]), "{}\n");
    assert_eq!(text(&server, &["fetch-document", "--col", "c", "--doc", "d"]), "[]\n");
    for (ts, data) in [("-5", "old"), ("10", "{\"v\": 1}"), ("20", "")] {
        insert(&server, "c", "d", ts, data);
    }
    insert(&server, "c", "e", "15", "-x");
    insert(&server, "b", "d", "1", "x");
    assert_eq!(text(&server, &["fetch-collections"]), "[\n  \"b\",\n  \"c\"\n]\n");
    assert_eq!(
        text(&server, &["fetch-latest", "--col", "c", "--ts", "19"]),
        "{\n  \"d\": {\n    \"ts\": 10,\n    \"data\": \"{\\\"v\\\": 1}\"\n  },\n  \
         \"e\": {\n    \"ts\": 15,\n    \"data\": \"-x\"\n  }\n}\n"
    );
    let (old, ten) = (json!({"ts": -5, "data": "old"}), json!({"ts": 10, "data": "{\"v\": 1}"}));
    let twenty = json!({"ts": 20, "data": ""});
    let history = |more: &[&str]| json(&server, &[&["fetch-document", "-col", "c", "-doc=d"], more].concat());
    assert_eq!(history(&[]), json!([old, ten, twenty]));
    assert_eq!(history(&["--reverse", "--limit", "2"]), json!([twenty, ten]));
    assert_eq!(history(&["--reverse=false", "-from", "-5", "-to", "10"]), json!([old, ten]));
    assert_eq!(history(&["--where", "/\"v\": \\d/"]), json!([ten]));
    assert_eq!(history(&["--filter", "v", "--from", "0"]), json!([twenty]));
    let latest = |more: &[&str]| json(&server, &[&["fetch-latest", "--col", "c"], more].concat());
    assert_eq!(latest(&["--doc", "/^d$/"]), json!({"d": twenty}));
    assert_eq!(latest(&["--ts", "30", "--from", "18"]), json!({"d": twenty}));
    assert_eq!(latest(&["--where", "x", "--filter", "y"]), json!({"e": {"ts": 15, "data": "-x"}}));
}

#[test]
fn a_time_that_is_not_given_is_now_in_seconds() {
    let server = Server::start(&["--cores", "1"]);
    let before = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs() as i64;
    ok(&server, &["insert-record", "--col", "c", "--doc", "d", "--data", "x"]);
    let ts = json(&server, &["fetch-latest", "--col", "c"])["d"]["ts"].as_i64().unwrap();
    assert!((before..before + 60).contains(&ts), "{ts}");
}

#[test]
fn times_are_dates_and_distances_from_now_in_any_unit() {
    let server = Server::start(&["--cores", "1"]);
    for (doc, ts, unit) in [
        ("ms", "2023-11-14T22:13:20.5Z", "ms"),
        ("s", "2023-11-14T23:13:20+01:00", "s"),
        ("number", "-5", "ns"),
    ] {
        let line = ["insert-record", "--col", "c", "--doc", doc, "--data", "x", "--ts", ts, "--unit", unit];
        ok(&server, &line);
    }
    let latest = |more: &[&str]| json(&server, &[&["fetch-latest", "--col", "c"], more].concat());
    let all = json!({
        "ms": {"ts": 1_700_000_000_500_i64, "data": "x"},
        "s": {"ts": 1_700_000_000, "data": "x"},
        "number": {"ts": -5, "data": "x"},
    });
    // The newest there is, whatever the unit.
    assert_eq!(latest(&[]), all);
    assert_eq!(latest(&["--ts", "2023-11-14T22:13:20Z", "--from", "1"]), json!({"s": all["s"]}));
    for doc in ["old", "new"] {
        let ts = if doc == "old" { "now-2h" } else { "now" };
        ok(
            &server,
            &["insert-record", "--col", "n", "--doc", doc, "--data", "x", "--ts", ts, "--unit", "us"],
        );
    }
    let recent = json(&server, &["fetch-latest", "--col", "n", "--from", "now-1h", "--unit", "us"]);
    assert_eq!(recent.as_object().unwrap().keys().collect::<Vec<_>>(), ["new"]);
    let range = ["--from", "now-3h", "--to", "now-1h", "--unit", "us"];
    let fetch = [&["fetch-document", "--col", "n", "--doc", "old"], &range[..]].concat();
    assert_eq!(json(&server, &fetch).as_array().unwrap().len(), 1);
    ok(&server, &[&["delete-range", "--col", "n", "--doc", "old"], &range[..]].concat());
    assert_eq!(json(&server, &fetch), json!([]));
    ok(&server, &["delete-record", "--col", "c", "--doc", "s", "--ts", "2023-11-14T22:13:20Z"]);
    assert!(latest(&[]).get("s").is_none());
    let refused = error(&server, &["fetch-latest", "--col", "c", "--ts", "noon"]);
    assert!(refused.contains("noon") && refused.contains("now-1h"), "{refused}");
}

#[test]
fn names_and_data_are_any_text() {
    let server = Server::start(&["--cores", "2"]);
    for name in HARD_NAMES {
        insert(&server, name, name, "1", name);
        assert_eq!(json(&server, &["fetch-latest", "--col", name]), json!({name: {"ts": 1, "data": name}}));
    }
    let mut sorted = HARD_NAMES;
    sorted.sort();
    assert_eq!(json(&server, &["fetch-collections"]), json!(sorted));
    for name in HARD_NAMES {
        ok(&server, &["delete-document", "--col", name, "--doc", name]);
    }
    assert_eq!(json(&server, &["fetch-collections"]), json!([]));
}

#[test]
fn records_are_deleted() {
    let server = Server::start(&["--cores", "1"]);
    for ts in ["1", "2", "3", "4", "5"] {
        insert(&server, "c", "d", ts, "x");
    }
    insert(&server, "c", "e", "1", "x");
    ok(&server, &["delete-record", "--col", "c", "--doc", "d", "--ts", "1"]);
    ok(&server, &["delete-range", "--col", "c", "--doc", "d", "--from", "3", "--to", "4"]);
    let history = json(&server, &["fetch-document", "--col", "c", "--doc", "d"]);
    assert_eq!(history, json!([{"ts": 2, "data": "x"}, {"ts": 5, "data": "x"}]));
    ok(&server, &["delete-document", "--col", "c", "--doc", "d"]);
    assert_eq!(json(&server, &["fetch-latest", "--col", "c"]), json!({"e": {"ts": 1, "data": "x"}}));
    ok(&server, &["delete-collection", "--col", "c"]);
    assert_eq!(json(&server, &["fetch-collections"]), json!([]));
    let refused = error(&server, &["delete-range", "--col", "c", "--doc", "d", "--from", "2", "--to", "1"]);
    assert!(refused.contains("fromTs"), "{refused}");
}

#[test]
fn tables_and_csv() {
    let server = Server::start(&["--cores", "1"]);
    insert(&server, "c", "d", "1", "a,b\n");
    insert(&server, "c", "long name", "22", "x");
    let latest = |format| text(&server, &["fetch-latest", "--col", "c", "--format", format]);
    assert_eq!(latest("table"), "DOC        TS  DATA\nd          1   a,b\\n\nlong name  22  x\n");
    assert_eq!(latest("csv"), "doc,ts,data\nd,1,\"a,b\n\"\nlong name,22,x\n");
    let history = ["fetch-document", "--col", "c", "--doc", "d", "--format", "csv"];
    assert_eq!(text(&server, &history), "ts,data\n1,\"a,b\n\"\n");
    assert_eq!(text(&server, &["fetch-collections", "--format", "table"]), "COLLECTION\nc\n");
}
