//! Peers of a TLS port that speak no TLS, break it off, or take nothing: each is met within bounds, and others are served.

use crate::support::raw::upgrade;
use crate::support::{Authority, KEY, KEY_QUERY, PATIENCE, Server};
use crate::tls::{shake_hands, start};
use fluxion_client::{Authorities, Client, Options};
use serde_json::json;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", server.tls_port.unwrap())).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn client(authority: &Authority, server: &Server) -> Client {
    let authorities = Authorities::in_file(authority.path("ca.pem"));
    let url = format!("wss://localhost:{}", server.tls_port.unwrap());
    Client::connect(Options::new(url, KEY).authorities(authorities)).unwrap()
}

fn refusals(server: &Server, reason: &str) -> u64 {
    let stats = server.client().call("stats", &json!({}));
    let cores = stats["stats"]["cores"].as_array().unwrap();
    cores.iter().filter_map(|core| core["refusals"][reason].as_u64()).sum()
}

/// What the server says until it ends the connection.
fn rest(mut stream: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    bytes
}

/// The beginning of a handshake, as a client sends it.
fn hello() -> Vec<u8> {
    let authority = Authority::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let asking = std::thread::spawn(move || {
        let authorities = Authorities::in_file(authority.path("ca.pem"));
        Client::connect(Options::new(format!("wss://localhost:{port}"), KEY).authorities(authorities))
    });
    let (mut stream, _) = listener.accept().unwrap();
    let mut bytes = vec![0; 5];
    stream.read_exact(&mut bytes).unwrap();
    let length = usize::from(u16::from_be_bytes([bytes[3], bytes[4]]));
    bytes.resize(5 + length, 0);
    stream.read_exact(&mut bytes[5..]).unwrap();
    drop(stream);
    assert!(asking.join().unwrap().is_err());
    bytes
}

#[test]
fn who_speaks_no_tls_is_told_so_and_counted() {
    let authority = Authority::new();
    let server = start(&authority, &["--cores", "1", "--tls-port", "0"]);
    let mut http = connect(&server);
    http.write_all(upgrade(&format!("/?{KEY_QUERY}"), "").as_bytes()).unwrap();
    let answer = String::from_utf8(rest(http)).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.ends_with("connect with wss://"), "{answer}");
    let mut other = connect(&server);
    other.write_all(b"\x81\x85\0\0\0\0hello").unwrap();
    assert_eq!(rest(other), b"", "what it speaks is not known");
    assert_eq!(refusals(&server, "not_tls"), 2);
    client(&authority, &server).ping().unwrap();
}

#[test]
fn a_handshake_that_makes_no_sense_is_ended() {
    let authority = Authority::new();
    let server = start(&authority, &["--cores", "1", "--tls-port", "0"]);
    let mut hello = hello();
    // A kind of message that there is not.
    hello[5] ^= 0x55;
    let mut broken = connect(&server);
    broken.write_all(&hello).unwrap();
    let said = rest(broken);
    assert_eq!(said.first(), Some(&21), "an alert: {said:?}");
    assert_eq!(refusals(&server, "tls"), 1);
    client(&authority, &server).ping().unwrap();
}

#[test]
fn half_a_handshake_holds_nobody_up() {
    let authority = Authority::new();
    let server = start(&authority, &["--cores", "1", "--tls-port", "0"]);
    let hello = hello();
    let mut waiting = Vec::new();
    for length in (0..hello.len()).step_by(hello.len() / 20) {
        let mut stream = connect(&server);
        stream.write_all(&hello[..length]).unwrap();
        if length % 2 == 0 {
            stream.shutdown(Shutdown::Write).unwrap();
        }
        waiting.push(stream);
    }
    client(&authority, &server).ping().unwrap();
    // Each is ended, at the latest when the time of its handshake is over.
    for stream in waiting {
        rest(stream);
    }
    client(&authority, &server).ping().unwrap();
}

#[test]
fn handshakes_of_tls_have_the_limit_of_all() {
    let authority = Authority::new();
    let server = start(&authority, &["--cores", "1", "--tls-port", "0", "--max-handshakes", "2"]);
    let hello = hello();
    let waiting = [(); 2].map(|()| {
        let mut stream = connect(&server);
        stream.write_all(&hello[..10]).unwrap();
        stream
    });
    while refusals_while_full(&server) == 0 {}
    drop(waiting);
    loop {
        let authorities = Authorities::in_file(authority.path("ca.pem"));
        let url = format!("wss://localhost:{}", server.tls_port.unwrap());
        if Client::connect(Options::new(url, KEY).authorities(authorities)).is_ok() {
            break;
        }
    }
}

/// Tries once more; one that is too many is ended without a word.
fn refusals_while_full(server: &Server) -> u64 {
    let mut stream = connect(server);
    stream.write_all(b"").unwrap();
    stream.set_read_timeout(Some(std::time::Duration::from_millis(200))).unwrap();
    let ended = matches!(stream.read(&mut [0]), Ok(0));
    u64::from(ended)
}

#[test]
fn bytes_one_by_one_are_understood() {
    let authority = Authority::new();
    let server = start(&authority, &["--cores", "1", "--tls-port", "0"]);
    let mut secure = shake_hands(&authority, server.tls_port.unwrap(), rustls::ALL_VERSIONS);
    let request = upgrade(&format!("/?{KEY_QUERY}"), "");
    secure.conn.writer().write_all(request.as_bytes()).unwrap();
    let mut ciphertext = Vec::new();
    while secure.conn.wants_write() {
        secure.conn.write_tls(&mut ciphertext).unwrap();
    }
    for byte in ciphertext {
        secure.sock.write_all(&[byte]).unwrap();
    }
    let mut head = [0; 12];
    secure.read_exact(&mut head).unwrap();
    assert_eq!(&head, b"HTTP/1.1 101");
}

/// The replies wait in the server, up to its bounds, and all of them are there when they are taken.
#[test]
fn who_takes_nothing_for_a_while_misses_nothing() {
    let authority = Authority::new();
    let server = start(&authority, &["--cores", "1", "--tls-port", "0"]);
    let mut writer = server.client();
    let value = "v".repeat(1 << 20);
    writer.done("sval", &json!({"col": "c", "key": "k", "value": value}));
    let before = server.rss_bytes();
    let mut secure = shake_hands(&authority, server.tls_port.unwrap(), rustls::ALL_VERSIONS);
    secure.write_all(upgrade(&format!("/?{KEY_QUERY}"), "").as_bytes()).unwrap();
    const REQUESTS: usize = 100;
    for number in 0..REQUESTS {
        let data = json!({"col": "c", "key": "k"}).to_string();
        let request = json!({"id": number.to_string(), "type": "gval", "data": data}).to_string();
        secure.write_all(&crate::support::raw::frame(0x81, request.as_bytes())).unwrap();
    }
    secure.flush().unwrap();
    for _ in 0..20 {
        writer.call("gval", &json!({"col": "c", "key": "none"}));
    }
    let held = server.rss_bytes().saturating_sub(before);
    assert!(held < 64 << 20, "{held} bytes");
    let mut bytes = 0;
    let mut buffer = vec![0; 1 << 16];
    while bytes < REQUESTS * value.len() {
        let count = secure.read(&mut buffer).unwrap();
        assert!(count > 0, "it ended after {bytes} bytes");
        bytes += buffer[..count].iter().filter(|byte| **byte == b'v').count();
    }
}
