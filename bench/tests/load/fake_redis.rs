//! A Redis for tests that knows the few commands it is sent, and answers each as Redis does.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

/// Listens on a free port; returns its address. Its threads end with the process.
pub fn start() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            thread::spawn(move || serve(stream));
        }
    });
    url
}

fn serve(mut stream: TcpStream) {
    let mut input = BufReader::new(stream.try_clone().unwrap());
    while let Some(command) = read_command(&mut input) {
        let reply = answer(&command);
        // A load generator that has gone is seen by the next read.
        let _ = stream.write_all(reply.as_bytes());
    }
}

fn answer(command: &[String]) -> String {
    let arguments: Vec<&str> = command.iter().map(String::as_str).collect();
    match arguments[..] {
        ["PING"] => "+PONG\r\n".to_owned(),
        ["ZADD", _, ref members @ ..] if members.len() >= 2 && members.len() % 2 == 0 => {
            let is_unique = members.chunks(2).all(|pair| pair[1].starts_with(&format!("{}:{{", pair[0])));
            if is_unique { format!(":{}\r\n", members.len() / 2) } else { "-ERR member\r\n".to_owned() }
        }
        ["ZRANGE", _, "0", _, "REV"] => "*2\r\n$3\r\none\r\n$3\r\ntwo\r\n".to_owned(),
        ["SET", _, _] => "+OK\r\n".to_owned(),
        ["GET", _] => "$-1\r\n".to_owned(),
        _ => format!("-ERR unknown: {arguments:?}\r\n"),
    }
}

fn read_command(input: &mut impl BufRead) -> Option<Vec<String>> {
    let count = read_number(input, '*')?;
    (0..count).map(|_| read_text(input)).collect()
}

fn read_text(input: &mut impl BufRead) -> Option<String> {
    let mut bytes = vec![0; read_number(input, '$')? + 2];
    input.read_exact(&mut bytes).ok()?;
    Some(String::from_utf8(bytes).unwrap().strip_suffix("\r\n").unwrap().to_owned())
}

fn read_number(input: &mut impl BufRead, kind: char) -> Option<usize> {
    let mut line = String::new();
    input.read_line(&mut line).ok()?;
    Some(line.strip_prefix(kind)?.trim_end().parse().unwrap())
}
