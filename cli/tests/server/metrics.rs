//! `GET /metrics`: who may read it, that every line is what Prometheus takes, and that its numbers are true.

use crate::support::raw::{RawSocket, Response};
use crate::support::{Client, KEY, KEY_QUERY, Server, TempDir, command};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

fn get(port: u16, target: &str, headers: &str) -> Response {
    RawSocket::connect(port).ask(&format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n"))
}

/// The samples of a page, by name and labels as they are written.
struct Samples(BTreeMap<String, f64>);

impl Samples {
    fn of(server: &Server) -> Samples {
        let response = get(server.port, &format!("/metrics?{KEY_QUERY}"), "");
        assert_eq!(response.status(), 200, "{}", response.body);
        assert_eq!(response.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
        Samples(parse(&response.body))
    }

    fn get(&self, name: &str) -> f64 {
        *self.0.get(name).unwrap_or_else(|| panic!("{name} is missing"))
    }

    /// The sum over all labels.
    fn sum(&self, name: &str) -> f64 {
        let of_it = |key: &&String| key.split('{').next() == Some(name);
        self.0.keys().filter(of_it).map(|key| self.0[key]).sum()
    }
}

fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The labels of a sample, each once, whose values need no escape.
fn labels(text: &str) -> BTreeMap<&str, &str> {
    let mut labels = BTreeMap::new();
    for pair in text.split(',') {
        let (name, value) = pair.split_once('=').unwrap_or_else(|| panic!("a label without value: {text}"));
        let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap();
        assert!(is_name(name) && !value.is_empty() && !value.contains(['"', '\\', '\n']), "{text}");
        assert_eq!(labels.insert(name, value), None, "{text}");
    }
    labels
}

/// One metric: its samples come together, below its help and its type.
#[derive(Default)]
struct Family {
    name: String,
    form: String,
    /// Of a histogram, by the labels beside `le`.
    histograms: BTreeMap<String, Histogram>,
}

#[derive(Default)]
struct Histogram {
    /// Bounds and counts.
    buckets: Vec<(f64, f64)>,
    sum: Option<f64>,
    count: Option<f64>,
}

impl Family {
    fn take(&mut self, name: &str, labels: &BTreeMap<&str, &str>, value: f64) {
        if self.form != "histogram" {
            assert_eq!(name, self.name);
            assert!(
                value >= 0.0 && (self.form == "gauge") != name.ends_with("_total"),
                "{name} is a {}",
                self.form
            );
            return;
        }
        let rest: Vec<_> = labels.iter().filter(|(name, _)| **name != "le").collect();
        let Histogram { buckets, sum, count } = self.histograms.entry(format!("{rest:?}")).or_default();
        match name.strip_prefix(&*self.name) {
            Some("_bucket") => {
                assert!(sum.is_none() && count.is_none());
                buckets.push((labels["le"].parse().unwrap(), value));
            }
            Some("_sum") => assert!(sum.replace(value).is_none()),
            Some("_count") => assert!(count.replace(value).is_none()),
            other => panic!("{other:?} of {name}"),
        }
    }

    fn check(&self) {
        for Histogram { buckets, sum, count } in self.histograms.values() {
            assert!(buckets.is_sorted_by(|one, next| one.0 < next.0 && one.1 <= next.1), "{buckets:?}");
            assert_eq!(buckets.last().map(|(bound, _)| *bound), Some(f64::INFINITY));
            assert_eq!(buckets.last().map(|(_, total)| *total), *count);
            assert!(
                sum.is_some_and(|sum| (sum > 0.0) == (*count > Some(0.0))),
                "{}: {sum:?} {count:?}",
                self.name
            );
        }
    }
}

/// Reads a page strictly: every line is a help, a type, or a sample of the metric above it.
fn parse(text: &str) -> BTreeMap<String, f64> {
    assert!(text.ends_with('\n'));
    let (mut samples, mut seen, mut family) = (BTreeMap::new(), BTreeSet::new(), Family::default());
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, help) = help.split_once(' ').unwrap();
            family.check();
            assert!(is_name(name) && help.ends_with('.') && seen.insert(name), "{line}");
            family = Family { name: name.into(), ..Family::default() };
        } else if let Some(form) = line.strip_prefix("# TYPE ") {
            let (name, form) = form.split_once(' ').unwrap();
            assert!(name == family.name && family.form.is_empty(), "{line}");
            assert!(["counter", "gauge", "histogram"].contains(&form), "{line}");
            family.form = form.into();
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
            let (name, labelled) = match series.split_once('{') {
                Some((name, rest)) => (name, labels(rest.strip_suffix('}').unwrap())),
                None => (series, BTreeMap::new()),
            };
            assert!(is_name(name) && !family.form.is_empty(), "{line}");
            family.take(name, &labelled, value);
            assert_eq!(samples.insert(series.to_string(), value), None, "{line}");
        }
    }
    family.check();
    samples
}

fn insert(client: &mut Client, count: usize) {
    for number in 0..count {
        client
            .done("ins", &json!([{"ts": number, "doc": "d", "data": "x", "col": format!("secret{number}")}]));
    }
}

#[test]
fn every_line_is_what_prometheus_takes_and_the_numbers_are_true() {
    let data = TempDir::new();
    let server = Server::start(&["--cores", "2", "--data", data.text(), "--sync", "always"]);
    let mut client = server.client();
    insert(&mut client, 10);
    client.done("sval", &json!({"col": "secret1", "key": "k", "value": "v"}));
    for _ in 0..20 {
        client.call("gval", &json!({"col": "secret1", "key": "k"}));
    }
    assert!(client.call("qry", &json!({"col": "c"}))["error"].is_string());
    assert_eq!(get(server.port, "/metrics?api-key=wrong", "").status(), 401);
    let samples = Samples::of(&server);
    for (name, value) in [
        ("fluxiondb_cores", 2.0),
        ("fluxiondb_connections_opened_total", 1.0),
        ("fluxiondb_requests_total{type=\"ins\"}", 10.0),
        ("fluxiondb_requests_total{type=\"gval\"}", 20.0),
        ("fluxiondb_request_errors_total{type=\"qry\"}", 1.0),
        ("fluxiondb_request_errors_total{type=\"ins\"}", 0.0),
        ("fluxiondb_request_duration_seconds_count{type=\"ins\"}", 10.0),
        ("fluxiondb_request_duration_seconds_count{type=\"gval\"}", 20.0),
        ("fluxiondb_request_duration_seconds_count{type=\"qry\"}", 1.0),
        ("fluxiondb_refusals_total{reason=\"key\"}", 1.0),
        ("fluxiondb_collections", 10.0),
        ("fluxiondb_documents", 10.0),
        ("fluxiondb_records", 10.0),
        ("fluxiondb_entries", 1.0),
        ("fluxiondb_memory_bytes{part=\"unstored\"}", 0.0),
        ("fluxiondb_unstored_age_seconds", 0.0),
        ("fluxiondb_commit_failures_total", 0.0),
        ("fluxiondb_storage_failing_shards", 0.0),
    ] {
        assert_eq!(samples.get(name), value, "{name}");
    }
    assert_eq!(samples.sum("fluxiondb_connections"), 1.0);
    assert_eq!(samples.sum("fluxiondb_requests_total"), 32.0);
    for name in [
        "fluxiondb_received_bytes_total",
        "fluxiondb_sent_bytes_total",
        "fluxiondb_memory_bytes{part=\"data\"}",
        "fluxiondb_commit_duration_seconds_count",
        "fluxiondb_committed_bytes_total",
        "fluxiondb_core_busy_seconds_total{core=\"1\"}",
        "fluxiondb_core_messages_total{core=\"0\"}",
        "process_resident_memory_bytes",
        "process_cpu_seconds_total",
    ] {
        assert!(samples.get(name) > 0.0, "{name}");
    }
    // Stored before each reply, so none was answered faster than it was stored.
    let time = |name: &str| samples.get(&format!("fluxiondb_{name}"));
    assert!(time("request_duration_seconds_sum{type=\"ins\"}") > 0.0);
    assert!(samples.0.keys().all(|series| !series.contains("secret")), "no label is a client's choice");
}

#[test]
fn an_entry_that_goes_is_not_counted_any_more() {
    let server = Server::start(&["--cores", "1"]);
    let mut client = server.client();
    for key in ["a", "b", "a"] {
        client.done("sval", &json!({"col": "c", "key": key, "value": "v"}));
    }
    client.done("sval", &json!({"col": "d", "key": "a", "value": "v"}));
    assert_eq!(Samples::of(&server).get("fluxiondb_entries"), 3.0);
    client.done("rval", &json!({"col": "c", "key": "a"}));
    client.done("dcol", &json!({"col": "d"}));
    assert_eq!(Samples::of(&server).get("fluxiondb_entries"), 1.0);
}

#[test]
fn subscriptions_are_measured() {
    let server = Server::start(&["--cores", "2"]);
    let (mut reader, mut writer) = (server.client(), server.client());
    for (name, collection) in [("first", "a"), ("second", "b")] {
        reader.queue("sub", &json!({"col": collection, "mode": "all"}));
        reader.flush();
        assert!(reader.receive().unwrap()["cursor"].is_string(), "{name}");
    }
    let at = |ts: u64| json!([{"ts": ts, "doc": "d", "data": "x", "col": "a"}]);
    for ts in 0..5 {
        writer.done("ins", &at(ts));
        assert_eq!(reader.receive().unwrap()["type"], "push");
    }
    let samples = Samples::of(&server);
    assert_eq!(samples.get("fluxiondb_subscriptions"), 2.0);
    assert_eq!(samples.get("fluxiondb_pushes_total"), 5.0);
    assert_eq!(samples.get("fluxiondb_push_lag_seconds_count"), 5.0);
    reader.done("unsub", &json!({"sub": "r1"}));
    drop(reader);
    let mut samples = Samples::of(&server);
    while samples.sum("fluxiondb_subscription_ends_total") < 2.0 {
        samples = Samples::of(&server);
    }
    assert_eq!(samples.get("fluxiondb_subscription_ends_total{reason=\"unsubscribed\"}"), 1.0);
    assert_eq!(samples.get("fluxiondb_subscription_ends_total{reason=\"connection\"}"), 1.0);
    assert_eq!(samples.get("fluxiondb_subscriptions"), 0.0);
}

#[test]
fn on_the_port_of_the_clients_metrics_take_a_key() {
    let server = Server::start(&["--cores", "2"]);
    server.client().call("keys", &json!({"action": "add", "key": "reader", "scope": "readonly"}));
    let status = |target: &str, headers: &str| get(server.port, target, headers).status();
    assert_eq!(status("/metrics", ""), 401);
    assert_eq!(status("/metrics?api-key=wrong", ""), 401);
    assert_eq!(status("/metrics", "Authorization: Bearer wrong\r\n"), 401);
    assert_eq!(status(&format!("/metrics?{KEY_QUERY}"), ""), 200);
    assert_eq!(status("/metrics?api-key=reader", ""), 200);
    assert_eq!(status("/metrics", "Authorization: Bearer reader\r\n"), 200);
    assert_eq!(status("/metrics", &format!("X-API-Key: {KEY}\r\n")), 200);
    let refused = get(server.port, "/metrics", "").body;
    assert_eq!(refused, "Missing API key parameter", "nothing is told");
    let posted = RawSocket::connect(server.port).ask("POST /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(posted.status(), 405);
}

#[test]
fn at_an_address_of_their_own_health_and_metrics_take_no_key() {
    let server = Server::start(&["--cores", "2", "--metrics-bind", "127.0.0.1:0"]);
    let pages = server.pages_port.unwrap();
    let metrics = get(pages, "/metrics", "");
    assert_eq!(metrics.status(), 200);
    assert_eq!(parse(&metrics.body).get("fluxiondb_cores"), Some(&2.0));
    assert_eq!((get(pages, "/health", "").status(), get(pages, "/health", "").body.as_str()), (200, "ok"));
    assert_eq!(get(pages, "/", "").status(), 404);
    // They have moved, and nothing else has come there.
    assert_eq!(get(server.port, "/health", "").status(), 404);
    assert_eq!(get(server.port, &format!("/metrics?{KEY_QUERY}"), "").status(), 404);
    let upgrade = crate::support::raw::upgrade(&format!("/?{KEY_QUERY}"), "");
    assert_eq!(RawSocket::connect(pages).handshake(&upgrade).0, 404);
    server.client();
    server.stop();
}

#[test]
fn an_address_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output =
        command().args(["--secret-key", KEY, "--port", "0", "--metrics-bind", &address]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("is taken") && told.contains("choose another with --metrics-bind"), "{told}");
}
