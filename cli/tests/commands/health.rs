//! The health of a server as a container's check asks for it: without a key, and told by the exit code.

use crate::support::{Server, command};
use crate::tools::Outcome;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Stdio;
use std::thread::JoinHandle;

fn health(url: &str, more: &[&str]) -> Outcome {
    let mut command = command();
    command.args(["health", "--url", url]).args(more).stdin(Stdio::null());
    command.output().unwrap().into()
}

/// A server that takes one connection, reads one request, answers with these bytes, and gives the request.
fn answering(answer: &'static str) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/db?api-key=secret", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            request.push(byte[0]);
        }
        stream.write_all(answer.as_bytes()).unwrap();
        if answer.is_empty() {
            // Silent until the other side has had enough.
            assert_eq!(stream.read(&mut [0]).unwrap(), 0);
        }
        String::from_utf8(request).unwrap()
    });
    (url, thread)
}

#[test]
fn a_server_that_is_well_needs_no_key_to_say_so() {
    let server = Server::start(&["--cores", "1"]);
    let outcome = health(&format!("ws://127.0.0.1:{}", server.port), &[]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    assert_eq!(outcome.stdout, "{\n  \"status\": \"ok\"\n}\n");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let outcome = health(&format!("ws://127.0.0.1:{port}"), &[]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), ""));
    assert!(outcome.stderr.contains(&format!("can't connect to 127.0.0.1:{port}")), "{}", outcome.stderr);
}

#[test]
fn what_is_wrong_is_told() {
    for (answer, more, told) in [
        (
            "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 17\r\n\r\nno disk \x1b[2J left",
            &[][..],
            "fluxiondb: no disk \\u{1b}[2J left\n",
        ),
        (
            "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnope",
            &[],
            "fluxiondb: this is no FluxionDB server: it answers GET /db/health with status 404\n",
        ),
        ("220 mail\r\n\r\n", &[], "fluxiondb: this is no FluxionDB server: it does not answer in HTTP/1.1\n"),
        ("", &["--timeout", "1"], "fluxiondb: the server was silent for 1 s\n"),
    ] {
        let (url, thread) = answering(answer);
        let outcome = health(&url, more);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), ""), "{answer}");
        assert_eq!(outcome.stderr, told);
        let request = thread.join().unwrap();
        assert!(
            request.starts_with("GET /db/health HTTP/1.1\r\n") && !request.contains("secret"),
            "{request}"
        );
    }
}
