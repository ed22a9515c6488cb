//! Runs the program against a fake server, so that what it sends and reports is checked without a database.

// In a test a panic is the report, also outside of the test functions.
#![allow(clippy::unwrap_used)]

mod fake_redis;
mod fake_server;

use std::io::{BufRead, BufReader};
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;

use crate::fake_server::{Behaviour, FakeServer};

const SHORT: [&str; 4] = ["--warmup", "0.05", "--duration", "0.3"];

fn bench(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fluxiondb-bench"));
    command.env_remove("FLUXIONDB_APIKEY").args(SHORT).args(arguments).output().unwrap()
}

/// Runs a load; the report, and whether the program was content.
fn load(server: &FakeServer, arguments: &[&str]) -> (Value, bool) {
    let output = bench(&[&["--url", &server.url, "--json"], arguments].concat());
    let report = serde_json::from_slice(&output.stdout);
    (report.unwrap_or_else(|_| panic!("{output:?}")), output.status.success())
}

fn number(report: &Value, name: &str) -> u64 {
    report[name].as_u64().unwrap_or_else(|| panic!("{name} in {report}"))
}

#[test]
fn every_record_acknowledged_was_seen_in_order_of_time() {
    let server = FakeServer::start(Behaviour::InTurn);
    let (report, content) = load(
        &server,
        &["--apikey", "a b", "--records=3", "--collections=2", "--documents=7", "--connections=4"],
    );
    assert!(content, "{report}");
    let seen = server.seen_at_end(4);
    assert!(seen.faults.is_empty(), "{:?}", seen.faults);
    assert_eq!(seen.records, number(&report, "records_acknowledged"));
    assert_eq!(seen.requests["ins"], number(&report, "replies"));
    assert_eq!(seen.goodbyes, 4);
    assert!(seen.targets.iter().all(|target| target == "/db?api-key=a%20b"), "{:?}", seen.targets);
    assert!(report["records_per_second"].as_f64().unwrap() > 100.0);
    assert!(report["reply_frame_bytes"].as_f64().unwrap() > 20.0, "{report}");
    assert!(report["megabytes_out_per_second"].as_f64() > report["megabytes_in_per_second"].as_f64());
}

#[test]
fn a_mix_is_sent_by_weight_after_filling_what_it_reads() {
    let server = FakeServer::start(Behaviour::InTurn);
    let mix = "--workload=ins=4,qry=2,qdoc=2,sval=1,gval=1";
    let (report, content) =
        load(&server, &[mix, "--documents=10", "--collections=1", "--connections=3", "--threads=2"]);
    assert!(content, "{report}");
    let seen = server.seen.lock().unwrap();
    assert!(seen.faults.is_empty(), "{:?}", seen.faults);
    assert!(number(&report, "records_prefilled") >= 10_000);
    assert_eq!(seen.keys.len(), 10);
    assert!(seen.requests["qry"] > seen.requests["gval"], "{:?}", seen.requests);
    let by_workload = report["latency_by_workload"].as_object().unwrap();
    assert_eq!(by_workload.len(), 5);
    let count: u64 = by_workload.values().map(|latency| number(latency, "count")).sum();
    assert_eq!(count, number(&report["latency"], "count"));
}

#[test]
fn replies_in_another_order_find_their_requests() {
    for behaviour in [Behaviour::Backwards, Behaviour::ForeignIds, Behaviour::Fragmented] {
        let server = FakeServer::start(behaviour);
        let (report, content) = load(&server, &["--workload=qdoc", "--prefill=100", "--connections=2"]);
        assert!(content, "{behaviour:?}: {report}");
        let seen = server.seen.lock().unwrap();
        assert_eq!(
            seen.requests["qdoc"] + seen.requests["ins"],
            number(&report, "replies") + seen.requests["ins"]
        );
        assert_eq!(seen.pongs > 0, matches!(behaviour, Behaviour::Fragmented));
    }
}

#[test]
fn error_replies_are_counted_and_the_first_is_shown() {
    let server = FakeServer::start(Behaviour::SomeErrors);
    let (report, content) = load(&server, &["--connections=1"]);
    assert!(!content);
    assert_eq!(number(&report, "errors"), number(&report, "replies") / 3);
    assert_eq!(
        number(&report, "records_acknowledged"),
        number(&report, "replies") - number(&report, "errors")
    );
    assert_eq!(report["first_error"], r#"no \"luck\""#);

    let server = FakeServer::start(Behaviour::ErrorFirst);
    let (report, _) = load(&server, &["--connections=1"]);
    assert_eq!(number(&report, "errors"), number(&report, "replies"));
    assert_eq!(number(&report, "unmatched_replies"), 0);
}

#[test]
fn at_a_fixed_rate_a_stall_shows_in_every_message_it_held_up() {
    let server = FakeServer::start(Behaviour::Stall { after: 100, time: Duration::from_millis(400) });
    let arguments = ["--rate=1000", "--duration=1", "--connections=1", "--in-flight=4"];
    let (report, content) = load(&server, &arguments);
    assert!(content, "{report}");
    let latency = |name: &str| report["latency"][name].as_f64().unwrap();
    assert!(report["longest_gap_ms"].as_f64().unwrap() >= 350.0, "{report}");
    assert!(latency("max_us") >= 350_000.0, "{report}");
    // 400 of about 1000 messages were due during the stall; with the window of 4 a closed loop would have hidden them.
    assert!(latency("p90_us") >= 150_000.0, "{report}");
    assert_eq!(report["offered_messages_per_second"], 1_000.0);
}

#[test]
fn a_server_that_closes_ends_the_run_with_a_report() {
    let server = FakeServer::start(Behaviour::Close { after: 50 });
    let (report, content) = load(&server, &["--connections=2", "--warmup=0", "--duration=60"]);
    assert!(!content);
    assert_eq!(number(&report, "connections_lost"), 2);
    assert_eq!(report["first_loss"], "the server closed the connection with 1008: enough");
    assert_eq!(number(&report, "records_acknowledged"), 100);
}

#[test]
fn failures_to_connect_are_told_in_plain_words() {
    let server = FakeServer::start(Behaviour::Refuse);
    let output = bench(&["--url", &server.url]);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("refused the connection: 401 Unauthorized: Unknown API key"), "{text}");

    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = bench(&["--url", &format!("ws://{free}")]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("cannot connect to ws://") && text.contains("refused"), "{text}");
}

#[test]
fn a_run_leaves_a_page_its_facts_and_its_course() {
    let server = FakeServer::start(Behaviour::InTurn);
    let page = std::env::temp_dir().join(format!("fluxiondb-bench-page-{}.html", std::process::id()));
    let path = page.to_str().unwrap();
    let (report, content) =
        load(&server, &["--report", path, "--fact", "commit=1a2b", "--workload=ins=1,gval=1", "--rate=2000"]);
    assert!(content, "{report}");
    assert_eq!(report["facts"]["commit"], "1a2b");
    assert!(report["machine"]["cpus"].as_u64() >= Some(1), "{report}");
    // Whole intervals of 10 ms in 0.3 s.
    let replies = report["timeline"]["replies"].as_array().unwrap();
    assert!(replies.len() >= 29, "{replies:?}");
    assert!(report["sent_late"]["p99_us"].as_f64().unwrap() < report["latency"]["max_us"].as_f64().unwrap());
    let text = std::fs::read_to_string(&page).unwrap();
    std::fs::remove_file(&page).unwrap();
    assert!(text.contains("commit</th><td>1a2b") && text.ends_with("</html>\n"));

    let output = bench(&["--url", &server.url, "--report", "/nowhere/page.html"]);
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(complaint.contains("cannot write /nowhere/page.html"), "{complaint}");
    assert!(output.stdout.is_empty() && output.status.code() == Some(2), "no load is run for nothing");
}

#[test]
fn progress_is_told_when_asked_for() {
    let server = FakeServer::start(Behaviour::InTurn);
    let told = |arguments: &[&str]| {
        let output = bench(&[&["--url", &server.url, "--duration=1.2"], arguments].concat());
        String::from_utf8(output.stderr).unwrap()
    };
    assert_eq!(told(&[]), "");
    let lines = told(&["--progress", "--rate=1000"]);
    assert!(lines.contains("load    1 s") && lines.contains("of 1,000 offered"), "{lines}");
}

#[test]
fn the_self_test_needs_no_server() {
    let output = bench(&["--self-test", "--workload=ins=1,gval=1"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(text.contains("target       self-test") && text.contains("trouble      none"), "{text}");
}

#[test]
fn every_payload_is_sent_as_it_is() {
    let path = std::env::temp_dir().join(format!("fluxiondb-bench-payload-{}", std::process::id()));
    std::fs::write(&path, "{\"a\":\"b \\\"c\\\"\"}\n[1,2]\n").unwrap();
    for payload in ["sensor", "flight", "tick", path.to_str().unwrap()] {
        let server = FakeServer::start(Behaviour::InTurn);
        let mix = ["--workload=ins=1,sval=1", "--records=7", "--connections=2"];
        let (report, content) = load(&server, &[&["--payload", payload], &mix[..]].concat());
        assert!(content && report["payload"] == payload, "{report}");
        let seen = server.seen_at_end(2);
        assert!(seen.faults.is_empty() && seen.records > 100, "{payload}: {:?}", seen.faults);
    }
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn subscriptions_are_told_of_each_record_and_how_long_it_took() {
    let server = FakeServer::start(Behaviour::InTurn);
    let load_options = ["--rate=500", "--collections=2", "--documents=4", "--connections=2"];
    let who = ["--subscribers=3", "--subscriptions=2", "--subscribe-mode=all"];
    let (report, content) = load(&server, &[&load_options[..], &who].concat());
    assert!(content, "{report}");
    let pushes = &report["pushes"];
    let records = number(pushes, "records");
    // Each of the three subscribes to both collections; what was sent in the warm-up is not counted.
    assert!(records >= 3 * 100 && records <= 3 * number(&report, "records_acknowledged"), "{report}");
    assert_eq!(number(pushes, "pushes"), records);
    let latency = |name: &str| pushes["latency"][name].as_f64().unwrap();
    assert!(latency("count") >= 300.0 && latency("p50_us") > 0.0 && latency("max_us") < 10e6, "{report}");
    let seen = server.seen_at_end(5);
    assert!(seen.faults.is_empty(), "{:?}", seen.faults);
    assert_eq!(seen.requests["sub"], 6);
}

#[test]
fn writers_can_be_told_of_what_they_write() {
    let server = FakeServer::start(Behaviour::InTurn);
    let options = ["--collections=1", "--connections=2", "--in-flight=2", "--subscribe-on-writers"];
    let (report, content) = load(&server, &options);
    assert!(content, "{report}");
    assert!(number(&report["pushes"], "records") > number(&report, "replies"), "{report}");
}

#[test]
fn a_stuck_subscriber_is_not_read() {
    let server = FakeServer::start(Behaviour::InTurn);
    let options = ["--rate=200", "--collections=1", "--connections=1", "--subscribers=2", "--stuck=1"];
    let (report, content) = load(&server, &options);
    assert!(content, "{report}");
    let records = number(&report["pushes"], "records");
    assert!(records > 0 && records <= number(&report, "records_acknowledged"), "{report}");
}

#[test]
fn refused_and_ended_subscriptions_are_told() {
    let server = FakeServer::start(Behaviour::NoSubscriptions);
    let output = bench(&["--url", &server.url, "--subscribers=1"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("the subscriptions failed: unknown type"), "{text}");

    let server = FakeServer::start(Behaviour::EndAfter { records: 50 });
    let (report, content) = load(&server, &["--collections=1", "--connections=1", "--subscribers=2"]);
    assert!(!content);
    assert_eq!((number(&report["pushes"], "ends"), &report["pushes"]["first_end"]), (2, &"too slow".into()));
}

/// A process that ends with the test.
struct Serving(std::process::Child);

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended by itself, which is told by what the test finds missing.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_wire_server_answers_with_frames_of_the_given_length() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fluxiondb-bench"));
    command.args(["wire", "--reply-bytes", "9200"]).stdout(std::process::Stdio::piped());
    let mut server = Serving(command.spawn().unwrap());
    let mut line = String::new();
    BufReader::new(server.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.strip_prefix("wire server listening on ").unwrap().split(',').next().unwrap();
    let arguments = ["--url", &format!("ws://{address}"), "--json", "--workload=qdoc", "--prefill=0"];
    let output = bench(&arguments);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    assert!(output.status.success(), "{report}");
    assert!((report["reply_frame_bytes"].as_f64().unwrap() - 9_200.0).abs() < 100.0, "{report}");
}

#[test]
fn redis_gets_commands_and_its_replies_are_counted() {
    let server = fake_redis::start();
    let arguments = ["--workload=ins=2,qdoc=1,sval=1,gval=1", "--records=50", "--connections=2"];
    let output = bench(&[&["--url", &server, "--json", "--prefill=0"], &arguments[..]].concat());
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    assert!(output.status.success(), "{report}");
    assert!(number(&report, "records_acknowledged") > 100, "{report}");

    let output = bench(&["--url", &server, "--workload=qry"]);
    assert!(String::from_utf8(output.stderr).unwrap().contains("no command for qry"));
}

#[test]
fn a_report_that_can_not_be_written_is_told_before_the_run() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_fluxiondb-bench"))
        // Nobody listens there: a run would fail with another error.
        .args(["--url", "ws://127.0.0.1:1", "--apikey", "k", "--report", "/nonexistent/report.html"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text.contains("--report: cannot write /nonexistent/report.html"), "{text}");
}
