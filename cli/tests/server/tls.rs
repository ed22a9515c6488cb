//! TLS with clients that speak it well: requests, subscriptions, large messages, both versions, and certificates that are
//! renewed or can't be used.

use crate::support::raw::upgrade;
use crate::support::{Authority, KEY, KEY_QUERY, PATIENCE, Server, command};
use fluxion_client::{
    Authorities, Client, Error, Event, HistoryQuery, NewRecord, Options, SubscriptionQuery, check_health,
};
use rustix::process::{Pid, Signal, kill_process};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, StreamOwned};
use serde_json::json;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Output, Stdio};
use std::sync::Arc;

/// The flags that have a server speak TLS with the files of an authority.
pub fn flags(authority: &Authority) -> [String; 4] {
    ["--tls-cert".into(), authority.path("cert.pem"), "--tls-key".into(), authority.path("key.pem")]
}

/// A server that speaks TLS, with these flags besides.
pub fn start(authority: &Authority, more: &[&str]) -> Server {
    authority.write_local();
    let flags = flags(authority);
    let flags: Vec<&str> = flags.iter().map(String::as_str).chain(more.iter().copied()).collect();
    Server::start(&flags)
}

fn options(authority: &Authority, port: u16) -> Options {
    let authorities = Authorities::in_file(authority.path("ca.pem"));
    Options::new(format!("wss://localhost:{port}"), KEY).authorities(authorities).timeout(PATIENCE)
}

pub type Secure = StreamOwned<ClientConnection, TcpStream>;

/// Shakes hands, and nothing more.
pub fn shake_hands(
    authority: &Authority,
    port: u16,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> Secure {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
    let config = builder.with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut secure = StreamOwned::new(connection, stream);
    while secure.conn.is_handshaking() {
        secure.conn.complete_io(&mut secure.sock).unwrap();
    }
    secure
}

/// The certificate that a server shows.
fn shown(authority: &Authority, port: u16) -> CertificateDer<'static> {
    let secure = shake_hands(authority, port, rustls::ALL_VERSIONS);
    secure.conn.peer_certificates().unwrap()[0].clone().into_owned()
}

fn certificate_in(authority: &Authority) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(authority.path("cert.pem")).unwrap()
}

fn ask(secure: &mut Secure, request: &str) -> String {
    secure.write_all(request.as_bytes()).unwrap();
    secure.flush().unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        secure.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    String::from_utf8(head).unwrap()
}

#[test]
fn requests_and_subscriptions_go_over_it() {
    let authority = Authority::new();
    let server = start(&authority, &["--cores", "2"]);
    let mut client = Client::connect(options(&authority, server.port)).unwrap();
    let query = SubscriptionQuery::new("c");
    let mut events = client.subscribe(query).unwrap();
    for ts in 0..20 {
        client.insert(&[NewRecord { ts, document: "d", data: "x", collection: "c" }]).unwrap();
        let newest = loop {
            match events.next().unwrap().unwrap() {
                Event::Push(push) if !push.records.is_empty() => {
                    break push.records["d"].as_ref().unwrap().ts;
                }
                Event::Lost(error) => panic!("{error}"),
                _ => {}
            }
        };
        assert_eq!(newest, ts);
    }
    assert_eq!(client.history(HistoryQuery::new("c", "d")).unwrap().count(), 20);
    client.reconnect().unwrap();
    assert_eq!(client.history(HistoryQuery::new("c", "d").limit(3)).unwrap().count(), 3);
}

#[test]
fn large_messages_arrive_whole_both_ways() {
    let authority = Authority::new();
    let server = start(&authority, &["--cores", "2", "--tls-port", "0", "--max-message-bytes", "64MiB"]);
    let mut plain = Client::connect(Options::new(format!("ws://127.0.0.1:{}", server.port), KEY)).unwrap();
    let mut secure = Client::connect(options(&authority, server.tls_port.unwrap())).unwrap();
    // Of every length around the ends of records and buffers.
    for length in [0, 1, 16_383, 16_384, 16_385, 65_536, 131_072, 131_073, 5_000_000, 30_000_000] {
        let value: String = (0..length).map(|index| char::from(b'a' + (index % 23) as u8)).collect();
        secure.set_value("c", "k", &value).unwrap();
        assert!(plain.value("c", "k").unwrap() == value, "{length} bytes in");
        assert!(secure.value("c", "k").unwrap() == value, "{length} bytes out");
    }
    let data = "y".repeat(900);
    for from in (0..60_000).step_by(5000) {
        let records: Vec<_> = (from..from + 5000)
            .map(|ts| NewRecord { ts, document: "d", data: &data, collection: "c" })
            .collect();
        secure.insert(&records).unwrap();
    }
    let mut expected = 0..60_000;
    for record in secure.history(HistoryQuery::new("c", "d")).unwrap() {
        let record = record.unwrap();
        assert_eq!((Some(record.ts), record.data.len()), (expected.next(), data.len()));
    }
    assert_eq!(expected.next(), None);
}

#[test]
fn both_versions_are_spoken() {
    let authority = Authority::new();
    let server = start(&authority, &[]);
    for (version, name) in [
        (&rustls::version::TLS12, ProtocolVersion::TLSv1_2),
        (&rustls::version::TLS13, ProtocolVersion::TLSv1_3),
    ] {
        let mut secure = shake_hands(&authority, server.port, &[version]);
        assert_eq!(secure.conn.protocol_version(), Some(name));
        let answer = ask(&mut secure, &upgrade(&format!("/?{KEY_QUERY}"), ""));
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        let mut page = shake_hands(&authority, server.port, &[version]);
        page.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut text = String::new();
        // With an end that TLS has announced: another is an error.
        page.read_to_string(&mut text).unwrap();
        assert!(text.starts_with("HTTP/1.1 200 ") && text.ends_with("ok"), "{text}");
    }
}

#[test]
fn a_stop_is_said_to_clients_of_tls_too() {
    let authority = Authority::new();
    let server = start(&authority, &[]);
    let mut client = Client::connect(options(&authority, server.port).attempts(0)).unwrap();
    client.insert(&[NewRecord { ts: 1, document: "d", data: "x", collection: "c" }]).unwrap();
    let mut events = client.subscribe(SubscriptionQuery::new("c")).unwrap();
    events.next().unwrap().unwrap();
    let ends = std::thread::spawn(move || {
        events.find_map(|event| match event {
            Ok(Event::Lost(error)) | Err(error) => Some(error),
            Ok(_) => None,
        })
    });
    server.stop();
    match ends.join().unwrap().unwrap() {
        Error::Closed { code, .. } => assert_eq!(code, Some(1001)),
        error => panic!("{error}"),
    }
}

#[test]
fn a_port_of_its_own_leaves_the_other_plain() {
    let authority = Authority::new();
    let server = start(&authority, &["--cores", "2", "--tls-port", "0"]);
    let mut plain = server.client();
    plain.done("sval", &json!({"col": "c", "key": "k", "value": "v"}));
    let mut secure = Client::connect(options(&authority, server.tls_port.unwrap())).unwrap();
    assert_eq!(secure.value("c", "k").unwrap(), "v");
    let error = Client::connect(options(&authority, server.port)).unwrap_err().to_string();
    assert!(error.contains("does not speak TLS"), "{error}");
}

#[test]
fn a_server_that_is_not_trusted_is_not_spoken_to() {
    let (authority, other) = (Authority::new(), Authority::new());
    let server = start(&authority, &[]);
    let refused = |authority: &Authority, url: &str| {
        let authorities = Authorities::in_file(authority.path("ca.pem"));
        Client::connect(Options::new(url, KEY).authorities(authorities)).unwrap_err().to_string()
    };
    let here = format!("wss://localhost:{}", server.port);
    assert!(refused(&other, &here).contains("from no authority that is trusted here (--ca FILE"));
    let named = refused(&authority, &format!("wss://127.0.0.2:{}", server.port));
    assert!(named.contains("not for 127.0.0.2"), "{named}");
    let plain = format!("ws://localhost:{}", server.port);
    let plain = Client::connect(Options::new(plain, KEY)).unwrap_err().to_string();
    assert!(plain.contains("this port speaks TLS: connect with wss://"), "{plain}");
    let authorities = Authorities::in_file("/nonexistent/ca.pem");
    let missing = check_health(&here, &authorities, PATIENCE).unwrap_err().to_string();
    assert!(missing.contains("/nonexistent/ca.pem"), "{missing}");
    check_health(&here, &Authorities::in_file(authority.path("ca.pem")), PATIENCE).unwrap();
}

#[test]
fn commands_speak_it() {
    let authority = Authority::new();
    let server = start(&authority, &[]);
    let url = format!("wss://localhost:{}", server.port);
    let run = |arguments: &[&str]| {
        let Output { status, stdout, stderr } =
            command().args(arguments).args(["--url", &url, "--apikey", KEY]).output().unwrap();
        (status.success(), String::from_utf8(stdout).unwrap() + &String::from_utf8(stderr).unwrap())
    };
    let ca = authority.path("ca.pem");
    let set = run(&["set-value", "--col", "c", "--key", "k", "--value", "v", "--ca", &ca]);
    assert!(set.0, "{}", set.1);
    assert!(run(&["get-values", "--col", "c", "--ca", &ca]).1.contains('v'));
    assert!(run(&["health", "--ca", &ca]).0);
    let (succeeded, text) = run(&["ping"]);
    assert!(!succeeded && text.contains("--ca"), "{text}");
}

/// A server with a log to read.
fn with_log(authority: &Authority, more: &[&str]) -> (Child, BufReader<std::process::ChildStderr>, u16) {
    let mut command = command();
    command.args(["--secret-key", KEY, "--port", "0"]).args(flags(authority)).args(more);
    // In a session of its own, it has no terminal whose end a hangup could be.
    let mut session = std::process::Command::new("setsid");
    session.arg(command.get_program()).args(command.get_args());
    let mut child =
        session.stdout(Stdio::piped()).stderr(Stdio::piped()).stdin(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let port = line.split(',').next().and_then(|head| head.rsplit(':').next()?.parse().ok());
    let log = BufReader::new(child.stderr.take().unwrap());
    (child, log, port.unwrap_or_else(|| panic!("no port in {line:?}")))
}

fn line_with(log: &mut impl BufRead, word: &str) -> String {
    log.lines().map(Result::unwrap).find(|line| line.contains(word)).unwrap_or_else(|| panic!("no {word:?}"))
}

#[test]
fn a_certificate_is_renewed_by_a_hangup_and_by_itself() {
    let authority = Authority::new();
    authority.write_local();
    let (mut child, mut log, port) = with_log(&authority, &["--cores", "2"]);
    let first = certificate_in(&authority);
    assert_eq!(shown(&authority, port), first);
    let mut client = Client::connect(options(&authority, port)).unwrap();
    authority.write_local();
    kill_process(Pid::from_child(&child), Signal::HUP).unwrap();
    line_with(&mut log, "certificate read again");
    // Each core is told by mail.
    while shown(&authority, port) == first {}
    assert_eq!(shown(&authority, port), certificate_in(&authority));

    let second = certificate_in(&authority);
    authority.write("key.pem", "no key");
    kill_process(Pid::from_child(&child), Signal::HUP).unwrap();
    assert!(line_with(&mut log, "was not renewed").contains("key.pem has no private key in PEM"));
    assert_eq!(shown(&authority, port), second, "the one before stays");

    authority.write_local();
    line_with(&mut log, "certificate read again");
    while shown(&authority, port) == second {}
    assert_eq!(shown(&authority, port), certificate_in(&authority));
    client.set_value("c", "k", "a connection that was there goes on").unwrap();
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    drop(client);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn what_can_not_be_used_is_said_at_the_start() {
    let authority = Authority::new();
    authority.write_local();
    let (_, other_key) = authority.certify(&["localhost"]);
    authority.write("other-key.pem", &other_key);
    authority.write("empty.pem", "");
    authority.write("torn.pem", "-----BEGIN CERTIFICATE-----\nnonsense\n");
    let file = |name: &str| authority.path(name);
    let refused = |arguments: &[&str]| {
        let output = command().args(["--secret-key", KEY, "--port", "0"]).args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (cert, key) = (file("cert.pem"), file("key.pem"));
    for (certificate, key, words) in [
        ("/nonexistent.pem", key.as_str(), "can't read /nonexistent.pem"),
        (&cert, "/nonexistent.pem", "can't read /nonexistent.pem"),
        (&file("empty.pem"), &key, "empty.pem has no certificate in PEM"),
        (&cert, &file("empty.pem"), "empty.pem has no private key in PEM"),
        (&cert, &cert, "cert.pem has no private key in PEM"),
        (&file("torn.pem"), &key, "torn.pem is no proper PEM"),
        (&cert, &file("other-key.pem"), "is not that of the certificate"),
    ] {
        let (code, text) = refused(&["--tls-cert", certificate, "--tls-key", key]);
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains(words), "{text}");
    }
    for (arguments, words) in [
        (vec!["--tls-cert", cert.as_str()], "--tls-key FILE"),
        (vec!["--tls-key", &key], "--tls-cert FILE"),
        (vec!["--tls-port", "1"], "needs a certificate"),
    ] {
        let (code, text) = refused(&arguments);
        assert!(code == Some(2) && text.contains(words), "{text}");
    }
}

#[test]
fn only_a_plain_address_is_warned_of() {
    let authority = Authority::new();
    authority.write_local();
    for (more, is_plain) in
        [(&["--bind", "0.0.0.0"][..], false), (&["--bind", "0.0.0.0", "--tls-port", "0"], true)]
    {
        let (mut child, log, _) = with_log(&authority, more);
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        let lines: Vec<String> = log.lines().map(Result::unwrap).collect();
        assert_eq!(child.wait().unwrap().code(), Some(0));
        assert_eq!(lines.iter().any(|line| line.contains("not encrypted")), is_plain, "{lines:?}");
    }
}
