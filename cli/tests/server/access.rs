//! Who may do what: a peer without a key, each scope, the master key, and other users of the machine. docs/security.md
//! names these tests beside its claims.

use crate::support::raw::{RawSocket, TEXT, frame, upgrade};
use crate::support::{Client, KEY, KEY_QUERY, Server, TempDir, command};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Stdio};

/// Every type of request, with the least scope that may ask it: 1 reads, 2 writes, 3 deletes, 4 manages keys.
fn requests() -> Vec<(&'static str, Value, u8)> {
    vec![
        ("qry", json!({"col": "c", "ts": 9}), 1),
        ("qdoc", json!({"col": "c", "doc": "d", "to": 9}), 1),
        ("cols", json!({}), 1),
        ("gval", json!({"col": "c", "key": "k"}), 1),
        ("gvalues", json!({"col": "c", "key": "k"}), 1),
        ("gvals", json!({"col": "c"}), 1),
        ("gkeys", json!({"col": "c"}), 1),
        ("conn", json!({}), 1),
        ("stats", json!({}), 1),
        ("ins", json!([{"ts": 1, "doc": "d", "data": "x", "col": "c"}]), 2),
        ("sval", json!({"col": "c", "key": "k", "value": "v"}), 2),
        ("drec", json!({"col": "c", "doc": "d", "ts": 1}), 3),
        ("dmrec", json!([{"col": "c", "doc": "d", "ts": 1}]), 3),
        ("drrng", json!({"col": "c", "doc": "d", "fromTs": 1, "toTs": 2}), 3),
        ("ddoc", json!({"doc": "d", "col": "c"}), 3),
        ("dcol", json!({"col": "c"}), 3),
        ("rval", json!({"col": "c", "key": "k"}), 3),
        ("keys", json!({"action": "list"}), 4),
        ("keys", json!({"action": "add", "key": "x", "scope": "readonly"}), 4),
        ("keys", json!({"action": "remove", "key": "x"}), 4),
    ]
}

/// The older names that each type has; they are no way around its scope.
fn older_names(kind: &str) -> &'static [&'static str] {
    match kind {
        "ins" => &["insert"],
        "drec" => &["delete-record"],
        "dmrec" => &["delete-multiple-records"],
        "ddoc" => &["delete-user"],
        "dcol" => &["delete-collection"],
        "sval" => &["set-value"],
        "rval" => &["remove-value"],
        _ => &[],
    }
}

/// A collection with a record and an entry.
fn fill(client: &mut Client) {
    client.done("ins", &json!([{"ts": 1, "doc": "d", "data": "x", "col": "c"}]));
    client.done("sval", &json!({"col": "c", "key": "k", "value": "v"}));
}

/// All that the collection holds.
fn contents(client: &mut Client) -> (Value, Value) {
    (
        client.call("qdoc", &json!({"col": "c", "doc": "d", "to": 9})),
        client.call("gvals", &json!({"col": "c"})),
    )
}

#[test]
fn each_scope_may_do_what_its_name_says_and_no_more() {
    let server = Server::start(&["--cores", "2"]);
    let mut master = server.client();
    for (scope, level) in [("readonly", 1), ("read_write", 2), ("read_write_delete", 3)] {
        let added = master.call("keys", &json!({"action": "add", "key": scope, "scope": scope}));
        assert_eq!(added["status"], "ok");
        let mut client = server.client_with(&format!("api-key={scope}"));
        for (kind, data, needed) in requests() {
            fill(&mut master);
            let before = contents(&mut master);
            for name in [&[kind][..], older_names(kind)].concat() {
                let reply = client.call(name, &data);
                let refused = match needed {
                    4 => json!({"error": "only the master key may manage API keys"}),
                    _ => json!({"error": "permission denied"}),
                };
                assert_eq!(reply == refused, level < needed, "{scope} {name}: {reply}");
                assert!(level < needed || reply.get("error").is_none(), "{scope} {name}: {reply}");
            }
            if level < needed {
                assert_eq!(contents(&mut master), before, "{scope} {kind} was refused and did something");
            }
        }
    }
    for (kind, data, _) in requests() {
        let reply = master.call(kind, &data);
        assert!(reply.get("error").is_none(), "the master key may do everything: {kind} {reply}");
    }
}

#[test]
fn a_scope_holds_for_all_collections_alike() {
    let server = Server::start(&["--cores", "2"]);
    let mut master = server.client();
    for index in 0..20 {
        master.done("sval", &json!({"col": format!("c{index}"), "key": "k", "value": "v"}));
    }
    master.call("keys", &json!({"action": "add", "key": "reader", "scope": "readonly"}));
    let mut reader = server.client_with("api-key=reader");
    assert_eq!(reader.call("cols", &json!({}))["collections"].as_array().map(Vec::len), Some(20));
    let mut others = server.client_with(&format!("{KEY_QUERY}&name=other"));
    others.call("cols", &json!({}));
    let listed = reader.call("conn", &json!({}));
    let names: Vec<&Value> =
        listed["connections"].as_array().unwrap().iter().map(|connection| &connection["name"]).collect();
    assert!(names.contains(&&json!("other")), "who may read sees the addresses and names of all: {listed}");
    assert!(!listed.to_string().contains("s3cret"), "and never a key: {listed}");
}

#[test]
fn a_peer_without_a_key_learns_that_a_server_is_there_and_well() {
    let server = Server::start(&["--cores", "2"]);
    fill(&mut server.client());
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    for (request, status, body) in [
        (get("/health"), 200, "ok"),
        (get(&format!("/health?{KEY_QUERY}")), 200, "ok"),
        (get("/metrics"), 401, "Missing API key parameter"),
        (get("/"), 426, "this is a WebSocket server: connect with ws://"),
        (get("/c"), 404, "nothing here: GET /health, or connect with ws://"),
        ("POST /health HTTP/1.1\r\nHost: localhost\r\n\r\n".into(), 405, "only GET is served here"),
        (upgrade("/", ""), 401, "Missing API key parameter"),
        (upgrade("/?api-key=", ""), 401, "Missing API key parameter"),
        (upgrade("/?api-key=S3cret%2Bkey", ""), 401, "Unknown API key"),
        (upgrade("/?api-key=s3cret%2Bke", ""), 401, "Unknown API key"),
        (upgrade("/?api-key=s3cret%2Bkey%00", ""), 401, "Unknown API key"),
        // What a browser adds of its own makes no difference: only the key counts.
        (
            upgrade("/", "Origin: http://localhost:8080\r\nCookie: api-key=s3cret+key\r\n"),
            401,
            "Missing API key parameter",
        ),
    ] {
        let response = RawSocket::connect(server.port).ask(&request);
        assert_eq!((response.status(), response.body.as_str()), (status, body), "{request}");
        let head = response.head.to_ascii_lowercase();
        assert!(!head.contains("server:") && !head.contains("fluxion"), "what it is stays untold: {head}");
    }
}

/// With `--legacy-auth` there are connections without a key, which may say nothing but one.
#[test]
fn who_has_not_authenticated_is_asked_for_a_key_whatever_it_says() {
    let server = Server::start(&["--cores", "2", "--legacy-auth"]);
    let mut master = server.client();
    fill(&mut master);
    let before = contents(&mut master);
    for (kind, data, _) in requests() {
        let mut peer = Client::connect(server.port, "/", "");
        peer.queue(kind, &data);
        peer.flush();
        assert_eq!(peer.closed(), Some(1008), "{kind}");
    }
    assert_eq!(contents(&mut master), before);
    let listed = master.call("keys", &json!({"action": "list"}));
    assert_eq!(listed["keys"].as_array().map(Vec::len), Some(1), "{listed}");
}

/// What is sent right behind a handshake that is refused is thrown away with it.
#[test]
fn requests_behind_a_refused_handshake_are_not_carried_out() {
    let server = Server::start(&["--cores", "1"]);
    let data = json!({"col": "c", "key": "k", "value": "v"}).to_string();
    let request = json!({"id": "1", "type": "sval", "data": data}).to_string();
    let mut bytes = upgrade("/?api-key=wrong", "").into_bytes();
    bytes.extend(frame(0x80 | TEXT, request.as_bytes()));
    let mut socket = RawSocket::connect(server.port);
    socket.stream.write_all(&bytes).unwrap();
    socket.finish();
    assert_eq!(server.client().call("cols", &json!({})), json!({"collections": []}));
}

/// A server with this master key in its environment, kept from the command line.
struct Process {
    child: Child,
    port: u16,
}

impl Process {
    fn start(key: &str, directory: &Path) -> Process {
        let mut child = command()
            .args(["--port", "0", "--cores", "1", "--log", "error", "--data"])
            .arg(directory)
            .env("FLUXIONDB_SECRET_KEY", key)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.split(',').next().and_then(|head| head.rsplit(':').next()?.parse().ok());
        Process { child, port: port.unwrap_or_else(|| panic!("the server did not start: {line:?}")) }
    }

    fn client(&self, key: &str) -> Client {
        let mut client = Client::connect(self.port, "/", &format!("api-key={key}"));
        assert_eq!(client.receive().unwrap()["type"], "ready");
        client
    }

    fn stop(mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The master key is the one that the server was started with: a former one opens nothing, and other keys keep their
/// scopes.
#[test]
fn another_master_key_takes_the_place_of_the_last() {
    let directory = TempDir::new();
    let server = Process::start("old", &directory.file("data"));
    let added =
        server.client("old").call("keys", &json!({"action": "add", "key": "reader", "scope": "readonly"}));
    assert_eq!(added["status"], "ok");
    server.stop();
    let server = Process::start("new", &directory.file("data"));
    assert_eq!(RawSocket::connect(server.port).handshake(&upgrade("/?api-key=old", "")).0, 401);
    let listed = server.client("new").call("keys", &json!({"action": "list"}));
    assert_eq!(listed["keys"].as_array().map(Vec::len), Some(2), "{listed}");
    let refused = server.client("reader").call("sval", &json!({"col": "c", "key": "k", "value": "v"}));
    assert_eq!(refused, json!({"error": "permission denied"}));
    server.stop();
}

/// Other users of the machine can list processes and directories: neither shows them a key, nor lets them at the data.
#[test]
fn another_user_of_the_machine_sees_neither_key_nor_data() {
    let directory = TempDir::new();
    let data = directory.file("data");
    let server = Process::start(KEY, &data);
    let words = std::fs::read(format!("/proc/{}/cmdline", server.child.id())).unwrap();
    assert!(words.starts_with(b"/") && !String::from_utf8_lossy(&words).contains(KEY));
    let entries = std::fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().path());
    let modes: Vec<_> = std::iter::once(data.clone())
        .chain(entries)
        .map(|path| (std::fs::metadata(&path).unwrap().permissions().mode(), path))
        .collect();
    assert!(modes.len() > 2 && modes.iter().all(|(mode, _)| mode & 0o077 == 0), "{modes:?}");
    server.stop();
}

/// What docs/security.md claims stands on tests, so each that it names must be there.
#[test]
fn every_test_that_the_page_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let page = std::fs::read_to_string(root.join("docs/security.md")).unwrap();
    let named: Vec<(&str, &str)> = page.split('`').filter_map(|words| words.split_once("::")).collect();
    assert!(named.len() > 20, "{named:?}");
    for (file, test) in named {
        let folder = if file.starts_with("net/") { "" } else { "cli/tests" };
        let source = std::fs::read_to_string(root.join(folder).join(file)).unwrap_or_default();
        assert!(source.contains(&format!("fn {test}(")), "{file}::{test}");
    }
}
