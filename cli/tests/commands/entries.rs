//! Key-value entries.

use crate::support::Server;
use crate::tools::{HARD_NAMES, error, json, ok, text};
use serde_json::json;

#[test]
fn entries_are_set_shown_and_deleted() {
    let server = Server::start(&["--cores", "1"]);
    for (key, value) in [("unit", "celsius"), ("device-1", ""), ("device-2", "-v")] {
        ok(&server, &["set-value", "--col", "c", "--key", key, "--value", value]);
    }
    let all = "{\n  \"device-1\": \"\",\n  \"device-2\": \"-v\",\n  \"unit\": \"celsius\"\n}\n";
    assert_eq!(text(&server, &["get-values", "--col", "c"]), all);
    assert_eq!(text(&server, &["get-values", "--col", "c", "--key", ""]), all);
    let values = |key| json(&server, &["get-values", "--col", "c", "-key", key]);
    assert_eq!(values("unit"), json!({"unit": "celsius"}));
    assert_eq!(values("/^device/"), json!({"device-1": "", "device-2": "-v"}));
    assert_eq!(values("none"), json!({"none": ""}));
    let keys = |more: &[&str]| json(&server, &[&["list-keys", "--col", "c"], more].concat());
    assert_eq!(keys(&[]), json!(["device-1", "device-2", "unit"]));
    assert_eq!(keys(&["--key", "/2$/"]), json!(["device-2"]));
    assert_eq!(keys(&["--key", "unit"]), json!(["unit"]));
    assert_eq!(keys(&["--key", "none"]), json!([]));
    ok(&server, &["delete-value", "--col", "c", "--key", "unit"]);
    assert_eq!(keys(&[]), json!(["device-1", "device-2"]));
    let table = text(&server, &["get-values", "--col", "c", "--format", "table"]);
    assert_eq!(table, "KEY       VALUE\ndevice-1\ndevice-2  -v\n");
    assert!(error(&server, &["get-values", "--col", "c", "--key", "/(/"]).contains("pattern"));
}

#[test]
fn a_collection_may_hold_entries_alone() {
    let server = Server::start(&["--cores", "1"]);
    for name in HARD_NAMES {
        ok(&server, &["set-value", "--col", name, "--key", name, "--value", name]);
        assert_eq!(json(&server, &["get-values", "--col", name]), json!({name: name}));
        assert_eq!(json(&server, &["fetch-latest", "--col", name]), json!({}));
    }
}
